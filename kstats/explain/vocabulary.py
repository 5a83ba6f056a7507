"""Find the terms that a word means, and those that a search is about."""

from __future__ import annotations

from collections.abc import Iterator

from kstats.explain import counters, userspace, words
from kstats.explain.term import Answer, Isas, Term, concerns, exits

_MOST_IN_FULL = 6
"""Reasons of a word that are explained together with it; more are listed only."""


def find(text: str, wanted: Isas) -> Iterator[Answer]:
    """Yield the terms that a word means, and the reasons that some of them stand for."""
    yield from _exception(text, wanted)
    yield from _word(_key(text), wanted)
    yield from _userspace(text.upper().replace("-", "_"), wanted)
    yield from _counter(text, wanted)


def terms(wanted: Isas) -> Iterator[Term]:
    """Yield every term of the vocabularies, for a search."""
    for name in words.EXCEPTIONS:
        yield from _only_terms(_exception(f"#{name}", wanted))
    for name in words.WORDS:
        yield from _only_terms(_word(name, wanted))
    for name, _, _ in userspace.EXITS.values():
        yield from _only_terms(_userspace(userspace.PREFIX + name, wanted))
    for name in (*counters.VCPU, *counters.VM, *counters.EVENTS):
        yield from _only_terms(_counter(name, wanted))


def names() -> Iterator[str]:
    """Yield the names of every term, for suggestions."""
    yield from (f"#{name}" for name in words.EXCEPTIONS)
    yield from (name.lower() for name in words.WORDS)
    yield from (userspace.PREFIX + name for name, _, _ in userspace.EXITS.values())
    yield from (*counters.VCPU, *counters.VM, *counters.EVENTS)


def _only_terms(answers: Iterator[Answer]) -> Iterator[Term]:
    return (answer for answer in answers if isinstance(answer, Term))


def _key(text: str) -> str:
    """Return a text in upper case, with single blanks between its words."""
    return " ".join(text.lstrip("#").replace("_", " ").replace("-", " ").split()).upper()


def _exception(text: str, wanted: Isas) -> Iterator[Answer]:
    name = text.removeprefix("#").upper()
    if name not in words.EXCEPTIONS or text not in (name, f"#{name}", f"#{name.lower()}"):
        return
    vector, meaning = words.EXCEPTIONS[name]
    found = exits(f"vmx:0 svm:{0x40 + vector:#x}", wanted)
    if found or wanted is None:
        kind = f"exception {vector} of x86"
        yield Term(kind, f"#{name}", meaning, found, source=words.EXCEPTION_SOURCE)
        yield from found


def _word(key: str, wanted: Isas) -> Iterator[Answer]:
    bare = key.removesuffix("S")
    spellings = (key, bare, key.removeprefix("ARM EXCEPTION "))
    known = next((spelling for spelling in spellings if spelling in words.WORDS), "")
    if known:
        meaning, references, source = words.WORDS[known]
        if not concerns(references, wanted):
            return
        found = exits(references, wanted)
        if meaning:
            yield Term("term", known.lower(), meaning, found, source=source)
        if not meaning or len(found) <= _MOST_IN_FULL:
            yield from found
    title = max((title for title in words.CLASSES if key.startswith(title)), key=len, default="")
    if title:
        yield from exits(f"arm64:{words.CLASSES[title]}", wanted)


def _userspace(text: str, wanted: Isas) -> Iterator[Answer]:
    if text.startswith(userspace.PREFIX):
        rest = text.removeprefix(userspace.PREFIX)
        known = {name: number for number, (name, _, _) in userspace.EXITS.items()}
        named = [name for name in known if f"{rest}_".startswith(f"{name}_")]  # also IO_IN
        if named:
            yield from userspace_exit(known[max(named, key=len)], wanted)
    for number, (name, _, _, _) in userspace.INTERNAL_ERRORS.items():
        if name == text:
            yield from internal_error(number)
    if text in userspace.SYSTEM_EVENTS:
        kind = "a type of KVM_EXIT_SYSTEM_EVENT, not an exit reason"
        yield Term(kind, text, userspace.SYSTEM_EVENTS[text], source=userspace.SOURCE)


def userspace_exit(number: int, wanted: Isas) -> Iterator[Term]:
    """Yield the reason of KVM_RUN with this number, if there is one."""
    if number in userspace.EXITS:
        name, meaning, references = userspace.EXITS[number]
        kind = f"why KVM_RUN returned to the VMM ({number}), not an exit reason"
        found = exits(references, wanted)
        yield Term(kind, userspace.PREFIX + name, meaning, found, source=userspace.SOURCE)


def internal_error(number: int) -> Iterator[Term]:
    """Yield the KVM internal error with this suberror, if there is one."""
    if number in userspace.INTERNAL_ERRORS:
        name, meaning, causes, remedies = userspace.INTERNAL_ERRORS[number]
        kind = f"suberror {number} of KVM_EXIT_INTERNAL_ERROR, not an exit reason"
        yield Term(kind, name, meaning, (), causes, remedies, userspace.SOURCE)


def _counter(text: str, wanted: Isas) -> Iterator[Answer]:
    name = "_".join(text.lower().removeprefix("kvm:").replace("-", " ").split())
    kinds = (
        ("statistic of KVM for each vCPU, not an exit reason", counters.VCPU, counters.SOURCE),
        ("statistic of KVM for each VM, not an exit reason", counters.VM, counters.SOURCE),
        ("trace event of KVM, not an exit reason", counters.EVENTS, counters.EVENT_SOURCE),
    )
    for kind, table, source in kinds:
        if name in table:
            meaning, references = table[name]
            if concerns(references, wanted):
                found = exits(references, wanted)
                yield Term(kind, name, meaning, found, source=source)
