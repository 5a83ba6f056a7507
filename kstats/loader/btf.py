"""Offsets of struct members in the running kernel, from its BTF through libbpf.

Only the worker uses this: ``lib`` is the library that bcc has loaded, which contains libbpf's
``btf__*`` functions. Layouts are those of include/uapi/linux/btf.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

_KIND_STRUCT, _KIND_UNION, _KIND_FUNCTION = 4, 5, 12
_TRANSPARENT = {8, 9, 10, 11, 18}  # typedef, volatile, const, restrict, type tag
_BITS = 8

_MOST_STEPS = 64
"""Of typedefs and qualifiers around a type; the kernel has a few. Damaged BTF may have a cycle."""


class _Type(ctypes.Structure):
    _fields_ = (
        ("name_off", ctypes.c_uint32),
        ("info", ctypes.c_uint32),
        ("size_or_type", ctypes.c_uint32),
    )

    @property
    def kind(self) -> int:
        return int(self.info) >> 24 & 0x1F

    @property
    def members(self) -> int:
        return int(self.info) & 0xFFFF


class _Member(ctypes.Structure):
    _fields_ = (
        ("name_off", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("offset", ctypes.c_uint32),
    )


class NoBtfError(Exception):
    """The kernel has no BTF, or none for a name; the text says which."""


class Btf:
    """The types of one kernel module on top of the kernel's own."""

    def __init__(self, lib: Any, modules: Sequence[str]) -> None:
        """Load the BTF of the first of ``modules`` that has some, else the kernel's own.

        Raises:
            NoBtfError: The kernel itself has none.
        """
        self._lib = lib
        self._ids: dict[tuple[int, str], int] = {}
        self._declare()
        base = lib.btf__load_vmlinux_btf()
        if not base:
            raise NoBtfError("the kernel has no BTF (/sys/kernel/btf/vmlinux)")
        loaded = (lib.btf__load_module_btf(module.encode(), base) for module in modules)
        # A vendor module built into the kernel has its types in the kernel's own BTF.
        self._btf = next((btf for btf in loaded if btf), base)

    def offset(self, path: str) -> int:
        """Return the offset in bytes of ``struct.member.member`` from the start of ``struct``.

        Raises:
            NoBtfError: There is no such struct or member.
        """
        struct, *members = path.split(".")
        type_id = self.struct(struct)
        total = 0
        for name in members:
            found = self._find(type_id, name, set())
            if found is None:
                raise NoBtfError(f"BTF has no {path}")
            bits, type_id = found
            total += bits
        return total // _BITS

    def struct(self, name: str) -> int:
        """Return the BTF ID of ``struct name``; raise NoBtfError if BTF lacks it."""
        return self._named(name, "struct", _KIND_STRUCT)

    def function(self, name: str) -> int:
        """Return the BTF ID of the kernel function ``name``; raise NoBtfError if BTF lacks it."""
        return self._named(name, "function", _KIND_FUNCTION)

    def _named(self, name: str, what: str, kind: int) -> int:
        type_id = self._ids.get((kind, name))
        if type_id is None:  # libbpf compares the names of all types
            found = self._lib.btf__find_by_name_kind(self._btf, name.encode(), kind)
            type_id = self._ids[kind, name] = int(found)
        if type_id < 0:
            raise NoBtfError(f"BTF has no {what} {name}")
        return type_id

    def _declare(self) -> None:
        lib, pointer = self._lib, ctypes.c_void_p
        lib.btf__load_vmlinux_btf.restype = pointer
        lib.btf__load_module_btf.restype = pointer
        lib.btf__load_module_btf.argtypes = (ctypes.c_char_p, pointer)
        lib.btf__find_by_name_kind.argtypes = (pointer, ctypes.c_char_p, ctypes.c_uint32)
        lib.btf__type_by_id.restype = pointer
        lib.btf__type_by_id.argtypes = (pointer, ctypes.c_uint32)
        lib.btf__name_by_offset.restype = ctypes.c_char_p
        lib.btf__name_by_offset.argtypes = (pointer, ctypes.c_uint32)

    def _resolve(self, type_id: int) -> tuple[int, _Type]:
        """Return the address and value of a type without typedefs and qualifiers."""
        for _ in range(_MOST_STEPS):
            address = self._lib.btf__type_by_id(self._btf, type_id)
            if not address:
                break
            kind = _Type.from_address(address)
            if kind.kind not in _TRANSPARENT:
                return address, kind
            type_id = kind.size_or_type
        raise NoBtfError(f"BTF is damaged at type {type_id}")

    def _members(self, type_id: int) -> Iterator[tuple[str, int, int]]:
        """Yield (name, offset in bits, type ID) of each member; of bit fields, the first bit."""
        address, kind = self._resolve(type_id)
        if kind.kind not in (_KIND_STRUCT, _KIND_UNION):
            return
        bit_fields = kind.info >> 31
        first = address + ctypes.sizeof(_Type)
        for i in range(kind.members):
            member = _Member.from_address(first + i * ctypes.sizeof(_Member))
            name = self._lib.btf__name_by_offset(self._btf, member.name_off) or b""
            offset = member.offset & 0xFFFFFF if bit_fields else member.offset
            yield name.decode(errors="replace"), offset, member.type

    def _find(self, type_id: int, wanted: str, seen: set[int]) -> tuple[int, int] | None:
        """Return (offset in bits, type ID) of a member, also in anonymous structs and unions.

        ``seen`` are the types that were searched: damaged BTF may have a cycle.
        """
        seen.add(type_id)
        for name, offset, member_type in self._members(type_id):
            if name == wanted:
                return offset, member_type
            search = not name and member_type not in seen
            inner = self._find(member_type, wanted, seen) if search else None
            if inner:
                return offset + inner[0], inner[1]
        return None
