"""The emulated hosts there are. Adding one: append a `Recipe` to `RECIPES`, nothing else.

A recipe names a machine (what emulates it, see `machines`), a kernel and a userland. Kernel and
userland need not be of one suite: the userland is fixed to the Python and bcc we test with, and
shared by all hosts of an architecture; the kernels are what we want to see kstats on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lab.hosts.errors import UnknownHostError
from lab.hosts.machines import ARM64_EL2, RISCV64_H, X64_SVM, X64_VMX, Machine, Qemu

if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen
class Kernel:
    """A distribution's kernel: the suite and the (meta) package that carries it."""

    suite: str
    package: str


@attrs.frozen
class Userland:
    """What the host's root file system holds: packages of one suite, with what they depend on."""

    suite: str
    packages: tuple[str, ...]


@attrs.frozen
class Recipe:
    """One emulated KVM host.

    Attributes:
        name: Also the host name inside.
        arch: Debian's name of the architecture, `amd64` or `arm64`.
        machine: What emulates the hardware.
        kernel: Where the kernel comes from.
        userland: What is installed.
        cpus: Physical CPUs the host sees.
        memory: In MiB.
        boot_deadline: Seconds of real time until the agent must have answered.
        command_deadline: Seconds a command may take unless its caller says otherwise.
        deadline: Seconds the host may live in all; then it is killed, whoever still wants it.
    """

    name: str
    arch: str
    machine: Machine
    kernel: Kernel
    userland: Userland
    cpus: int = 2
    memory: int = 1024
    boot_deadline: float = 300
    command_deadline: float = 120
    deadline: float = 1800


BOOKWORM = Userland(
    suite="bookworm",
    packages=(
        "bpfcc-tools",
        "bpftool",
        "busybox-static",
        "kmod",
        "linux-perf",
        "python3",
        "python3-attr",
        "python3-bpfcc",
        "python3-tabulate",
    ),
)


def with_qemu(package: str) -> Userland:
    """Return the same userland with a QEMU in it: to run VMs in the host that are not ours."""
    return attrs.evolve(BOOKWORM, packages=(*BOOKWORM.packages, package))


ARM64 = Recipe(
    name="arm64",
    arch="arm64",
    machine=ARM64_EL2,
    kernel=Kernel("bookworm", "linux-image-arm64"),
    userland=BOOKWORM,
)

SVM = Recipe(
    name="svm",
    arch="amd64",
    machine=X64_SVM,
    kernel=Kernel("bookworm", "linux-image-amd64"),
    userland=BOOKWORM,
)

VMX = Recipe(
    name="vmx",
    arch="amd64",
    machine=X64_VMX,
    kernel=Kernel("bookworm", "linux-image-amd64"),
    userland=BOOKWORM,
    # Compilers side by side; what does not fit is read again from a very slow disk.
    memory=2048,
    boot_deadline=600,
    command_deadline=300,
    deadline=3600,
)

RECIPES: tuple[Recipe, ...] = (
    ARM64,
    Recipe(
        name="arm64-6.12",
        arch="arm64",
        machine=ARM64_EL2,
        kernel=Kernel("trixie", "linux-image-arm64"),
        userland=BOOKWORM,
    ),
    SVM,
    # Before 5.16 kvm_exit has the reason as an argument, and before 5.11 modules have no BTF.
    Recipe(
        name="svm-5.10",
        arch="amd64",
        machine=X64_SVM,
        kernel=Kernel("bullseye", "linux-image-amd64"),
        userland=BOOKWORM,
    ),
    Recipe(
        name="svm-6.12",
        arch="amd64",
        machine=X64_SVM,
        kernel=Kernel("trixie", "linux-image-amd64"),
        userland=BOOKWORM,
    ),
    attrs.evolve(SVM, name="svm-qemu", userland=with_qemu("qemu-system-x86")),
    attrs.evolve(ARM64, name="arm64-qemu", userland=with_qemu("qemu-system-arm")),
    VMX,
    # A Bochs with one CPU runs twice as fast; for what needs many compilations, and no second CPU.
    attrs.evolve(VMX, name="vmx-up", cpus=1),
    # On Intel the reason as an argument is all there is to know. With one CPU, because this kernel
    # takes Bochs' second one for a sibling thread, and leaves it off.
    attrs.evolve(VMX, name="vmx-5.10", cpus=1, kernel=Kernel("bullseye", "linux-image-amd64")),
)

# What the benchmark's peers need beside that.
BENCH_USERLAND = attrs.evolve(BOOKWORM, packages=("bpftrace", *BOOKWORM.packages))


def _bench(name: str, arch: str, machine: Qemu, kernel: Kernel) -> Recipe:
    return Recipe(
        name=name,
        arch=arch,
        machine=attrs.evolve(machine, counts_instructions=True),
        kernel=kernel,
        userland=BENCH_USERLAND,
        cpus=1,
        deadline=3600,
    )


BENCHES: tuple[Recipe, ...] = (
    _bench("bench-svm", "amd64", X64_SVM, Kernel("bookworm", "linux-image-amd64")),
    _bench("bench-svm-6.12", "amd64", X64_SVM, Kernel("trixie", "linux-image-amd64")),
    _bench("bench-arm64", "arm64", ARM64_EL2, Kernel("bookworm", "linux-image-arm64")),
)
"""Hosts whose clocks count instructions; the benchmark boots them, the tests do not."""

# For the example of a backend in examples/. Before trixie there is no riscv64.
RISCV64 = Recipe(
    name="riscv64",
    arch="riscv64",
    machine=RISCV64_H,
    kernel=Kernel("sid", "linux-image-riscv64"),
    userland=Userland(
        suite="sid",
        packages=(
            "bpftool",
            "busybox-static",
            "kmod",
            "python3",
            "python3-attr",
            "python3-bpfcc",
            "python3-tabulate",
        ),
    ),
    boot_deadline=600,
    command_deadline=600,
    deadline=3600,
)

ASIDE: tuple[Recipe, ...] = (
    attrs.evolve(SVM, name="svm-bpftrace", userland=BENCH_USERLAND),
    attrs.evolve(ARM64, name="arm64-bpftrace", userland=BENCH_USERLAND),
    RISCV64,
)
"""Hosts for a single matter each; what they need is not installed for all."""

BY_NAME: Mapping[str, Recipe] = {recipe.name: recipe for recipe in (*RECIPES, *BENCHES, *ASIDE)}


def find(name: str) -> Recipe:
    """Return the recipe called `name`; raise `UnknownHostError` when there is none."""
    try:
        return BY_NAME[name]
    except KeyError:
        raise UnknownHostError(name, tuple(BY_NAME)) from None
