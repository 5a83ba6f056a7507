"""The threads to look at, of samples that have all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import attrs

from kstats.errors import KstatsError
from kstats.model import DetailPlace, Place, Sample
from kstats.vms.identity import Thread
from kstats.vms.select import NoSuchVmError, matches

T = TypeVar("T")
P = TypeVar("P", Place, DetailPlace)


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
    places = (place for at in sample.exits.values() for place in at)
    return {thread for _, thread in places if thread} | sample.threads.keys()


def _vcpu(sample: Sample, number: int) -> int | None:
    thread = sample.threads.get(number)
    return thread.vcpu if thread else None


def _only(sample: Sample, numbers: set[int]) -> Sample:
    threads = {number: t for number, t in sample.threads.items() if number in numbers}
    vcpus = {(thread.pid, thread.vcpu) for thread in threads.values()}
    counters, latency, spent = sample.counters, sample.latency, sample.vcpu_time
    return attrs.evolve(
        sample,
        entries={},
        exits={code: at for code, at in _at(sample.exits, numbers).items() if at},
        code_dropped={},
        threads=threads,
        ended=sample.ended & numbers,
        events=_at(sample.events, numbers),
        counters=counters
        and {vcpu: n for vcpu, n in counters.items() if (vcpu.pid, vcpu.vcpu) in vcpus},
        latency=latency and {code: at for code, at in _at(latency, numbers).items() if at},
        slow=tuple(exit_ for exit_ in sample.slow if exit_.place[1] in numbers),
        details={kind: _at(at, numbers) for kind, at in sample.details.items()},
        detail_latency={kind: _at(at, numbers) for kind, at in sample.detail_latency.items()},
        vcpu_time=spent and {number: s for number, s in spent.items() if number in numbers},
    )


def _at(mapping: Mapping[Any, Mapping[P, T]], numbers: set[int]) -> dict[Any, dict[P, T]]:
    return {
        key: {place: value for place, value in at.items() if place[1] in numbers}
        for key, at in mapping.items()
    }


def _nobody(choice: Choice, known: Iterable[Thread]) -> KstatsError:
    vms = dict.fromkeys(thread.vm for thread in known)
    if choice.vm is not None:
        return NoSuchVmError(choice.vm, vms)
    return KstatsError("the recording has no such thread", "see: kstats exits --by vm,pid,tid,vcpu")
