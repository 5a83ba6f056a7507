"""The emulated hosts. To add one, append a `Recipe` to `RECIPES`.

A recipe names a machine (the emulator, see `machines`), a kernel and a userland. Kernel and
userland may come from different suites: most hosts of an architecture share the userland, which has
the Python and bcc that we test with; the kernels are those that kstats is tested on.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from lab.hosts.errors import UnknownHostError
from lab.hosts.machines import ARM64_EL2, RISCV64_H, X64_SVM, X64_VMX, Machine, Qemu


@attrs.frozen
class Kernel:
    """A distribution's kernel: a suite and its (meta) package."""

    suite: str
    package: str


@attrs.frozen
class Userland:
    """A root file system: packages of one suite, with their dependencies."""

    suite: str
    packages: tuple[str, ...]


@attrs.frozen
class Recipe:
    """One emulated KVM host.

    Attributes:
        name: Also its host name.
        arch: Debian's name of the architecture.
        machine: The emulator.
        kernel: The package of the kernel.
        userland: The packages of the root file system.
        probe: The probe that kstats should choose there.
        systemd: Whether systemd is the first process, and the agent a service of it.
        cpus: Number of physical CPUs.
        memory: In MiB.
        boot_deadline: Seconds of real time until the agent must have answered.
        command_deadline: Seconds that a command may take by default.
        deadline: Seconds after which the host is killed in any case.

    Deadlines only end what hangs: on a busy machine everything takes ten times as long, so no test
    sets a shorter one.
    """

    name: str
    arch: str
    machine: Machine
    kernel: Kernel
    userland: Userland
    probe: str = ""
    systemd: bool = False
    cpus: int = 2
    memory: int = 1024
    boot_deadline: float = 1800
    command_deadline: float = 3600
    deadline: float = 3 * 3600


BOOKWORM = Userland(
    suite="bookworm",
    packages=(
        "bpfcc-tools",
        "bpftool",
        "busybox-static",
        "kmod",
        "libbpf1",
        "linux-perf",
        "python3",
        "python3-attr",
        "python3-bpfcc",
        "python3-tabulate",
    ),
)


# What the .deb depends on, and what boots: no bcc, no LLVM, no clang.
WITHOUT_COMPILER = Userland(
    suite="bookworm",
    packages=(
        "busybox-static",
        "kmod",
        "libbpf1",
        "python3",
        "python3-attr",
        "python3-tabulate",
    ),
)


def bookworm_with(*packages: str) -> Userland:
    """Return the userland with packages added, such as QEMU to run VMs of another VMM."""
    return attrs.evolve(BOOKWORM, packages=(*BOOKWORM.packages, *packages))


ARM64 = Recipe(
    name="arm64",
    arch="arm64",
    machine=ARM64_EL2,
    kernel=Kernel("bookworm", "linux-image-arm64"),
    userland=BOOKWORM,
    probe="raw",
)

SVM = Recipe(
    name="svm",
    arch="amd64",
    machine=X64_SVM,
    kernel=Kernel("bookworm", "linux-image-amd64"),
    userland=BOOKWORM,
    probe="raw-btf",
)

VMX = Recipe(
    name="vmx",
    arch="amd64",
    machine=X64_VMX,
    kernel=Kernel("bookworm", "linux-image-amd64"),
    userland=BOOKWORM,
    probe="raw-btf",
    # For several compilers at once: pages that do not fit are read again from a very slow disk.
    memory=2048,
    deadline=6 * 3600,
)

BULLSEYE_AMD64 = Kernel("bullseye", "linux-image-amd64")

KERNELS: tuple[Recipe, ...] = (
    ARM64,
    attrs.evolve(ARM64, name="arm64-6.12", kernel=Kernel("trixie", "linux-image-arm64")),
    # The newest kernels of Debian: they change while kstats does not, which is why they are here.
    attrs.evolve(
        ARM64, name="arm64-newest", kernel=Kernel("trixie-backports", "linux-image-arm64")
    ),
    SVM,
    # Before 5.16 the reason is an argument of kvm_exit; before 5.11 modules have no BTF.
    attrs.evolve(SVM, name="svm-5.10", kernel=BULLSEYE_AMD64, probe="classic"),
    attrs.evolve(
        SVM, name="svm-6.12", kernel=Kernel("trixie", "linux-image-amd64"), probe="raw-cast"
    ),
    attrs.evolve(
        SVM,
        name="svm-newest",
        kernel=Kernel("trixie-backports", "linux-image-amd64"),
        probe="raw-cast",
    ),
    VMX,
    # The reason is an argument of kvm_exit. One CPU, because this kernel takes the second CPU of
    # Bochs for a sibling thread and leaves it offline.
    attrs.evolve(VMX, name="vmx-5.10", cpus=1, kernel=BULLSEYE_AMD64, probe="raw-arg"),
)
"""Hosts that differ by ISA and kernel: every test that does not name its hosts runs in all."""

RECIPES: tuple[Recipe, ...] = (
    *KERNELS,
    attrs.evolve(
        SVM,
        name="svm-qemu",
        userland=bookworm_with(
            "libvirt-clients", "libvirt-daemon", "libvirt-daemon-driver-qemu", "qemu-system-x86"
        ),
    ),
    attrs.evolve(ARM64, name="arm64-qemu", userland=bookworm_with("qemu-system-arm")),
    attrs.evolve(SVM, name="svm-deb", userland=WITHOUT_COMPILER),
    attrs.evolve(ARM64, name="arm64-deb", userland=WITHOUT_COMPILER),
    # Bochs with one CPU is twice as fast: for tests that start kstats many times.
    attrs.evolve(VMX, name="vmx-up", cpus=1),
)

# For the tools that the benchmark compares kstats with.
BENCH_USERLAND = attrs.evolve(BOOKWORM, packages=("bpftrace", *BOOKWORM.packages))


def _bench(name: str, arch: str, machine: Qemu, kernel: Kernel) -> Recipe:
    return Recipe(
        name=name,
        arch=arch,
        machine=attrs.evolve(machine, instruction_ns=1),
        kernel=kernel,
        userland=BENCH_USERLAND,
        cpus=1,
    )


def _svm_of(model: str, kernel_options: str = "") -> Qemu:
    options = ("-machine", "q35", "-cpu", model)
    return attrs.evolve(X64_SVM, options=options, kernel_options=kernel_options)


BENCHES: tuple[Recipe, ...] = (
    _bench("bench-svm", "amd64", X64_SVM, Kernel("bookworm", "linux-image-amd64")),
    _bench("bench-svm-6.12", "amd64", X64_SVM, Kernel("trixie", "linux-image-amd64")),
    _bench("bench-arm64", "arm64", ARM64_EL2, Kernel("bookworm", "linux-image-arm64")),
    # Without ERMS and FSRM the kernel copies memory by words instead of `rep movsb`.
    _bench(
        "bench-svm-no-erms",
        "amd64",
        _svm_of("max,+svm,-erms,-fsrm"),
        Kernel("bookworm", "linux-image-amd64"),
    ),
    _bench(
        "bench-svm-mitigated",
        "amd64",
        _svm_of("EPYC,+svm", "mitigations=auto"),
        Kernel("bookworm", "linux-image-amd64"),
    ),
)
"""Hosts with clocks that count instructions, for the benchmark."""

# For the backend in examples/. Debian has riscv64 since trixie.
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
            "libbpf1",
            "python3",
            "python3-attr",
            "python3-bpfcc",
            "python3-tabulate",
        ),
    ),
)

ASIDE: tuple[Recipe, ...] = (
    attrs.evolve(
        SVM,
        name="svm-systemd",
        userland=bookworm_with("libbpf1", "python3-zstandard", "systemd"),
        systemd=True,
    ),
    # What happens how often in a second does not depend on the load of the real machine.
    attrs.evolve(SVM, name="svm-paced", machine=attrs.evolve(X64_SVM, instruction_ns=4), cpus=1),
    attrs.evolve(SVM, name="svm-bpftrace", userland=BENCH_USERLAND),
    attrs.evolve(ARM64, name="arm64-bpftrace", userland=BENCH_USERLAND),
    RISCV64,
)
"""Hosts for a few tests; `python -m lab.hosts build` leaves them out."""

BY_NAME: Mapping[str, Recipe] = {recipe.name: recipe for recipe in (*RECIPES, *BENCHES, *ASIDE)}


def find(name: str) -> Recipe:
    """Return the recipe with this name; raise `UnknownHostError` if there is none."""
    try:
        return BY_NAME[name]
    except KeyError:
        raise UnknownHostError(name, tuple(BY_NAME)) from None
