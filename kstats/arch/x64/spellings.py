"""How other tools spell the names of VMX and SVM exits.

kvm_stat and bcc's kvmexit use the names of the kernel's uapi headers (asm/vmx.h, asm/svm.h)
without the prefix; libtraceevent (perf, trace-cmd) uses those of SVM with ``EXIT_``. Older headers
have other names for some. The manuals' names are those in the SDM's table of basic exit reasons
(vol. 3, appendix C), of the instructions, and in the APM's table of intercept codes (vol. 2,
appendix C).
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
        "RDMSR": "MSR_READ",
        "WRMSR": "MSR_WRITE",
        "I/O_INSTRUCTION": "IO_INSTRUCTION",
        "PAUSE": "PAUSE_INSTRUCTION",
        "MWAIT": "MWAIT_INSTRUCTION",
        "MONITOR": "MONITOR_INSTRUCTION",
        "MOV_CR": "CR_ACCESS",
        "CONTROL_REGISTER_ACCESSES": "CR_ACCESS",
        "MOV_DR": "DR_ACCESS",
        "EXCEPTION_OR_NMI": "EXCEPTION_NMI",
        "VIRTUALIZED_EOI": "EOI_INDUCED",
        "ACCESS_TO_GDTR_OR_IDTR": "GDTR_IDTR",
        "ACCESS_TO_LDTR_OR_TR": "LDTR_TR",
        "VMX_PREEMPTION_TIMER_EXPIRED": "PREEMPTION_TIMER",
        "VMX_PREEMPTION_TIMER": "PREEMPTION_TIMER",
        "PAGE_MODIFICATION_LOG_FULL": "PML_FULL",
        "WBNOINVD": "WBINVD",
        "WRMSRNS": "MSR_WRITE",
        "RDMSR_(IMMEDIATE)": "MSR_READ_IMM",
        "WRMSRNS_(IMMEDIATE)": "MSR_WRITE_IMM",
        "INSTRUCTION_TIMEOUT": "NOTIFY",
        "SPP_RELATED_EVENT": "SPP",
        "WBINVD_OR_WBNOINVD": "WBINVD",
        "START_UP_IPI_(SIPI)": "SIPI_SIGNAL",
        "START_UP_IPI": "SIPI_SIGNAL",
        "SIPI": "SIPI_SIGNAL",
        "INIT": "INIT_SIGNAL",
        "EXCEPTION_OR_NON_MASKABLE_INTERRUPT_(NMI)": "EXCEPTION_NMI",
        "EXCEPTION_OR_NON_MASKABLE_INTERRUPT": "EXCEPTION_NMI",
        "I/O_SYSTEM_MANAGEMENT_INTERRUPT_(SMI)": "IO_SMI",
        "I/O_SMI": "IO_SMI",
        "VM_ENTRY_FAILURE_DUE_TO_INVALID_GUEST_STATE": "INVALID_STATE",
        "VM_ENTRY_FAILURE_DUE_TO_MSR_LOADING": "MSR_LOAD_FAIL",
        "VM_ENTRY_FAILURE_DUE_TO_MACHINE_CHECK_EVENT": "MCE_DURING_VMENTRY",
        "ENQCMD_PASID_TRANSLATION_FAILURE": "ENQCMD_PASID",
        "ENQCMDS_PASID_TRANSLATION_FAILURE": "ENQCMDS_PASID",
    },
    # The missing comma moved the names after it by one; a later version has 77 as 76.
    doubtful={
        "kvmexit": dict.fromkeys(
            ("BUS_LOCK", "NOTIFY", "TDCALL"), "off by one in some versions of kvmexit"
        )
    },
)

EXCEPTIONS = {
    0: "DE",
    1: "DB",
    3: "BP",
    4: "OF",
    5: "BR",
    6: "UD",
    7: "NM",
    8: "DF",
    10: "TS",
    11: "NP",
    12: "SS",
    13: "GP",
    14: "PF",
    16: "MF",
    17: "AC",
    18: "MC",
    19: "XF",
    21: "CP",
    28: "HV",
    29: "VC",
    30: "SX",
}
"""The mnemonics of exceptions by vector (APM vol. 2 8.2)."""

_REGISTERS = range(16)
_WAYS = ("READ", "WRITE")

SVM = Spellings(
    prefixes=("SVM_EXIT_", "VMEXIT_", "EXIT_", "SVM_"),
    aliases={
        **{f"EXCP_{mnemonic}": f"{mnemonic} excp" for mnemonic in EXCEPTIONS.values()},
        **{f"EXCP{vector}": f"{mnemonic} excp" for vector, mnemonic in EXCEPTIONS.items()},
        **{f"CR{n}_{way}": f"{way.lower()}_cr{n}" for n in _REGISTERS for way in _WAYS},
        **{f"DR{n}_{way}": f"{way.lower()}_dr{n}" for n in _REGISTERS for way in _WAYS},
        **{f"EXCP_BASE_{mnemonic}": f"{mnemonic} excp" for mnemonic in EXCEPTIONS.values()},
        "EXCP_BASE": "DE excp",
        "EXCP_BASE_XM": "XF excp",  # bcc: the SIMD exception
        **{f"{table}TR_READ": f"read_{table.lower()}tr" for table in ("ID", "GD", "LD")},
        **{f"{table}TR_WRITE": f"write_{table.lower()}tr" for table in ("ID", "GD", "LD")},
        "TR_READ": "read_rt",
        "TR_WRITE": "write_rt",
        "READ_TR": "read_rt",
        "WRITE_TR": "write_rt",
        **{f"CR{n}_WRITE_TRAP": f"write_cr{n}_trap" for n in _REGISTERS},
        "EFER_WRITE_TRAP": "write_efer_trap",
        "INTR": "interrupt",
        "IOIO": "io",
        "VMMCALL": "hypercall",
        "BUS_LOCK": "buslock",
        "BUSLOCK_THRESHOLD": "buslock",
        "IDLE_HLT": "idle-halt",
        "MWAIT_CONDITIONAL": "mwait_cond",
        "WBNOINVD": "wbinvd",
        "VMGEXIT_PSC": "vmgexit_page_state_change",
        "VMGEXIT_AP_CREATE": "vmgexit_ap_creation",
        "VMGEXIT_AP_CREATE_ON_INIT": "vmgexit_ap_creation",
        "VMGEXIT_AP_DESTROY": "vmgexit_ap_creation",
        "VMGEXIT_HV_FEATURES": "vmgexit_hypervisor_feature",
        "ERR": "invalid_guest_state",
        "INVALID": "invalid_guest_state",
        "AVIC_NOACCEL": "avic_unaccelerated_access",
        "RDMSR": "msr:rd",
        "WRMSR": "msr:wr",
    },
)
