"""Filters of samples by thread and by reason, the same for live and recorded ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import attrs

from kstats.errors import KstatsError
from kstats.meaning import Selection, counted_threads, narrowed
from kstats.model import Code, Sample
from kstats.vms.identity import Thread
from kstats.vms.select import NoSuchVmError, matches


@attrs.frozen
class ThreadFilter:
    """Selects threads. What is None or empty selects all.

    Attributes:
        pids: Those of these processes.
        tids: Those with these thread IDs.
        vcpu: Those that run a vCPU with this number.
        vm: Those of the VMs that match this name, pid or glob (:mod:`kstats.vms.select`).
    """

    pids: frozenset[int] = frozenset()
    tids: frozenset[int] = frozenset()
    vcpu: int | None = None
    vm: str | None = None

    def __bool__(self) -> bool:
        return self != ThreadFilter()

    def allows(self, number: int, thread: Thread | None = None) -> bool:
        """Return whether a pid_tgid is selected; ``thread`` is what is known about it."""
        return (
            (not self.pids or number >> 32 in self.pids)
            and (not self.tids or number & 0xFFFF_FFFF in self.tids)
            and (self.vcpu is None or (thread is not None and thread.vcpu == self.vcpu))
        )

    def select(self, sample: Sample) -> Selection:
        """Return the selected threads of a sample."""
        resolved = self
        if self.vm is not None:
            known = sample.threads.values()
            pids = frozenset(thread.pid for thread in known if matches(thread.vm, self.vm))
            resolved = attrs.evolve(self, pids=pids, vm=None)
            if not pids:
                return Selection(frozenset())
        threads = {
            number
            for number in counted_threads(sample) | sample.threads.keys()
            if resolved.allows(number, sample.threads.get(number))
        }
        found = (sample.threads[number] for number in threads if number in sample.threads)
        return Selection(threads, {(thread.pid, thread.vcpu) for thread in found})


def filter_threads(samples: Iterable[Sample], threads: ThreadFilter) -> Iterator[Sample]:
    """Yield the samples with the selected threads only, without what has no thread.

    Raises:
        KstatsError: At the end, if no sample has such a thread.
    """
    known: dict[int, Thread] = {}
    found = False
    for sample in samples:
        selection = threads.select(sample)
        found = found or bool(selection.threads)
        if not found:
            known |= sample.threads
        yield _selected(sample, selection)
    if not found:
        raise _no_thread(threads, known.values())


def _selected(sample: Sample, selection: Selection) -> Sample:
    selected: Sample = narrowed(sample, lambda means, value: means.select(value, selection))
    return selected


def filter_reasons(sample: Sample, codes: Collection[Code]) -> Sample:
    """Return the sample with exits of these codes only."""
    selected: Sample = narrowed(sample, lambda means, value: means.only(value, codes))
    return selected


def _no_thread(threads: ThreadFilter, known: Iterable[Thread]) -> KstatsError:
    if threads.vm is not None and not any(matches(thread.vm, threads.vm) for thread in known):
        return NoSuchVmError(threads.vm, dict.fromkeys(thread.vm for thread in known))
    return KstatsError(
        "the recording has no such thread", "list them: kstats exits --by vm,pid,tid,vcpu"
    )
