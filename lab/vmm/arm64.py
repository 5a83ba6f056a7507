"""ARM64 guests: vCPUs at EL1 with the MMU off."""

from __future__ import annotations

import ctypes
from typing import Final

from .errors import GuestError
from .guest import Ring
from .kvm import Device, Vcpu, u32, u64
from .layout import BELL, VGIC_DIST, VGIC_REDIST, Window
from .machine import Machine

FAULT: Final = BELL + 8  # where the guest's vectors store their syndrome

_PREFERRED_TARGET, _VCPU_INIT, _SET_ONE_REG = 0xAF, 0xAE, 0xAC
_FEATURE_PSCI_0_2: Final = 1 << 2
_CORE_REG: Final = 0x6030_0000_0010_0000  # KVM_REG_ARM64 | SIZE_U64 | ARM_CORE
_X, _PC = 0, 0x100  # offsets in struct kvm_regs

_VGIC_V3: Final = 7
_GROUP_ADDR, _GROUP_DIST, _GROUP_NR_IRQS, _GROUP_CTRL = 0, 1, 3, 4
_GROUP_REDIST, _GROUP_SYSREGS = 5, 6
_ADDR_DIST, _ADDR_REDIST, _CTRL_INIT = 2, 3, 0
_NR_IRQS: Final = 64
_GICD_CTLR, _GICD_ENABLE = 0x0, 0x12  # affinity routing, group 1
_GICR_IGROUPR0, _GICR_ISENABLER0 = 0x10080, 0x10100
_TIMER: Final = 1 << 27  # the virtual timer's private interrupt
_ICC_PMR_EL1, _ICC_IGRPEN1_EL1 = 0xC230, 0xC667  # op0, op1, CRn, CRm, op2 as KVM packs them
_SPI: Final = 1 << 24 | 32  # KVM_ARM_IRQ_TYPE_SPI, the first one


class _Init(ctypes.Structure):
    _fields_ = (("target", u32), ("features", u32 * 7))


class _OneReg(ctypes.Structure):
    _fields_ = (("id", u64), ("address", u64))


class Arm64(Machine):
    """A VM whose guest runs at EL1."""

    name = "arm64"
    return_code = bytes.fromhex("c0035fd6")

    def complete(self, vcpus: int) -> None:
        """Create the interrupt controller, which must be done after all vCPUs."""
        if not self.irqchip:
            return
        vgic = self.vm.create_device(_VGIC_V3)
        vgic.set_attr(_GROUP_NR_IRQS, 0, _NR_IRQS)
        vgic.set_attr(_GROUP_ADDR, _ADDR_DIST, VGIC_DIST)
        vgic.set_attr(_GROUP_ADDR, _ADDR_REDIST, VGIC_REDIST)
        vgic.set_attr(_GROUP_CTRL, _CTRL_INIT)
        vgic.set_attr(_GROUP_DIST, _GICD_CTLR, _GICD_ENABLE)
        for vcpu in range(vcpus):
            _enable_timer(vgic, _affinity(vcpu))

    def reset(self, vcpu: Vcpu, window: Window) -> None:
        """Point a new vCPU at the code in its window."""
        self._init(vcpu)
        _set(vcpu, _PC, window.code + self.binary.symbols["start"])
        _set(vcpu, _X + 8 * 20, window.block)
        _set(vcpu, _X + 8 * 25, BELL)

    def _init(self, vcpu: Vcpu) -> None:
        init = _Init()
        self.vm.get(_PREFERRED_TARGET, init)
        init.features[0] |= _FEATURE_PSCI_0_2
        vcpu.set(_VCPU_INIT, init)

    def ring(self, vcpu: Vcpu, reason: str) -> Ring | None:
        """Return the ring, if this exit to user space is one."""
        mmio = vcpu.mmio
        if reason != "MMIO" or not mmio.is_write:
            return None
        if mmio.gpa == FAULT:
            raise GuestError(f"exception in the guest: ESR_EL1 {mmio.data:#x}")
        return Ring(mmio.data & 0xFFFF_FFFF) if mmio.gpa == BELL else None

    def inject(self, vcpu: Vcpu) -> None:  # noqa: ARG002 - the line belongs to the VM
        """Raise and lower an interrupt line, which the guest has masked."""
        self.vm.irq_line(_SPI, 1)
        self.vm.irq_line(_SPI, 0)


def _enable_timer(vgic: Device, affinity: int) -> None:
    """Enable the timer's interrupt, as a guest's driver would, but without exits."""
    vgic.set_attr(_GROUP_REDIST, affinity | _GICR_IGROUPR0, 0xFFFF_FFFF)
    vgic.set_attr(_GROUP_REDIST, affinity | _GICR_ISENABLER0, _TIMER)
    vgic.set_attr(_GROUP_SYSREGS, affinity | _ICC_PMR_EL1, 0xF0)
    vgic.set_attr(_GROUP_SYSREGS, affinity | _ICC_IGRPEN1_EL1, 1)


def _affinity(vcpu: int) -> int:
    """Return the MPIDR that KVM gives a vCPU: clusters of sixteen."""
    return (vcpu & 0xF | vcpu >> 4 << 8) << 32


def _set(vcpu: Vcpu, offset: int, value: int) -> None:
    cell = u64(value)
    vcpu.set(_SET_ONE_REG, _OneReg(_CORE_REG | offset // 4, ctypes.addressof(cell)))
