"""Words, numbers and lines that people have in hand are recognized, and mean what they should.

The oracles are the names and numbers of the manuals' tables (tests/data/explain) and of the
kernel's headers (tests/data/headers).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kstats.arch import lookup as reasons
from kstats.arch.lookup import UnknownReasonError
from kstats.explain import counters, lookup, messages, registers, userspace, vocabulary, words
from kstats.explain.term import Answer, Term

DATA = Path(__file__).parent.parent / "data"
MANUALS = sorted((DATA / "explain").glob("*.tsv"))


def exits(answers: list[Answer]) -> set[tuple[str, int]]:
    """Return (ISA, code) of every reason in the answers, also of those that a term lists."""
    found = [one for a in answers for one in (a.exits if isinstance(a, Term) else (a,))]
    return {(isa.name, reason.code) for isa, reason in found}


def terms(text: str, isa: str | None = None) -> list[Term]:
    answers = lookup.find(text, None if isa is None else reasons.isas(isa))
    return [answer for answer in answers if isinstance(answer, Term)]


def meant(reference: str) -> tuple[str, int]:
    """Return the ISA and code of ``vmx:48``, ``svm:0x400`` or ``arm64:IRQ``."""
    isa, _, code = reference.partition(":")
    number = reasons.number(code)
    ((_, reason), *_) = reasons.find(reference) if number is None else [("", None)]
    return isa, reason.code if reason else int(code, 0)


@pytest.mark.parametrize("path", MANUALS, ids=lambda path: path.stem)
def test_every_name_of_the_manuals_means_its_code(path: Path) -> None:
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) > 50
    wrong = [text for text, right in rows if meant(right) not in exits(lookup.find(text))]
    assert wrong == []


@pytest.mark.parametrize(("header", "isa"), [("vmx", "vmx"), ("svm", "svm"), ("esr", "arm64")])
def test_every_name_of_the_kernels_headers_means_its_number(header: str, isa: str) -> None:
    rows = [line.split() for line in (DATA / f"headers/{header}.txt").read_text().splitlines()]
    assert len(rows) > 40
    for name, text in rows:
        found = {code & 0xFFFF_FFFF for one, code in exits(lookup.find(name)) if one == isa}
        if name == "ESR_ELx_EC_SERROR":  # its name is the return code's: the class never traps
            assert found == {1}
        else:
            assert found == {int(text, 16)}, name


def test_userspace_exits_are_those_of_the_kernels_header() -> None:
    rows = [line.split() for line in (DATA / "headers/kvm_exits.txt").read_text().splitlines()]
    ours = {userspace.PREFIX + name: number for number, (name, _, _) in userspace.EXITS.items()}
    assert ours == {name: int(number, 16) for name, number in rows}
    for name in ours:
        (term,) = terms(name)
        assert term.name == name
        assert "not an exit reason" in term.kind


def test_statistics_are_those_of_the_kernel() -> None:
    names = (DATA / "headers/statistics.txt").read_text().split()
    assert len(names) > 60
    for name in names:
        found = [term for term in terms(name) if "statistic of KVM" in term.kind]
        assert [term.name for term in found] == [name]


def test_every_reference_of_the_vocabularies_is_a_named_reason() -> None:
    tables = [counters.VCPU, counters.VM, counters.EVENTS]
    texts = [references for table in tables for _, references in table.values()]
    texts += [references for _, references, _ in words.WORDS.values()]
    texts += [references for _, _, references in userspace.EXITS.values()]
    texts += [f"arm64:{code}" for code in words.CLASSES.values()]
    for reference in " ".join(texts).split():
        isa, code = meant(reference)
        assert reasons.isas(isa)[0].reason(code).meaning, reference


def test_registers_with_a_meaning_exist_in_the_kernels_headers() -> None:
    known = {
        name for isa in reasons.isas() for detail in isa.details for name in detail.names().values()
    }
    assert set(registers.NAMED) - known == set()


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("#PF", "#PF", "exception 14 of x86"),
        ("#ac", "#AC", "exception 17 of x86"),
        ("UNKNOWN", "unknown", "term"),
        ("TRAP", "trap", "term"),
        ("ARM_EXCEPTION_TRAP", "trap", "term"),
        ("#VMEXIT", "vmexit", "term"),
        ("posted interrupts", "posted interrupt", "term"),
        ("halt_poll_ns", "halt poll ns", "term"),
        ("KVM_EXIT_IO_IN", "KVM_EXIT_IO", "KVM_RUN returned to the VMM (2)"),
        ("kvm:kvm_exit", "kvm_exit", "trace event"),
        ("0x6e0", "MSR_IA32_TSC_DEADLINE", "MSR 0x6e0"),
        ("IA32_TSC_DEADLINE", "MSR_IA32_TSC_DEADLINE", "MSR 0x6e0"),
        ("write MSR_IA32_TSC_DEADLINE(0x6e0)", "MSR_IA32_TSC_DEADLINE", "MSR 0x6e0"),
        ("msr 0x830", "X2APIC_ICR", "MSR 0x830"),
        ("IA32_PMC0", "MSR_IA32_PERFCTR0", "MSR 0xc1"),
        ("0x40000020", "HV_X64_MSR_TIME_REF_COUNT", "MSR 0x40000020"),
        ("out 0x3f8/1", "0x3f8", "I/O port"),
        ("port 0x70", "0x70", "I/O port"),
        ("in 0xc050/4", "0xc050", "I/O port"),
        ("read 0xfee000b0/4", "0xfee000b0", "guest-physical address"),
        ("hpet", "HPET", "guest-physical address 0xfed00000 to 0xfed003ff"),
        ("ICC_SGI1R_EL1(S3_0_C12_C11_5)", "ICC_SGI1R_EL1", "system register S3_0_C12_C11_5"),
        ("S3_0_C12_C11_5", "ICC_SGI1R_EL1", "system register S3_0_C12_C11_5"),
        ("S3_0_C15_C0_0", "S3_0_C15_C0_0", "system register"),
        ("KVM_HC_SEND_IPI(0xa)", "KVM_HC_SEND_IPI", "hypercall 0xa"),
        ("0x84000003", "PSCI_0_2_FN_CPU_ON", "hypercall 0x84000003"),
        ("ICR", "icr", "term"),
        ("MSR 6e0", "MSR_IA32_TSC_DEADLINE", "MSR 0x6e0"),
        ("EXITINTINFO", "exitintinfo", "term"),
        ("acpi_pm", "acpi pm", "term"),
        ("general protection fault", "general protection fault", "term"),
        ("vcpu.0.halt_exits.sum=12", "halt_exits", "statistic of KVM"),
        ("vm.remote_tlb_flush.sum", "remote_tlb_flush", "statistic of KVM"),
        ("VmExit::MmioRead", "KVM_EXIT_MMIO", "KVM_RUN returned to the VMM (6)"),
        ("VcpuExit::InternalError", "KVM_EXIT_INTERNAL_ERROR", "KVM_RUN returned to the VMM (17)"),
        ("vmx:131072", "vmx:0x20000", "not an exit code of Intel VMX"),
    ],
)
def test_a_word_that_is_not_an_exit_reason_is_explained(text: str, name: str, kind: str) -> None:
    term = terms(text)[0]
    assert term.name == name
    assert kind in term.kind


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("80000021", {("vmx", 0x8000_0021)}),
        ("2147483681", {("vmx", 0x8000_0021)}),
        ("-1", {("svm", 0xFFFF_FFFF)}),
        ("0xffffffffffffffff", {("svm", 0xFFFF_FFFF)}),
        ("0x4b", {("vmx", 75), ("svm", 0x4B)}),
        ("UNKNOWN(1027)", {("svm", 0x403)}),
        ("exit reason 48", {("vmx", 48), ("svm", 0x30), ("arm64", 0x30)}),
        ("INVALID_STATE FAILED_VMENTRY", {("vmx", 0x8000_0021)}),
        ("INVALID_STATE+FAILED_VMENTRY", {("vmx", 0x8000_0021)}),
        ("MSR_WRITE|EPT_VIOLATION", {("vmx", 32), ("vmx", 48)}),
        ('"EPT_VIOLATION":', {("vmx", 48)}),
        ("cr3", {("vmx", 28), ("svm", 0x03), ("svm", 0x13)}),
        ("nested page fault", {("vmx", 48), ("svm", 0x400), ("arm64", 0x24), ("arm64", 0x20)}),
        ("IRQ", {("vmx", 1), ("svm", 0x60), ("arm64", 1 << 32)}),
        ("NMI", {("vmx", 0), ("vmx", 8), ("svm", 0x61), ("svm", 0x74)}),
        ("pause loop exiting", {("vmx", 40), ("svm", 0x77)}),
    ],
)
def test_words_and_numbers_mean_reasons_on_every_isa(
    text: str, right: set[tuple[str, int]]
) -> None:
    among = {isa for isa, _ in right} | {"vmx", "svm", "arm64"}
    assert {one for one in exits(lookup.find(text)) if one[0] in among} == right


LINES = [
    (
        (
            "[23031085.916249] kvm [9737]: vcpu6, guest rIP: 0xffffffffb190d1b5"
            " vmx: unexpected exit reason 0x3"
        ),
        ("vmx", 3),
        "vmx: unexpected exit reason 0x3",
    ),
    ("svm: unexpected exit reason 0x8c", ("svm", 0x8C), "svm: unexpected exit reason 0x8c"),
    (
        "KVM: entry failed, hardware error 0x80000021",
        ("vmx", 0x8000_0021),
        "entry failed, hardware error 0x80000021",
    ),
    ("KVM: entry failed, hardware error 0xffffffff", ("svm", 0xFFFF_FFFF), "entry failed"),
    ("KVM: entry failed, hardware error 0x7", None, "VM entry with invalid control fields"),
    ("KVM internal error. Suberror: 3", None, "KVM_INTERNAL_ERROR_DELIVERY_EV"),
    ("kvm: unhandled exit 80000021", ("vmx", 0x8000_0021), "kvm: unhandled exit 80000021"),
    ("KVM: unknown exit reason 8", ("vmx", 2), "KVM_EXIT_SHUTDOWN"),
    ("KVM: unknown exit, hardware reason 1f", ("vmx", 31), "hardware reason 1f"),
    ("KVM: exception 13 exit (error code 0x0)", ("svm", 0x4D), "#GP"),
    ("set kvm_intel.dump_invalid_vmcs=1 to dump internal KVM state.", None, "set kvm_intel"),
    ("        reason=80000021 qualification=0000000000000000", ("vmx", 0x8000_0021), "reason="),
    ("kvm_amd: exit_code:           ffffffff", ("svm", 0xFFFF_FFFF), "exit_code:"),
    ("kvm [1]: vcpu0, guest rIP: 0x1 Unhandled WRMSR(0x570) = 0x0", ("vmx", 32), "MSR_IA32_RTIT"),
    ("kvm [1]: vcpu0 unhandled rdmsr: 0x140", ("vmx", 31), "MSR_MISC_FEATURES_ENABLES"),
    ("error: failed to set MSR 0x48e to 0xfff9fffe04006172", ("vmx", 31), "TRUE_PROCBASED"),
    ("x86/split lock detection: #AC: CPU 0/KVM/9 took a split_lock trap", ("vmx", 0), "split lock"),
    ("x86/split lock detection: #DB: CPU 0/KVM/9 took a bus_lock trap", ("svm", 0x41), "bus lock"),
    (
        "kvm [9]: Unknown exception class: esr: 0x0000000074000000 -- SME",
        ("arm64", 0x1D),
        "Unknown",
    ),
    (
        "{ Op0( 3), Op1( 0), CRn( 0), CRm( 4), Op2( 0), func_read },",
        ("arm64", 0x18),
        "ID_AA64PFR0_EL1",
    ),
    ("error: kvm run failed Bad address", None, "kvm run failed"),
    ("unknown kvm exit code:131072 on VMX", None, "vmx:0x20000"),
    ("              INVLPG      18940    68.75%     4.34%      0.73us", ("svm", 0x79), ""),
    ("kvm:kvm_exit: reason EPT_VIOLATION rip 0x7 info 181 0", ("vmx", 48), ""),
    ("kvm_exit: vcpu 0 reason msr rip 0xff info1 0x1", ("svm", 0x7C), ""),
    ("kvm_exit: reason UNKNOWN (69) rip 0x0", ("vmx", 69), "UNKNOWN (69)"),
    ("kvm_exit: TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0xffff", ("arm64", 0x24), ""),
    ("kvm_exit: IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0xffff", ("arm64", 1 << 32), ""),
    ("kvm_userspace_exit: reason KVM_EXIT_MMIO (6)", ("vmx", 49), "KVM_EXIT_MMIO"),
    ("kvm_msr: msr_write 6e0 = 0x1234", ("vmx", 32), "MSR_IA32_TSC_DEADLINE"),
    ("kvm_pio: pio_write at 0x3f8 size 1 count 1 val 0x41", ("svm", 0x7B), "0x3f8"),
    ("kvm_mmio: mmio write len 4 gpa 0xfed000f0 val 0x0", ("vmx", 49), "0xfed000f0"),
    ("kvm_exit(HLT)        1234     56", ("vmx", 12), ""),
    ("@[48]: 1234", ("vmx", 48), ""),
    ("SHUTDOWN_EVENT", ("svm", 0x7F), ""),
    ("NPT fault", ("svm", 0x400), ""),
    ("#NPF", ("svm", 0x400), ""),
    ("stage-2 abort", ("arm64", 0x24), ""),
    ("data abort from a lower EL", ("arm64", 0x24), ""),
    ("DABT (lower EL)", ("arm64", 0x24), ""),
    ("VIRTUAL_NMI_PENDING", ("vmx", 8), ""),
    ("VMGEXIT 0x72", ("svm", 0x72), ""),
    ("unexpected exit reason 0x2f", ("vmx", 0x2F), "unexpected exit reason 0x2f"),
    ("kvm_intel: unexpected exit reason 0x2f", ("vmx", 0x2F), "unexpected exit reason 0x2f"),
    ("kvm: unhandled exit 0x7b", ("svm", 0x7B), "kvm: unhandled exit 0x7b"),
    ("VMExit: intr_info=80000b0e errcode=00000002 ilen=00000003", ("vmx", 0), "#PF"),
    ("VMEntry: intr_info=00000000 errcode=00000000 ilen=00000000", None, "00000000"),
    ("exit_int_info:      80000b0e exit_int_info_err:  00000000", ("svm", 0x4E), "#PF"),
    ("kvm run failed Operation not permitted", None, "kvm run failed"),
    ("my guest shows many EPT_MISCONFIG exits since the update", ("vmx", 49), ""),
]


@pytest.mark.parametrize(("line", "code", "term"), LINES, ids=[line[0][:40] for line in LINES])
def test_lines_are_recognized(line: str, code: tuple[str, int] | None, term: str) -> None:
    answers = lookup.find(line)
    if code:
        assert code in exits(answers)
    if term:
        assert any(term in a.name for a in answers if isinstance(a, Term))


def test_every_kind_of_message_is_tried() -> None:
    """Each pattern with a meaning matches a line of the list above or of this one."""
    lines = [line for line, _, _ in LINES]
    lines += [
        "hardware error 0x80000022",
        "If you're running a guest on an Intel machine without unrestricted mode",
        "unknown kvm exit code:140 on SVM",
        "unknown kvm exit code:9",
        "extra data[0]: 0x000000008000002f",
        "emulation failure",
        "kvm: unhandled exit 31",
        "set kvm_amd.dump_invalid_vmcb=1 to dump internal KVM state.",
        "VMCS 00000000f0, last attempted VM-entry on CPU 3",
        "KVM: injection failed, MSI lost (Operation not permitted)",
        "kvm: vcpu 0: requested 65536 ns lapic timer period limited to 200000 ns",
        "kvm: SMP vm created on host with unstable TSC; guest TSC will not be reliable",
        "L1TF CPU bug present and SMT on, data leak possible.",
        "kvm: VMX not enabled (by BIOS) in MSR_IA32_FEAT_CTL on CPU 0",
        "kvm: no hardware support",
        "kvm: already loaded the other module",
        "kvm [1]: HYP mode not available",
        "qemu-system-x86_64: failed to initialize kvm: Permission denied",
        "kvm [5]: Unsupported FSC: EC=0x24 xFSC=0x10 ESR_EL2=0x92000010",
        "kvm [2147]: Unsupported guest sys_reg access at: ffffffc0080 [800003c5]",
        "kvm [1]: load/store instruction decoding not implemented",
        "kvm [1]: nVHE hyp panic at: [<ffff800011>]",
        "SEV-ES guest requested termination: 0x0:0x0",
        "kvm_amd: vmgexit: unsupported event - exit_info_1=0x0",
        "Guest triggered AMD Erratum 383",
        "kvm: MWAIT instruction emulated as NOP!",
        "kvm: zapping shadow pages for mmio generation wraparound",
        "exit qualification 0x184",
        "vcpu.0.delay=1200",
        "IDTVectoring: info=80000202 errcode=00000000",
        "RIP = 0xffffffff81063b5d  RFlags=0x00000246",
        "vcpu hit unknown error: Bad address (os error 14)",
        "Unexpected exit reason on vcpu run: InternalError",
        "kvm: enabling virtualization on CPU3 failed",
        "kernel BUG at arch/x86/kvm/x86.c: kvm_spurious_fault+0x5",
        "kvm_amd: Nested Virtualization enabled",
        "kvm [1]: GICv3: no GICV resource entry",
        "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [swapper/1:0]",
        "clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable because",
        "perf: interrupt took too long (2511 > 2500)",
        "UNKNOWN (75)",
        "Analyze events for all VMs, all VCPUs:",
    ]
    names = {term.source for line in lines for term in terms(line)}
    meant = {source for _, meaning, _, source in messages.MESSAGES if meaning}
    assert meant - names == set()


@pytest.mark.parametrize(
    "text",
    ["", "   ", "lorem ipsum dolor", "0x", "(", "9" * 30, "\x1b[31m", "é" * 2000, "a b " * 999],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UnknownReasonError) as caught:
        lookup.find(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_names_of_terms_are_suggested() -> None:
    with pytest.raises(UnknownReasonError) as caught:
        lookup.find("halt_exit_")
    assert "halt_exits" in caught.value.close


def test_an_isa_limits_the_terms() -> None:
    assert terms("halt_exits", "svm")[0].exits
    assert not [term for term in terms("irq", "arm64") if "x86" in term.kind]
    with pytest.raises(UnknownReasonError):
        lookup.find("AVIC", reasons.isas("arm64"))
    with pytest.raises(UnknownReasonError):
        lookup.find("MSR_IA32_TSC_DEADLINE", reasons.isas("arm64"))


def test_every_term_answers_to_its_name() -> None:
    names = list(vocabulary.names())
    assert len(names) > 200
    for name in names:
        assert lookup.find(name), name


def test_search_finds_terms_after_reasons() -> None:
    found = lookup.search("halt")
    kinds = [isinstance(answer, Term) for answer in found]
    assert kinds == sorted(kinds)
    assert {"halt_exits", "KVM_EXIT_HLT"} <= {a.name for a in found if isinstance(a, Term)}
    assert lookup.search("nosuchword") == lookup.search("") == []
