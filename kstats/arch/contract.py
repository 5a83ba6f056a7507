"""The contract test of architectures, for ours and for the author of a backend.

In a backend's own tests::

    from kstats.arch.contract import ContractTests
    from my_backend import ARCH

    class TestContract(ContractTests):
        arch = ARCH

or from a shell, with the name of an installed backend or with ``module:attribute``::

    python -m kstats.arch.contract my_backend:ARCH

An installed backend that breaks the contract is left out (:func:`kstats.arch.broken`).
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, ClassVar

import kstats.arch
from kstats.arch import detailrules, registry, rules
from kstats.errors import KstatsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kstats.arch.base import Arch

RULES: tuple[Callable[[Arch], Iterator[str]], ...] = (
    rules.names,
    rules.reasons,
    rules.prose,
    rules.category_notes,
    rules.advice,
    rules.columns,
    rules.flags,
    rules.unknown_codes,
    rules.tables,
    rules.sources,
    rules.probes,
    rules.c_file,
    rules.silent_modules,
    rules.kvmstat,
    detailrules.kinds,
    detailrules.sources,
    detailrules.c_file,
)


def check(arch: Arch) -> list[str]:
    """What breaks the contract, one line each; [] if nothing does. Never raises."""
    return [problem for rule in RULES for problem in _broken(rule, arch)]


def _broken(rule: Callable[[Arch], Iterator[str]], arch: Arch) -> list[str]:
    try:
        return list(rule(arch))
    except Exception as error:  # noqa: BLE001 - a value of the wrong type breaks the rule, too
        return [f"{rule.__name__}: {type(error).__name__}: {error}"]


class ContractTests:
    """The contract as a pytest test: subclass it and set ``arch``."""

    arch: ClassVar[Arch]

    def test_keeps_the_contract(self) -> None:
        """Every rule holds."""
        problems = check(self.arch)
        if problems:
            raise AssertionError("\n".join(problems))


def resolve(name: str) -> Arch:
    """The architecture ``name`` means: ``module:attribute``, a backend's entry point, or ours.

    Raises KstatsError. Unlike :func:`kstats.arch.find` it gives backends that break the contract.
    """
    module, colon, attribute = name.partition(":")
    if colon:
        return registry.load(EntryPoint(name, f"{module}:{attribute}", registry.GROUP))
    for point in registry.installed():
        if point.name == name:
            return registry.load(point)
    return kstats.arch.find(name)


def main(argv: Sequence[str]) -> int:
    """Check the architectures of the command line; 0 if all keep the contract."""
    if not argv:
        sys.stderr.write("usage: python -m kstats.arch.contract NAME|MODULE:ATTRIBUTE ...\n")
        return 2
    status = 0
    for name in argv:
        try:
            problems = check(resolve(name))
        except KstatsError as error:
            problems = [str(error)]
        for problem in problems or ["keeps the contract"]:
            sys.stdout.write(f"{name}: {problem}\n")
        status |= bool(problems)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
