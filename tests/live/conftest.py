"""One emulated host after the other; every test of a host runs while it is up."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import attrs
import pytest
from _pytest.mark import ParameterSet

from lab.hosts import Host, HostLost, boot, find
from lab.payload import payload

_X64 = (
    "cpuid=1009,io=211,in=19,rdmsr=307,wrmsr=151,hypercall=53,page=43,mmio=41,hlt=59,cr0=29,"
    "ud=7,wbinvd=13,irqwin=31,spin=3000"
)
_VMX = f"{_X64},xsetbv=23"  # QEMU 7.2 does not check for SVM's intercept of it
_ARM64 = "hypercall=1009,smc=53,sys64=307,page=43,exec=29,mmio=211,wfi=61,spin=3000"


@attrs.frozen
class Bed:
    """A kind of host to test in: which exits it makes, and how kstats should read them.

    Guests are pinned to its last CPU.
    """

    recipe: str
    isa: str
    probe: str
    workload: str

    @property
    def pinned(self) -> int:
        """The CPU that guests are pinned to."""
        return find(self.recipe).cpus - 1


BEDS = (
    Bed("svm", "svm", "raw-btf", _X64),
    Bed("svm-5.10", "svm", "classic", _X64),
    Bed("svm-6.12", "svm", "raw-cast", _X64),
    Bed("arm64", "arm64", "raw", _ARM64),
    Bed("arm64-6.12", "arm64", "raw", _ARM64),
    Bed("vmx", "vmx", "raw-btf", _VMX),
    Bed("vmx-5.10", "vmx", "raw-arg", _VMX),
)

ASIDE = (
    Bed("svm-qemu", "svm", "raw-btf", _X64),
    Bed("arm64-qemu", "arm64", "raw", _ARM64),
    Bed("vmx-up", "vmx", "raw-btf", _VMX),
)
"""Hosts that have a QEMU, and one for many compilations: only tests that name them run there."""


def beds(*recipes: str) -> list[ParameterSet]:
    """Parameters for ``bed``: those of the recipes named, or :data:`BEDS`."""
    chosen = [bed for bed in BEDS + ASIDE if bed.recipe in recipes] if recipes else BEDS
    return [pytest.param(bed, id=bed.recipe) for bed in chosen]


@pytest.fixture(scope="session", params=beds())
def bed(request: pytest.FixtureRequest) -> Bed:
    """The kind of host."""
    found: Bed = request.param
    return found


@pytest.fixture(scope="session")
def host(bed: Bed) -> Iterator[Host]:
    """The host, booted; powered off before the next one is."""
    with booted(bed) as host:
        yield host


def booted(bed: Bed) -> Host:
    """Boots once more if the host is lost on its way up: an emulator's hiccup is no result."""
    try:
        return boot(find(bed.recipe), payload=payload())
    except HostLost as lost:
        print(f"{lost}\nbooting {bed.recipe} once more", file=sys.stderr)
    return boot(find(bed.recipe), payload=payload())
