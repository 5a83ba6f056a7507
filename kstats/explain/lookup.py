"""Find what a word, a number or a pasted line means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from kstats.arch import lookup
from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, Isa
from kstats.arch.lookup import Found, UnknownReasonError
from kstats.escape import printable
from kstats.explain import vocabulary
from kstats.explain.term import Answer, Isas, Term, exits, key
from kstats.explain.words import FLAGS

MAX_LINE = 1000
"""Characters of a line that are read."""

_MAX_DEPTH = 4
_SHOWN = 80


def find(text: str, wanted: Isas = None) -> list[Answer]:
    """Return everything that a text means, of the ISAs ``wanted`` or of all.

    The text is a word, a number, or a whole line of a log or a table.

    Raises:
        UnknownReasonError: Nothing is recognized.
    """
    line = text.strip()[:MAX_LINE]
    found = _once(_meanings(line, wanted, _MAX_DEPTH))
    if not found:
        raise _unknown(line, wanted)
    return found


def search(text: str, wanted: Isas = None) -> list[Answer]:
    """Return the reasons, then the terms, that have every word of ``text``."""
    words = [re.compile(rf"(?<![^\W_]){re.escape(word)}", re.IGNORECASE) for word in _words(text)]
    found: list[Answer] = list(lookup.search(text, wanted))
    for term in vocabulary.terms(wanted) if words else ():
        texts = f"{term.name} {term.meaning}"
        if all(word.search(texts) for word in words):
            found.append(term)
    return found


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def _once(answers: Iterable[Answer]) -> list[Answer]:
    """Return each answer once, in their order."""
    return list({key(answer): answer for answer in answers}.values())


def _meanings(line: str, wanted: Isas, depth: int) -> list[Answer]:
    """Return what the first way to read a line finds."""
    if not line or not depth:
        return []
    ways = (_word, _message, _undecorated, _parts, _names)
    return next((found for way in ways if (found := way(line, wanted, depth))), [])


def _word(text: str, wanted: Isas, _: int) -> list[Answer]:
    """Return what a text as a whole is called."""
    reasons = list(_reasons(text, wanted))
    terms = list(vocabulary.find(text, wanted))
    if text[:2].lower() == "0x" or not (reasons or terms):
        from kstats.explain import details  # noqa: PLC0415 - most words do not need them

        terms += details.find(text, wanted, alone=not any(reason.meaning for _, reason in reasons))
    if terms:
        reasons = [(isa, reason) for isa, reason in reasons if reason.code in isa.reasons]
    return [*map(_checked, reasons), *terms]


def _checked(found: Found) -> Answer:
    """Return a reason, or that it cannot be one: some bits above a reason are reserved."""
    isa, reason = found
    known = sum(1 << bit for bit in FLAGS.get(isa.name, {}))
    reserved = reason.code & isa.flag_mask & ~known
    if not reserved or not known:
        return found
    bits = ", ".join(str(bit) for bit in range(NUMBER_BITS) if reserved >> bit & 1)
    return Term(
        f"not an exit code of {isa.title}",
        f"{isa.name}:{reason.code:#x}",
        f"reserved bits are set: {bits}",
        causes=("the module kvm_pvm numbers the exits of its VMs itself", "a damaged trace"),
        source="SDM vol. 3, Basic VM-Exit Information",
    )


def _reasons(text: str, wanted: Isas) -> Iterator[Found]:
    among = None if wanted is None else tuple(wanted)
    yield from next((found for s in _spellings(text) if (found := lookup.matches(s, among))), ())
    yield from _flagged(text, among)
    yield from _registers(text, among)
    yield from lookup.group(text, among)


def _spellings(text: str) -> Iterator[str]:
    """Yield the numbers that a text may stand for: negative, of 64 bits, without ``0x``."""
    yield text
    number = lookup.number(text.removeprefix("-"))
    if number is not None and (text[0] == "-" or number > NUMBER_MASK):
        number = -number if text[0] == "-" else number
        if number < 0 or number >> 32 == NUMBER_MASK:
            yield str(number & NUMBER_MASK)
    if re.fullmatch(r"[0-9a-fA-F]{8}|[fF]{16}", text):
        yield f"0x{text[-8:]}"


def _flagged(text: str, wanted: tuple[Isa, ...] | None) -> Iterator[Found]:
    """Yield the reason of ``INVALID_STATE+FAILED_VMENTRY``, also with blanks."""
    name, *flags = text.replace("+", " ").replace("|", " ").split() or [""]
    for isa in lookup.isas() if flags and wanted is None else wanted or ():
        bits = {flag: bit for bit, flag in isa.flags.items()}
        if flags and all(flag in bits for flag in flags):
            for _, reason in lookup.matches(name, (isa,)):
                yield isa, isa.reason(reason.code | sum(bits[flag] for flag in flags))


def _registers(text: str, wanted: tuple[Isa, ...] | None) -> Iterator[Found]:
    """Yield the reasons of accesses to control and debug registers: ``cr3``, ``write dr7``."""
    pattern = r"(?:(?:mov|read|write)[ _-])?([cd])r(\d{1,2})"
    match = re.fullmatch(pattern, text.lower()) if text[-1:].isdecimal() else None
    if match:
        code = {"c": 28, "d": 29}[match[1]]
        name = f"{match[1]}r{match[2]}"
        if int(match[2]) < 16:
            yield from exits(f"vmx:{code} svm:read_{name} svm:write_{name}", wanted)


def _message(line: str, wanted: Isas, depth: int) -> list[Answer]:
    """Return the meaning of a line of a log, and of the numbers in it."""
    from kstats.explain.messages import MESSAGES  # noqa: PLC0415 - words do not need them

    for pattern, meaning, remedies, source in MESSAGES:
        match = re.search(pattern, line)
        if not match:
            continue
        found: list[Answer] = []
        if meaning:
            name = printable(match[0].strip(), _SHOWN)
            found.append(Term("message", name, meaning, (), (), remedies, source))
        for group, value in match.groupdict().items():
            if value:
                found += _GROUPS.get(group.rstrip("23"), _code)(group, value, wanted, depth)
        if "op0" in match.groupdict():
            from kstats.explain import details  # noqa: PLC0415 - see _word

            register = "S{op0}_{op1}_C{crn}_C{crm}_{op2}".format(**match.groupdict())
            found += details.find(register, wanted)
        if found:
            return found
    return []


def _text(_: str, value: str, wanted: Isas, depth: int) -> list[Answer]:
    return _meanings(value.strip(), wanted, depth - 1)


def _printed(_: str, value: str, wanted: Isas, depth: int) -> list[Answer]:
    """Return the reasons that the kernel calls so, else what a tool may call so."""
    among = lookup.isas() if wanted is None else wanted
    found = [(isa, r) for isa in among for r in isa.reasons.values() if r.name == value]
    return [*found] or _text(_, value, wanted, depth)


def _any_code(_: str, value: str, wanted: Isas, depth: int) -> list[Answer]:
    return _word(value, wanted, depth)


def _hexadecimal(_: str, value: str, wanted: Isas, depth: int) -> list[Answer]:
    return _word(f"0x{value}", wanted, depth)


def _entry_error(_: str, value: str, wanted: Isas, depth: int) -> list[Answer]:
    """Return the reason of a failed entry, or Intel's VM-instruction error."""
    from kstats.explain.messages import ENTRY_ERRORS  # noqa: PLC0415 - words do not need them

    number = int(value, 16)
    if number not in ENTRY_ERRORS:
        return _word(value, wanted, depth)
    return [
        Term(
            f"VM-instruction error {number} of Intel VMX, not an exit reason",
            ENTRY_ERRORS[number],
            "the processor did not begin the entry",
            causes=("a bug of KVM or of the hypervisor below it (nested virtualization)",),
            remedies=("update the kernel of the host, and of the host below it",),
            source="SDM vol. 3, VM Instruction Error Numbers",
        )
    ]


def _suberror(_: str, value: str, __: Isas, ___: int) -> list[Answer]:
    return list(vocabulary.internal_error(int(value)))


def _userspace(_: str, value: str, wanted: Isas, __: int) -> list[Answer]:
    return list(vocabulary.userspace_exit(int(value), wanted))


def _vector(_: str, value: str, wanted: Isas, __: int) -> list[Answer]:
    from kstats.explain.words import EXCEPTIONS  # noqa: PLC0415 - see _message

    names = (name for name, (vector, _) in EXCEPTIONS.items() if vector == int(value))
    return [one for name in names for one in vocabulary.find(f"#{name}", wanted)]


def _detail(group: str, value: str, wanted: Isas, _: int) -> list[Answer]:
    from kstats.explain import details  # noqa: PLC0415 - see _word

    return list(details.numbered(int(value, 16), wanted, group))


def _syndrome(_: str, value: str, wanted: Isas, __: int) -> list[Answer]:
    """Return the exception class of an ARM64 syndrome: bits 26 to 31 (Arm ARM, ESR_EL2)."""
    number = lookup.number(value)
    return [] if number is None else list(exits(f"arm64:{number >> 26 & 0x3F}", wanted))


def _event(_: str, value: str, wanted: Isas, depth: int) -> list[Answer]:
    """Return the event of x86 that a word of the VMCS or VMCB describes."""
    word = int(value, 16)
    if not word >> 31:
        return [Term("event of x86", value, "none: the word is not valid (bit 31)")]
    vector, kind = word & 0xFF, word >> 8 & 7
    meaning = f"{_EVENTS.get(kind, 'reserved type')}, vector {vector}"
    found: list[Answer] = [Term("event of x86", value, meaning, source=_EVENT_SOURCE)]
    return found + (_vector("", str(vector), wanted, depth) if kind == _FAULT else [])


def _rust(_: str, value: str, wanted: Isas, __: int) -> list[Answer]:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", value).upper()
    return list(vocabulary.find(f"KVM_EXIT_{name}", wanted))


_FAULT = 3
_EVENTS = {
    0: "an external interrupt",
    2: "an NMI",
    _FAULT: "a hardware exception",
    4: "a software interrupt",
    5: "a privileged software exception",
    6: "a software exception",
    7: "another event",
}
_EVENT_SOURCE = "SDM vol. 3, VM-Entry Controls for Event Injection; APM vol. 2 15.20"


def _code(group: str, value: str, wanted: Isas, _: int) -> list[Answer]:
    """Return the reason of a code of the ISA ``group``; some dumps omit ``0x``."""
    plain = value.isdecimal() and len(value) < 8
    if value.startswith("0b"):
        number = int(value, 2)
    elif value.startswith("0x") or not plain:
        number = int(value, 16)
    else:
        number = int(value)
    return list(map(_checked, exits(f"{group}:{number}", wanted)))


def _nothing(_: str, __: str, ___: Isas, ____: int) -> list[Answer]:
    return []


_GROUPS: Mapping[str, Callable[[str, str, Isas, int], list[Answer]]] = {
    "text": _text,
    "printed": _printed,
    "code": _any_code,
    "hex": _hexadecimal,
    "error": _entry_error,
    "suberror": _suberror,
    "exit": _userspace,
    "vector": _vector,
    "msr": _detail,
    "io": _detail,
    "mmio": _detail,
    "esr": _syndrome,
    "event": _event,
    "rust": _rust,
    **dict.fromkeys(("errno", "op0", "op1", "crn", "crm", "op"), _nothing),
}


_ARTICLES = r"^(?:an? |the |trapped |vm-?exits? (?:by|of|due to) )|(?: instruction| (?:vm)?exit)s?$"


def _undecorated(line: str, wanted: Isas, depth: int) -> list[Answer]:
    """Return the meaning of a word without quotes, punctuation, "the" and "instruction"."""
    bare = line.strip(" \t\"'`()[]<>{}.,;:!?*")
    bare = re.sub(_ARTICLES, "", bare, flags=re.IGNORECASE)
    return _meanings(bare, wanted, depth - 1) if bare != line else []


def _parts(line: str, wanted: Isas, depth: int) -> list[Answer]:
    """Return the meanings of words that are joined by ``|``, ``,``, ``+`` or ``/``."""
    parts = [part for part in re.split(r"\s*[|,;+/]\s*|\s+(?:and|or)\s+", line) if part]
    found = [_word(part, wanted, depth) for part in parts] if len(parts) > 1 else []
    return [answer for one in found for answer in one] if all(found) else []


_PREFIXES = (
    "KVM_EXIT_", "KVM_INTERNAL_ERROR_", "KVM_SYSTEM_EVENT_", "EXIT_REASON_", "SVM_EXIT_",
    "SVM_VMGEXIT_", "VMEXIT_", "ESR_ELx_EC_", "MSR_", "IA32_", "HV_X64_MSR_",
)  # fmt: skip
_TOO_COMMON = frozenset({"OTHER", "UNKNOWN", "BREAK"})
_MIN_NAME = 4


def _names(line: str, wanted: Isas, depth: int) -> list[Answer]:
    """Return the meanings of the names in a line that are no words of a language."""
    names = {reason.name for isa in lookup.isas() for reason in isa.reasons.values()}
    tokens = dict.fromkeys(re.findall(r"[A-Za-z_]\w*(?: excp\b)?", line))
    found = []
    for token in tokens:
        known = token in names and token not in _TOO_COMMON
        distinct = "_" in token or " " in token or (token.isupper() and len(token) >= _MIN_NAME)
        if (known and distinct) or token.startswith(_PREFIXES) or _is_counter(token):
            found += _word(token, wanted, depth)
    return found


def _is_counter(token: str) -> bool:
    return "_" in token and token.islower() and any(vocabulary.find(token, None))


def _unknown(text: str, wanted: Isas) -> UnknownReasonError:
    from difflib import get_close_matches  # noqa: PLC0415 - only errors need it

    among = () if wanted is None else tuple(wanted)
    close = lookup.close(text, among or lookup.isas())
    if not close and re.fullmatch(r"[#\w -]{2,40}", text) and not text.isdecimal():
        names = {name.lower(): name for name in vocabulary.names()}
        close = [names[name] for name in get_close_matches(text.lower(), names, n=3, cutoff=0.75)]
    return UnknownReasonError(printable(text, _SHOWN), close, among)
