"""Tables as people paste them; tests/data/tables has reduced public ones."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kstats.arch import lookup
from kstats.arch.base import Isa
from kstats.errors import KstatsError
from kstats.importers import Decoded, UnrecognizedError, decode
from kstats.model import Place
from kstats.views.exits import Key, count_by
from kstats.views.latency import LatencyView
from kstats.views.latency import Options as LatencyOptions

DATA = Path(__file__).parent.parent / "data" / "tables"

Counts = dict[object, int]


def decoded(text: str | bytes, isa: str | None = None) -> tuple[Decoded, Counts]:
    """Return what a table contains, and its exits by reason."""
    data = text.encode() if isinstance(text, str) else text
    found = decode(io.BytesIO(data), isa=isa)
    (sample,) = found
    return found, {reason: n for (reason,), n in count_by(sample, ("reason",)).items()}


def by(text: str, *axes: str, isa: str | None = None) -> Counter[Key]:
    """Return the exits of a table by some axes."""
    (sample,) = decode(io.BytesIO(text.encode()), isa=isa)
    return count_by(sample, axes)


FILES: dict[str, tuple[str, str, str | None, Counts]] = {
    "perf-top-kvm-exit": (
        "perf-report",
        "vmx",
        None,
        # 78.98 + 4.23, and so on: of 10,000 exits
        {"EXTERNAL_INTERRUPT": 8321, "MSR_WRITE": 377, "PREEMPTION_TIMER": 178, "HLT": 73},
    ),
    "perf-kvm-stat-report-vmx": (
        "perf-kvm",
        "vmx",
        None,
        {
            "HLT": 101128,
            "VMCALL": 14089,
            "MSR_WRITE": 8246,
            "EPT_VIOLATION": 6312,
            "PREEMPTION_TIMER": 1730,
            "EXTERNAL_INTERRUPT": 1329,
        },
    ),
    "perf-kvm-stat-report-arm64": (
        "perf-kvm",
        "arm64",
        None,
        {"DABT_LOW": 661867, "IRQ": 4598, "WFx": 1475, "IABT_LOW": 1018, "SYS64": 180, "HVC64": 17},
    ),
    "perf-kvm-stat-live": (
        "perf-kvm",
        "vmx",
        None,
        {"HLT": 2208, "MSR_WRITE": 1668, "INTERRUPT_WINDOW": 82},
    ),
    "perf-kvm-stat-pvm-unknown": (
        "perf-kvm",
        "vmx",
        None,
        {
            "INVLPG": 18940,
            "EXCEPTION_NMI+0x20000": 3622,  # 131072
            "EXCEPTION_NMI+0x50000": 2057,  # 327680
            "INVD": 181,
        },
    ),
    "kvm-stat-summary-arm64": (
        "kvm_stat",
        "arm64",
        None,
        {
            "?": 124281 + 8,  # UNKNOWN, and what the sum has more
            "WFx": 112549,
            "DABT_LOW": 723,
            "SYS64": 501,
            "IABT_LOW": 63,
            "HVC64": 5,
        },
    ),
    "kvm-stat-old-once": (
        "kvm_stat",
        "vmx",
        None,
        {
            "?": 13798699 - 6190715,
            "EXCEPTION_NMI": 6188458,
            "EXTERNAL_INTERRUPT": 2169,
            "TPR_BELOW_THRESHOLD": 82,
            "IO_INSTRUCTION": 6,
        },
    ),
    "kvm-stat-csv-2016": (
        "kvm_stat",
        "vmx",
        None,
        {
            "EXTERNAL_INTERRUPT": 80,
            "HLT": 80,
            "INTERRUPT_WINDOW": 20,
            "EPT_MISCONFIG": 12,
            "CPUID": 6,
            "APIC_ACCESS": 2,
            "?": 1,
        },
    ),
    "systemtap-service-time": (
        "table",
        "vmx",
        "vmx",
        {
            "EXCEPTION_NMI": 55,
            "EXTERNAL_INTERRUPT": 16668,
            "INTERRUPT_WINDOW": 65,
            "HLT": 182,
            "CR_ACCESS": 1,
            "IO_INSTRUCTION": 1561,
            "MSR_WRITE": 10728,
            "PAUSE_INSTRUCTION": 4966918,
            "EPT_MISCONFIG": 105,
        },
    ),
    "bpftrace-kvmexits": (
        "bpftrace",
        "vmx",
        None,
        {"EXTERNAL_INTERRUPT": 741, "IO_INSTRUCTION": 282},
    ),
    "bpftrace-map-counts": (
        "bpftrace",
        "vmx",
        "vmx",
        {"EPT_VIOLATION": 1234, "EXTERNAL_INTERRUPT": 567, "HLT": 42, "IO_INSTRUCTION": 7},
    ),
    "bpftrace-string-keys": ("bpftrace", "vmx", None, {"EPT_VIOLATION": 1234, "HLT": 567}),
    "bcc-kvmexit-amd-pr3667": (
        "kvmexit",
        "svm",
        None,
        {"npf": 40, "hlt": 12, "UD excp": 6, "interrupt": 3, "XF excp": 1},
    ),
    "bcc-kvmexit-old-prefix": (
        "kvmexit",
        "vmx",
        None,
        {"HLT": 12, "MSR_WRITE": 6, "EXTERNAL_INTERRUPT": 1},
    ),
    "bcc-argdist": ("table", "vmx", "vmx", {"HLT": 345, "EPT_VIOLATION": 12}),
    "names-and-counts": ("codes", "vmx", None, {"INVLPG": 18940, "INVD": 181, "?": 5679}),
}


@pytest.mark.parametrize("name", FILES)
def test_public_tables(name: str) -> None:
    tool, isa, given, counts = FILES[name]
    found, by_reason = decoded((DATA / f"{name}.txt").read_bytes(), given)
    assert (found.format, found.isa) == (tool, isa)
    assert by_reason == counts
    assert found.problems.count == 0, found.problems.notes()


PERF = """\
       VM-EXIT    Samples  Samples%     Time%    Min Time    Max Time         Avg time

           HLT        128    75.33%    99.66%      0.43us 901000.66us    310.88us ( +-   8.46% )
 EPT_VIOLATION         72    24.67%     0.34%      0.50us  26426.07us      8.90us ( +-  48.58% )

Total Samples:200, Total events handled time:31546450.00us.
"""

SAME: dict[str, str] = {
    "as printed": PERF,
    "wrapped rows": PERF.replace("us    310", "us\n310").replace("us      8.9", "us\n8.9"),
    "wrapped headings": PERF.replace("Max Time         Avg", "Max Time\n  Avg"),
    "quoted mail": "".join(f"> {line}\n" for line in PERF.splitlines()),
    "quoted twice": "".join(f"> > {line}\n" for line in PERF.splitlines()),
    "colours": PERF.replace("HLT", "\x1b[1mHLT\x1b[0m"),
    "CRLF": PERF.replace("\n", "\r\n"),
    "no-break spaces": PERF.replace(" ", "\u00a0"),
    "runs of blanks collapsed": "\n".join(" ".join(line.split()) for line in PERF.splitlines()),
    "tabs": "\n".join("\t".join(line.split("  ")) for line in PERF.splitlines()),
    "without times": "VM-EXIT Samples Samples%\nHLT 128 64%\nEPT_VIOLATION 72 36%\n",
    "2023": (
        "Event name      Samples   Sample%    Time (ns)     Time%   Max Time (ns)  Mean Time\n"
        "HLT                 128    64.00%   2003031800    40.00%      12819600       74274\n"
        "EPT_VIOLATION        72    36.00%      3031800     0.10%       1289700         274\n"
    ),
    "kvmexit, first version": (
        "Display kvm exit reasons and statistics... Hit Ctrl-C to end.\n"
        "TGID     PID      KVM_EXIT_REASON                     STAT\n"
        "^C4036993  4037007  EXIT_REASON_HLT      128     \n"
        "4036993  4037007  EXIT_REASON_EPT_VIOLATION           72     \n"
    ),
    "kvmexit with a time": (
        "PID      TID      KVM_EXIT_REASON                     COUNT EXIT_TIME_AVG\n"
        "9352     9385     HLT                                 128      67104726\n"
        "9352     9385     EPT_VIOLATION                       72       1616\n"
    ),
    "kvmexit with names of threads": (
        "TGID     TID      COMM             KVM_EXIT_REASON  COUNT    AVG_TIME    \n"
        "24877    24901    b'CPU 3/KVM'     HLT              128      503369309.4\n"
        "24877    24900    b'CPU 2/KVM'     EPT_VIOLATION    72       1020.0     \n"
    ),
    "a ruler of dashes": "reason         count\n------         -----\nHLT 128\nEPT_VIOLATION 72\n",
    "a frame": "┌───┬───┐\n│ reason │ count │\n├───┼───┤\n│ HLT │ 128 │\n│ EPT_VIOLATION │ 72 │\n",
    "numbered": "1. HLT 128\n2. EPT_VIOLATION 72\n",
    "wide colons": "HLT\uff1a128\nEPT_VIOLATION\uff1a72\n",
    "a code block": "```\nHLT: 128\nEPT_VIOLATION: 72\n```\n",
    "uniq -c of a cut": "    128 reason HLT rip\n     72 reason EPT_VIOLATION rip\n",
    "markdown": "| reason | count |\n|---|---:|\n| HLT | 128 |\n| EPT_VIOLATION | 72 |\n",
    "CSV": '"reason","count"\n"HLT","128"\n"EPT_VIOLATION","72"\n',
    "count first": "COUNT  REASON\n128  HLT\n72  EPT_VIOLATION\nTotal 200\n",
    "a sum": "Reason      Count\nHLT             128\nEPT_VIOLATION    72\nTotal   200\n",
    "kvm_stat -1": (
        "kvm_entry                                        200       100\n"
        "kvm_exit                                         200       100\n"
        "kvm_exit(EPT_VIOLATION)                           72        36\n"
        "kvm_exit(HLT)                                    128        64\n"
        "kvm_msr                                           10         5\n"
    ),
    "kvm_stat's screen, copied twice": (
        "kvm statistics - summary\n\n"
        " Event                                         Total %Total CurAvg/s\n"
        " kvm_exit                                        100   50.0      100\n"
        "   kvm_exit(HLT)                                 100  100.0      100\n"
        " kvm_entry                                       100   50.0      100\n"
        " Total                                           200             200\n"
        "kvm statistics - summary\n\n"
        " Event                                         Total %Total CurAvg/s\n"
        " kvm_exit                                        200   50.0         \n"
        "   kvm_exit(HLT)                                 128   64.0         \n"
        "   kvm_exit(EPT_VIOLATION)                        72   36.0         \n"
        " Total                                           400                \n"
    ),
    "kvm_stat -l before 5.8": (
        "kvm_entry kvm_exit kvm_exit(EPT_VIOLATION) kvm_exit(HLT) \n"
        "        100       100        36        64\n"
        "        100       100        36        64\n"
    ),
    "bpftrace, a tuple": "@exits[(CPU 0/KVM, HLT)]: 128\n@exits[(CPU 1/KVM, EPT_VIOLATION)]: 72\n",
    "bpftrace, times and what was left": (
        "Attaching 4 probes...\n\n"
        "@exitreason[12]: HLT\n@exit_num[4242]: 12\n@start[4242]: 9223372036854775807\n"
        "@total_ns[HLT]: 99999\n@n[HLT]: 128\n@n[EPT_VIOLATION]: 72\n"
    ),
    "bpftrace, stats": (
        "@[HLT]: count 128, average 3100, total 396800\n"
        "@[EPT_VIOLATION]: count 72, average 31, total 2232\n"
    ),
    "bpftrace, name and number": "@exits[12, HLT]: 128\n@exits[48, EPT_VIOLATION]: 72\n",
    "bpftrace, thread and number and name": (
        "@exits[4242, 12, HLT]: 128\n@exits[4243, 48, EPT_VIOLATION]: 72\n"
    ),
    "kstats exits": (
        "vm   vcpu reason        count share%\nweb     0 HLT             128   64.0\n"
        "my vm   ? EPT_VIOLATION    72   36.0\n"
    ),
    "kstats exits by ISA": "isa reason count\nvmx HLT 128\nvmx EPT_VIOLATION 72\n",
    "bpftrace -f json": (
        '{"type": "attached_probes", "data": {"probes": 1}}\n'
        '{"type": "map", "data": {"@start": {"4242": 99}}}\n'
        '{"type": "map", "data": {"@exits": {"12,HLT": 128, "48,EPT_VIOLATION": 72}}}\n'
    ),
    "bpftrace -f json of a histogram": (
        '{"type": "hist", "data": {"@ns": {"12,HLT": [{"min": 256, "max": 511, "count": 100}, '
        '{"min": 512, "max": 1023, "count": 28}], "48,EPT_VIOLATION": [{"count": 72}]}}}\n'
    ),
    "quoted uniq -c": ">     128 HLT\n>      72 EPT_VIOLATION\n",
    "fields": (
        "{ exit_reason: 12, isa: 1 } hitcount: 128\n{ exit_reason: 48, isa: 1 } hitcount: 72\n"
    ),
    "argdist of fields": (
        "COUNT      EVENT\n128  args->exit_reason = 12, args->isa = 1\n"
        "72   args->exit_reason = 48, args->isa = 1\n"
    ),
    "ftrace, hexadecimal": (
        "# trigger info: hist:keys=exit_reason.hex,isa:vals=hitcount:sort=hitcount [active]\n"
        "{ exit_reason: c, isa: 1 } hitcount:        128\n"
        "{ exit_reason: 30, isa: 1 } hitcount:         72  latency:   7\n"
    ),
    "uniq -c": "    128 HLT\n     72 EPT_VIOLATION\n",
    "uniq -c of events": "    128 reason HLT\n     72 reason EPT_VIOLATION\n",
    "uniq -c of whole events": (
        "    128 kvm_exit: reason HLT rip 0xfff0 info 0 0\n"
        "     72 kvm_exit: reason EPT_VIOLATION rip 0xfff0 info 181 0\n"
    ),
    "uniq -c of perf's events": (
        "    128 kvm:kvm_exit: vcpu 0 reason HLT rip 0xfff0\n"
        "     72 kvm:kvm_exit: vcpu 1 reason EPT_VIOLATION rip 0xfff0 info1 0x181 info2 0x0\n"
        "    200 kvm:kvm_entry: vcpu 1, rip 0xfff0\n"
    ),
    "uniq -c of perf's texts": (
        "  128 reason HLT rip 0xfff0\n   72 reason EPT_VIOLATION rip 0xfff0\n"
    ),
    "uniq -c of events and threads": (
        "    128 CPU 0/KVM-4242  kvm_exit: reason HLT\n"
        "     72 CPU 0/KVM-4242  kvm_exit: reason EPT_VIOLATION\n"
    ),
    "uniq -c of perf's events and threads": (
        "    128 CPU 0/KVM 4242 kvm:kvm_exit: vcpu 0 reason HLT rip 0xfff0\n"
        "     72 CPU 0/KVM 4242 kvm:kvm_exit: vcpu 0 reason EPT_VIOLATION rip 0xfff0\n"
    ),
    "bars": " HLT           |  128 | 64.0 |\n EPT_VIOLATION |   72 | 36.0 |\n",
    "uniq -c of fields": "    128 exit_reason=12 isa=1\n     72 exit_reason=48 isa=1\n",
    "colons": "HLT: 128\nEPT_VIOLATION: 72\n",
    "equals": "HLT = 128\nEPT_VIOLATION = 72\n",
    "shares": "HLT 128 64.0%\nEPT_VIOLATION 72 (36.0 %)\n",
    "several on a line": "exception_nmi: 0, hlt: 128, ept_violation: 72, n/a: 0,\n",
    "a list": "- EPT_VIOLATION: 72\n* HLT: 128\n",
    "separators": "HLT;128\nEPT_VIOLATION;72\n",
    "repeated": "HLT 100\nEPT_VIOLATION 72\nHLT 28\n",
    "code and name": "12 (HLT) 128\n48 (EPT_VIOLATION) 72\n",
    "with the ISA": "vmx:12 128\nvmx:0x30 72\n",
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_exits_in_many_tables(kind: str) -> None:
    found, by_reason = decoded(SAME[kind])
    assert by_reason == {"HLT": 128, "EPT_VIOLATION": 72}
    assert found.isa == "vmx"
    assert found.problems.count == 0, found.problems.notes()


_HLT = "kvm:kvm_exit: vcpu 0 reason HLT rip 0xfff0\n"
_EPT = "kvm:kvm_exit: vcpu 0 reason EPT_VIOLATION rip 0xfff0\n"


@pytest.mark.parametrize(
    ("text", "counts", "guess"),
    [
        (f"4242 {_HLT}4242 {_EPT}", {"HLT": 1, "EPT_VIOLATION": 1}, "its thread"),
        (f"4242 {_HLT}4241 {_EPT}4242 {_HLT}", {"HLT": 2, "EPT_VIOLATION": 1}, "its thread"),
        (f"42 {_HLT}4241 {_EPT}42 {_HLT}", {"HLT": 2, "EPT_VIOLATION": 1}, "its thread"),
        (f"9000 {_HLT}800 {_EPT}7 {_HLT[4:]}", {"HLT": 9007, "EPT_VIOLATION": 800}, "uniq -c"),
        (f"kvm 4242 {_HLT}", {"HLT": 1}, ""),
        (f"  2 {_HLT}", {"HLT": 2}, "uniq -c"),
        (f"  7 kvm {_HLT}  9 kvm {_EPT}", {"HLT": 1, "EPT_VIOLATION": 1}, ""),
    ],
)
def test_a_number_in_front_of_an_event_is_a_thread_or_a_count(
    text: str, counts: dict[str, int], guess: str
) -> None:
    found, by_reason = decoded(text)
    assert by_reason == counts
    assert guess in "".join(found.problems.remarks)
    assert bool(guess) == bool(found.problems.remarks)


def test_a_rounded_count_is_not_dropped_silently() -> None:
    found, by_reason = decoded("EPT_VIOLATION  1.2K\nHLT  300\n")
    assert by_reason == {"HLT": 300}
    assert found.shortfall.startswith("1200 of 1500 exits were not understood")


def test_a_rounded_count_below_a_heading_is_not_dropped_silently() -> None:
    found, by_reason = decoded("VM-EXIT  Samples  Samples%\nHLT  1.2K  80%\nCPUID  300  20%\n")
    assert by_reason == {"CPUID": 300}
    assert found.shortfall.startswith("1200 of 1500 exits were not understood")


NUMBERS: dict[str, str] = {
    "uniq -c": "    128 12\n     72 48\n",
    "code first": "12 128\n48 72\n",
    "hexadecimal": "reason count\n0xc 128\n0x30 72\n",
    "hexadecimal without 0x": "SVM code  Count\n  78   128\n  7b  72\n",
    "ftrace": (
        "# event histogram\n#\n# trigger info: hist:keys=exit_reason:vals=hitcount:sort=hitcount"
        ":size=2048 [active]\n#\n\n"
        "{ exit_reason:         12 } hitcount:        128\n"
        "{ exit_reason:         48 } hitcount:         72\n\n"
        "Totals:\n    Hits: 200\n    Entries: 2\n    Dropped: 0\n"
    ),
    "ftrace, symbols": (
        "{ exit_reason: [c] 0xc                                    } hitcount:        128\n"
        "{ exit_reason: [30] 0x30                                  } hitcount:         72\n"
    ),
    "argdist with a unit": (
        "COUNT      EVENT\n128  args->exit_reason = 12\n72   args->exit_reason = 48\n"
    ),
    "bpftrace": "@[12]: 128\n@[48]: 72\n",
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_need_the_isa(kind: str) -> None:
    if kind == "hexadecimal without 0x":
        _, by_reason = decoded(NUMBERS[kind])
        assert by_reason == {"hlt": 128, "io": 72}
        return
    with pytest.raises(UnrecognizedError, match="cannot detect the ISA"):
        decoded(NUMBERS[kind])
    found, by_reason = decoded(NUMBERS[kind], "vmx")
    assert by_reason == {"HLT": 128, "EPT_VIOLATION": 72}
    assert found.problems.count == 0, found.problems.notes()


@pytest.mark.parametrize("isa", lookup.isas(), ids=lambda isa: isa.name)
def test_the_script_of_kstats_arch_is_read_back(isa: Isa) -> None:
    """``kstats arch ISA -f bpftrace`` counts by code and name."""
    text = "".join(
        f"@exits[{code}, {isa.reason(code).name}]: {7 + code % 5}\n" for code in isa.reasons
    )
    found = decode(io.BytesIO(f"{text}@exits[57005, ]: 3\n".encode()))
    (sample,) = found
    counts = {code: places[Place(-1, 0)].count for (_, code), places in sample.exits.items()}
    assert counts == {code: 7 + code % 5 for code in isa.reasons} | {57005: 3}
    assert found.isa == isa.name


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*SAME.values(), *NUMBERS.values()]), st.data())
def test_damaged_tables_are_decoded_or_refused(text: str, data: st.DataObject) -> None:
    """No damage ends in anything but a report or one line, and it adds no exits."""
    at = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 30))
    inserted = data.draw(
        st.sampled_from(["", "\n", " ", "\0", "(", "[", "|", ",", '"', "-", "\ud800"])
    )
    damaged = text[:at] + inserted + text[at + length :]
    try:
        samples = list(decode(io.BytesIO(damaged.encode(errors="surrogatepass")), isa="vmx"))
    except KstatsError as error:
        assert "\n" not in str(error)  # noqa: PT017 - one of two outcomes
    else:
        assert all(e.count > 0 for s in samples for at in s.exits.values() for e in at.values())


def test_threads_of_tables() -> None:
    kvmexit = SAME["kvmexit with names of threads"]
    assert by(kvmexit, "pid", "tid", "vcpu", "reason") == {
        (24877, 24901, 3, "HLT"): 128,
        (24877, 24900, 2, "EPT_VIOLATION"): 72,
    }
    assert by(SAME["kvmexit, first version"], "pid", "tid") == {(4036993, 4037007): 200}
    assert by(SAME["bpftrace, a tuple"], "pid", "tid", "vcpu", "reason") == {
        ("?", "?", 0, "HLT"): 128,
        ("?", "?", 1, "EPT_VIOLATION"): 72,
    }
    perf = f"Analyze events for pid(s) 4242, VCPU 3:\n\n{PERF}"
    assert by(perf, "pid", "tid", "vcpu") == {(4242, "?", 3): 200}
    hist = (
        "{ exit_reason:         48, common_pid: CPU 0/KVM       [      1234] } hitcount:       5\n"
        "{ exit_reason:         48, common_pid:       1235, common_cpu:          3 } hitcount: 7\n"
    )
    assert by(hist, "tid", "vcpu", "cpu", isa="vmx") == {(1234, 0, "?"): 5, (1235, "?", 3): 7}


def test_tables_of_one_file_are_added_up() -> None:
    live = f"11:12:07.687968\n\nAnalyze events for all VMs, all VCPUs:\n\n{PERF}"
    found, by_reason = decoded(live + live)
    assert by_reason == {"HLT": 256, "EPT_VIOLATION": 144}
    assert "2 tables were added up" in found.problems.notes()


def test_the_rest_of_a_sum_has_no_reason() -> None:
    found, by_reason = decoded(PERF.replace("Samples:200", "Samples:210"))
    assert by_reason == {"HLT": 128, "EPT_VIOLATION": 72, "?": 10}
    assert "?: exits in the tool's sum that have no row of their own" in found.problems.notes()


def test_fields_of_arm64() -> None:
    text = (
        "{ ret:          2, esr_ec:         36 } hitcount:        128\n"
        "{ ret:          0, esr_ec:          0 } hitcount:         72\n"
    )
    found, by_reason = decoded(text)
    assert (found.isa, by_reason) == ("arm64", {"DABT_LOW": 128, "IRQ": 72})


def test_tables_of_other_architectures_are_named() -> None:
    text = "Event name  Samples   Sample%\nSTORE_GUEST_PAGE_FAULT     26968     54.00%\n"
    with pytest.raises(UnrecognizedError, match="RISC-V"):
        decoded(text)


def test_another_table_of_the_same_file_is_not_counted() -> None:
    found, by_reason = decoded(
        "  SVM code  Count\n        78   128\n        7b    72\n"
        "IOIO SVM exits:\n  Port   Op  OpSz  Addr  Count\n  b008   in   32b   64b   2611\n"
    )
    assert by_reason == {"hlt": 128, "io": 72}
    assert found.shortfall == ""


def test_shares_of_a_known_number() -> None:
    text = (
        "# Samples: 200  of event 'kvm:kvm_exit'\n# Event count (approx.): 200\n#\n"
        "# Overhead  Trace output\n# ........  ......................\n#\n"
        "    64.00%  vcpu 0 reason HLT rip 0x1 info1 0x0 info2 0x0\n"
        "    36.00%  vcpu 1 reason EPT_VIOLATION rip 0x2 info1 0x0 info2 0x0\n"
    )
    found, by_reason = decoded(text)
    assert by_reason == {"HLT": 128, "EPT_VIOLATION": 72}
    assert found.problems.notes() == (
        "perf prints percentages: the counts are computed from them, of 200 events",
    )


def test_ranges_of_codes_are_not_codes() -> None:
    text = "{ exit_reason: ~ 2^5 } hitcount: 3\n{ exit_reason:   48 } hitcount: 100\n"
    found, by_reason = decoded(text, "vmx")
    assert by_reason == {"EPT_VIOLATION": 100}
    assert found.problems.count == 1
    assert found.problems.notes()[0].startswith("ranges of codes do not identify exits")


def latencies(text: str, isa: str | None = None) -> dict[object, tuple[object, ...]]:
    """Return count, total, minimum, mean and maximum in nanoseconds by reason."""
    (sample,) = decode(io.BytesIO(text.encode()), isa=isa)
    table = LatencyView(LatencyOptions(by=("reason",))).table(sample)
    return {row.cells[0]: tuple(row.cells[at] for at in (1, 2, 4, 5, 9)) for row in table.rows}


def test_times_with_extremes_and_a_mean_are_latencies() -> None:
    found = latencies(PERF + PERF)
    assert found["EPT_VIOLATION"] == (144, 2 * 72 * 8900, 500, 8900, 26426070)
    assert found["(idle)"] == (256, 2 * 128 * 310880, 430, 310880, 901000660)
    stap = (DATA / "systemtap-service-time.txt").read_text()
    assert latencies(stap, "vmx")["EXTERNAL_INTERRUPT"] == (16668, 23165000, 0, 1390, 77000)


def test_times_that_mean_something_else_are_not_used() -> None:
    arm64 = (DATA / "perf-kvm-stat-report-arm64.txt").read_text()
    found, _ = decoded(arm64)
    (note,) = found.problems.notes()
    assert note == (
        "columns with times are not used: on ARM64, perf measures the time in the guest before"
        " the exit"
    )
    assert latencies(arm64)["DABT_LOW"] == (661867, 0, None, None, None)
    untitled = arm64.replace("Analyze events for all VMs, all VCPUs:", "")
    assert latencies(untitled)["DABT_LOW"] == (661867, 0, None, None, None)


@pytest.mark.parametrize("kind", ["kvmexit with a time", "bpftrace, stats"])
def test_times_without_extremes_are_not_used(kind: str) -> None:
    (sample,) = decode(io.BytesIO(SAME[kind].encode()))
    assert not sample.timed
    assert any("not used" in note for note in sample.notes)


OTHERS = {
    "perf stat": ((DATA / "perf-stat-kvm.txt").read_text(), "perf stat", "perf record"),
    "perf stat -x,": ("5,,kvm:kvm_exit,1000,100.00,,\n", "perf stat", "perf record"),
    "kvm_stat -d": ((DATA / "kvm-stat-debugfs.txt").read_text(), "kvm_stat -d", "kvm_stat -t"),
    "kvm_stat, x off": (
        "kvm statistics - summary\n\n Event  Total %Total CurAvg/s\n kvm_exit  5  50.0  1\n",
        "kvm_stat without exit reasons",
        "press x",
    ),
    "debugfs": (
        "/sys/kernel/debug/kvm/exits:705683003\n/sys/kernel/debug/kvm/invlpg:5\n",
        "debugfs",
        "kstats vcpu",
    ),
    "/proc/interrupts": (
        "        CPU0   CPU1       \nNMI:     0      0   Non-maskable interrupts\n",
        "/proc/interrupts",
        "kstats exits",
    ),
    "kvm_stat -l of 2009": (
        " kvm_entry  kvm_exit kvm_exit( kvm_exit(\n       100       100        36        64\n",
        "cut off",
        "kvm_stat -1",
    ),
    "exits to the VMM": ("KVM_EXIT_IO 12\nKVM_EXIT_MMIO 5\n", "exits to the VMM", "explain"),
    "vmstat": (
        "procs -----------memory---------- ---swap--\n r  b   swpd   free\n 1  0      0 78\n",
        "vmstat",
        "kstats exits",
    ),
    "virsh": ("Domain: 'web'\n  vcpu.0.exits.sum=28094008\n", "libvirt", "kstats vcpu"),
    "funccount": (
        "FUNC                                    COUNT\nkvm:kvm_exit                   5\n",
        "funccount",
        "argdist -C",
    ),
    "argdist -H": (
        "  args->exit_reason   : count     distribution\n   8 -> 15  : 42   |****     |\n",
        "powers of two",
        "argdist -C",
    ),
    "perf kvm stat of MMIO": (
        "   MMIO Access    Samples  Samples%     Time%\n  0xfee00380:W  387  84.31%  79.28%\n",
        "one kind of event",
        "--event=vmexit",
    ),
    "dmesg": ((DATA / "dmesg-unexpected-exit.txt").read_text(), "a message", "kstats explain"),
}


@pytest.mark.parametrize("tool", OTHERS)
def test_tools_without_reasons_are_named(tool: str) -> None:
    text, why, hint = OTHERS[tool]
    with pytest.raises(UnrecognizedError) as caught:
        decoded(text)
    assert why in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "PID TID KVM_EXIT_REASON COUNT\n" + "1 2 EPT_VIOLATION 18446744073709551615\n" * 2,
        "EPT_VIOLATION 18446744073709551615\nHLT 1\n",
        "kvm_exit(EPT_VIOLATION)  18446744073709551615  1\nkvm_exit(HLT)  1  1\n",
    ],
)
def test_sums_that_no_recording_holds_are_refused(text: str) -> None:
    with pytest.raises(KstatsError, match=r"more than 2\*\*64"):
        decoded(text)


@pytest.mark.parametrize("n", ["-5", "18446744073709551616", "1e3", "nan", "0x10", "1,23", "5.5"])
def test_a_number_that_is_not_a_count_is_not_counted(n: str) -> None:
    found, by_reason = decoded(f"VM-EXIT Samples\nHLT 128\nEPT_VIOLATION {n}\nVMCALL 200\n")
    assert by_reason == {"HLT": 128, "VMCALL": 200}
    assert "EPT_VIOLATION" in found.problems.notes()[-1]
