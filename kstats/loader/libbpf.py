"""A binding of the parts of the system's libbpf that kstats uses (libbpf.so.1, from 1.0 on).

Functions and layouts are those of libbpf.h and btf.h. Standard library only: the worker uses it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from ctypes import POINTER, c_char_p, c_int, c_long, c_size_t, c_uint32, c_void_p
from typing import Any

SONAME = "libbpf.so.1"
_OLD_SONAME = "libbpf.so.0"

_PRINT = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)
_SETUP = ctypes.CFUNCTYPE(c_int, c_void_p, c_long)
_PREPARE = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_long)

_DEBUG = 2  # enum libbpf_print_level
_LINE = 1 << 16
_INSTRUCTION_SIZE = 8
_EINVAL = 22


class MissingError(Exception):
    """The system has no usable libbpf; the text says why."""


class _HandlerOptions(ctypes.Structure):
    """struct libbpf_prog_handler_opts."""

    _fields_ = (
        ("sz", c_size_t),
        ("cookie", c_long),
        ("prog_setup_fn", c_void_p),
        ("prog_prepare_load_fn", _PREPARE),
        ("prog_attach_fn", c_void_p),
    )


_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "libbpf_version_string": (c_char_p, ()),
    "libbpf_set_print": (c_void_p, (_PRINT,)),
    "libbpf_register_prog_handler": (c_int, (c_char_p, c_int, c_int, POINTER(_HandlerOptions))),
    "bpf_object__open_mem": (c_void_p, (c_char_p, c_size_t, c_void_p)),
    "bpf_object__load": (c_int, (c_void_p,)),
    "bpf_object__next_map": (c_void_p, (c_void_p, c_void_p)),
    "bpf_object__next_program": (c_void_p, (c_void_p, c_void_p)),
    "bpf_map__name": (c_char_p, (c_void_p,)),
    "bpf_map__fd": (c_int, (c_void_p,)),
    "bpf_map__set_autocreate": (c_int, (c_void_p, ctypes.c_bool)),
    "bpf_map__set_max_entries": (c_int, (c_void_p, c_uint32)),
    "bpf_map__set_value_size": (c_int, (c_void_p, c_uint32)),
    "bpf_program__name": (c_char_p, (c_void_p,)),
    "bpf_program__fd": (c_int, (c_void_p,)),
    "bpf_program__set_autoload": (c_int, (c_void_p, ctypes.c_bool)),
    "bpf_program__insns": (c_void_p, (c_void_p,)),
    "bpf_program__insn_cnt": (c_size_t, (c_void_p,)),
    "bpf_program__set_insns": (c_int, (c_void_p, c_char_p, c_size_t)),
}


def open_library() -> Library:
    """Load libbpf.

    Raises:
        MissingError: The system has none, or only one before 1.0.
    """
    try:
        return Library(ctypes.CDLL(SONAME, use_errno=True))
    except OSError as error:
        missing = str(error)
    try:
        ctypes.CDLL(_OLD_SONAME)
    except OSError:
        raise MissingError(f"libbpf is not installed: {missing}") from None
    raise MissingError("the system's libbpf is older than 1.0")


class Library:
    """The loaded library.

    Attributes:
        handle: For :class:`kstats.loader.btf.Btf`.
        messages: What libbpf has printed: its warnings, and the log of the verifier.
    """

    def __init__(self, handle: ctypes.CDLL) -> None:
        """Declare the functions.

        Raises:
            MissingError: The library lacks one.
        """
        self.handle = handle
        self.messages: list[str] = []
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(handle, name, None)
            if function is None:
                raise MissingError(f"the system's libbpf has no function {name}")
            function.restype, function.argtypes = result, arguments
        self._print = _PRINT(self._keep_message)  # must live as long as libbpf may call it
        self._vsnprintf = ctypes.CDLL(None).vsnprintf
        self._vsnprintf.argtypes = (c_char_p, c_size_t, c_char_p, c_void_p)
        handle.libbpf_set_print(self._print)

    @property
    def version(self) -> str:
        """Return its version, such as ``1.1.2``."""
        return str(self.handle.libbpf_version_string().decode()).removeprefix("v")

    def _keep_message(self, level: int, text: bytes, arguments: int) -> int:
        # The last argument is a va_list. The calling conventions of all 64-bit architectures pass
        # that as an address, so it can be handed on as one.
        if level < _DEBUG:
            buffer = ctypes.create_string_buffer(_LINE)
            self._vsnprintf(buffer, _LINE, text, arguments)
            self.messages.append(buffer.value.decode(errors="replace"))
        return 0


class Object:
    """A prebuilt object."""

    def __init__(self, library: Library, data: bytes, sections: dict[str, int]) -> None:
        """Parse ``data``.

        ``sections`` has the type (enum bpf_prog_type) of the programs to load, by the section that
        each is alone in. A type that is set later removes the handler of the section, since
        "libbpf: disassociate section handler on explicit bpf_program__set_type() call" (1.2).

        Raises:
            OSError: It is not an object that libbpf understands.
        """
        self._lib = library.handle
        self._patch: Callable[[bytes], bytes] = bytes
        self.error: Exception | None = None
        self._prepare = _PREPARE(self._set_instructions)
        options = _HandlerOptions(
            sz=ctypes.sizeof(_HandlerOptions), prog_prepare_load_fn=self._prepare
        )
        for section, kind in sections.items():
            registered = self._lib.libbpf_register_prog_handler(
                section.encode(), kind, 0, ctypes.byref(options)
            )
            _check(min(registered, 0))
        self._object = self._lib.bpf_object__open_mem(data, len(data), None)
        if not self._object:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def _all(self, following: Any) -> Iterator[int]:
        found = following(self._object, None)
        while found:
            yield found
            found = following(self._object, found)

    def keep_maps(self, names: set[str]) -> None:
        """Create only these maps."""
        for name, found in self._maps().items():
            _check(self._lib.bpf_map__set_autocreate(found, name in names))

    def size_map(self, name: str, entries: int, value_size: int) -> None:
        """Set the size of a map, and of its values unless ``value_size`` is 0."""
        found = self._maps()[name]
        _check(self._lib.bpf_map__set_max_entries(found, entries))
        if value_size:
            _check(self._lib.bpf_map__set_value_size(found, value_size))

    def select(self, names: set[str]) -> None:
        """Load only these programs.

        Raises:
            KeyError: The object lacks one.
        """
        programs = self._programs()
        for name, program in programs.items():
            _check(self._lib.bpf_program__set_autoload(program, name in names))
        if missing := names - programs.keys():
            raise KeyError(min(missing))

    def load(self, patch: Callable[[bytes], bytes]) -> None:
        """Create the maps and load the selected programs.

        ``patch`` gets the instructions of each, in which maps have their descriptors, and returns
        as many. What it raises ends up in :attr:`error`, because libbpf calls it.

        Raises:
            OSError: The kernel refused a map or a program.
        """
        self._patch = patch
        _check(self._lib.bpf_object__load(self._object))

    def _set_instructions(self, program: int, options: int, cookie: int) -> int:
        del options, cookie
        size = self._lib.bpf_program__insn_cnt(program) * _INSTRUCTION_SIZE
        instructions = ctypes.string_at(self._lib.bpf_program__insns(program), size)
        try:
            patched = self._patch(instructions)
        except Exception as error:  # noqa: BLE001 - a callback cannot raise through libbpf
            self.error = error
            return -_EINVAL
        count = len(patched) // _INSTRUCTION_SIZE
        return int(self._lib.bpf_program__set_insns(program, patched, count))

    def map_fds(self) -> dict[str, int]:
        """Return the descriptors of the maps by name, once the object is loaded."""
        return {name: self._lib.bpf_map__fd(found) for name, found in self._maps().items()}

    def program_fds(self) -> dict[str, int]:
        """Return the descriptors of the loaded programs by name."""
        fds = {name: self._lib.bpf_program__fd(p) for name, p in self._programs().items()}
        return {name: fd for name, fd in fds.items() if fd >= 0}

    def _maps(self) -> dict[str, int]:
        found = self._all(self._lib.bpf_object__next_map)
        return {self._lib.bpf_map__name(one).decode(): one for one in found}

    def _programs(self) -> dict[str, int]:
        found = self._all(self._lib.bpf_object__next_program)
        return {self._lib.bpf_program__name(one).decode(): one for one in found}


def _check(result: int) -> None:
    """Raise OSError for a negative errno."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))
