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

import enum
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

from kstats.arch.details import Detail
from kstats.arch.kvmstat import Rule

OTHER = "other"
"""The column of every code that has no column of its own."""

MAX_SLOTS = 2048
"""Codes of one source that can have a counter of their own: they are one value of a BPF map."""

NUMBER_BITS = 32
NUMBER_MASK = (1 << NUMBER_BITS) - 1


NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""The default of mappings."""


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


class Advice(NamedTuple):
    """Why a reason may be frequent and what reduces it: sentences for an operator, one line each.

    Causes and remedies are empty for a reason without advice. ``sources`` are the manuals, kernel
    and VMM files that show it.
    """

    causes: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


NO_ADVICE = Advice()


class Reason(NamedTuple):
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
    category: Category = Category.OTHER
    meaning: str = ""
    source: str = ""
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


class Column(NamedTuple):
    """A heading of ``kstats cpu``.

    ``key`` is its name in JSON and CSV (``msr_rd``); a table shows ``label`` (``rd``).
    Neighbours with the same ``group`` share a heading: ``msr(rd wr)``.
    """

    key: str
    label: str
    group: str = ""
    meaning: str = ""


class NameTable(NamedTuple):
    """A table of an ISA's names in the ``print fmt`` of the kernel's event kvm_exit.

    ``expression`` is what the kernel looks up in the table, in the kernel's spelling; ``kind`` is
    the name of the print function after ``__print_``. The numbers get ``qualifier`` as their high
    32 bits. Numbers in ``unused`` are never the code of an exit.
    """

    expression: str
    kind: Literal["symbolic", "flags"] = "symbolic"
    qualifier: int = 0
    unused: frozenset[int] = frozenset()


class Spellings(NamedTuple):
    """How other tools spell the names of an ISA: bcc, kvm_stat, libtraceevent, kernel headers.

    Any name may have one of the ``prefixes`` (``EXIT_REASON_HLT``). ``aliases`` maps names that
    differ, in upper case, to the kernel's. ``doubtful`` lists, by tool, the names under which the
    tool also counts other codes, and why; such a count cannot be assigned to a code. ``times``
    says, by tool, why its times are not the latency of exits.
    """

    prefixes: tuple[str, ...] = ()
    aliases: Mapping[str, str] = NOTHING
    doubtful: Mapping[str, Mapping[str, str]] = NOTHING
    times: Mapping[str, str] = NOTHING


class ExitEvent(NamedTuple):
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
    code: Callable[["Isa", re.Match[str]], int | None]
    bpftrace_code: str
    bpftrace_filter: str = ""
    fields: Callable[["Isa", Mapping[str, str]], int | None] | None = None


class Isa(NamedTuple):
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

    name: str
    title: str
    reasons: Mapping[int, Reason]
    flags: Mapping[int, str] = NOTHING
    flag_mask: int = 0
    failed_mask: int = 0
    tables: tuple[NameTable, ...] = ()
    category_notes: Mapping[Category, tuple[str, ...]] = NOTHING
    spellings: Spellings = Spellings()
    event: ExitEvent | None = None
    details: tuple[Detail, ...] = ()

    def __hash__(self) -> int:
        return hash(self.name)  # mappings have no hash

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
        reason = base._replace(code=code, name="+".join([base.name, *names]))
        if code & self.failed_mask:
            return reason._replace(column=OTHER, category=Category.OTHER)
        return reason


class SlotRange(NamedTuple):
    """``length`` codes from ``first`` on, which BPF counts in an array.

    Every other code is counted in a small bounded hash that keeps the number.
    """

    first: int
    length: int

    @property
    def end(self) -> int:
        """The code after the last one."""
        return self.first + self.length


class BtfField(NamedTuple):
    """A struct member, the offset of which the C code needs as ``define``.

    ``paths`` are tried in turn, newest kernel first, each ``struct.member.member``. The types
    are looked up in the BTF of the vendor module (``ExitSource.modules``). A feature's offset
    may be ``optional``: it is 0 if the kernel lacks it, or does not let programs read memory.
    """

    define: str
    paths: tuple[str, ...]
    optional: bool = False


class RecordField(NamedTuple):
    """A field of the classic tracepoint's record, needed by the C code as ``define``."""

    define: str
    field: str


class Probe(NamedTuple):
    """One way to read exits; the first that the running kernel offers is used.

    ``attach`` is ``raw`` (raw tracepoint; ``args`` is the number of arguments it must have) or
    ``classic`` (perf tracepoint; the fields in ``record`` are read from its record). ``define`` is
    the preprocessor name that selects it in the C file. With ``direct`` READ() in the C file is
    a load instead of a helper call, which kernels with ``bpf_rdonly_cast`` allow.
    """

    name: str
    attach: Literal["raw", "classic"]
    define: str
    args: int | None = None
    btf: tuple[BtfField, ...] = ()
    direct: bool = False
    record: tuple[RecordField, ...] = ()

    @property
    def defines(self) -> set[str]:
        """The preprocessor names that it sets for the C code."""
        return {self.define, *(f.define for f in self.btf), *(f.define for f in self.record)}


class DetailEvent(NamedTuple):
    """A tracepoint that provides details while KVM handles an exit, and the C function for it.

    ``args`` is the preprocessor name that is set to the number of the tracepoint's arguments, if
    that number differs between kernels.
    """

    tracepoint: str
    function: str
    args: str = ""


class DetailSource(NamedTuple):
    """How the running kernel provides a kind of detail: the ISA's detail of the same ``name``.

    ``defines`` select it in the C file. ``probes`` are the ways to read exits together with this
    detail, best first. With ``events`` the kernel provides the detail later than the exit.
    """

    name: str
    defines: tuple[str, ...]
    probes: tuple[Probe, ...]
    events: tuple[DetailEvent, ...] = ()


class ExitSource(NamedTuple):
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
    probes: tuple[Probe, ...]
    slots: tuple[SlotRange, ...]
    modules: tuple[str, ...] = ()
    cpu_flag: str = ""
    define: str = ""
    details: tuple[DetailSource, ...] = ()


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


class Arch(NamedTuple):
    """An architecture; this module's docstring is the checklist."""

    name: str
    title: str
    machines: tuple[str, ...]
    isas: tuple[Isa, ...]
    columns: tuple[Column, ...]
    sources: tuple[ExitSource, ...] = ()
    bpf: CFile | None = None
    bpf_detail: CFile | None = None
    objects: ObjectFolder | None = None
    """What ``python -m kstats.collector.prebuild`` compiled; without it, bcc loads programs."""
    silent_modules: Mapping[str, str] = NOTHING
    """What to do about vendor modules that never fire the tracepoints."""
    kvmstat: Mapping[str, tuple[Rule, ...]] = NOTHING
    """By ISA: a rule for each of kvmstat's columns, in their order."""

    def __hash__(self) -> int:
        return hash(self.name)  # mappings have no hash

    def isa(self, name: str) -> Isa | None:
        """Return the ISA with this name, or None."""
        return next((isa for isa in self.isas if isa.name == name), None)
