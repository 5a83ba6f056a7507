"""The bpf(2) commands that kstats uses, without a library.

Layouts are those of ``union bpf_attr`` in include/uapi/linux/bpf.h. Errors of the kernel are
raised as OSError with its errno. Standard library only: the worker uses this, too.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import struct
from array import array
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

_MACHINE = os.uname().machine

# The number of bpf(2); architectures since arm64 share the generic table.
BPF_SYSCALL = {"x86_64": 321, "s390x": 351, "ppc64le": 361, "ppc64": 361}.get(_MACHINE, 280)

# The number of perf_event_open; constants of include/uapi/linux/perf_event.h
_PERF_EVENT_OPEN = {"x86_64": 298, "s390x": 331, "ppc64le": 319, "ppc64": 319}.get(_MACHINE, 241)
_PERF_TYPE_TRACEPOINT = 2
_PERF_ATTR_SIZE = 64
_PERF_FLAG_FD_CLOEXEC = 1 << 3
_PERF_SET_BPF, _PERF_ENABLE = 0x40042408, 0x2400

_MAP_CREATE = 0
_MAP_LOOKUP_ELEM = 1
_MAP_UPDATE_ELEM = 2
_MAP_DELETE_ELEM = 3
_PROG_LOAD = 5
_PROG_TEST_RUN = 10
_OBJ_GET_INFO_BY_FD = 15
_RAW_TRACEPOINT_OPEN = 17
_MAP_LOOKUP_AND_DELETE_ELEM = 21
_MAP_LOOKUP_BATCH = 24
_ENABLE_STATS = 32
_STATS_RUN_TIME = 0

# enum bpf_map_type
_HASHES = {1, 5}
_ARRAY = 2

_NO_EXIST = 1
_TEST_RUN_ON_CPU = 1

PROGRAM_TYPES = {"raw": 17, "classic": 5}
"""BPF_PROG_TYPE_RAW_TRACEPOINT and BPF_PROG_TYPE_TRACEPOINT by the way of attaching."""

_ARG_SIZE = 8
_NAME_SIZE = 16
_LOG_SIZE = 1 << 20

_ENOTSUPP = 524  # include/linux/errno.h: internal to the kernel, but bpf(2) returns it

INSTRUCTION_SIZE = 8

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attr: bytes) -> tuple[int, bytes]:
    """Run a command; return its result and the attributes as the kernel left them."""
    buffer = ctypes.create_string_buffer(attr, len(attr))
    result = _libc.syscall(BPF_SYSCALL, command, buffer, len(attr))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result, buffer.raw


class ProgramInfo(NamedTuple):
    """What the kernel reports about a loaded program. Figures that it lacks are 0.

    Attributes:
        name: At most 15 characters.
        jited_size: Bytes of machine code.
        instructions: BPF instructions, without those that the verifier removed.
        verified_instructions: Instructions that the verifier went through.
        misses: How often the kernel skipped it, because a BPF program was already running on
            the CPU.
        run_time: Nanoseconds that it ran while statistics were on (:func:`enable_statistics`).
        runs: How often it ran meanwhile.
    """

    name: str
    jited_size: int
    instructions: int
    verified_instructions: int
    misses: int
    run_time: int
    runs: int


def _info(fd: int, size: int) -> bytes:
    info = ctypes.create_string_buffer(size)
    _bpf(_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", fd, size, ctypes.addressof(info)))
    return info.raw


def program_info(fd: int) -> ProgramInfo:
    """Return what the kernel reports about a program (struct bpf_prog_info)."""
    info = _info(fd, 232)
    jited_size, size = struct.unpack_from("=II", info, 16)
    name = info[64:80].split(b"\0", 1)[0].decode()
    run_time, runs, misses, verified = struct.unpack_from("=3QI", info, 192)
    instructions = size // INSTRUCTION_SIZE
    return ProgramInfo(name, jited_size, instructions, verified, misses, run_time, runs)


def map_name(fd: int) -> str:
    """Return the name of a map: the first 15 characters of what it was created with."""
    # struct bpf_map_info: six numbers, then the name.
    return _info(fd, 40)[24:].split(b"\0")[0].decode()


def enable_statistics() -> int:
    """Let the kernel time all BPF programs until the returned descriptor is closed (since 5.8).

    Raises:
        PermissionError: CAP_SYS_ADMIN is missing.
    """
    return _bpf(_ENABLE_STATS, struct.pack("=I", _STATS_RUN_TIME))[0]


class Map:
    """A BPF map. It does not own its descriptor."""

    def __init__(self, fd: int) -> None:
        """Read the map's sizes from the kernel (struct bpf_map_info)."""
        self.fd = fd
        self._kind, _, self.key_size, self.value_size, self.max_entries = struct.unpack_from(
            "=5I", _info(fd, 80)
        )

    @property
    def is_hash(self) -> bool:
        """Return whether it is a hash, per CPU or not, that can be full: not an LRU hash."""
        return self._kind in _HASHES

    def read_cpus(self, key: bytes, cpus: int) -> bytes:
        """Return the values of ``key`` in a per-CPU map, of all possible CPUs in order."""
        buffer = ctypes.create_string_buffer(-(-self.value_size // 8) * 8 * cpus)
        self.read_into(key, buffer)
        return buffer.raw

    def read_into(self, key: bytes, buffer: ctypes.Array[ctypes.c_char]) -> None:
        """Read the value of ``key`` into ``buffer``.

        For a per-CPU map, that is the value of each possible CPU, padded to 8 bytes.
        """
        self._element(_MAP_LOOKUP_ELEM, key, buffer)

    def sum_cpus(self, cpus: int) -> int:
        """Return the sum of a per-CPU array's only value, a u64, over all possible CPUs."""
        return sum(array("Q", self.read_cpus(struct.pack("=I", 0), cpus)))

    def read(self, key: bytes) -> bytes | None:
        """Return the value of ``key`` in a map that is not per CPU; None if the map lacks it."""
        buffer = ctypes.create_string_buffer(self.value_size)
        try:
            self.read_into(key, buffer)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return None
        return buffer.raw

    def add(self, key: bytes, value: bytes) -> bool:
        """Add ``key`` to a hash; return False if it is there already or the hash is full."""
        buffers = (
            ctypes.create_string_buffer(key, len(key)),
            ctypes.create_string_buffer(value, len(value)),
        )
        addresses = map(ctypes.addressof, buffers)
        try:
            _bpf(_MAP_UPDATE_ELEM, struct.pack("=I4xQQQ", self.fd, *addresses, _NO_EXIST))
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.E2BIG, errno.ENOMEM):
                raise
            return False
        return True

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of ``key``, which is added if it is missing."""
        buffer = ctypes.create_string_buffer(value, len(value))
        self._element(_MAP_UPDATE_ELEM, key, buffer)

    def delete(self, key: bytes) -> None:
        """Remove ``key`` from a hash, if it is there."""
        key_buffer = ctypes.create_string_buffer(key, len(key))
        try:
            _bpf(
                _MAP_DELETE_ELEM,
                struct.pack("=I4xQQQ", self.fd, ctypes.addressof(key_buffer), 0, 0),
            )
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise

    def pop(self, key: bytes) -> bytes:
        """Remove ``key`` from a hash; return its value.

        Linux before 5.14 cannot do both at once: what is counted in between is lost there.
        """
        value = ctypes.create_string_buffer(self.value_size)
        try:
            self._element(_MAP_LOOKUP_AND_DELETE_ELEM, key, value)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, _ENOTSUPP):
                raise
            self._element(_MAP_LOOKUP_ELEM, key, value)
            self._element(_MAP_DELETE_ELEM, key, value)
        return value.raw

    def _element(self, command: int, key: bytes, value: ctypes.Array[ctypes.c_char]) -> None:
        key_buffer = ctypes.create_string_buffer(key, len(key))
        addresses = (ctypes.addressof(key_buffer), ctypes.addressof(value))
        if command == _MAP_DELETE_ELEM:
            addresses = (addresses[0], 0)
        _bpf(command, struct.pack("=I4xQQQ", self.fd, *addresses, 0))

    def items(self) -> list[tuple[bytes, bytes]]:
        """Return each (key, value) of a hash, with one system call (Linux 5.6 and later)."""
        keys, values = self.batch()
        return list(
            zip(_pieces(keys, self.key_size), _pieces(values, self.value_size), strict=True)
        )

    def batch(self) -> tuple[bytes, bytes]:
        """Return all keys and all values of a hash, each in one piece and in the same order."""
        size = self.max_entries
        keys, values = self._batch
        cursor = ctypes.create_string_buffer(max(self.key_size, 8))
        attr = struct.pack(
            "=QQQQIIQQ",
            0,
            ctypes.addressof(cursor),
            ctypes.addressof(keys),
            ctypes.addressof(values),
            size,
            self.fd,
            0,
            0,
        )
        count = self._lookup_batch(attr)
        # The rest of the buffers is not even copied.
        return (
            ctypes.string_at(keys, self.key_size * count),
            ctypes.string_at(values, self.value_size * count),
        )

    @cached_property
    def _batch(self) -> tuple[ctypes.Array[ctypes.c_char], ctypes.Array[ctypes.c_char]]:
        """Buffers for the keys and the values of a full map, which are kept for the next reading.

        ctypes would write zeros to all of them. The pages of a mapping take memory once the kernel
        writes to them: those of a map with few elements hardly do.
        """
        key, value = (
            (ctypes.c_char * size).from_buffer(mmap.mmap(-1, size, mmap.MAP_PRIVATE))
            for size in (self.max_entries * self.key_size, self.max_entries * self.value_size)
        )
        return key, value

    def _lookup_batch(self, attr: bytes) -> int:
        buffer = ctypes.create_string_buffer(attr, len(attr))
        result = _libc.syscall(BPF_SYSCALL, _MAP_LOOKUP_BATCH, buffer, len(attr))
        number = ctypes.get_errno()
        # ENOENT: this was the last batch, and it is valid.
        if result < 0 and number != errno.ENOENT:
            raise OSError(number, os.strerror(number))
        (count,) = struct.unpack_from("=I", buffer.raw, 32)
        return int(count)


def create_array(name: str, value_size: int) -> int:
    """Create an array with one value; return its descriptor."""
    # map_type, key_size, value_size, max_entries, map_flags, inner_map_fd, numa_node, map_name
    attr = struct.pack("=7I16s", _ARRAY, 4, value_size, 1, 0, 0, 0, name.encode()[:15])
    return _bpf(_MAP_CREATE, attr)[0]


def _pieces(values: bytes, size: int) -> Iterator[bytes]:
    return (values[i : i + size] for i in range(0, len(values), size))


def instruction(code: int, registers: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    """Return a struct bpf_insn; the source register is in the high four bits of ``registers``."""
    return struct.pack("=BBhi", code, registers, offset, immediate)


def load_program(
    instructions: bytes,
    name: str = "",
    attach: str = "raw",
    log: ctypes.Array[ctypes.c_char] | None = None,
) -> int:
    """Load a program for a raw or classic tracepoint; return its descriptor.

    The verifier writes to ``log``.
    """
    program = ctypes.create_string_buffer(instructions, len(instructions))
    license_text = ctypes.create_string_buffer(b"GPL")
    # prog_type, insn_cnt, insns, license, log_level, log_size, log_buf, kern_version, prog_flags
    # and prog_name
    attr = struct.pack(
        "=IIQQIIQII16s",
        *(PROGRAM_TYPES[attach], len(instructions) // INSTRUCTION_SIZE),
        *(ctypes.addressof(program), ctypes.addressof(license_text)),
        *((1, len(log), ctypes.addressof(log)) if log else (0, 0, 0)),
        *(0, 0, name.encode()[: _NAME_SIZE - 1]),
    )
    return _bpf(_PROG_LOAD, attr)[0]


def run_program(program: int, cpu: int) -> bool:
    """Run a raw tracepoint program on a CPU, without arguments (Linux 5.10 and later).

    Return False if the CPU is offline.
    """
    # union bpf_attr, test: prog_fd and retval, sizes and addresses of data, repeat, duration,
    # sizes and addresses of contexts, flags, cpu, batch_size
    attr = struct.pack("=4I2Q4I2Q3I4x", program, *[0] * 11, _TEST_RUN_ON_CPU, cpu, 0)
    try:
        _bpf(_PROG_TEST_RUN, attr)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return False
    return True


def verifier_log(instructions: bytes, attach: str = "raw") -> str:
    """Return the verifier's log of a program."""
    log = ctypes.create_string_buffer(_LOG_SIZE)
    with suppress(OSError):
        os.close(load_program(instructions, attach=attach, log=log))
    return log.value.decode(errors="replace")


def attach_raw_tracepoint(tracepoint: str, program: int) -> int:
    """Attach a program; return a descriptor that detaches it when it is closed."""
    name = ctypes.create_string_buffer(tracepoint.encode())
    return _bpf(_RAW_TRACEPOINT_OPEN, struct.pack("=QI4x", ctypes.addressof(name), program))[0]


def attach_classic_tracepoint(event: int, program: int) -> int:
    """Attach a program to an event by its number in tracefs; see :func:`attach_raw_tracepoint`.

    The event of one CPU suffices: the kernel runs the program wherever the tracepoint fires
    (kernel/trace/bpf_trace.c, perf_event_attach_bpf_prog).
    """
    # struct perf_event_attr: type, size and config
    attr = ctypes.create_string_buffer(
        struct.pack("=IIQ", _PERF_TYPE_TRACEPOINT, _PERF_ATTR_SIZE, event), _PERF_ATTR_SIZE
    )
    fd = int(_libc.syscall(_PERF_EVENT_OPEN, attr, -1, 0, -1, _PERF_FLAG_FD_CLOEXEC))
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        fcntl.ioctl(fd, _PERF_SET_BPF, program)
        fcntl.ioctl(fd, _PERF_ENABLE)
    except OSError:
        os.close(fd)
        raise
    return fd


def _load_reader_of(arg: int) -> int:
    """Load ``r0 = ctx->args[arg]; r0 = 0; exit``."""
    return load_program(
        instruction(0x79, 0x10, arg * _ARG_SIZE) + instruction(0xB7) + instruction(0x95)
    )


def can_read_memory() -> bool:
    """Return whether programs may read kernel memory: not with lockdown=confidentiality."""
    # It reads a byte at address 0 to the stack.
    program = (
        instruction(0xBF, 0xA1)
        + instruction(0x07, 1, immediate=-8)
        + instruction(0xB7, 2, immediate=1)
        + instruction(0xB7, 3)
        + instruction(0x85, immediate=113)
        + instruction(0xB7)
        + instruction(0x95)
    )
    try:
        os.close(load_program(program))
    except OSError:
        return False
    return True


def _link(tracepoint: str, program: int) -> int | None:
    """Attach a program; return None if it reads an argument that does not exist."""
    try:
        return attach_raw_tracepoint(tracepoint, program)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise


def raw_tracepoint_args(tracepoint: str, most: int = 12, *, detach: bool = True) -> int:
    """Return the number of arguments of the running kernel's tracepoint.

    The kernel refuses to attach a program that reads an argument that does not exist: EINVAL
    (kernel/trace/bpf_trace.c, __bpf_probe_register). So no version need be known. The search
    starts with the most arguments, because refusing is quick and attaching is not.

    Without ``detach`` the program that was accepted, which does nothing, remains attached until
    this process ends. The next program is then attached at once: after the last one was detached
    from any tracepoint, the kernel waits for a grace period (kernel/tracepoint.c,
    tp_rcu_cond_sync).

    Raises:
        FileNotFoundError: The kernel has no such tracepoint (its module is not loaded).
        PermissionError: Loading or attaching is not permitted.
    """
    for args in range(most, 0, -1):
        program = _load_reader_of(args - 1)
        try:
            link = _link(tracepoint, program)
        finally:
            os.close(program)
        if link is not None:
            if detach:
                os.close(link)
            return args
    return 0
