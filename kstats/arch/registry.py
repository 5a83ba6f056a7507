"""The known architectures: built in, registered in this process, or installed backends.

Backends of other packages are searched for only if the built-in architectures do not answer a
question, so that they cost nothing otherwise. A backend that cannot be loaded, breaks the contract
or claims a name of another one is left out and recorded (:meth:`Registry.broken`); so is, under
root, one that another user can change.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from kstats.arch.base import Arch, Isa, Reason
from kstats.arch.details import Detail
from kstats.errors import BackendError, UnknownNameError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")

GROUP = "kstats.arch"
CONTRACT_HINT = "its author can run: python -m kstats.arch.contract NAME"


def installed() -> Iterable[EntryPoint]:
    """Return the entry points that other packages registered."""
    if not any(map(_may_register, sys.path)):
        return ()
    from importlib.metadata import entry_points  # noqa: PLC0415 - costs as much as kstats.arch

    return entry_points(group=GROUP)


def _may_register(folder: str) -> bool:
    """Return whether packages in a folder of ``sys.path`` may have entry points for kstats.

    Looking for the name of the group in their files is much cheaper than importing
    importlib.metadata. Anything but a folder, such as a zip file, is left to that.
    """
    try:
        packages = os.listdir(folder or ".")  # noqa: PTH208 - pathlib costs more than the look
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return any(
        _mentions_group(f"{folder or '.'}/{package}/entry_points.txt")
        for package in packages
        if package.endswith((".dist-info", ".egg-info"))
    )


def _mentions_group(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return GROUP.encode() in file.read()
    except (FileNotFoundError, NotADirectoryError):
        return False


class Registry:
    """Architectures by name, machine and ISA.

    ``built_in`` are not checked (our tests do that); ``installed`` returns the entry points of
    other packages.
    """

    def __init__(
        self,
        built_in: Iterable[Arch],
        installed: Callable[[], Iterable[EntryPoint]] = installed,
    ) -> None:
        self._known = list(built_in)
        self._installed = installed
        self._broken: list[BackendError] = []
        self._complete = False

    def arches(self) -> tuple[Arch, ...]:
        """Return every architecture, built-in ones first."""
        self._discover()
        return tuple(self._known)

    def broken(self) -> tuple[BackendError, ...]:
        """Return an error for each installed backend that was left out."""
        self._discover()
        return tuple(self._broken)

    def register(self, arch: Arch) -> None:
        """Add an architecture to this process.

        Raises:
            BackendError: it breaks the contract or claims a name, machine or ISA of another one.
        """
        from kstats.arch.rules import check  # noqa: PLC0415 - built-in ones do not need it

        problems = check(arch) or list(self._conflicts(arch))
        if problems:
            more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
            raise BackendError(f"backend {arch.name!r}: {problems[0]}{more}", CONTRACT_HINT)
        self._known.append(arch)

    def find(self, name: str) -> Arch:
        """Return the architecture with this name; raise UnknownNameError."""
        found = self._first(lambda arch: arch if arch.name == name else None)
        if found is None:
            known = tuple(arch.name for arch in self._known)
            raise UnknownNameError("architecture", name, known)
        return found

    def for_machine(self, machine: str) -> Arch | None:
        """Return the architecture of a value of ``platform.machine()``, or None."""
        return self._first(lambda arch: arch if machine in arch.machines else None)

    def isa(self, name: str) -> Isa:
        """Return the ISA with this name, of any architecture; raise UnknownNameError."""
        found = self._first(lambda arch: arch.isa(name))
        if found is None:
            known = tuple(isa.name for arch in self._known for isa in arch.isas)
            raise UnknownNameError("ISA", name, known)
        return found

    def reason(self, isa_name: str, code: int) -> Reason:
        """Return the reason of a code; an unknown ISA or code keeps its number. Never raises."""
        isa = self._first(lambda arch: arch.isa(isa_name))
        return isa.reason(code) if isa else Reason(code, f"{isa_name}:{code:#x}")

    def detail(self, isa_name: str, kind: str) -> Detail | None:
        """Return a kind of detail of an ISA; None if either is unknown. Never raises."""
        isa = self._first(lambda arch: arch.isa(isa_name))
        return isa.detail(kind) if isa else None

    def detail_kinds(self) -> dict[str, str]:
        """Return the meaning of each kind of detail that the exits of any ISA carry."""
        isas = (isa for arch in self.arches() for isa in arch.isas)
        kinds: dict[str, str] = {}
        for detail in (detail for isa in isas for detail in isa.details):
            kinds.setdefault(detail.name, detail.meaning)
        return kinds

    def _first(self, question: Callable[[Arch], T | None]) -> T | None:
        """Return the first answer that is not None; query installed backends only if needed."""
        for arch in self._candidates():
            answer = question(arch)
            if answer is not None:
                return answer
        return None

    def _candidates(self) -> Iterator[Arch]:
        known = len(self._known)
        yield from self._known[:known]
        self._discover()
        yield from self._known[known:]

    def _discover(self) -> None:
        if self._complete:
            return
        self._complete = True
        for point in self._installed():
            try:
                self.register(load(point))
            except BackendError as error:
                package = point.dist.name if point.dist else "?"
                message = f"package {package}: {error}"
                self._broken.append(BackendError(message, error.hint))

    def _conflicts(self, arch: Arch) -> Iterator[str]:
        for other in self._known:
            for kind, mine, theirs in (
                ("name", {arch.name}, {other.name}),
                ("machine", set(arch.machines), set(other.machines)),
                ("ISA", {isa.name for isa in arch.isas}, {isa.name for isa in other.isas}),
            ):
                for name in sorted(mine & theirs):
                    yield f"{kind} {name!r} already belongs to architecture {other.name!r}"


def load(point: EntryPoint) -> Arch:
    """Return the architecture of an entry point, which is a value or a function.

    Raises:
        BackendError: it cannot be loaded, is not an Arch, or another user could run code as root.
    """
    where = f"entry point {point.name} = {point.value}"
    if os.geteuid() == 0 and (path := _of_others(point)):
        raise BackendError(
            f"{where} is not loaded by root: another user can change {path}",
            "install it as root, into folders that only root can write to",
        )
    try:
        loaded = point.load()
        arch = loaded() if callable(loaded) else loaded
    except (Exception, SystemExit) as error:  # other packages may raise anything at import
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise BackendError(f"{where} cannot be loaded: {reason}") from error
    if not isinstance(arch, Arch):
        raise BackendError(f"{where} is a {type(arch).__name__}, not a kstats.arch.Arch")
    return arch


def _of_others(point: EntryPoint) -> str:
    """Return the part of a backend's path that users other than root can change, or nothing.

    The file and every folder above it count, also where links lead. What lies beside kstats is as
    trustworthy as kstats, which runs already.
    """
    from importlib.util import find_spec  # noqa: PLC0415 - few hosts have backends

    spec = find_spec(point.module.partition(".")[0])  # which imports nothing
    files = [spec.origin] if spec and spec.origin and spec.has_location else []
    folders = (spec and spec.submodule_search_locations) or ()
    found = [os.path.abspath(path) for path in (*files, *folders)]  # noqa: PTH100
    ours = __file__.removesuffix("kstats/arch/registry.py")
    starts = [path for path in found if not path.startswith(ours)]
    starts = [*starts, *map(os.path.realpath, starts)]
    return next(filter(_is_changeable, (path for one in starts for path in _with_parents(one))), "")


def _with_parents(path: str) -> Iterator[str]:
    yield path
    while path != "/":
        path = os.path.dirname(path)  # noqa: PTH120
        yield path


def _is_changeable(path: str) -> bool:
    """Return whether users other than root can change a file, or replace what is in a folder."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):  # in a zip file
        return False
    is_open = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
    return found.st_uid != 0 or bool(is_open)
