"""What both ISAs of x86 have to say about a category."""

from __future__ import annotations

SHADOW_PAGING = "{} occur with shadow paging only."

CPUID_IS_HERE = "CPUID is here, too: it is where other architectures read a register."

X2APIC_IS_HERE = "Writes of x2APIC registers that KVM intercepts are MSR writes, and here."

HALTS_UNSEEN = (
    "A guest that polls before it halts, or whose HLT is not intercepted, shows less than it idles."
)
