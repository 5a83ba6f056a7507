"""Add up the exits and entries in a file, and make samples of them."""

from __future__ import annotations

from collections import Counter, defaultdict

from kstats.arch import lookup
from kstats.arch.base import Isa
from kstats.arch.spelling import code_of, normalize
from kstats.errors import KstatsError
from kstats.histogram import Histogram
from kstats.importers.evidence import is_nameless
from kstats.importers.lines import Problems
from kstats.model import Code, Exits, Place, Sample, SlowExit, count_only
from kstats.vms.identity import Kind, Thread, Vm
from kstats.vms.naming import vcpu_number

NO_CPU = -1
"""The CPU of a place if the file does not contain CPUs."""

NO_THREAD = 0

_COUNT_BITS = 64

_LONGEST_COMM = 15

_NO_TID = 1 << 63
"""Numbers from here on are threads without a thread ID, which no kernel uses."""

MOST_PLACES = 1 << 20
"""The limit of distinct places; no file from a real host has more."""


class SampleBuilder:
    """Counts since the last sample; threads are kept."""

    def __init__(self, isa: Isa) -> None:
        self._isa = isa
        self._arch = lookup.arch_of(isa).name
        self._threads: dict[int, Thread] = {}
        self._without_tid: dict[tuple[int, str, int | None], int] = {}
        self._sum = 0
        self._vms: dict[int, Vm] = {}
        self._cpus: set[int] = set()
        self._clear()

    def _clear(self) -> None:
        self._exits: defaultdict[Code, Counter[Place]] = defaultdict(Counter)
        self._entries: Counter[int] = Counter()
        self._code_dropped: Counter[int] = Counter()
        self._places: set[Place] = set()
        self._slow: list[SlowExit] = []
        self._latencies: dict[tuple[int, Place], Histogram] = {}

    def exits(
        self,
        code: int,
        n: int = 1,
        cpu: int = NO_CPU,
        thread: int = NO_THREAD,
        latency: Histogram | None = None,
    ) -> None:
        """Add exits, with their CPU, thread and latency if known."""
        place = Place(cpu, thread)
        if place not in self._places:
            if len(self._places) >= MOST_PLACES:
                place = Place(cpu, NO_THREAD)
            self._places.add(place)
        self._saw(cpu)
        self._exits[self._isa.name, code][place] += n
        if latency is not None:
            known = self._latencies.get((code, place))
            self._latencies[code, place] = latency if known is None else known + latency
        self._count(n)

    def slow(self, ended: float, code: int, cpu: int, thread: int, ns: int) -> None:
        """Add one exit that took ``ns`` nanoseconds; it is counted already."""
        self._slow.append(SlowExit(ended, (self._isa.name, code), Place(cpu, thread), ns))

    def named(
        self, tool: str, name: str, n: int, problems: Problems, thread: int = NO_THREAD
    ) -> bool:
        """Add exits by a tool's name for them; return False if the name is unknown."""
        code = code_of(self._isa, name)
        if is_nameless(self._isa, name):
            self.nameless(n)
            return True
        if code is None:
            return False
        why = self._isa.spellings.doubtful.get(tool, {}).get(normalize(self._isa, name))
        if why is None:
            self.exits(code, n, thread=thread)
        else:
            self.nameless(n)
            problems.remark(f"{name}: {why}; the code is unknown")
        return True

    def entries(self, cpu: int = NO_CPU, n: int = 1) -> None:
        """Add entries."""
        self._saw(cpu)
        self._entries[cpu] += n

    def nameless(self, n: int) -> None:
        """Add exits with an unknown code."""
        self._code_dropped[NO_CPU] += n
        self._count(n)

    def _count(self, n: int) -> None:
        """Keep the sum of all exits below 2**64, the largest number in recordings."""
        self._sum += n
        if self._sum >> _COUNT_BITS:
            raise KstatsError(
                f"the counts add up to more than 2**{_COUNT_BITS}",
                "the file is damaged: no host has so many exits",
            )

    def thread(self, pid: int, tid: int, comm: str = "", vcpu: int | None = None) -> int:
        """Return the number of a thread; a ``pid`` or ``tid`` of 0 is not in the file.

        In VMMs that name vCPU threads, the name contains the number of the vCPU; any other name is
        used as the name of the VM.
        """
        number = pid << 32 | tid if tid else self._number(pid, comm, vcpu)
        known = self._threads.get(number)
        if known is None or known.vcpu != vcpu:
            named = vcpu_number(comm[:_LONGEST_COMM])
            name = "" if named is not None else comm
            vm = known.vm if known else self._vm(pid, name)
            if len(self._threads) < MOST_PLACES:
                self._threads[number] = Thread(tid, pid, named if vcpu is None else vcpu, vm)
        return number

    def _number(self, pid: int, comm: str, vcpu: int | None) -> int:
        """Return a number for a thread of which only the process, the name or the vCPU is known."""
        if len(self._without_tid) >= MOST_PLACES:
            return NO_THREAD
        return self._without_tid.setdefault((pid, comm, vcpu), _NO_TID | len(self._without_tid))

    def _vm(self, pid: int, name: str) -> Vm:
        """Return the VM of a process, with the name of the thread that was seen first."""
        made = Vm(pid, None, Kind.OTHER, name)
        return self._vms.setdefault(pid, made) if pid else made

    def _saw(self, cpu: int) -> None:
        if cpu != NO_CPU:
            self._cpus.add(cpu)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added since the last sample."""
        return not (self._exits or self._entries or self._code_dropped)

    def sample(self, time: float, elapsed: float) -> Sample:
        """Return a sample of what was added since the last one, ``elapsed`` seconds before."""
        places = {place.thread for counts in self._exits.values() for place in counts}
        places |= {exit_.place.thread for exit_ in self._slow}
        sample = Sample(
            arch=self._arch,
            time=time,
            elapsed=elapsed,
            cpus=tuple(sorted(self._cpus)),
            entries=dict(self._entries),
            exits={
                code: {
                    place: Exits(n, latency)
                    if (latency := self._latencies.get((code[1], place)))
                    else count_only(n)
                    for place, n in counts.items()
                }
                for code, counts in self._exits.items()
            },
            code_dropped=dict(self._code_dropped),
            threads={number: t for number, t in self._threads.items() if number in places},
            isa=self._isa.name,
            timed=bool(self._latencies),
            slow=tuple(self._slow),
        )
        self._clear()
        return sample
