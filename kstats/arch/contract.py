"""The contract test of architectures, built-in ones and those of other packages.

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
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from typing import ClassVar

import kstats.arch
from kstats.arch import registry
from kstats.arch.base import Arch
from kstats.arch.rules import check
from kstats.errors import KstatsError


class ContractTests:
    """The contract as a pytest test: subclass it and set ``arch``."""

    arch: ClassVar[Arch]

    def test_keeps_the_contract(self) -> None:
        """Fail with a line for each problem."""
        problems = check(self.arch)
        if problems:
            raise AssertionError("\n".join(problems))


def resolve(name: str) -> Arch:
    """Return the architecture of ``module:attribute``, of an entry point, or a built-in one.

    Unlike :func:`kstats.arch.find` it returns backends that break the contract.

    Raises:
        KstatsError: there is no such architecture, or it cannot be loaded.
    """
    module, colon, attribute = name.partition(":")
    if colon:
        return registry.load(EntryPoint(name, f"{module}:{attribute}", registry.GROUP))
    for point in registry.installed():
        if point.name == name:
            return registry.load(point)
    return kstats.arch.find(name)


def main(argv: Sequence[str]) -> int:
    """Check the architectures on the command line; return 0 if all keep the contract."""
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
