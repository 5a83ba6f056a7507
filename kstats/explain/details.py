"""Find registers, hypercalls, ports and addresses as ``--detail`` prints them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kstats.arch import lookup
from kstats.arch.base import Isa
from kstats.arch.details import Detail
from kstats.explain import registers
from kstats.explain.term import Isas, Term

_TEXT = (
    r"(?:(?P<word>[a-z]{2,9})[ :=]+)?"
    r"(?:(?P<name>[A-Za-z]\w*)(?:\((?P<inside>\w+)\))?|(?P<number>0[xX][0-9a-fA-F]{1,16}))"
    r"(?:/\d{1,2})?"
)
_NUMBER = r"0[xX][0-9a-fA-F]{1,16}"
_REGISTER = r"S\d_\d_C\d{1,2}_C\d{1,2}_\d"
_KINDS = {
    "in": "io", "out": "io", "port": "io", "io": "io", "pio": "io",
    "msr": "msr", "rdmsr": "msr", "wrmsr": "msr",
    "mmio": "mmio", "gpa": "mmio", "page": "mmio",
    "hypercall": "hypercall", "vmcall": "hypercall", "hvc": "hypercall", "smc": "hypercall",
    "sysreg": "sysreg", "mrs": "sysreg", "msrr": "sysreg",
    "read": "", "write": "", "fetch": "",
}  # fmt: skip
"""Words before a number or a name: the kind of detail, or any for those of ``--detail``."""

_TITLES = {
    "msr": "MSR",
    "io": "I/O port",
    "mmio": "guest-physical address",
    "hypercall": "hypercall",
    "sysreg": "system register",
}

_LOWEST_FUNCTION = 0x8000_0000
"""Lower numbers of hypercalls need the word before them: any small number is one."""

_WIDE = 0x100
"""A port in a range of so many needs the word before it."""

_LOW = 0x10000
"""An address below needs the word before it."""

_MANUALS = {
    "IA32_DEBUGCTL": "MSR_IA32_DEBUGCTLMSR",
    "IA32_APIC_BASE": "MSR_IA32_APICBASE",
    "IA32_PERF_GLOBAL_CTRL": "MSR_CORE_PERF_GLOBAL_CTRL",
    "IA32_PERF_GLOBAL_STATUS": "MSR_CORE_PERF_GLOBAL_STATUS",
    "IA32_PERF_GLOBAL_OVF_CTRL": "MSR_CORE_PERF_GLOBAL_OVF_CTRL",
    "IA32_FIXED_CTR_CTRL": "MSR_CORE_PERF_FIXED_CTR_CTRL",
    "IA32_PMC0": "MSR_IA32_PERFCTR0",
    "IA32_PMC1": "MSR_IA32_PERFCTR1",
    "IA32_PERFEVTSEL0": "MSR_P6_EVNTSEL0",
    "IA32_PERFEVTSEL1": "MSR_P6_EVNTSEL1",
    "IA32_FEATURE_CONTROL": "MSR_IA32_FEAT_CTL",
    "IA32_TIME_STAMP_COUNTER": "MSR_IA32_TSC",
    "IA32_BIOS_SIGN_ID": "MSR_IA32_UCODE_REV",
    "IA32_X2APIC_INIT_COUNT": "X2APIC_TMICT",
    "IA32_X2APIC_CUR_COUNT": "X2APIC_TMCCT",
    "IA32_X2APIC_DIV_CONF": "X2APIC_TDCR",
    "IA32_X2APIC_LVT_TIMER": "X2APIC_LVTT",
    "IA32_X2APIC_TPR": "X2APIC_TASKPRI",
    "GHCB": "MSR_AMD64_SEV_ES_GHCB",
}
"""The manuals' names of MSRs that Linux calls otherwise."""


def find(text: str, wanted: Isas, *, alone: bool = True) -> Iterator[Term]:
    """Yield the registers, ports and addresses that a text means.

    A number needs ``0x`` and may have its kind before it: ``msr 0x6e0``, ``port 0x70``. Unless it
    is ``alone``, which means that it is no exit code, it is not taken for an address.
    """
    found = _by_name(re.sub(r"\s+", "_", text), wanted)
    match = re.fullmatch(_TEXT, text)
    word = (match["word"] or "").lower() if match else ""
    if not found and match and (not word or word in _KINDS):
        found = _matched(match, _KINDS.get(word, ""), wanted, alone=alone)
    yield from found or _devices(text, wanted)


def _matched(match: re.Match[str], kind: str, wanted: Isas, *, alone: bool) -> list[Term]:
    name, inside = match["name"] or "", match["inside"] or ""
    found = _by_name(name, wanted) or _by_name(inside, wanted)
    number = match["number"] or inside
    if not found and re.fullmatch(_NUMBER, number):
        terms = numbered(int(number, 16), wanted, kind)
        found = [t for t in terms if alone or kind or not t.kind.startswith(_TITLES["mmio"])]
    if not found and re.fullmatch(_REGISTER, name.upper()):
        about = ("a system register without a name in Linux: of the implementation, or new", "")
        kinds = [detail for _, detail in _details(wanted) if detail.name == "sysreg"]
        found = [_term(detail, name.upper(), "", about, wanted) for detail in kinds]
    return found


def numbered(number: int, wanted: Isas, kind: str = "") -> Iterator[Term]:
    """Yield what a number may be; with ``kind`` also one that no table has."""
    unnamed = []
    known = False
    for isa, detail in _details(wanted):
        if kind not in ("", detail.name):
            continue
        name = detail.names().get(number, "")
        if name and (kind or detail.name != "hypercall" or number >= _LOWEST_FUNCTION):
            known = True
            yield _named(detail, number, name, wanted)
            continue
        about = _place(detail, lookup.arch_of(isa).name, number, asked=bool(kind))
        term = _term(detail, detail.number(number), "", about, wanted)
        if about[0]:
            known = True
            yield term
        elif kind:
            unnamed.append(term)
    if not known:
        yield from unnamed


def _details(wanted: Isas) -> Iterator[tuple[Isa, Detail]]:
    """Yield each kind of detail, with the first ISA that has these names or addresses."""
    seen = set()
    for isa in lookup.isas() if wanted is None else wanted:
        for detail in isa.details:
            known = (lookup.arch_of(isa).name, detail.name)
            if known not in seen and detail.name in _TITLES:
                seen.add(known)
                yield isa, detail


def _place(detail: Detail, arch: str, number: int, *, asked: bool) -> tuple[str, str]:
    """Return the device at a port or an address and its remedy, or two empty texts."""
    if detail.name == "io":
        for first, last, title, remedy in registers.PORTS:
            if first <= number <= last and (asked or last - first < _WIDE):
                return title, remedy
    if detail.name == "mmio":
        for of_arch, first, last, title, remedy in registers.ADDRESSES:
            if of_arch == arch and first <= number <= last and (asked or number >= _LOW):
                return title, remedy
    return "", ""


def _devices(text: str, wanted: Isas) -> Iterator[Term]:
    """Yield the ports and addresses of a device: ``hpet``, ``serial port``."""
    if not re.fullmatch(r"[A-Za-z][\w -]{2,30}", text):
        return
    word = re.compile(rf"\b{re.escape(text)}\b", re.IGNORECASE)
    for isa, detail in _details(wanted):
        if detail.name == "io":
            rows = [("", *row) for row in registers.PORTS]
        elif detail.name == "mmio":
            rows = [row for row in registers.ADDRESSES if row[0] == lookup.arch_of(isa).name]
        else:
            continue
        for _, first, last, title, remedy in rows:
            if word.search(title):
                places = f"{first:#x}" if first == last else f"{first:#x} to {last:#x}"
                yield _term(detail, title, places, (title, remedy), wanted)


def _by_name(text: str, wanted: Isas) -> list[Term]:
    upper = text.upper()
    bare = _bare(_MANUALS.get(upper.removeprefix("MSR_"), upper))
    # detail.number() is in upper case for system registers only: S3_0_C12_C11_5.
    return [
        _named(detail, number, name, wanted)
        for _, detail in (_details(wanted) if text else ())
        for number, name in detail.names().items()
        if _bare(name) == bare or detail.number(number) == upper
    ]


def _bare(name: str) -> str:
    """Return a name in upper case, without the prefixes that differ between kernel and manuals."""
    upper = name.upper().removeprefix("SYS_").removeprefix("MSR_").removeprefix("IA32_")
    return re.sub(r"^(PSCI)_\d_\d_FN(64)?_", r"\1_", upper) if upper[:5] == "PSCI_" else upper


def _named(detail: Detail, number: int, name: str, wanted: Isas) -> Term:
    about = registers.NAMED.get(name, ("", ""))
    return _term(detail, name, detail.number(number), about, wanted)


def _term(detail: Detail, name: str, number: str, about: tuple[str, str], wanted: Isas) -> Term:
    """Return a term; ``about`` is its meaning and remedy, of which either may be empty.

    The ISAs of an architecture share the term.
    """
    meaning, remedy = about
    arch = next(lookup.arch_of(isa) for isa in lookup.isas() if detail in isa.details)
    found = [
        (isa, isa.reason(code))
        for isa in arch.isas
        if (wanted is None or isa in wanted) and (own := isa.detail(detail.name))
        for code in sorted(own.codes)
    ]
    return Term(
        f"{_TITLES[detail.name]} {number}".strip(),
        name,
        meaning or "its accesses are exits if KVM intercepts them",
        tuple(found),
        remedies=(remedy,) if remedy else (),
        source=registers.SOURCES[detail.name],
    )
