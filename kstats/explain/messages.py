"""Lines of the host's kernel log, of QEMU and of tracers, and what they mean.

A row has a regular expression, which is searched in the line, the meaning, what to do, and the
source. The groups of the expression are looked up further, by their names:

* ``text``: anything that :func:`kstats.explain.lookup.find` takes; ``printed``: a reason as the
  kernel spells it;
* ``code``, ``hex``: an exit code of any ISA, ``hex`` without ``0x``; the name of an ISA: its code;
* ``event``: the word of a VMCS or VMCB that describes an event; ``rust``: a reason of KVM_RUN as
  VMMs in Rust spell it;
* ``esr``: a syndrome of ARM64; ``error``, ``suberror``, ``exit``, ``vector``, ``msr``, ``io``,
  ``mmio``: a number of that kind.
"""

from __future__ import annotations

_QEMU = "QEMU accel/kvm/kvm-all.c"
_QEMU_X86 = "QEMU target/i386/kvm/kvm.c"
_VMX = "Linux arch/x86/kvm/vmx/vmx.c"
_X86 = "Linux arch/x86/kvm/x86.c"
_ARM = "Linux arch/arm64/kvm/"
_HEX = r"0x[0-9a-fA-F]{1,16}"

_RUN_FAILED = (
    "Bad address: the guest's memory vanished, or it executed or accessed unmapped memory",
    "Function not implemented: an access that KVM cannot emulate (ARM64: no syndrome)",
    "Input/output error: an earlier bug of KVM; see the host's dmesg",
)

Row = tuple[str, str, tuple[str, ...], str]

MESSAGES: tuple[Row, ...] = (
    (rf"^(?i:vmx) (?P<vmx>{_HEX}|\d{{1,7}})$", "", (), ""),
    (rf"^(?i:svm) (?P<svm>{_HEX}|\d{{1,7}})$", "", (), ""),
    (r"^(?i:msr)[ :=]+(?P<msr>[0-9a-fA-F]{3,8})h?$", "", (), ""),
    (
        r"^vcpu\.\d+\.delay\b",
        "libvirt: nanoseconds in which the vCPU was ready, but the host ran something else",
        ("kstats exits --time --vm VM shows it as waiting",),
        "virsh(1), domstats",
    ),
    (r"^(?:vcpu\.\d+|vm)\.(?P<text>\w{2,60})\.(?:sum|cur|max)\b", "", (), ""),
    (rf"^(?i:vmgexit)[ :]+(?P<svm>{_HEX})$", "", (), ""),
    (
        rf"^(?i:exit[ _]qualification)(?:[ :=]+(?:{_HEX}|[0-9a-f]{{16}}))?$",
        "VMX: details of an exit; what its bits mean depends on the exit reason",
        (
            "EPT_VIOLATION: bits 0 to 2: read, write, fetch; 3 to 5: what EPT permits",
            "IO_INSTRUCTION: bits 0 to 2: size - 1; 3: in; 4: string; 16 to 31: port",
            "CR_ACCESS: bits 0 to 3: register; 4 and 5: to, from, CLTS, LMSW",
        ),
        "SDM vol. 3, Exit Qualifications",
    ),
    (r"^(?P<text>#[A-Z]{2})\(\w{1,10}\)$", "", (), ""),
    (
        rf"entry failed, hardware error (?P<error>{_HEX})",
        "QEMU: the processor refused to enter the guest; the VM stops",
        ("the host's dmesg may have the state: kvm_intel dump_invalid_vmcs=1",),
        f"{_QEMU_X86}, KVM_EXIT_FAIL_ENTRY",
    ),
    (
        rf"hardware error (?P<error>{_HEX})|vm entry failed with error (?P<error2>{_HEX})",
        "the processor refused to enter the guest",
        (),
        f"{_QEMU_X86}, KVM_EXIT_FAIL_ENTRY",
    ),
    (
        r"running a guest on an Intel machine without unrestricted",
        "QEMU's remark on 0x80000021: one of its causes",
        (),
        f"{_QEMU_X86}, VMX_INVALID_GUEST_STATE",
    ),
    (
        rf"(?:vmx|kvm_intel|vmx_handle_exit): unexpected exit reason (?P<vmx>{_HEX})",
        "KVM has no handler for this exit: the VM stops with KVM internal error, suberror 4",
        (),
        f"{_VMX} __vmx_handle_exit()",
    ),
    (
        rf"(?:svm|kvm_amd): unexpected exit reason (?P<svm>{_HEX})",
        "KVM has no handler for this exit: the VM stops with KVM internal error, suberror 4",
        (),
        "Linux arch/x86/kvm/svm/svm.c svm_handle_invalid_exit()",
    ),
    (
        rf"unexpected exit reason (?P<code>{_HEX})",
        "KVM has no handler for this exit: the VM stops with KVM internal error, suberror 4",
        (),
        f"{_VMX} __vmx_handle_exit(); svm/svm.c svm_handle_invalid_exit()",
    ),
    (
        r"unknown kvm exit code: ?(?P<vmx>\d{1,20}) on VMX",
        "perf kvm stat has no name for this code; it counts it as UNKNOWN in the next line",
        (
            (
                "codes with bits above the low 16 and without a name are not Intel's: the module"
                " kvm_pvm numbers the exits of its VMs itself"
            ),
        ),
        "Linux tools/perf/util/kvm-stat.c",
    ),
    (
        r"unknown kvm exit code: ?(?P<svm>\d{1,20}) on SVM",
        "perf kvm stat has no name for this code; it counts it as UNKNOWN in the next line",
        (),
        "Linux tools/perf/util/kvm-stat.c",
    ),
    (
        r"unknown kvm exit code: ?(?P<code>\d{1,20})",
        "perf kvm stat has no name for this code; it counts it as UNKNOWN in the next line",
        (),
        "Linux tools/perf/util/kvm-stat.c",
    ),
    (
        r"KVM internal error\. Suberror: (?P<suberror>\d{1,9})",
        "QEMU: KVM cannot continue; the VM stops",
        (),
        f"{_QEMU} kvm_handle_internal_error()",
    ),
    (
        rf"extra data\[\d+\]: {_HEX}",
        "data of a KVM internal error; its meaning depends on the suberror in the line before",
        ("suberror 3: [0] is the event, [1] the exit reason; suberror 4: [0] is the exit reason",),
        f"{_QEMU} kvm_handle_internal_error(); Linux Documentation/virt/kvm/api.rst",
    ),
    (
        r"^emulation failure$|KVM: emulation failure|kvm:.*emulation failure",
        "KVM cannot emulate the guest's instruction: KVM internal error, suberror 1",
        (),
        f"{_QEMU} kvm_handle_internal_error()",
    ),
    (
        r"KVM: unknown exit, hardware reason (?P<hex>[0-9a-fA-F]{1,16})",
        "QEMU: KVM does not know the hardware's exit reason (KVM_EXIT_UNKNOWN)",
        (),
        f"{_QEMU} kvm_cpu_exec()",
    ),
    (
        r"KVM: unknown exit reason (?P<exit>\d{1,9})",
        "the VMM does not handle this reason of KVM_RUN: it is older than the kernel",
        ("update QEMU",),
        f"{_QEMU} kvm_cpu_exec()",
    ),
    (
        r"kvm: unhandled exit (?:0x)?(?P<hex>[0-9a-fA-F]{1,16})",
        "the hardware's reason for a failed entry or an unknown exit",
        (),
        "older qemu-kvm",
    ),
    (
        r"KVM: exception (?P<vector>\d{1,3}) exit",
        "QEMU: the guest raised an exception that KVM does not handle (KVM_EXIT_EXCEPTION)",
        (),
        f"{_QEMU_X86}, KVM_EXIT_EXCEPTION",
    ),
    (
        r"KVM: encountered a bus lock in guest|(?P<text>bus[ _]lock).*(?:trap|guest)",
        "a guest or a program acquired a bus lock, which stalls every CPU",
        ("fix the program; limit the damage with QEMU's bus-lock-ratelimit",),
        "Linux Documentation/arch/x86/buslock.rst",
    ),
    (
        r"#AC: .*(?P<text>split[ _]lock)",
        "the host's kernel detected a split lock; if the process is a VMM, in the guest",
        ("fix the program; sysctl kernel.split_lock_mitigate=0 removes the delay",),
        "Linux Documentation/arch/x86/buslock.rst; handle_guest_split_lock()",
    ),
    (
        r"kvm run failed (?P<errno>.+)",
        "QEMU: the system call KVM_RUN failed; registers follow",
        _RUN_FAILED,
        f"{_QEMU} kvm_cpu_exec()",
    ),
    (
        (
            r"Failure during vcpu run: (?P<errno>.+)|vcpu hit unknown error: (?P<errno2>.+)"
            r"|KVM_RUN failed: (?P<errno3>.+)"
        ),
        "Firecracker, crosvm or kvmtool: the system call KVM_RUN failed; the VM stops",
        _RUN_FAILED,
        "Firecracker src/vmm/src/vstate/vcpu; crosvm src/crosvm/sys/linux/vcpu.rs; kvmtool kvm.c",
    ),
    (
        r"Unexpected exit reason on vcpu run: (?P<rust>\w{2,40})",
        "Firecracker: it does not handle this reason of KVM_RUN; the VM stops",
        (),
        "Firecracker src/vmm/src/vstate/vcpu",
    ),
    (
        r"\b(?:VmExit|VcpuExit)(?:::|\()(?P<rust>[A-Z]\w{1,40})",
        "",
        (),
        "",
    ),
    (
        r"set kvm_intel\.dump_invalid_vmcs=1",
        "an entry failed, or an exit was unexpected; KVM can log the VMCS the next time",
        ("echo 1 > /sys/module/kvm_intel/parameters/dump_invalid_vmcs; the line before says why",),
        f"{_VMX} dump_vmcs()",
    ),
    (
        r"set kvm_amd\.dump_invalid_vmcb=1",
        "an entry failed, or an exit was unexpected; KVM can log the VMCB the next time",
        ("echo 1 > /sys/module/kvm_amd/parameters/dump_invalid_vmcb; the line before says why",),
        "Linux arch/x86/kvm/svm/svm.c dump_vmcb()",
    ),
    (
        r"^.*reason=(?P<vmx>[0-9a-f]{8}) qualification=",
        "a dump of the VMCS: the exit reason and the exit qualification",
        (),
        f"{_VMX} dump_vmcs()",
    ),
    (
        r"(?:VMEntry|VMExit): intr_info=(?:0x)?(?P<event>[0-9a-f]{7,8})\b",
        "a dump of the VMCS: the event that was injected at the entry, or that caused the exit",
        (),
        f"{_VMX} dump_vmcs(); SDM vol. 3, Information for VM Exits Due to Vectored Events",
    ),
    (
        r"IDTVectoring: info=(?:0x)?(?P<event>[0-9a-f]{7,8})\b",
        "a dump of the VMCS: the event that was being delivered to the guest when it exited",
        ("KVM delivers it again at the next entry",),
        f"{_VMX} dump_vmcs(); SDM vol. 3, IDT-vectoring information",
    ),
    (
        r"exit_int_info: +(?:0x)?(?P<event>[0-9a-f]{7,8})\b",
        "a dump of the VMCB: the event that was being delivered to the guest when it exited",
        ("KVM delivers it again at the next entry",),
        "Linux arch/x86/kvm/svm/svm.c dump_vmcb(); APM vol. 2 15.7.2",
    ),
    (
        r"^\s*RIP = 0x[0-9a-f]+ +RFlags=0x",
        "a dump of the VMCS: where the guest was",
        (),
        f"{_VMX} dump_vmcs()",
    ),
    (
        r"exit_code: +(?P<svm>[0-9a-f]{8,16})\b",
        "a dump of the VMCB: the exit code",
        (),
        "Linux arch/x86/kvm/svm/svm.c dump_vmcb()",
    ),
    (
        (
            r"last attempted (?:VM-entry|VMRUN) on CPU|\*\*\* (?:Guest|Host|Control) State \*\*\*"
            r"|VMCB (?:Control|State Save) Area"
        ),
        "KVM logs the state of a failed entry or of an unexpected exit",
        ("attach the whole dump to a bug report; the lines before it say why",),
        f"{_VMX} dump_vmcs(); svm/svm.c dump_vmcb()",
    ),
    (
        (
            r"(?:[Uu]nhandled|ignored|disabled perfctr) (?:RDMSR|rdmsr|WRMSR|wrmsr)[(: ]+"
            rf"(?P<msr>{_HEX})"
        ),
        "the guest accessed an MSR that KVM does not implement; it gets #GP, or 0 with ignore_msrs",
        (
            "harmless if the guest continues; silence it: kvm report_ignored_msrs=0",
            "a guest that stops: kvm ignore_msrs=1, or a CPU model without the feature",
        ),
        f"{_X86} kvm_msr_ignored_check()",
    ),
    (
        rf"failed to (?:set|get) MSR (?P<msr>{_HEX})",
        "QEMU: KVM refused the value of an MSR: the host lacks a feature of the CPU model",
        ("use a CPU model that the host supports; update the host's kernel and QEMU together",),
        f"{_QEMU_X86} kvm_buf_set_msrs()",
    ),
    (
        r"KVM: injection failed, MSI lost",
        "QEMU: KVM refused an interrupt message: its destination vCPU has no enabled APIC",
        ("common when a guest resets its devices late; a device that hangs is a bug",),
        f"{_QEMU} kvm_irqchip_send_msi()",
    ),
    (
        r"lapic timer period limited to",
        "the guest asked for a timer period that is too short; KVM lengthened it",
        ("kvm min_timer_period_us has the limit",),
        "Linux arch/x86/kvm/lapic.c limit_periodic_timer_frequency()",
    ),
    (
        r"SMP vm created on host with unstable TSC",
        "the host's TSC is not reliable: clocks of guests are slow, and may go backwards",
        ("find out why: dmesg | grep -i tsc; update the firmware; guests cannot use tsc",),
        f"{_X86} kvm_arch_vcpu_precreate()",
    ),
    (
        r"L1TF CPU bug present and SMT on",
        "guests can read the L1 data cache of sibling threads",
        ("Linux Documentation/admin-guide/hw-vuln/l1tf.rst: nosmt, or core scheduling",),
        f"{_VMX} vmx_vm_init()",
    ),
    (
        r"(?:VMX )?(?:not enabled|disabled) \(?by (?:BIOS|bios)|SVM disabled \(by BIOS\)",
        "the firmware has disabled virtualization",
        ("enable VT-x or SVM in the firmware setup, then power-cycle the host",),
        f"{_VMX} kvm_is_vmx_supported(); svm/svm.c kvm_is_svm_supported()",
    ),
    (
        r"(?:VMX|SVM) not supported by CPU|kvm: no hardware support",
        "the processor has no VMX or SVM, or the hypervisor below does not offer it",
        ("in a VM: enable nested virtualization on its host",),
        f"{_VMX} kvm_is_vmx_supported()",
    ),
    (
        r"enabling virtualization on CPU ?\d+ failed",
        "the kernel could not enable virtualization on this CPU, so KVM cannot use it",
        (
            "another hypervisor uses it (VirtualBox, VMware): unload its module",
            "the firmware has not enabled it on all CPUs: update it, then power-cycle the host",
        ),
        "Linux virt/kvm/kvm_main.c kvm_enable_virtualization_cpu()",
    ),
    (
        r"kvm_spurious_fault",
        "a VMX or SVM instruction of KVM faulted: a bug, or virtualization was disabled meanwhile",
        (
            "look for another hypervisor, and for a suspend or kexec before it",
            "nested: report it to the hypervisor below; else report the whole log",
        ),
        f"{_X86} kvm_spurious_fault()",
    ),
    (
        (
            r"kvm[^:]*: (?:Nested (?:Virtualization|Paging) enabled|Virtual (?:VMLOAD|GIF|NMI)"
            r"|LBR virtualization supported|PMU virtualization is disabled|IPA Size Limit"
            r"|(?:VHE|Hyp|nVHE|Protected) mode initialized|vgic interrupt IRQ"
            r"|GICv\d system register)"
        ),
        "KVM lists what it found and uses when it is loaded; not a fault",
        (),
        "Linux arch/x86/kvm/svm/svm.c svm_hardware_setup(); arch/arm64/kvm/arm.c",
    ),
    (
        r"GICv3: no GICV resource entry",
        "ARM64: guests cannot have a GICv2, only a GICv3; harmless for current guests",
        (),
        f"{_ARM}vgic/vgic-v3.c vgic_v3_probe()",
    ),
    (
        r"soft lockup - CPU#\d+ stuck|self-detected stall on CPU|detected stalls on CPUs",
        "a CPU ran no other task for long; in a guest: its vCPU probably did not run on the host",
        ("on the host, kstats why VM; look for overcommit, swap, a pause or a migration",),
        "Linux Documentation/admin-guide/lockup-watchdogs.rst; Documentation/RCU/stallwarn.rst",
    ),
    (
        r"Marking clocksource '?tsc'? as unstable",
        "this kernel stops using the TSC; in a guest without kvm-clock, reading time then exits",
        (
            "a guest: use kvm-clock or an invariant TSC; see kstats explain hpet and acpi_pm",
            "a host: update the firmware; the watchdog may also be wrong on a host that is busy",
        ),
        "Linux kernel/time/clocksource.c clocksource_watchdog()",
    ),
    (
        r"perf: interrupt took too long",
        "perf samples less often, because its interrupts took long; common in guests, harmless",
        (),
        "Linux kernel/events/core.c perf_sample_event_took()",
    ),
    (
        r"already loaded vendor module|kvm: already loaded the other module",
        "kvm_intel or kvm_amd is loaded already",
        (),
        f"{_X86} kvm_x86_vendor_init()",
    ),
    (
        r"HYP mode not available",
        "ARM64: the kernel was not started in EL2, so there is no KVM",
        ("fix the firmware or boot loader; in a VM: enable nested virtualization on its host",),
        f"{_ARM}arm.c kvm_arm_init()",
    ),
    (
        r"Could not access KVM kernel module|failed to initialize kvm|failed to initialize KVM",
        "QEMU cannot use /dev/kvm",
        (
            "No such file: load kvm_intel or kvm_amd; Permission denied: join the group kvm",
            "Device or resource busy: another hypervisor uses the processor's virtualization",
        ),
        f"{_QEMU} kvm_init()",
    ),
    (
        rf"Unknown exception class: (?:esr|hsr): (?P<esr>{_HEX}|#\w+)",
        "ARM64: KVM has no handler for this exception class; the guest gets an undefined exception",
        (),
        f"{_ARM}handle_exit.c kvm_handle_unknown_ec()",
    ),
    (
        rf"Unsupported FSC: EC=(?P<arm64>{_HEX})",
        "ARM64: a memory fault that KVM cannot handle; the VM stops with Bad address",
        ("a hardware memory error, or a bug: check rasdaemon and the host's kernel log",),
        f"{_ARM}mmu.c kvm_handle_guest_abort()",
    ),
    (
        (
            r"Op0\( ?(?P<op0>\d)\), Op1\( ?(?P<op1>\d)\), CRn\( ?(?P<crn>\d{1,2})\),"
            r" CRm\( ?(?P<crm>\d{1,2})\), Op2\( ?(?P<op2>\d)\)"
        ),
        "ARM64: the guest accessed a system register that KVM does not implement",
        ("the guest gets an undefined exception; hide the feature or update the host's kernel",),
        f"{_ARM}sys_regs.c print_sys_reg_msg()",
    ),
    (
        r"Unsupported guest (?:sys_reg|access|CP1[45]) ",
        (
            "ARM64: the guest accessed a system register that KVM does not implement; the next line"
            " has its number"
        ),
        (),
        f"{_ARM}sys_regs.c",
    ),
    (
        r"load/store instruction decoding not implemented|no valid syndrome info",
        "ARM64: the guest accessed a device by an instruction that the hardware does not describe",
        ("use a guest driver that accesses devices with simple loads and stores (readl, writel)",),
        f"{_ARM}mmio.c io_mem_abort()",
    ),
    (
        r"(?:nVHE hyp|HYP|Hyp) (?:panic|BUG)|Hypervisor panic",
        "ARM64: KVM's code at EL2 crashed: a bug of the host's kernel",
        ("report it with the whole log; reboot the host",),
        f"{_ARM}handle_exit.c nvhe_hyp_panic_handler()",
    ),
    (
        r"SEV-ES guest requested termination",
        "a SEV-ES guest asked to be terminated: its firmware or kernel found a problem",
        ("check the guest's console; the second number is the reason in the GHCB specification",),
        "Linux arch/x86/kvm/svm/sev.c; GHCB specification",
    ),
    (
        r"vmgexit: ",
        "a SEV-ES guest made a request that KVM rejects",
        ("update the guest's kernel and firmware and the host's kernel",),
        "Linux arch/x86/kvm/svm/sev.c sev_es_validate_vmgexit()",
    ),
    (
        r"Guest triggered AMD Erratum (?:383|1096)",
        "the guest met a processor erratum; the VM stops",
        ("update the host's microcode",),
        "Linux arch/x86/kvm/svm/svm.c",
    ),
    (
        r"instruction emulated as NOP!",
        "the guest executed MONITOR or MWAIT, which its CPUID does not offer; KVM ignores it",
        (),
        f"{_X86} kvm_emulate_monitor_mwait()",
    ),
    (
        r"zapping shadow pages for mmio generation wraparound",
        "KVM rebuilds its page tables; harmless",
        (),
        "Linux arch/x86/kvm/mmu/mmu.c kvm_mmu_invalidate_mmio_sptes()",
    ),
    (
        r"kvm_exit:? +TRAP: (?:HSR|ESR)_EC: (?P<arm64>0x[0-9a-f]{1,4})",
        "",
        (),
        "",
    ),
    (
        r"kvm_exit:? +(?P<printed>IRQ|SERROR|EL1_SERROR|IL|HYP_GONE)\b",
        "",
        (),
        "",
    ),
    (
        (
            r"kvm_exit:?.*? reason (?P<printed>UNKNOWN \(\d{1,20}\)|[\w :|-]{1,60}?)"
            r"(?: rip| info| \(| 0x|\s*$)"
        ),
        "",
        (),
        "",
    ),
    (
        r"kvm_exit:?.*?\bexit_reason=(?P<code>0x[0-9a-f]{1,16}|\d{1,20})",
        "",
        (),
        "",
    ),
    (
        r"kvm_msr:? +msr_(?:read|write) (?P<msr>[0-9a-f]{1,8}) =",
        "",
        (),
        "",
    ),
    (
        r"kvm_pio:? +pio_(?:read|write) at (?P<io>0x[0-9a-f]{1,4})",
        "",
        (),
        "",
    ),
    (
        r"kvm_mmio:? +mmio \S+ len \d+ gpa (?P<mmio>0x[0-9a-f]{1,16})",
        "",
        (),
        "",
    ),
    (
        r"kvm_exit\((?P<text>[\w -]{1,60})\)",
        "",
        (),
        "",
    ),
    (
        r"kvm_userspace_exit:?.*?(?P<text>KVM_EXIT_\w{1,40})",
        "",
        (),
        "",
    ),
    (
        r"^(?:UNKNOWN|unknown)[ ]?\((?P<code>0x[0-9a-fA-F]{1,16}|\d{1,20})\)$",
        "perf, trace-cmd, kvm_stat and kvmexit have no name for this code",
        (),
        "tools/lib/traceevent",
    ),
    (
        r"^Analyze events for|^\s*VM-EXIT\s+Samples|^Total Samples:|^\s*Event name\s+Samples",
        "perf kvm stat: a table of exit reasons with counts and times",
        ("to see it as kstats does: kstats decode FILE",),
        "Linux tools/perf/builtin-kvm.c",
    ),
    (
        r"^\s*@\w*\[(?P<text>[^\],]{1,60})\]: \d+$",
        "",
        (),
        "",
    ),
    (
        (
            r"^(?:vm-?exits?|(?:vm-?)?exit[ _-]?(?:reason|code)s?|reason|code|"
            r"basic exit reason)[ :=#]{1,3}(?P<text>\S.{0,60})$"
        ),
        "",
        (),
        "",
    ),
    (
        (
            r"^(?:EC|ESR_EL2\.EC|ESR_ELx\.EC|HSR_EC|ESR_EC)[ :=]{1,3}"
            r"(?P<arm64>0x[0-9a-f]{1,2}|0b[01]{6}|\d{1,2})$"
        ),
        "",
        (),
        "",
    ),
    (r"^(?P<arm64>0b[01]{6})$", "", (), ""),
    (r"^(?:ESR|ESR_EL2|HSR|esr)[ :=]{1,3}(?P<esr>0x[0-9a-fA-F]{5,16})$", "", (), ""),
    (r"^\s*(?P<text>[A-Za-z]\S{1,40}(?: excp)?)\s+\d[\d.,]*%?(?:\s|$)", "", (), ""),
)
"""Pattern, meaning (empty for lines that only carry a reason), what to do, source."""

ENTRY_ERRORS: dict[int, str] = {
    1: "VMCALL executed in VMX root operation",
    2: "VMCLEAR with an invalid physical address",
    3: "VMCLEAR with the VMXON pointer",
    4: "VMLAUNCH with a VMCS that is not clear",
    5: "VMRESUME with a VMCS that is not launched",
    6: "VMRESUME after VMXOFF",
    7: "VM entry with invalid control fields",
    8: "VM entry with invalid host-state fields",
    9: "VMPTRLD with an invalid physical address",
    10: "VMPTRLD with the VMXON pointer",
    11: "VMPTRLD with a wrong VMCS revision identifier",
    12: "VMREAD or VMWRITE of a field that does not exist",
    13: "VMWRITE to a read-only field",
    15: "VMXON executed in VMX root operation",
    16: "VM entry with an invalid executive-VMCS pointer",
    17: "VM entry with an executive VMCS that is not launched",
    18: "VM entry with an executive-VMCS pointer that is not the VMXON pointer",
    19: "VMCALL with a VMCS that is not clear",
    20: "VMCALL with invalid VM-exit control fields",
    22: "VMCALL with a wrong MSEG revision identifier",
    23: "VMXOFF under dual-monitor treatment of SMIs",
    24: "VMCALL with invalid SMM-monitor features",
    25: "VM entry with invalid VM-execution control fields in the executive VMCS",
    26: "VM entry with events blocked by MOV SS",
    28: "invalid operand to INVEPT or INVVPID",
}
"""Intel's VM-instruction errors (SDM vol. 3, VM Instruction Error Numbers)."""
