"""Compiles a program with bcc and loads it. Only the worker that uses bcc imports this module."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from kstats.loader import kfunc, map_fd, patch, syscall
from kstats.loader.answers import LoaderUnavailable, Refusal
from kstats.loader.wire import MapSize, Plan


def import_bcc() -> Any:
    """Return the distribution's bcc module; PyPI has an unrelated one of that name.

    Raises:
        LoaderUnavailable: There is no usable bcc.
    """
    try:
        import bcc  # noqa: PLC0415 - it loads LLVM
    except (ImportError, OSError) as error:  # OSError: the library behind the module is missing
        raise LoaderUnavailable(
            f"bcc cannot be imported by {sys.executable}: {error}",
            "apt install python3-bpfcc",
        ) from error
    if not hasattr(bcc, "BPF"):
        raise LoaderUnavailable(
            f"{bcc.__file__} is another project's bcc",
            "pip uninstall bcc, and install the distribution's: apt install python3-bpfcc",
        )
    return bcc


class Program:
    """A compiled and loaded program.

    bcc only compiles, and creates the maps: what it compiled is relocated and loaded here.

    Attributes:
        maps: The descriptors of its maps by name.
        programs: The descriptors of its functions by name.
    """

    def __init__(
        self, bcc: Any, plan: Plan, numbers: Mapping[str, int], functions: Mapping[str, str]
    ) -> None:
        """Compile and load it; messages of clang go to standard error.

        Args:
            bcc: The module.
            plan: What to load.
            numbers: The numbers of the host.
            functions: The functions to load, with the way of attaching each.

        Raises:
            Refusal: It does not compile, or the kernel refuses it.
        """
        map_numbers = map_fd.numbers(one.name for one in plan.maps)
        defines = {
            **plan.defines,
            **numbers,
            **{f"KSTATS_FD_{name}": number for name, number in map_numbers.items()},
            **{f"KSTATS_ENTRIES_{one.name}": one.entries for one in plan.maps},
        }
        flags = [f"-D{name}={value}" for name, value in defines.items()]
        self._bpf = translated(bcc.BPF, text=plan.text, cflags=flags)
        self.maps = {one.name: self._map(one) for one in plan.maps}
        self._descriptors = {map_numbers[name]: fd for name, fd in self.maps.items()}
        self._cast = numbers.get(patch.CALL)
        self.programs = {name: self._load(name, attach) for name, attach in functions.items()}

    def _map(self, one: MapSize) -> int:
        """Return the descriptor of a map that bcc has created, or create it (bpf/bcc.h)."""
        if not one.by_address:
            return int(self._bpf[one.name].map_fd)
        try:
            return syscall.create_array(one.name, one.value_size)
        except OSError as error:
            message = f"the BPF map {one.name} could not be created: {error.strerror}"
            raise Refusal("LoadError", message) from error

    def _load(self, function: str, attach: str) -> int:
        """Load one function after relocating what bcc cannot compile: the verifier checks it."""
        compiled = translated(self._bpf.dump_func, function.encode())
        instructions = map_fd.relocate(compiled, self._descriptors)
        if self._cast:
            instructions = kfunc.relocate(instructions, self._cast)
        try:
            return syscall.load_program(instructions, function, attach)
        except OSError as error:
            message = f"the BPF program could not be loaded: {function}: {error.strerror}"
            log = syscall.verifier_log(instructions, attach)
            raise Refusal("LoadError", message, log=log) from error


def translated(call: Any, *args: Any, **kwargs: Any) -> Any:
    """Call bcc, which raises a bare Exception for each failure."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        said = re.sub(r"b'(\w+)'", r"\1", str(error))
        raise Refusal("LoadError", f"the BPF program could not be compiled: {said}") from error
