"""kvmstat's columns on ARM64.

Where KVM counts: ``vcpu->stat`` in arch/arm64/kvm/arm.c, handle_exit.c and mmio.c.
"""

from __future__ import annotations

from kstats.arch.arm64.isa import ARM64
from kstats.arch.kvmstat import Event, Rule, absent

_CODES = {reason.name: code for code, reason in ARM64.reasons.items()}

# WFI and WFE have the same code, WFx; the argument is_wfe distinguishes them.
_WFI = Event("kvm_wfx_arm64", arg=1, values=frozenset({0}))
# KVM_TRACE_MMIO_READ and _WRITE. Type 0, _READ_UNSATISFIED, precedes every read.
_MMIO = Event("kvm_mmio", arg=0, values=frozenset({1, 2}))

KVMSTAT = {
    ARM64.name: (
        Rule("exits", "VM exits", every_exit=True, stats=("exits",)),
        Rule("haltx", "exits by WFI", events=(_WFI,), stats=("wfi_exit_stat",)),
        Rule(
            "irqx",
            "exits by host interrupts",
            exits=frozenset({_CODES["IRQ"]}),
            not_kept="KVM has no counter for them",
        ),
        absent("irqwx", "the GIC delivers pending interrupts by itself, without an exit"),
        absent("iox", "there is no port I/O: devices are memory-mapped"),
        Rule(
            "mmiox",
            "accesses to memory-mapped devices",
            events=(_MMIO,),
            stats=("mmio_exit_user", "mmio_exit_kernel"),
        ),
        # vgic_update_irq_pending reports that a device's line changed, up or down, in the thread
        # that changed it and without the VM; message-signalled interrupts do not fire it.
        absent("irqs", "the GIC injects, and KVM does not report when"),
        absent("emul", "KVM decodes no instructions: the processor describes the access"),
        Rule(
            "eptv",
            "exits by stage-2 faults, including accesses to devices",
            exits=frozenset({_CODES["IABT_LOW"], _CODES["DABT_LOW"]}),
            not_kept="KVM has no counter for them",
        ),
    )
}
