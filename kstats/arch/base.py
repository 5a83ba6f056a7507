"""The values that describe an architecture: reasons, columns and how the kernel tells of exits.

An architecture is one :class:`Arch`. To add one, fill it in:

1. ``name`` and ``machines``: what kstats and ``platform.machine()`` call it;
2. ``isas``: one :class:`Isa` for each numbering of exit codes, with every :class:`Reason` the
   kernel names, spelled as the kernel spells it, and what its categories hide;
3. ``columns``: the headings of ``kstats -v`` in their order, ``other`` last;
4. ``sources``: one :class:`ExitSource` for each way exits reach us, none if the backend only
   decodes; ``bpf``: the C file that turns the tracepoint into a code;
5. ``details`` of the ISAs and the sources, ``bpf_detail``: what more exits tell, or nothing,
   and ``kstats exits --detail`` has nothing to show there;
6. ``kvmstat``: for each ISA, what kvmstat's columns count (:mod:`kstats.arch.kvmstat`), or
   nothing, and kvmstat does not run there;
7. run the contract test (:mod:`kstats.arch.contract`) on it, then register it: in
   :mod:`kstats.arch` for one of ours, through the entry-point group ``kstats.arch`` for one
   from another package.

A **code** is a non-negative integer below 2**64. Its low 32 bits are the number the kernel
uses; the high 32 bits are a *qualifier*, zero unless the ISA says otherwise (SVM: which way an
MSR access went; arm64: the number is KVM's return code and not a trap's exception class).
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.resources.abc import Traversable

    from kstats.arch.details import Detail, DetailSource
    from kstats.arch.kvmstat import Rule

OTHER = "other"
"""The column of every code that has no column of its own."""

NUMBER_BITS = 32
NUMBER_MASK = (1 << NUMBER_BITS) - 1


class Category(enum.StrEnum):
    """The architecture-neutral class of a reason, on which architectures are compared.

    :mod:`kstats.arch.categories` says what is in each, and what that hides: MMIO is ``MEMORY``
    everywhere, because on ARM64 and SVM one code stands for MMIO and for missing memory.
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
class Reason:
    """One exit code of one ISA.

    ``name`` is the kernel's spelling, ``column`` a key of the architecture's columns,
    ``meaning`` one line for people and ``source`` the manual section it is from.
    """

    code: int
    name: str
    column: str = OTHER
    category: Category = Category.OTHER
    meaning: str = ""
    source: str = ""


@attrs.frozen
class Column:
    """A heading of ``kstats -v``.

    ``key`` is its name in JSON and CSV (``msr_rd``); on the screen it is ``label`` (``rd``),
    and neighbours with the same ``group`` are drawn together: ``msr(rd wr)``.
    """

    key: str
    label: str
    group: str = ""
    meaning: str = ""


@attrs.frozen
class NameTable:
    """Where the kernel prints names of an ISA: one table in the ``print fmt`` of kvm_exit.

    ``expression`` is what the kernel looks up in it, in the kernel's spelling, and ``kind``
    the print function's name after ``__print_``. The table's numbers get ``qualifier`` as
    their high 32 bits; those in ``unused`` never are an exit's code.
    """

    expression: str
    kind: Literal["symbolic", "flags"] = "symbolic"
    qualifier: int = 0
    unused: frozenset[int] = frozenset()


@attrs.frozen
class Advice:
    """Why a reason may be frequent, and what helps: sentences for an operator, a line each."""

    causes: tuple[str, ...]
    cures: tuple[str, ...]


@attrs.frozen
class Spellings:
    """How other tools write the names of an ISA: bcc, kvm_stat, libtraceevent, kernel headers.

    ``prefixes`` may stand before any name (``EXIT_REASON_HLT``); ``aliases`` has the names
    that differ, in upper case, and the kernel's for each. ``doubtful`` says of a tool
    under which names it counts other codes (as well), and why: such a count has no code.
    """

    prefixes: tuple[str, ...] = ()
    aliases: Mapping[str, str] = attrs.field(factory=dict)
    doubtful: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)


@attrs.frozen(eq=False)
class ExitEvent:
    """How the kernel's event kvm_exit tells of an exit of an ISA, to those who trace it.

    ``pattern`` is what its text looks like, as the kernel and libtraceevent (perf, trace-cmd)
    print it; groups ``name`` and ``vcpu`` are the reason and the vCPU, where they are told.
    ``code`` makes a code of the match: None if the exit is none of this ISA. ``bpftrace_code``
    gives the code in bpftrace's language, ``bpftrace_filter`` tells this ISA from others that
    share the event.
    """

    pattern: re.Pattern[str]
    code: Callable[[Isa, re.Match[str]], int | None]
    bpftrace_code: str
    bpftrace_filter: str = ""


@attrs.frozen(eq=False)
class Isa:
    """One numbering of exit codes.

    ``flags`` names the bits of the number that qualify an exit without being part of its
    reason (VMX bit 31: the entry failed); ``flag_mask`` has every bit that can be such a flag.
    A code with a bit of ``failed_mask`` set never entered the guest: column and category are
    ``other``. ``tables`` says where the running kernel's own names are. ``category_notes`` are
    what to know about a category on this ISA before comparing it with another's, a paragraph
    each: what is in it here only, and what it hides. ``advice`` is there for the names that
    matter to operators. Without an ``event``, traces of this ISA cannot be decoded. ``details``
    are what more its exits can tell.
    """

    name: str
    title: str
    reasons: Mapping[int, Reason]
    flags: Mapping[int, str] = attrs.field(factory=dict)
    flag_mask: int = 0
    failed_mask: int = 0
    tables: tuple[NameTable, ...] = ()
    category_notes: Mapping[Category, tuple[str, ...]] = attrs.field(factory=dict)
    spellings: Spellings = Spellings()
    advice: Mapping[str, Advice] = attrs.field(factory=dict)
    event: ExitEvent | None = None
    details: tuple[Detail, ...] = ()

    def detail(self, name: str) -> Detail | None:
        """The kind of detail of that name, or None."""
        return next((detail for detail in self.details if detail.name == name), None)

    def reason(self, code: int) -> Reason:
        """The reason of ``code``; an unknown one is named by its number (``vmx:0x99``).

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
    """``count`` codes from ``first`` on, which the kernel side counts in an array.

    Every other code goes to a small bounded map that keeps the number.
    """

    first: int
    count: int


@attrs.frozen
class BtfField:
    """A struct member whose offset the C code needs as ``define``.

    ``paths`` are tried in turn, newest kernel first, each ``struct.member.member``. The types
    are looked up in the vendor module's BTF (``ExitSource.module``).
    """

    define: str
    paths: tuple[str, ...]


@attrs.frozen
class RecordField:
    """A field of the classic tracepoint's record whose offset the C code needs as ``define``."""

    define: str
    field: str


@attrs.frozen
class Probe:
    """One way to see the exits of a source; the first that this kernel offers is used.

    ``attach`` is ``raw`` (raw tracepoint; ``args`` is the number of arguments it must have) or
    ``classic`` (a perf tracepoint, whose record's ``record`` fields are read). ``define`` is
    the preprocessor name that selects it in the C file. With ``direct`` the C file's READ() is
    to be a load and not a helper's call, which kernels with ``bpf_rdonly_cast`` allow.
    """

    name: str
    attach: Literal["raw", "classic"]
    define: str
    args: int | None = None
    btf: tuple[BtfField, ...] = ()
    direct: bool = False
    record: tuple[RecordField, ...] = ()


@attrs.frozen
class ExitSource:
    """How the running kernel tells of the exits of one ISA.

    ``modules`` are the vendor modules of which one must be there (empty: KVM is one piece on
    this architecture); ``cpu_flag`` is the CPU feature they drive, which decides where several
    are built in. ``probes`` are the ways to read an exit, best first. ``slots`` are the codes
    counted without a look-up. ``define`` tells the C file which source it is compiled for.
    ``details`` are the kinds of detail that it can tell.
    """

    isa: str
    probes: tuple[Probe, ...]
    slots: tuple[SlotRange, ...]
    modules: tuple[str, ...] = ()
    cpu_flag: str = ""
    define: str = ""
    details: tuple[DetailSource, ...] = ()


@attrs.frozen(eq=False)
class Arch:
    """An architecture: the check-list is this module's docstring."""

    name: str
    title: str
    machines: tuple[str, ...]
    isas: tuple[Isa, ...]
    columns: tuple[Column, ...]
    sources: tuple[ExitSource, ...] = ()
    bpf: Traversable | None = None
    bpf_detail: Traversable | None = None
    silent_modules: Mapping[str, str] = attrs.field(factory=dict)
    """Vendor modules that never fire the tracepoints, and what to do about each."""
    kvmstat: Mapping[str, tuple[Rule, ...]] = attrs.field(factory=dict)
    """By ISA, a rule for each of kvmstat's columns, in their order."""

    def isa(self, name: str) -> Isa | None:
        """The ISA of that name, or None."""
        return next((isa for isa in self.isas if isa.name == name), None)
