"""``kstats exits``: exits by any axes, all computed from the same sample."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

import attrs

from kstats import arch as arches
from kstats.counted import Sums
from kstats.errors import UsageError
from kstats.model import Code, Place, Sample
from kstats.table import Cell, Heading, Row, Table, Unit
from kstats.views import details, handlers, losses
from kstats.vms.identity import Kind, Thread, Vm

UNKNOWN = "?"
"""The cell of an axis with an unknown value."""

OTHERS = "(others)"
"""The cell of a row with the sum of the rows that are not shown."""

IDLE = "(idle)"
"""The cell of a row with the idle exits."""

COUNT = Heading("count", "count", unit=Unit.COUNT, width=9)
SHARE = Heading("share", "share%")

_CODE_AXES: Mapping[str, Callable[[Code], Cell]] = {
    "isa": lambda code: code[0],
    "reason": lambda code: arches.reason(*code).name,
    "column": lambda code: arches.reason(*code).column,
    "category": lambda code: str(arches.reason(*code).category),
}
_VM_AXES: Mapping[str, Callable[[Vm], Cell]] = {
    "vmm": lambda vm: None if vm.start is None and vm.kind is Kind.OTHER else str(vm.kind),
    "uuid": lambda vm: vm.uuid or None,
    "vmid": lambda vm: vm.vmid,
    "pod": lambda vm: vm.pod or None,
    "namespace": lambda vm: vm.namespace or None,
}
"""Facts about a VM; None for what it does not have."""

THREAD_AXES = ("pid", "tid", "vm", "vcpu", *_VM_AXES)

AXES = ("cpu", *THREAD_AXES, *_CODE_AXES, handlers.AXIS)
"""All axes by which exits can be counted."""

_WORDS = frozenset({"vm", *_CODE_AXES, *_VM_AXES, details.AXIS, handlers.AXIS} - {"vmid"})

K = TypeVar("K")
Key = tuple[Cell, ...]

_ANYWHERE = Place(-1, 0)


@attrs.frozen
class Options:
    """The options of the view.

    Attributes:
        by: The axes, in the order of the columns.
        top: At most this many rows; one more has the sum of the others.
        sort: ``count`` (most first), or one of ``by`` (ascending).
        rate: Counts per second of elapsed time.
        tree: Group rows by the first axis: before each group a row with its sum, the other axes
            None. ``top`` then limits the rows of each group, and ``sort`` orders them.
        detail: Only exits that carry this kind of detail, with ``detail`` as one more axis.
    """

    by: tuple[str, ...] = ("vm", "vcpu", "reason")
    top: int | None = None
    sort: str = COUNT.key
    rate: bool = False
    tree: bool = False
    detail: str | None = None


def parse_axes(text: str, *, detail: bool = False) -> tuple[str, ...]:
    """Parse axes like ``cpu,vm,reason``; with ``detail``, this is an axis, too.

    Raises:
        UsageError: an axis is unknown or repeated, or the list is empty.
    """
    axes = tuple(axis.strip() for axis in text.split(","))
    known = (*AXES, details.AXIS) if detail else AXES
    for axis in axes:
        if axis == details.AXIS and not detail:
            raise UsageError(
                "the axis detail needs --detail KIND", f"--detail {'|'.join(arches.detail_kinds())}"
            )
        if axis not in known:
            raise UsageError(f"unknown axis {axis!r}", f"axes: {', '.join(known)}")
    if len(set(axes)) < len(axes):
        raise UsageError(f"an axis is named twice in {text!r}", "name each once")
    return axes


def headings(by: Sequence[str]) -> tuple[Heading, ...]:
    """Return the headings of axes."""
    return tuple(Heading(axis, axis, left=axis in _WORDS) for axis in by)


def threads_needed(by: Sequence[str]) -> tuple[str, ...]:
    """Return what the axes need and samples may lack: threads."""
    return ("threads",) if any(axis in THREAD_AXES for axis in by) else ()


class ExitsView:
    """A table with a row for each combination of the axes' values that occurred."""

    def __init__(self, options: Options | None = None) -> None:
        """By default, show reasons by VM and vCPU."""
        self._options = options or Options()

    @property
    def requires(self) -> tuple[str, ...]:
        """What samples must contain besides exits."""
        by, detail = self._options.by, self._options.detail
        return (
            *threads_needed(by),
            *([f"{detail} details"] if detail else ()),
            *(["handlers"] if handlers.AXIS in by else ()),
        )

    def table(self, sample: Sample) -> Table:
        """Return the report on one sample. Its rows sum to all counted exits, attributed or not."""
        by = self._options.by
        detail = self._options.detail
        counts = count_by(sample, by, detail)
        total = sum(counts.values())
        shown = self._shown(_ordered(counts, by, self._options.sort))
        scale = 1 / sample.elapsed if self._options.rate and sample.elapsed else 1
        by_handler = handlers.AXIS in by
        dropped = handlers.losses(sample) if by_handler else {}
        lost = losses.counts(sample, **details.losses(sample, detail), **dropped)
        return Table(
            timestamp=sample.timestamp,
            elapsed=sample.elapsed,
            arch=sample.arch,
            unit="per_second" if self._options.rate else "count",
            headings=(*headings(by), COUNT, SHARE),
            rows=tuple(Row((*key, n * scale, 100 * n / total)) for key, n in shown),
            losses=lost,
            notes=(
                *losses.notes(sample, lost),
                *(losses.unattributed(sample) if "threads" in self.requires else ()),
                *details.notes(sample, detail),
                *(handlers.notes(sample) if by_handler else ()),
            ),
        )

    def _shown(self, rows: list[tuple[Key, int]]) -> list[tuple[Key, int]]:
        """Return the rows to show; ``rows`` are all rows in their order."""
        top = self._options.top
        if self._options.tree:
            return list(_grouped(rows, top, by_size=self._options.sort == COUNT.key))
        shown, rest = rows[:top], sum(n for _, n in rows[len(rows[:top]) :])
        if rest:
            shown.append((_sum_key(OTHERS, rows), rest))
        return shown


def count_by(sample: Sample, by: Sequence[str], detail: str | None = None) -> Counter[Key]:
    """Return the counts of exits by the values of the axes ``by``, in the order of ``by``.

    With ``detail``, count only exits that carry this kind of detail.
    """
    keys = Keys(sample, by)
    counts: defaultdict[Key, int] = defaultdict(int)
    for code, place, cell, n in _alike(sample, by, detail):
        counts[keys.of(code, place, cell)] += n
    for cpu, n in {}.items() if detail else sample.code_dropped.items():
        counts[keys.of_cpu(cpu)] += n
    return Counter({key: n for key, n in counts.items() if n})  # zeros did not occur


def _alike(
    sample: Sample, by: Sequence[str], detail: str | None
) -> Iterator[tuple[Code, Place, Cell, int]]:
    """Yield sums of exits that the axes do not tell apart, as details.exits() yields exits.

    Computing the key of a sum takes several times as long as adding to it: a large host has a
    million places, and most tables have a thousandth of that.
    """
    if detail is not None:
        for code, place, exits, cell in details.exits(sample, detail):
            yield code, place, cell, exits.count
        return
    shown = ("cpu" in by, bool(threads_needed(by)), False, handlers.AXIS in by)
    parts = [at for at, wanted in enumerate(shown) if wanted]
    picked: list[Any] = parts or [slice(0)]  # without parts, the same of every place: nothing
    by_part: Sums[Any] = Sums(itemgetter(*picked))
    place_of: Callable[[Any], Place] = {
        (): lambda _: _ANYWHERE,
        (0,): lambda cpu: Place(cpu, 0),
        (1,): lambda thread: Place(-1, thread),
        (0, 1): lambda both: Place(*both),
        (3,): lambda handler: Place(-1, 0, None, handler),
        (0, 3): lambda both: Place(both[0], 0, None, both[1]),
        (1, 3): lambda both: Place(-1, both[0], None, both[1]),
        (0, 1, 3): lambda three: Place(three[0], three[1], None, three[2]),
    }[tuple(parts)]
    alike: defaultdict[Key, list[Code]] = defaultdict(list)
    for code in sample.exits:
        alike[tuple(cell(code) for axis, cell in _CODE_AXES.items() if axis in by)].append(code)
    for codes in alike.values():
        for part, n in _summed([by_part.of(sample.exits[code]) for code in codes]):
            yield codes[0], place_of(part), None, n


def _summed(found: Sequence[tuple[Sequence[K], Sequence[int]]]) -> Iterable[tuple[K, int]]:
    """Add up the sums of several codes by key."""
    if len(found) == 1:
        return zip(*found[0], strict=True)
    sums: defaultdict[K, int] = defaultdict(int)
    for keys, counts in found:
        for key, n in zip(keys, counts, strict=True):
            sums[key] += n
    return sums.items()


class Keys:
    """Computes the values of an exit on some axes, in their order."""

    def __init__(self, sample: Sample, by: Sequence[str]) -> None:
        """``by`` has any of :data:`AXES`."""
        self._by = tuple(by)
        self._threads = _ThreadCells(sample, self._by)
        self._code_axes = [axis for axis in _CODE_AXES if axis in by]
        self._codes: dict[Code, Key] = {}
        cells = ("cpu", details.AXIS, handlers.AXIS, *self._threads.axes, *self._code_axes)
        self._order = _picking([cells.index(axis) for axis in self._by])

    def of(self, code: Code, place: Place, detail: Cell = None) -> Key:
        """Return the values of an exit; ``detail`` is its cell, and a negative CPU is unknown."""
        of_code = self._codes.get(code)
        if of_code is None:
            of_code = self._codes[code] = tuple(_CODE_AXES[axis](code) for axis in self._code_axes)
        cpu = place.cpu if place.cpu >= 0 else UNKNOWN
        handler = handlers.text(place.handler)
        cells = self._threads.cells(place.thread)
        return self._order((cpu, detail, handler, *cells, *of_code))

    def of_cpu(self, cpu: int) -> Key:
        """Return the values of an exit of which only the CPU is known."""
        return tuple(cpu if axis == "cpu" else UNKNOWN for axis in self._by)


def _picking(indices: Sequence[int]) -> Callable[[Key], Key]:
    """Return a function that picks cells by position."""
    if len(indices) > 1:
        return itemgetter(*indices)
    return lambda cells: tuple(cells[at] for at in indices)  # itemgetter would return a cell


class _ThreadCells:
    """The cells of some axes of threads, computed once per thread of a sample.

    Attributes:
        axes: The axes, in the order of the cells.
    """

    def __init__(self, sample: Sample, by: Sequence[str]) -> None:
        self.axes = [axis for axis in THREAD_AXES if axis in by]
        self._threads = sample.threads
        self._names = vm_names(sample.threads.values())
        self._twins = _twins(sample) if "vcpu" in by else frozenset()
        self._known: dict[int, Key] = {0: (UNKNOWN,) * len(self.axes)}

    def cells(self, thread: int) -> Key:
        """Return the cells of a thread; all are unknown for 0, which means no thread."""
        known = self._known.get(thread)
        if known is None:
            known = self._known[thread] = tuple(self._cell(axis, thread) for axis in self.axes)
        return known

    def _cell(self, axis: str, number: int) -> Cell:
        thread = self._threads.get(number)
        if axis == "pid":
            return (thread.pid if thread else number >> 32) or UNKNOWN
        if axis == "tid":
            return (thread.tid if thread else number & 0xFFFF_FFFF) or UNKNOWN
        if thread is None:
            return UNKNOWN
        if axis == "vm":
            return self._names[thread.vm]
        if axis == "vcpu":
            return vcpu_cell(thread, distinct=number in self._twins)
        fact = _VM_AXES[axis](thread.vm)
        # Without a start, the process had ended before it was read.
        return UNKNOWN if fact is None and thread.vm.start is None else fact


def vcpu_cell(thread: Thread, *, distinct: bool) -> Cell:
    """Return the number of a thread's vCPU; ``distinct`` adds the thread's own."""
    number = UNKNOWN if thread.vcpu is None else thread.vcpu
    return f"{number}({thread.tid})" if distinct else number


def _twins(sample: Sample) -> frozenset[int]:
    """Return the threads of a VM that no number tells apart, although they are several vCPUs.

    They have no number, or the names of threads of several VMs that a process runs. Threads that
    ran one vCPU in turn are not among them: all but one have ended.
    """
    alike: dict[tuple[Vm, int | None], list[int]] = {}
    for number, thread in sample.threads.items():
        if thread.tid and (thread.vcpu is None or number not in sample.ended):
            alike.setdefault((thread.vm, thread.vcpu), []).append(number)
    several = (numbers for numbers in alike.values() if len(numbers) > 1)
    return frozenset(number for numbers in several for number in numbers)


def vm_names(threads: Iterable[Thread]) -> dict[Vm, str]:
    """Return a unique name for each VM; see :func:`names_of`."""
    return names_of(thread.vm for thread in threads)


def names_of(vms: Iterable[Vm]) -> dict[Vm, str]:
    """Return a unique name for each VM; VMs may repeat.

    Process and descriptor are added to names that several VMs have, or that stand for other rows.
    Process 0 is unknown, and distinguishes none.
    """
    vms = set(vms)
    names = Counter(vm.name for vm in vms)
    names.update((UNKNOWN, OTHERS, IDLE))
    processes = Counter(vm.pid for vm in vms if vm.pid)
    unique = {
        vm: (vm.name or UNKNOWN)
        + (f"({vm.pid})" if names[vm.name] > 1 and processes[vm.pid] == 1 else "")
        + (f"({vm.pid}:{vm.fd})" if processes[vm.pid] > 1 else "")
        for vm in vms
    }
    # A VM may also be called like this: web(4821).
    times = Counter(unique.values())
    return {vm: name + (f"({vm.pid})" if times[name] > 1 else "") for vm, name in unique.items()}


def _ordered(counts: Mapping[Key, int], by: Sequence[str], sort: str) -> list[tuple[Key, int]]:
    """Sort by count, largest first; or by an axis, ascending, and then by count."""
    rows = list(counts.items())
    # By the last axis first: each sort keeps the order of what is equal. The ranks of cells, as
    # whole numbers, compare several times as fast as their keys.
    for at in reversed(range(len(by))):
        rank = _ranks(key[at] for key in counts)
        rows.sort(key=lambda row: rank[row[0][at]])
    rows.sort(key=itemgetter(1), reverse=True)
    if sort in by:
        rows.sort(key=lambda row: comparable(row[0][by.index(sort)]))
    return rows


def _ranks(cells: Iterable[Cell]) -> dict[Cell, int]:
    return {cell: rank for rank, cell in enumerate(sorted(set(cells), key=comparable))}


def _grouped(
    rows: list[tuple[Key, int]], top: int | None, *, by_size: bool
) -> Iterator[tuple[Key, int]]:
    """Yield each group of rows with the same first cell, preceded by its sum, largest group first.

    Without ``by_size`` groups come in the order of their first rows.
    """
    groups: dict[Cell, list[tuple[Key, int]]] = {}
    for row in rows:
        groups.setdefault(row[0][0], []).append(row)
    sums = {cell: sum(n for _, n in group) for cell, group in groups.items()}
    for cell in sorted(groups, key=lambda cell: -sums[cell]) if by_size else groups:
        yield _sum_key(cell, rows), sums[cell]
        yield from groups[cell][:top]


def _sum_key(cell: Cell, rows: list[tuple[Key, int]]) -> Key:
    return (cell, *[None] * (len(rows[0][0]) - 1))


def comparable(cell: Cell) -> tuple[bool, float, str]:
    """Return a key that sorts numbers numerically, before words."""
    if isinstance(cell, int | float):
        return False, cell, ""
    return True, 0, str(cell)
