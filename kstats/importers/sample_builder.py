"""Adds up what a file tells, and makes samples of it."""

from __future__ import annotations

from collections import Counter, defaultdict

from kstats.arch import lookup
from kstats.arch.base import Isa
from kstats.arch.spelling import code_of, normalize
from kstats.importers.lines import Problems
from kstats.model import Code, Place, Sample, untimed
from kstats.vms.identity import Kind, Thread, Vm
from kstats.vms.naming import vcpu_number

NO_CPU = -1
"""The CPU of a place where the file does not tell it."""

NO_THREAD = 0

MOST_PLACES = 1 << 20
"""Places that are told apart; a file with more is none of a real host."""


class SampleBuilder:
    """Counts since the last sample; threads stay known."""

    def __init__(self, isa: Isa) -> None:
        self._isa = isa
        self._arch = lookup.arch_of(isa).name
        self._threads: dict[int, Thread] = {}
        self._cpus: set[int] = set()
        self._clear()

    def _clear(self) -> None:
        self._exits: defaultdict[Code, Counter[Place]] = defaultdict(Counter)
        self._entries: Counter[int] = Counter()
        self._code_dropped: Counter[int] = Counter()
        self._places: set[Place] = set()

    def exits(self, code: int, n: int = 1, cpu: int = NO_CPU, thread: int = NO_THREAD) -> None:
        """Adds exits; on a CPU and by a thread where that is told."""
        place = Place(cpu, thread)
        if place not in self._places:
            if len(self._places) >= MOST_PLACES:
                place = Place(cpu, NO_THREAD)
            self._places.add(place)
        self._saw(cpu)
        self._exits[self._isa.name, code][place] += n

    def named(
        self, tool: str, name: str, n: int, problems: Problems, thread: int = NO_THREAD
    ) -> bool:
        """Adds exits by the name that a tool has for them; False if nothing is called so."""
        code = code_of(self._isa, name)
        if code is None:
            return False
        why = self._isa.spellings.doubtful.get(tool, {}).get(normalize(self._isa, name))
        if why is None:
            self.exits(code, n, thread=thread)
        else:
            self.nameless(n)
            problems.remark(f"{name}: {why}; not told which")
        return True

    def entries(self, cpu: int = NO_CPU, n: int = 1) -> None:
        """Adds entries."""
        self._saw(cpu)
        self._entries[cpu] += n

    def nameless(self, n: int) -> None:
        """Adds exits whose code the file does not tell."""
        self._code_dropped[NO_CPU] += n

    def thread(self, pid: int, tid: int, comm: str = "", vcpu: int | None = None) -> int:
        """The number of a thread; ``pid`` is 0 where the file does not tell the process.

        A vCPU thread's name says which vCPU it runs, in VMMs that give such names; any other
        name is the best there is for its VM.
        """
        number = pid << 32 | tid
        known = self._threads.get(number)
        if known is None or known.vcpu != vcpu:
            named = vcpu_number(comm)
            name = "" if named is not None else comm
            vm = known.vm if known else Vm(pid, None, Kind.OTHER, name)
            if len(self._threads) < MOST_PLACES:
                self._threads[number] = Thread(tid, pid, named if vcpu is None else vcpu, vm)
        return number

    def _saw(self, cpu: int) -> None:
        if cpu != NO_CPU:
            self._cpus.add(cpu)

    @property
    def is_empty(self) -> bool:
        """Nothing was added since the last sample."""
        return not (self._exits or self._entries or self._code_dropped)

    def sample(self, time: float, elapsed: float) -> Sample:
        """What was added since the last sample, which ended ``elapsed`` seconds before."""
        places = {place.thread for counts in self._exits.values() for place in counts}
        sample = Sample(
            arch=self._arch,
            time=time,
            elapsed=elapsed,
            cpus=tuple(sorted(self._cpus)),
            entries=dict(self._entries),
            exits={
                code: {place: untimed(n) for place, n in counts.items()}
                for code, counts in self._exits.items()
            },
            code_dropped=dict(self._code_dropped),
            threads={number: t for number, t in self._threads.items() if number in places},
            isa=self._isa.name,
        )
        self._clear()
        return sample
