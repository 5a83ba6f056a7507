"""Count KVM's events in the kernel's trace."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from .kinds import ARM64, BELL, KINDS, START, SVM, Exit
from .tracing import Event

COMMON_EVENTS: Final = ("kvm_exit", "kvm_entry", "kvm_userspace_exit")
_X64_EXIT: Final = re.compile(r"(?:vcpu \d+ )?reason (.+?) +rip 0x\w+ info1 0x\w*(\w)")
_ARM64_EXIT: Final = re.compile(r"(\w+): HSR_EC: 0x\w+ \((\w+)\)")
_USER_EXIT: Final = re.compile(r"reason (?:KVM_EXIT_)?(\w+)")


def events(isa: str) -> tuple[str, ...]:
    """Return the events to record on a host of this ISA."""
    return (*COMMON_EVENTS, _injection(isa))


def _injection(isa: str) -> str:
    return "vgic_update_irq_pending" if isa == ARM64 else "kvm_inj_virq"


@dataclass
class Counted:
    """Totals of one thread or CPU; exits are named as by `title`."""

    exits: Counter[str] = field(default_factory=Counter)
    user_exits: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    injected: int = 0

    def add(self, isa: str, event: Event) -> None:
        """Count one event."""
        if event.name == "kvm_exit":
            self.exits[_exit_name(isa, event.text)] += 1
        elif event.name == "kvm_entry":
            self.entries += 1
        elif event.name == "kvm_userspace_exit":
            match = _USER_EXIT.match(event.text)
            self.user_exits[match[1] if match else event.text] += 1
        elif not event.text.endswith("level: 0"):
            self.injected += 1


@dataclass
class Totals:
    """Events by thread and by physical CPU."""

    threads: dict[int, Counted]
    cpus: dict[int, Counted]


def add_up(isa: str, happened: Iterable[Event]) -> Totals:
    """Count events by thread and by CPU."""
    totals = Totals(defaultdict(Counted), defaultdict(Counted))
    for event in happened:
        totals.threads[event.tid].add(isa, event)
        totals.cpus[event.cpu].add(isa, event)
    return totals


def title(exit_: Exit) -> str:
    """Return the name of an exit here: the kernel's, with SVM's MSR reads and writes separate."""
    return f"{exit_.name} {exit_.access}".rstrip()


def _exit_name(isa: str, text: str) -> str:
    match = (_ARM64_EXIT if isa == ARM64 else _X64_EXIT).match(text)
    if not match:
        return text
    if isa == ARM64:  # the exception class is valid for traps only
        return match[2] if match[1] == "TRAP" else match[1]
    if isa == SVM and match[1] == "msr":
        return "msr write" if int(match[2], 16) & 1 else "msr read"
    return match[1]


def misnumbered(isa: str, event_format: str) -> list[Exit]:
    """Return exits with a number and name that do not match in the kernel's table."""
    theirs = _pairs(event_format)
    rules = (rule for kind in (*KINDS.values(), START, BELL) for rule in kind.rules)
    ours = {rule.exit for rule in rules if rule.exit.isa == isa and rule.exit.code is not None}
    return sorted(exit_ for exit_ in ours if (exit_.code, exit_.name) not in theirs)


def _pairs(event_format: str) -> set[tuple[int | None, str]]:
    """Return {(number, name)} of ``print fmt``; numbers may be ``0x40 + 6``, ``((0x24UL))``."""
    pairs: set[tuple[int | None, str]] = set()
    for number, name in re.findall(r'\{\s*([^{}",]+),\s*"([^"]+)"\s*\}', event_format):
        terms = re.findall(r"0[xX][0-9a-fA-F]+|\d+", number)
        pairs.add((sum(int(term, 0) for term in terms), name))
    return pairs
