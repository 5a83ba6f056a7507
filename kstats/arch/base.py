"""The values that describe an architecture: reasons, columns, and how the kernel reports exits.

An architecture is one :class:`Arch`. To add one, fill in:

1. ``name`` and ``machines``: the names that kstats and ``platform.machine()`` use;
2. ``isas``: one :class:`Isa` for each numbering of exit codes, with a :class:`Reason` for each
   code, named as the kernel names it, and notes on the categories;
3. ``columns``: the headings of ``kstats cpu`` in their order, ``other`` last;
4. ``sources``: one :class:`ExitSource` for each way to read exits from the kernel, none if the
   backend only decodes; ``bpf``: the C file that turns the tracepoint into a code; ``objects``:
   the folder of prebuilt objects, if the backend brings some;
5. ``details`` of the ISAs and the sources, and ``bpf_detail``, if exits carry details for
   ``kstats exits --detail``;
6. ``kvmstat``: what kvmstat's columns count on each ISA (:mod:`kstats.arch.kvmstat`), if kvmstat
   is to work;
7. run the contract test (:mod:`kstats.arch.contract`), then register the architecture: in
   :mod:`kstats.arch` for a built-in one, through the entry-point group ``kstats.arch`` for one
   of another package.

A **code** is a non-negative integer below 2**64. Its low 32 bits are the number the kernel
uses; the high 32 bits are a *qualifier*, zero unless the ISA says otherwise (SVM: the direction
of an MSR access; arm64: the number is KVM's return code and not the exception class of a trap).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, pairwise
from typing import Literal, Protocol

import attrs

from kstats.arch import valid
from kstats.arch.details import Detail
from kstats.arch.kvmstat import Rule

OTHER = "other"
"""The column of every code that has no column of its own."""

MAX_SLOTS = 2048
"""Codes of one source that can have a counter of their own: they are one value of a BPF map."""

NUMBER_BITS = 32
NUMBER_MASK = (1 << NUMBER_BITS) - 1


class Category(enum.StrEnum):
    """The architecture-neutral class of a reason; architectures are compared by category.

    :mod:`kstats.arch.categories` explains what each contains and hides: MMIO is ``MEMORY``
    everywhere, because ARM64 and SVM have one code for MMIO and for missing memory.
    """

    INTERRUPT = "interrupt"
    MEMORY = "memory"
    IO = "io"
    REGISTER = "register"
    IDLE = "idle"
    SPIN = "spin"
    HYPERCALL = "hypercall"
    EXCEPTION = "exception"
    OTHER = "other"


@attrs.frozen
class Advice:
    """Why a reason may be frequent and what reduces it: sentences for an operator, one line each.

    Causes and remedies are empty for a reason without advice. ``sources`` are the manuals, kernel
    and VMM files that show it.
    """

    causes: tuple[str, ...] = attrs.field(default=(), validator=valid.lines)
    remedies: tuple[str, ...] = attrs.field(default=(), validator=valid.lines)
    sources: tuple[str, ...] = attrs.field(default=(), validator=valid.lines)

    def __attrs_post_init__(self) -> None:
        if bool(self.causes) != bool(self.remedies):
            raise ValueError(f"Advice: causes without remedies, or the reverse: {self}")


NO_ADVICE = Advice()


@attrs.frozen
class Reason:
    """One exit code of one ISA.

    Attributes:
        code: Number and qualifier, as in this module's docstring.
        name: The kernel's spelling, or the manual's for a code that no kernel names.
        column: The key of one of the architecture's columns.
        category: The class that architectures are compared by.
        meaning: One line for operators.
        source: The section of the manual, or the kernel file, that defines the code.
        advice: Causes and remedies; given for the reasons that matter to operators.
        printed: Whether a kernel prints ``name`` in the event kvm_exit; otherwise it is the name
            in the kernel's headers or in the manual, or of a qualified code.
    """

    code: int
    name: str
    column: str = OTHER
    category: Category = attrs.field(
        default=Category.OTHER,
        validator=valid.field("is not a category", lambda value: isinstance(value, Category)),
    )
    meaning: str = attrs.field(default="", validator=valid.line_or_empty)
    source: str = attrs.field(default="", validator=valid.line_or_empty)
    advice: Advice = NO_ADVICE
    printed: bool = True

    @property
    def sources(self) -> str:
        """What defines the code and shows the advice, separated by semicolons."""
        return "; ".join(filter(None, (self.source, *self.advice.sources)))


def by_code(*reasons: Reason) -> dict[int, Reason]:
    """Return the reasons of an ISA by code; raise ValueError if two have the same code."""
    found = {reason.code: reason for reason in reasons}
    for reason in reasons:
        if found[reason.code] is not reason:
            other = found[reason.code].name
            raise ValueError(f"{reason.name} and {other} have the same code, {reason.code:#x}")
    return found


@attrs.frozen
class Column:
    """A heading of ``kstats cpu``.

    ``key`` is its name in JSON and CSV (``msr_rd``); a table shows ``label`` (``rd``).
    Neighbours with the same ``group`` share a heading: ``msr(rd wr)``.
    """

    key: str = attrs.field(validator=valid.identifier)
    label: str = attrs.field(
        validator=valid.field("is not one word", lambda text: text and not {*text} & {*"() "})
    )
    group: str = ""
    meaning: str = attrs.field(default="", validator=valid.line_or_empty)


@attrs.frozen
class NameTable:
    """A table of an ISA's names in the ``print fmt`` of the kernel's event kvm_exit.

    ``expression`` is what the kernel looks up in the table, in the kernel's spelling; ``kind`` is
    the name of the print function after ``__print_``. The numbers get ``qualifier`` as their high
    32 bits. Numbers in ``unused`` are never the code of an exit.
    """

    expression: str
    kind: Literal["symbolic", "flags"] = "symbolic"
    qualifier: int = attrs.field(default=0, validator=valid.unsigned(NUMBER_BITS))
    unused: frozenset[int] = frozenset()


@attrs.frozen
class Spellings:
    """How other tools spell the names of an ISA: bcc, kvm_stat, libtraceevent, kernel headers.

    Any name may have one of the ``prefixes`` (``EXIT_REASON_HLT``). ``aliases`` maps names that
    differ, in upper case, to the kernel's. ``doubtful`` lists, by tool, the names under which the
    tool also counts other codes, and why; such a count cannot be assigned to a code. ``times``
    says, by tool, why its times are not the latency of exits.
    """

    prefixes: tuple[str, ...] = ()
    aliases: Mapping[str, str] = attrs.field(
        factory=dict, validator=valid.each("is not upper case", lambda name: name == name.upper())
    )
    doubtful: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    times: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(eq=False)
class ExitEvent:
    """How tracers print the kernel's event kvm_exit for an exit of an ISA.

    ``pattern`` is a regular expression that matches the text as the kernel and libtraceevent
    (perf, trace-cmd) print it; its groups ``name`` and ``vcpu`` are the reason and the vCPU, if
    printed. It is not compiled, because few commands need it. ``code`` turns a match into a code,
    or None if the exit belongs to another ISA. The text has single blanks. ``fields`` does the same
    for the fields of the event by name, with numbers as text, which tools print that cannot format
    the event (``exit_reason=48 isa=1``). ``bpftrace_code`` is the code as a bpftrace
    expression; ``bpftrace_filter`` selects this ISA if several share the event.
    """

    pattern: str
    code: Callable[[Isa, re.Match[str]], int | None]
    bpftrace_code: str
    bpftrace_filter: str = ""
    fields: Callable[[Isa, Mapping[str, str]], int | None] | None = None


def _are_paragraphs(texts: object) -> bool:
    return isinstance(texts, tuple) and bool(texts) and all(t and t.isprintable() for t in texts)


@attrs.frozen(eq=False)
class Isa:
    """One numbering of exit codes.

    Attributes:
        name: What kstats calls it: ``vmx``.
        title: What people call it: ``Intel VMX``.
        reasons: By code; see :func:`by_code`.
        flags: Names of the bits of the number that qualify an exit without being part of its
            reason (VMX bit 31: the entry failed).
        flag_mask: Every bit that can be such a flag.
        failed_mask: The flags of exits that never entered the guest: their column and category
            are ``other``.
        tables: Where the running kernel prints its names.
        category_notes: What to know about a category before it is compared with that of another
            ISA: what it contains on this ISA only and what it hides, one paragraph each.
        spellings: How other tools spell the names.
        event: How tracers print exits; without it, traces of this ISA cannot be decoded.
        details: The kinds of detail that its exits carry.
    """

    name: str = attrs.field(validator=valid.identifier)
    title: str = attrs.field(validator=valid.line)
    reasons: Mapping[int, Reason]
    flags: Mapping[int, str] = attrs.field(factory=dict)
    flag_mask: int = attrs.field(default=0, validator=valid.unsigned(NUMBER_BITS))
    failed_mask: int = 0
    tables: tuple[NameTable, ...] = ()
    category_notes: Mapping[Category, tuple[str, ...]] = attrs.field(
        factory=dict,
        validator=[
            valid.each("has an unknown category", lambda key: isinstance(key, Category)),
            valid.each_value("is not a tuple of paragraphs", _are_paragraphs),
        ],
    )
    spellings: Spellings = Spellings()
    event: ExitEvent | None = None
    details: tuple[Detail, ...] = ()

    def __attrs_post_init__(self) -> None:
        valid.refuse(self, chain(self._reason_problems(), self._problems()))

    def _reason_problems(self) -> Iterator[str]:
        # Not Reason's own checks: unknown and qualified codes have names that break these rules.
        for code, reason in self.reasons.items():
            if not 0 <= code < 1 << valid.CODE_BITS:
                yield f"{code:#x} is not a 64-bit code"
            if reason.code != code:
                yield f"the reason under code {code:#x} has the code {reason.code:#x}"
            if not valid.is_readable(reason.name):
                yield f"the name {reason.name!r} has unusual characters"
            if code & self.flag_mask:
                yield f"{reason.name} ({code:#x}) has a bit of flag_mask"

    def _problems(self) -> Iterator[str]:
        names = {reason.name for reason in self.reasons.values()}
        yield from valid.repeated("name", (reason.name for reason in self.reasons.values()))
        yield from valid.repeated("table", ((t.kind, t.expression) for t in self.tables))
        yield from valid.repeated("detail", (detail.name for detail in self.details))
        for bit, flag in self.flags.items():
            if bit.bit_count() != 1 or bit & ~self.flag_mask:
                yield f"flag {flag} ({bit:#x}) is not one bit of flag_mask"
        if self.failed_mask & ~self.flag_mask:
            yield f"failed_mask {self.failed_mask:#x} has bits outside flag_mask"
        for alias, name in self.spellings.aliases.items():
            if name not in names or alias in names:
                yield f"spelling {alias!r} is itself a name, or {name!r} is not"

    def detail(self, name: str) -> Detail | None:
        """Return the kind of detail with this name, or None."""
        return next((detail for detail in self.details if detail.name == name), None)

    def reason(self, code: int) -> Reason:
        """Return the reason of ``code``; an unknown code is named by its number (``vmx:0x99``).

        Never raises.
        """
        return self.reasons.get(code) or self._compose(code)

    def _compose(self, code: int) -> Reason:
        bits = code & self.flag_mask
        base = self.reasons.get(code & ~bits)
        if not bits or base is None:
            return Reason(code, f"{self.name}:{code:#x}")
        names = [name for bit, name in self.flags.items() if bits & bit]
        rest = bits & ~sum(bit for bit in self.flags if bits & bit)
        if rest:
            names.append(f"{rest:#x}")
        reason = attrs.evolve(base, code=code, name="+".join([base.name, *names]))
        if code & self.failed_mask:
            return attrs.evolve(reason, column=OTHER, category=Category.OTHER)
        return reason


@attrs.frozen
class SlotRange:
    """``count`` codes from ``first`` on, which BPF counts in an array.

    Every other code is counted in a small bounded hash that keeps the number.
    """

    first: int = attrs.field(validator=valid.code)
    count: int = attrs.field(validator=valid.field("is not positive", lambda count: count > 0))

    def __attrs_post_init__(self) -> None:
        if self.end > 1 << valid.CODE_BITS:
            raise ValueError(f"SlotRange ends after the last 64-bit code: {self}")

    @property
    def end(self) -> int:
        """The code after the last one."""
        return self.first + self.count


@attrs.frozen
class BtfField:
    """A struct member, the offset of which the C code needs as ``define``.

    ``paths`` are tried in turn, newest kernel first, each ``struct.member.member``. The types
    are looked up in the BTF of the vendor module (``ExitSource.modules``). A feature's offset
    may be ``optional``: it is 0 if the kernel lacks it, or does not let programs read memory.
    """

    define: str = attrs.field(validator=valid.define)
    paths: tuple[str, ...] = attrs.field(
        validator=[
            valid.not_empty,
            valid.each("is not struct.member", valid.is_member),
        ]
    )
    optional: bool = False


@attrs.frozen
class RecordField:
    """A field of the classic tracepoint's record, needed by the C code as ``define``."""

    define: str = attrs.field(validator=valid.define)
    field: str


@attrs.frozen
class Probe:
    """One way to read exits; the first that the running kernel offers is used.

    ``attach`` is ``raw`` (raw tracepoint; ``args`` is the number of arguments it must have) or
    ``classic`` (perf tracepoint; the fields in ``record`` are read from its record). ``define`` is
    the preprocessor name that selects it in the C file. With ``direct`` READ() in the C file is
    a load instead of a helper call, which kernels with ``bpf_rdonly_cast`` allow.
    """

    name: str
    attach: Literal["raw", "classic"]
    define: str = attrs.field(validator=valid.define)
    args: int | None = None
    btf: tuple[BtfField, ...] = ()
    direct: bool = False
    record: tuple[RecordField, ...] = ()

    def __attrs_post_init__(self) -> None:
        valid.refuse(self, self._problems())

    def _problems(self) -> Iterator[str]:
        if self.attach == "raw":
            if self.args is None or not 0 <= self.args <= valid.MAX_ARGS:
                yield f"a raw tracepoint needs the number of its arguments (args): {self.name}"
            if self.record:
                yield f"a raw tracepoint has no record: {self.name}"
        elif self.attach == "classic":
            if not self.record:
                yield f"a classic tracepoint needs fields of its record: {self.name}"
            if self.args is not None or self.btf or self.direct:
                yield f"a classic tracepoint has neither args nor btf nor direct: {self.name}"
        else:
            yield f"attach is {self.attach!r}, not raw or classic"

    @property
    def defines(self) -> set[str]:
        """The preprocessor names that it sets for the C code."""
        return {self.define, *(f.define for f in self.btf), *(f.define for f in self.record)}


@attrs.frozen
class DetailEvent:
    """A tracepoint that provides details while KVM handles an exit, and the C function for it.

    ``args`` is the preprocessor name that is set to the number of the tracepoint's arguments, if
    that number differs between kernels.
    """

    tracepoint: str = attrs.field(validator=valid.identifier)
    function: str
    args: str = attrs.field(default="", validator=valid.define_or_empty)


@attrs.frozen
class DetailSource:
    """How the running kernel provides a kind of detail: the ISA's detail of the same ``name``.

    ``defines`` select it in the C file. ``probes`` are the ways to read exits together with this
    detail, best first. With ``events`` the kernel provides the detail later than the exit.
    """

    name: str
    defines: tuple[str, ...] = attrs.field(validator=[valid.not_empty, valid.defines])
    probes: tuple[Probe, ...] = attrs.field(validator=valid.not_empty)
    events: tuple[DetailEvent, ...] = ()


@attrs.frozen
class ExitSource:
    """How the running kernel reports the exits of one ISA.

    Attributes:
        isa: Name of the ISA.
        probes: The ways to read an exit, best first.
        slots: The codes that are counted without a lookup.
        modules: The vendor modules, one of which must be loaded; empty if KVM has none on this
            architecture.
        cpu_flag: The CPU feature that the modules use; it decides if several are built in.
        define: The preprocessor name that selects this source in the C file.
        details: The kinds of detail that it provides.
    """

    isa: str
    probes: tuple[Probe, ...] = attrs.field(validator=valid.not_empty)
    slots: tuple[SlotRange, ...]
    modules: tuple[str, ...] = ()
    cpu_flag: str = ""
    define: str = attrs.field(default="", validator=valid.define_or_empty)
    details: tuple[DetailSource, ...] = ()

    def __attrs_post_init__(self) -> None:
        valid.refuse(self, self._problems())

    def _problems(self) -> Iterator[str]:
        yield from valid.repeated("probe", (probe.name for probe in self.probes))
        yield from valid.repeated("define", (probe.define for probe in self.probes))
        yield from valid.repeated("detail", (detail.name for detail in self.details))
        known = {probe.name for probe in self.probes}
        for detail in self.details:
            for probe in detail.probes:
                if probe.name not in known:
                    yield f"detail {detail.name}: the source has no probe {probe.name!r}"
        slots = sorted(self.slots, key=lambda slot: slot.first)
        for slot, following in pairwise(slots):
            if slot.end > following.first:
                yield f"{following} overlaps {slot}"
        total = sum(slot.count for slot in slots)
        if not 0 < total <= MAX_SLOTS:
            yield f"{total} slots; 1 to {MAX_SLOTS} are possible"


class CFile(Protocol):
    """A C file, such as a Path or a Traversable of importlib.resources."""

    @property
    def name(self) -> str:
        """The file name."""

    def is_file(self) -> bool:
        """Return whether the file exists."""

    def read_text(self, encoding: str) -> str:
        """Return the text of the file."""


class ObjectFile(Protocol):
    """A prebuilt object, such as a Path or a Traversable."""

    def is_file(self) -> bool:
        """Return whether the file exists."""

    def read_bytes(self) -> bytes:
        """Return its contents."""


class ObjectFolder(Protocol):
    """A folder of prebuilt objects, such as a Path or a Traversable."""

    def is_dir(self) -> bool:
        """Return whether the folder exists."""

    def joinpath(self, name: str, /) -> ObjectFile:
        """Return a file in it, which need not exist."""


@attrs.frozen(eq=False)
class Arch:
    """An architecture; this module's docstring is the checklist."""

    name: str = attrs.field(validator=valid.identifier)
    title: str = attrs.field(validator=valid.line)
    machines: tuple[str, ...] = attrs.field(
        validator=valid.field("is not a tuple of names", lambda m: m and not isinstance(m, str))
    )
    isas: tuple[Isa, ...] = attrs.field(validator=valid.not_empty)
    columns: tuple[Column, ...]
    sources: tuple[ExitSource, ...] = ()
    bpf: CFile | None = None
    bpf_detail: CFile | None = None
    objects: ObjectFolder | None = None
    """What ``python -m kstats.collector.prebuild`` compiled; without it, bcc loads programs."""
    silent_modules: Mapping[str, str] = attrs.field(factory=dict)
    """What to do about vendor modules that never fire the tracepoints."""
    kvmstat: Mapping[str, tuple[Rule, ...]] = attrs.field(factory=dict)
    """By ISA: a rule for each of kvmstat's columns, in their order."""

    def isa(self, name: str) -> Isa | None:
        """Return the ISA with this name, or None."""
        return next((isa for isa in self.isas if isa.name == name), None)
