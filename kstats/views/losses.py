"""Exits that a sample does not count completely: numbers for programs, sentences for people.

The words are those of docs/glossary.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kstats.counted import Sums, thread_of
from kstats.escape import printable
from kstats.model import Sample

_UNATTRIBUTED = "unattributed"

Losses = tuple[tuple[str, int], ...]
"""(JSON key, count) of each kind of loss that a view can have, including those that are zero."""

_SENTENCES: Mapping[str, str] = {
    "code_dropped": "exit{s} with a dropped code: counted under vm_exit and other, without their"
    " number",
    "unsupported_isa": "exit{s} of an unsupported ISA: not counted; the vendor module changed,"
    " restart kstats",
    "missed": "event{s} missed while another BPF program was running on the CPU: not counted;"
    " find it with: bpftool prog",
    "detail_dropped": "exit{s} with a dropped detail: counted with the detail ?; raise"
    " --map-entries or select threads",
    "handler_dropped": "exit{s} with a dropped handler: counted with the handler ?; raise"
    " --map-entries or select threads",
    "latency_dropped": "exit{s} with a dropped latency: counted, but not timed; select threads",
    "slow_dropped": "slow exit{s} dropped by the rate limit: counted and timed, but not listed;"
    " raise the threshold",
    "names_dropped": "thread{s} with a dropped name: if the VM has ended, it may be shown as ?;"
    " report more often, or select threads",
    "time_dropped": "scheduling event{s} dropped: exits are counted, but the time of these threads"
    " is not known; select threads",
}


_BY_VM: Mapping[str, str] = {
    "detail_dropped": "dropped details by VM",
    "handler_dropped": "dropped handlers by VM",
    "latency_dropped": "dropped latencies by VM",
    "slow_dropped": "dropped slow exits by VM",
    _UNATTRIBUTED: "unattributed exits by VM",
}
_MOST_VMS = 3


def counts(sample: Sample, **more: int) -> Losses:
    """Return the losses that every view has, then those that only this view has."""
    return (
        ("code_dropped", sum(sample.code_dropped.values())),
        ("unsupported_isa", sample.unsupported_isa),
        ("missed", sample.missed),
        *more.items(),
    )


def notes(sample: Sample, losses: Losses | None = None) -> tuple[str, ...]:
    """Return the sample's own notes, then a sentence for each loss that is not zero."""
    found = dict(counts(sample) if losses is None else losses)
    return (
        *sample.notes,
        *sentences({**found, "names_dropped": sample.names_dropped}),
        *by_vm(sample, found),
    )


def by_vm(sample: Sample, kinds: Iterable[str] = tuple(_BY_VM)) -> Iterator[str]:
    """Yield a line for each kind of loss that is known by VM, with the VMs that lost most.

    These are the VMs that filled their own share of a table: the others do not pay for them.
    """
    names = {thread.pid: thread.vm.name for thread in sample.threads.values()}
    for kind in kinds:
        lost = {pid: n[kind] for pid, n in sample.vm_dropped.items() if kind in n}
        if not lost:
            continue
        most = sorted(lost, key=lambda pid: (-lost[pid], pid))
        shown = [f"{printable(names.get(p, '?'))} (pid {p}) {lost[p]}" for p in most[:_MOST_VMS]]
        more = [f"and {len(most) - _MOST_VMS} more VMs"] if len(most) > _MOST_VMS else []
        yield f"{_BY_VM[kind]}: {', '.join((*shown, *more))}"


def sentences(losses: Mapping[str, int]) -> tuple[str, ...]:
    """Return a sentence for each loss that is not zero."""
    return tuple(f"{n} {_SENTENCES[name].format(s=_plural(n))}" for name, n in losses.items() if n)


def _plural(n: int) -> str:
    return "" if n == 1 else "s"


def unattributed(sample: Sample) -> tuple[str, ...]:
    """Return a sentence if exits are unattributed; empty if the sample has no threads at all."""
    by_thread = Sums(thread_of)
    sums = (by_thread.of(exits) for exits in sample.exits.values())
    n = sum(dict(zip(*of_code, strict=True)).get(0, 0) for of_code in sums)
    if not n or not sample.threads:
        return ()
    if not any(thread.vm.start for thread in sample.threads.values()):  # of a decoded file
        return (f"{n} unattributed exit{_plural(n)}: the data do not contain the thread",)
    fix = "raise --map-entries or select threads with --vm or --pid"
    line = f"{n} unattributed exit{_plural(n)}: counted without the thread; {fix}"
    return (line, *by_vm(sample, (_UNATTRIBUTED,)))
