"""Queries the kernel about BPF programs, and runs them with made-up arguments."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
from pathlib import Path

from kstats.loader import syscall

_MAP_UPDATE_ELEM = 2
_PROG_TEST_RUN = 10
_PROG_GET_FD_BY_ID = 13
_LINK_GET_FD_BY_ID = 30
_MAP_UPDATE_BATCH = 26
_ON_CPU = 1
_MOST_ARGS = 12


def fire(program: int, *args: int, cpu: int = 0) -> int:
    """Run a raw tracepoint program on ``cpu`` with these arguments; return its result.

    It sees whatever thread that CPU runs. Use :func:`fire_here` to run it in this thread.
    """
    return _run(program, args, _ON_CPU, cpu)


def fire_here(program: int, *args: int) -> int:
    """Run it in the calling thread, on the CPU where that happens to be."""
    return _run(program, args, 0, 0)


def _run(program: int, args: tuple[int, ...], flags: int, cpu: int) -> int:
    words = [arg & (1 << 64) - 1 for arg in args] + [0] * (_MOST_ARGS - len(args))
    context = struct.pack(f"={_MOST_ARGS}Q", *words)
    buffer = ctypes.create_string_buffer(context, len(context))
    # union bpf_attr, test: prog_fd, retval, data sizes and pointers, repeat, duration, ctx sizes
    # and pointers, flags, cpu, batch_size
    attr = struct.pack(
        "=4I2Q4I2Q3I4x",
        *(program, 0, 0, 0, 0, 0, 0, 0, len(context), 0),
        *(ctypes.addressof(buffer), 0, flags, cpu, 0),
    )
    _, after = syscall._bpf(_PROG_TEST_RUN, attr)
    (returned,) = struct.unpack_from("=I", after, 4)
    return int(returned)


def write(target: syscall.Map, key: int, value: bytes) -> None:
    """Set the value of a key of an array."""
    keys = ctypes.create_string_buffer(struct.pack("=I", key), 4)
    values = ctypes.create_string_buffer(value, len(value))
    addresses = (ctypes.addressof(keys), ctypes.addressof(values))
    syscall._bpf(_MAP_UPDATE_ELEM, struct.pack("=I4xQQQ", target.fd, *addresses, 0))


def fill(target: syscall.Map, keys: bytes, values: bytes) -> None:
    """Add entries to a hash: concatenated keys, and concatenated values."""
    count = len(keys) // target.key_size
    buffers = [ctypes.create_string_buffer(data, len(data)) for data in (keys, values)]
    # union bpf_attr, batch: in_batch, out_batch, keys, values, count, map_fd, two sorts of flags
    addresses = (ctypes.addressof(buffer) for buffer in buffers)
    attr = struct.pack("=QQQQIIQQ", 0, 0, *addresses, count, target.fd, 0, 0)
    syscall._bpf(_MAP_UPDATE_BATCH, attr)


def held(pid: int | str = "self") -> dict[str, set[int]]:
    """Return the BPF programs and links that a process has open, as {"prog" or "link": ids}."""
    ids: dict[str, set[int]] = {"prog": set(), "link": set()}
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = info.read_text(encoding="ascii")
        except FileNotFoundError:  # the directory's own descriptor
            continue
        # The file of a link also contains the ID of its program.
        kind = "link" if "link_id:" in text else "prog"
        ids[kind].update(map(int, re.findall(rf"^{kind}_id:\s*(\d+)$", text, re.MULTILINE)))
    return ids


def alive(ids: dict[str, set[int]]) -> dict[str, set[int]]:
    """Return those of ``ids`` that the kernel still has."""
    commands = {"prog": _PROG_GET_FD_BY_ID, "link": _LINK_GET_FD_BY_ID}
    return {kind: {i for i in ids[kind] if _exists(commands[kind], i)} for kind in ids}


def _exists(command: int, number: int) -> bool:
    try:
        fd, _ = syscall._bpf(command, struct.pack("=III", number, 0, 0))
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    os.close(fd)
    return True
