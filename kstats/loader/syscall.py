"""The few bpf(2) commands that reading needs, without a library in between.

Layouts are those of ``union bpf_attr`` in include/uapi/linux/bpf.h. Errors of the kernel come
as OSError with its errno. Standard library only: the loading child uses this as well.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

# bpf(2)'s number; every architecture since arm64 shares the generic table.
_SYSCALL = {"x86_64": 321, "s390x": 351, "ppc64le": 361, "ppc64": 361}.get(platform.machine(), 280)

_MAP_LOOKUP_ELEM = 1
_MAP_UPDATE_ELEM = 2
_MAP_DELETE_ELEM = 3
_MAP_DELETE_ELEM = 3
_PROG_LOAD = 5
_OBJ_GET_INFO_BY_FD = 15
_RAW_TRACEPOINT_OPEN = 17
_MAP_LOOKUP_AND_DELETE_ELEM = 21
_MAP_LOOKUP_BATCH = 24
_ENABLE_STATS = 32
_STATS_RUN_TIME = 0

# enum bpf_map_type
_HASHES = {1, 5, 9, 10}

_NO_EXIST = 1

_PROG_TYPE_RAW_TRACEPOINT = 17
_ARG_SIZE = 8
_NAME_SIZE = 16
_LOG_SIZE = 1 << 20

_ENOTSUPP = 524  # include/linux/errno.h: not for user space, but it gets there

INSTRUCTION_SIZE = 8

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attr: bytes) -> tuple[int, bytes]:
    """Runs one command; returns the result and the attributes as the kernel left them."""
    buffer = ctypes.create_string_buffer(attr, len(attr))
    result = _libc.syscall(_SYSCALL, command, buffer, len(attr))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result, buffer.raw


class ProgramInfo(NamedTuple):
    """What the kernel says of a loaded program; sizes in bytes.

    ``misses`` counts the times the kernel skipped it because a BPF program was already running
    on that CPU; ``runs`` and ``run_time`` (nanoseconds) only those while statistics are on
    (:func:`enable_statistics`). A kernel too old to tell a figure leaves it 0.
    """

    name: str
    jited_size: int
    verified_instructions: int
    misses: int
    run_time: int
    runs: int


def _info(fd: int, size: int) -> bytes:
    info = ctypes.create_string_buffer(size)
    _bpf(_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", fd, size, ctypes.addressof(info)))
    return info.raw


def program_info(fd: int) -> ProgramInfo:
    """Figures of the program behind ``fd`` (struct bpf_prog_info)."""
    info = _info(fd, 232)
    (jited_size,) = struct.unpack_from("=I", info, 16)
    name = info[64:80].split(b"\0", 1)[0].decode()
    run_time, runs, misses, verified = struct.unpack_from("=3QI", info, 192)
    return ProgramInfo(name, jited_size, verified, misses, run_time, runs)


def enable_statistics() -> int:
    """Has the kernel time every BPF program until the descriptor it gives is closed (since 5.8).

    Raises:
        PermissionError: that takes CAP_SYS_ADMIN.
    """
    return _bpf(_ENABLE_STATS, struct.pack("=I", _STATS_RUN_TIME))[0]


class Map:
    """A BPF map behind a descriptor; whoever opened the descriptor closes it."""

    def __init__(self, fd: int) -> None:
        """Asks the kernel for the map's sizes (struct bpf_map_info)."""
        self.fd = fd
        self._kind, _, self.key_size, self.value_size, self.max_entries = struct.unpack_from(
            "=5I", _info(fd, 80)
        )

    @property
    def is_hash(self) -> bool:
        """Whether it is a hash, with or without a value for each CPU."""
        return self._kind in _HASHES

    def read_cpus(self, key: bytes, cpus: int) -> bytes:
        """The value of ``key`` of a per-CPU map for all ``cpus`` possible CPUs, one by one."""
        buffer = ctypes.create_string_buffer(-(-self.value_size // 8) * 8 * cpus)
        self.read_into(key, buffer)
        return buffer.raw

    def read_into(self, key: bytes, buffer: ctypes.Array[ctypes.c_char]) -> None:
        """Reads the value of ``key``; for a per-CPU map, of every possible CPU in turn.

        ``buffer`` must hold it: for a per-CPU map, value_size rounded up to 8 for each CPU.
        """
        self._element(_MAP_LOOKUP_ELEM, key, buffer)

    def read(self, key: bytes) -> bytes | None:
        """The value of ``key``, of a map that is not per CPU; None if there is none."""
        buffer = ctypes.create_string_buffer(self.value_size)
        try:
            self.read_into(key, buffer)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return None
        return buffer.raw

    def add(self, key: bytes, value: bytes) -> bool:
        """Puts ``key`` into a hash unless it is there already, or there is no room."""
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

    def delete(self, key: bytes) -> None:
        """Removes ``key`` from a hash; it may be gone already."""
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
        """Deletes ``key`` of a hash; gives the value that it had then.

        Linux before 5.14 cannot do both at once: there, what is added in between is lost.
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
        """Every (key, value) of a hash, in one system call (kernels since 5.6)."""
        size = self.max_entries
        keys = ctypes.create_string_buffer(size * self.key_size)
        values = ctypes.create_string_buffer(size * self.value_size)
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
        return list(
            zip(
                _pieces(keys, self.key_size, count),
                _pieces(values, self.value_size, count),
                strict=True,
            )
        )

    def _lookup_batch(self, attr: bytes) -> int:
        buffer = ctypes.create_string_buffer(attr, len(attr))
        result = _libc.syscall(_SYSCALL, _MAP_LOOKUP_BATCH, buffer, len(attr))
        number = ctypes.get_errno()
        # ENOENT: that was the last batch, and it is filled.
        if result < 0 and number != errno.ENOENT:
            raise OSError(number, os.strerror(number))
        (count,) = struct.unpack_from("=I", buffer.raw, 32)
        return int(count)


def _pieces(buffer: ctypes.Array[ctypes.c_char], size: int, count: int) -> Iterator[bytes]:
    """The first ``count`` pieces; what comes after them is not even copied."""
    used = ctypes.string_at(buffer, size * count)
    return (used[i : i + size] for i in range(0, len(used), size))


def instruction(code: int, registers: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    """One struct bpf_insn; ``registers`` has the source in the high four bits."""
    return struct.pack("=BBhi", code, registers, offset, immediate)


def load_raw_tracepoint(
    instructions: bytes, name: str = "", log: ctypes.Array[ctypes.c_char] | None = None
) -> int:
    """Loads a raw tracepoint program; its descriptor. The verifier writes to ``log``."""
    program = ctypes.create_string_buffer(instructions, len(instructions))
    license_text = ctypes.create_string_buffer(b"GPL")
    # prog_type, insn_cnt, insns, license, log_level, log_size, log_buf, kern_version, prog_flags
    # and prog_name
    attr = struct.pack(
        "=IIQQIIQII16s",
        *(_PROG_TYPE_RAW_TRACEPOINT, len(instructions) // INSTRUCTION_SIZE),
        *(ctypes.addressof(program), ctypes.addressof(license_text)),
        *((1, len(log), ctypes.addressof(log)) if log else (0, 0, 0)),
        *(0, 0, name.encode()[: _NAME_SIZE - 1]),
    )
    return _bpf(_PROG_LOAD, attr)[0]


def verifier_log(instructions: bytes) -> str:
    """What the verifier says of a raw tracepoint program."""
    log = ctypes.create_string_buffer(_LOG_SIZE)
    with suppress(OSError):
        os.close(load_raw_tracepoint(instructions, log=log))
    return log.value.decode(errors="replace")


def attach_raw_tracepoint(tracepoint: str, program: int) -> int:
    """Attaches a program; the descriptor of the link, which detaches when it is closed."""
    name = ctypes.create_string_buffer(tracepoint.encode())
    return _bpf(_RAW_TRACEPOINT_OPEN, struct.pack("=QI4x", ctypes.addressof(name), program))[0]


def _load_reader_of(arg: int) -> int:
    """Loads ``r0 = ctx->args[arg]; r0 = 0; exit``."""
    return load_raw_tracepoint(
        instruction(0x79, 0x10, arg * _ARG_SIZE) + instruction(0xB7) + instruction(0x95)
    )


def _attaches(tracepoint: str, program: int) -> bool:
    try:
        os.close(attach_raw_tracepoint(tracepoint, program))
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise
    return True


def raw_tracepoint_args(tracepoint: str, most: int = 12) -> int:
    """How many arguments the running kernel's tracepoint has: the kernel itself is asked.

    A program that reads an argument which does not exist is refused with EINVAL when it is
    attached (kernel/trace/bpf_trace.c, __bpf_probe_register), so no version need be known.
    It is asked from the top, because refusing is quick and attaching is not.

    Raises:
        FileNotFoundError: the kernel has no such tracepoint (its module is not loaded).
        PermissionError: loading or attaching is not allowed.
    """
    for args in range(most, 0, -1):
        program = _load_reader_of(args - 1)
        try:
            if _attaches(tracepoint, program):
                return args
        finally:
            os.close(program)
    return 0
