"""Traces of architectures that kstats has no backend for, by what their event kvm_exit looks like.

Only the name of the architecture is needed: to say why a trace cannot be decoded.
"""

from __future__ import annotations

import re

# Each from TP_printk() in the kernel: arch/*/kvm/trace*.h.
_TRACES = (
    ("RISC-V", re.compile(r"\bkvm_exit: SEPC:0x[0-9a-f]+, SCAUSE:")),
    ("RISC-V", re.compile(r"\b(?:INST|LOAD|STORE)_GUEST_PAGE_FAULT\b|\bVIRTUAL_INST_FAULT\b")),
    ("POWER", re.compile(r"\bHCALL-EVENT\b|\bHV_DECREMENTER\b")),
    ("s390", re.compile(r"\bkvm_s390_[a-z_]+: ")),
    ("POWER", re.compile(r"\bkvm_exit: exit=\S+ \| pc=|\bkvm_guest_exit: VCPU \d+: trap=")),
    ("MIPS or LoongArch", re.compile(r"\bkvm_exit: (?:vcpu \d+ )?\[[^\]]{1,40}\] ?PC: ")),
)


def architecture_of(text: str) -> str:
    """Return the name of the architecture that a line of a trace is from; empty if unknown."""
    found = (name for name, pattern in _TRACES if pattern.search(text))
    return next(found, "")
