"""How other tools write the names of VMX and SVM exits.

kvm_stat and bcc's kvmexit take the names of the kernel's uapi headers (asm/vmx.h, asm/svm.h)
without their prefix, libtraceevent (perf, trace-cmd) for SVM with ``EXIT_``; older headers
called some otherwise.
"""

from __future__ import annotations

from kstats.arch.base import Spellings

VMX = Spellings(
    prefixes=("EXIT_REASON_",),
    aliases={
        "PENDING_INTERRUPT": "INTERRUPT_WINDOW",
        "PENDING_VIRT_INTR": "INTERRUPT_WINDOW",
        "PENDING_VIRT_NMI": "NMI_WINDOW",
        "EPT_MISCONFIGURATION": "EPT_MISCONFIG",
        "VMXOFF": "VMOFF",
        "VMXON": "VMON",
        "TPAUSEN/A": "TPAUSE",  # kvmexit: a comma is missing in its table
    },
    # The same comma moved the names behind it by one; a later version has 77 as 76.
    doubtful={
        "kvmexit": dict.fromkeys(
            ("BUS_LOCK", "NOTIFY", "TDCALL"), "some versions of kvmexit are off by one there"
        )
    },
)

_EXCEPTIONS = ("DE", "DB", "BP", "OF", "BR", "UD", "NM", "DF", "TS", "NP", "SS", "GP", "PF")

SVM = Spellings(
    prefixes=("SVM_EXIT_", "EXIT_", "SVM_"),
    aliases={
        **{f"EXCP_{name}": f"{name} excp" for name in (*_EXCEPTIONS, "MF", "AC", "MC", "XF")},
        "EXCP_BASE": "DE excp",
        **{f"{table}TR_READ": f"read_{table.lower()}tr" for table in ("ID", "GD", "LD")},
        **{f"{table}TR_WRITE": f"write_{table.lower()}tr" for table in ("ID", "GD", "LD")},
        "TR_READ": "read_rt",
        "TR_WRITE": "write_rt",
        **{f"CR{n}_WRITE_TRAP": f"write_cr{n}_trap" for n in (0, 4, 8)},
        "EFER_WRITE_TRAP": "write_efer_trap",
        "INTR": "interrupt",
        "IOIO": "io",
        "VMMCALL": "hypercall",
        "BUS_LOCK": "buslock",
        "IDLE_HLT": "idle-halt",
        "ERR": "invalid_guest_state",
    },
)
