"""Name tools that do not print exits by reason, and say what to run instead."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from kstats.importers.lines import Line

_TRACE = (
    "on a host with kstats: kstats exits; elsewhere: perf record -a -e kvm:kvm_exit -e"
    " kvm:kvm_entry sleep 10; perf script | kstats decode -"
)
_COUNTERS = "kstats vcpu --source kernel shows such counters, kstats exits the reasons"


@attrs.frozen
class Other:
    """A tool: how its lines begin, why they do not help, and what does."""

    pattern: re.Pattern[str]
    why: str
    hint: str


def _other(pattern: str, why: str, hint: str) -> Other:
    return Other(re.compile(pattern, re.ASCII), why, hint)


_OTHERS = (
    _other(
        r"\s*Performance counter stats for|\s*[\d,.]{1,26},{0,2}\s+(?:[\d.]+\s+)?kvm:kvm_\w+\b"
        r"|[\d.]{1,26},,kvm:kvm_\w+",
        "this is the output of perf stat, which counts exits without their reasons",
        _TRACE,
    ),
    _other(
        r"\s*(?:MMIO|IO Port|MSR) Access\s+Samples",
        "this is perf kvm stat of one kind of event, without exit reasons",
        "perf kvm stat report --event=vmexit",
    ),
    _other(
        r"\s*kvm_exit\s+\d",
        "this is the output of kvm_stat without exit reasons",
        "press x in kvm_stat, or run kvm_stat -1 -f kvm_exit",
    ),
    _other(
        r".{0,200}\bkvm_exit\((?:\s|$)",
        "the headings of this log of kvm_stat are cut off, so its exits have no reasons",
        "kvm_stat of Linux 4.8 or later, or kvm_stat -1",
    ),
    _other(
        r".{0,200}(?:\bkvm_userspace_exit\b|\bKVM_EXIT_(?!REASON)[A-Z]|\"exit_mmio_(?:read|write)\")",
        "these are exits to the VMM (KVM_EXIT_*), which are not VM exits",
        f"kstats explain KVM_EXIT_IO; {_TRACE}",
    ),
    _other(
        r"\s*kvm statistics|\s*(?:irq_exits|halt_exits|io_exits|host_state_reload)\s+\d",
        "these are KVM's counters (kvm_stat -d), which have no exit reasons",
        f"kvm_stat -t -1 -f kvm_exit; {_COUNTERS}",
    ),
    _other(
        r".{0,200}/debug/kvm/|\s*(?:irq_exits|halt_exits|io_exits|signal_exits)\s?[:=]\s?\d",
        "these are KVM's counters in debugfs, which have no exit reasons",
        _COUNTERS,
    ),
    _other(
        r"Domain: '|\s*(?:vcpu\.\d+\.\w+|cpu\.time|vcpu\.current)=|.{0,200}\"halt_exits\"",
        "these are statistics of libvirt or QEMU, which have no exit reasons",
        _COUNTERS,
    ),
    _other(
        r"\s+CPU0(?:\s+CPU\d+)*\s*$",
        "this is /proc/interrupts, which counts interrupts of the host and no exits",
        _TRACE,
    ),
    _other(
        r"procs -+memory|\s*r\s+b\s+swpd\s+free|.{0,80}%guest\b|top - \d\d:|\s*%Cpu\(s\)",
        "this is how the host uses its CPUs (vmstat, mpstat, top), without exits",
        _TRACE,
    ),
    _other(
        r"\s*(?:FUNC|FUNCTION)\s+COUNT\b|.{0,80}kvm:kvm_exit\s+\d{1,20}\s*$",
        "this is the output of funccount, which counts calls and not the reasons of exits",
        "argdist -C 't:kvm:kvm_exit():u32:args->exit_reason'",
    ),
    _other(
        r"\s*\S.{0,80}:\s+count\s+distribution\s*$",
        "this is a histogram by powers of two, which merges the codes of different exits",
        "argdist -C in place of -H; @[args->exit_reason] = count() in bpftrace",
    ),
    _other(
        r"#?\s*Overhead\s.*(?:Shared Object|Symbol)",
        "this is a profile of perf, without exit reasons",
        _TRACE,
    ),
    _other(
        r".*(?:unexpected exit reason|KVM: entry failed|KVM internal error|kvm run failed)",
        "this is a message about one exit, and not a list of exits",
        "kstats explain 'THE LINE'",
    ),
)
"""In the order of their recognition."""


def recognize(lines: Iterable[Line]) -> Other | None:
    """Return the tool that wrote the lines, or None."""
    texts = [line.text for line in lines if line.whole]
    return next((o for o in _OTHERS if any(map(o.pattern.match, texts))), None)
