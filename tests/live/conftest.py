"""Fixtures of the tests in emulated hosts: each host is booted once for all of its tests."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest
from _pytest.mark import ParameterSet

from lab.hosts import KERNELS, Host, Recipe, boot, find
from lab.payload import payload

_X64 = (
    "cpuid=1009,io=211,in=19,rdmsr=307,wrmsr=151,hypercall=53,page=43,mmio=41,hlt=59,cr0=29,"
    "ud=7,wbinvd=13,irqwin=31,spin=3000"
)
_VMX = f"{_X64},xsetbv=23"  # QEMU 7.2 does not implement SVM's intercept of it
_ARM64 = "hypercall=1009,smc=53,sys64=307,page=43,exec=29,mmio=211,wfi=61,spin=3000"

_WORKLOADS = {"svm": _X64, "vmx": _VMX, "arm64": _ARM64}


@attrs.frozen
class Bed:
    """A host to test in.

    Attributes:
        recipe: Name of its recipe.
        isa: Of its KVM.
        probe: The probe that kstats chooses there.
        workload: What its guests do; see `lab.vmm`.
    """

    recipe: str
    isa: str
    probe: str
    workload: str

    @classmethod
    def of(cls, recipe: Recipe) -> Bed:
        """Return the bed of a recipe."""
        isa = recipe.name.partition("-")[0]
        return cls(recipe.name, isa, recipe.probe, _WORKLOADS[isa])

    @property
    def pinned(self) -> int:
        """The CPU that guests are pinned to: the last one."""
        return find(self.recipe).cpus - 1


BEDS = tuple(map(Bed.of, KERNELS))

_ASIDE = ("svm-qemu", "arm64-qemu", "vmx-up", "svm-paced", "svm-systemd", "svm-deb", "arm64-deb")

ASIDE = tuple(Bed.of(find(name)) for name in _ASIDE)
"""Hosts with QEMU, systemd, one CPU, no compiler or a clock that counts instructions: only tests
that name them run there."""

SLOWEST = ("vmx", "svm", "vmx-up", "arm64", "vmx-5.10")
"""Hosts to start with, so that no worker is left alone with one of them at the end.

Bochs is slow: at most two of its hosts, those of VMX, start at once.
"""


def beds(*recipes: str) -> list[ParameterSet]:
    """Return parameters for ``bed``: the hosts named, or those of `BEDS`."""
    chosen = [bed for bed in BEDS + ASIDE if bed.recipe in recipes] if recipes else BEDS
    return [pytest.param(bed, id=bed.recipe) for bed in chosen]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests: those of the slowest hosts first."""
    items.sort(key=_rank)


def _host_name(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    bed = callspec.params.get("bed") if callspec else None
    return bed.recipe if bed else item.nodeid


def _rank(item: pytest.Item) -> int:
    name = _host_name(item)
    return SLOWEST.index(name) if name in SLOWEST else len(SLOWEST)


@pytest.fixture(scope="session", params=beds())
def bed(request: pytest.FixtureRequest) -> Bed:
    """Return the host to test in."""
    found: Bed = request.param
    return found


@pytest.fixture(scope="session")
def host(bed: Bed) -> Iterator[Host]:
    """Boot the host; end it before the next one is booted."""
    with boot(find(bed.recipe), payload=payload()) as host:
        yield host
