"""The emulated machines, as values; see `Machine` for what a machine consists of."""

from lab.hosts.machines.base import Boot, Images, Machine, Running
from lab.hosts.machines.bochs import Bochs
from lab.hosts.machines.qemu import Qemu

ARM64_EL2 = Qemu(
    program="qemu-system-aarch64",
    package="qemu-system-arm",
    # KVM needs EL2; GICv3 provides virtual interrupts.
    options=("-machine", "virt,virtualization=on,gic-version=3", "-cpu", "max,pauth-impdef=on"),
    console="ttyAMA0",
    kvm="kvm",
)
X64_SVM = Qemu(
    program="qemu-system-x86_64",
    package="qemu-system-x86",
    options=("-machine", "q35", "-cpu", "max,+svm"),
    console="ttyS0",
    kvm="kvm_amd",
    # With a thread for each CPU, TCG now and then misses that another CPU has patched the code
    # that it runs or sent it an interrupt, and the host crashes or hangs: see lab/README.md.
    threads="single",
)
RISCV64_H = Qemu(
    program="qemu-system-riscv64",
    package="qemu-system-misc",
    options=("-machine", "virt", "-cpu", "rv64,h=true"),
    console="ttyS0",
    kvm="kvm",
    beside={
        "/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin": "qemu-system-data",
        "riscv64-linux-gnu-objcopy": "binutils-riscv64-linux-gnu",
    },
)
# QEMU does not emulate VMX; Bochs does, with EPT. Linux rejects the XSAVE of newer CPU models.
X64_VMX = Bochs(model="corei7_haswell_4770", kvm="kvm_intel")

__all__ = [
    "ARM64_EL2",
    "RISCV64_H",
    "X64_SVM",
    "X64_VMX",
    "Bochs",
    "Boot",
    "Images",
    "Machine",
    "Qemu",
    "Running",
]
