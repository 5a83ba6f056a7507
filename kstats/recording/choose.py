"""The threads to look at, of samples that have all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from kstats import fields
from kstats.errors import KstatsError
from kstats.model import Sample
from kstats.vms.identity import Thread
from kstats.vms.select import NoSuchVmError, matches


@attrs.frozen
class Choice:
    """Which threads; what is None or empty does not choose.

    Attributes:
        pid: Those of this process.
        vcpu: Those that run a vCPU of this number.
        tids: These.
        vm: Those of the VMs that this means, by name or pid.
    """

    pid: int | None = None
    vcpu: int | None = None
    tids: frozenset[int] = frozenset()
    vm: str | None = None

    def __bool__(self) -> bool:
        return self != Choice()


def chosen(samples: Iterable[Sample], choice: Choice) -> Iterator[Sample]:
    """The samples with the chosen threads alone; what cannot be told by thread is left out.

    Raises:
        KstatsError: at the end, if no sample has any such thread.
    """
    known: dict[int, Thread] = {}
    found = False
    for sample in samples:
        numbers = _chosen(sample, choice)
        found = found or bool(numbers)
        if not found:
            known |= sample.threads
        yield _only(sample, numbers)
    if not found:
        raise _nobody(choice, known.values())


def _chosen(sample: Sample, choice: Choice) -> set[int]:
    """The threads of a sample that are chosen, as numbers of a :data:`kstats.model.Place`."""
    pids = None if choice.pid is None else {choice.pid}
    if choice.vm is not None:
        pids = {t.pid for t in sample.threads.values() if matches(t.vm, choice.vm)}
    return {
        number
        for number in _all(sample)
        if (pids is None or number >> 32 in pids)
        and (not choice.tids or number & 0xFFFF_FFFF in choice.tids)
        and (choice.vcpu is None or _vcpu(sample, number) == choice.vcpu)
    }


def _all(sample: Sample) -> set[int]:
    return fields.counted_threads(sample) | sample.threads.keys()


def _vcpu(sample: Sample, number: int) -> int | None:
    thread = sample.threads.get(number)
    return thread.vcpu if thread else None


def _only(sample: Sample, numbers: set[int]) -> Sample:
    chosen = (thread for number, thread in sample.threads.items() if number in numbers)
    selection = fields.Selection(numbers, {(thread.pid, thread.vcpu) for thread in chosen})
    selected: Sample = fields.narrowed(sample, lambda means, value: means.select(value, selection))
    return selected


def _nobody(choice: Choice, known: Iterable[Thread]) -> KstatsError:
    vms = dict.fromkeys(thread.vm for thread in known)
    if choice.vm is not None:
        return NoSuchVmError(choice.vm, vms)
    return KstatsError("the recording has no such thread", "see: kstats exits --by vm,pid,tid,vcpu")
