"""kvmstat's columns on VMX and SVM.

Where KVM counts: ``++vcpu->stat`` in arch/x86/kvm/x86.c, mmu/, vmx/vmx.c and svm/svm.c.
"""

from __future__ import annotations

from kstats.arch.base import Isa
from kstats.arch.kvmstat import Event, Rule
from kstats.arch.x64.svm import SVM
from kstats.arch.x64.vmx import VMX

# KVM_TRACE_MMIO_READ and _WRITE. Type 0, _READ_UNSATISFIED, is a read that user space must answer;
# the event fires again, as a read, when it is answered.
_MMIO = Event("kvm_mmio", arg=0, values=frozenset({1, 2}))
_FAST_MMIO = Event("kvm_fast_mmio")  # VMX: an ioeventfd took it before the instruction was decoded
_INJECTED = Event("kvm_inj_virq")
_EMULATED = Event("kvm_emulate_insn", arg=1, values=frozenset({0}))  # failures fire again


def _by_exits(isa: Isa, column: str, kstats_column: str, meaning: str, stat: str) -> Rule:
    """Return the rule that counts the exits under a column of ``kstats cpu``."""
    codes = (code for code, reason in isa.reasons.items() if reason.column == kstats_column)
    return Rule(column, meaning, exits=frozenset(codes), stats=(stat,))


def _rules(isa: Isa, *, exits_differ: str, eptv: str) -> tuple[Rule, ...]:
    return (
        Rule("exits", "VM exits", every_exit=True, stats=("exits",), differs=exits_differ),
        _by_exits(isa, "haltx", "inst_hlt", "exits by HLT", "halt_exits"),
        _by_exits(isa, "irqx", "ints", "exits by host interrupts", "irq_exits"),
        _by_exits(isa, "irqwx", "ints_win", "exits by interrupt windows", "irq_window_exits"),
        _by_exits(isa, "iox", "inst_io", "exits by port I/O", "io_exits"),
        Rule(
            "mmiox",
            "accesses to memory-mapped devices",
            events=(_MMIO, _FAST_MMIO),
            stats=("mmio_exits",),
            differs="KVM counts only accesses that go to userspace",
        ),
        Rule("irqs", "interrupts injected", events=(_INJECTED,), stats=("irq_injections",)),
        Rule("emul", "instructions emulated", events=(_EMULATED,), stats=("insn_emulation",)),
        _by_exits(isa, "eptv", "ept", eptv, "pf_fixed")._replace(
            differs="KVM counts faults that it resolved by mapping a page, as illumos does",
        ),
    )


KVMSTAT = {
    VMX.name: _rules(
        VMX,
        # "KVM: x86: Account fastpath-only VM-Exits in vCPU stats", 6.4 and its stable series.
        exits_differ="KVM before 6.4 omits exits that its fast path handles",
        eptv="exits by EPT violations",
    ),
    SVM.name: _rules(
        SVM, exits_differ="", eptv="exits by nested page faults, including accesses to devices"
    ),
}
