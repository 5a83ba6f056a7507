"""The shape of a rule, and the scales of severity and certainty."""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Callable
from typing import Any

import attrs

from kstats.arch import valid
from kstats.why.evidence import Subject
from kstats.why.signals import Measured, Signal


class Severity(enum.IntEnum):
    """How much a finding matters; :data:`COSTS` says from which cost on."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    def __str__(self) -> str:
        return self.name.lower()


class Certainty(enum.IntEnum):
    """How sure it is that the finding is the explanation."""

    POSSIBLE = 1
    LIKELY = 2
    CERTAIN = 3

    def __str__(self) -> str:
        return self.name.lower()


COSTS = {Severity.WARNING: 0.05, Severity.CRITICAL: 0.2}
"""The measured share of the vCPUs' time from which on a finding is at least this severe."""


ANY = ("*",)
"""As :attr:`Rule.unless`: any other rule."""


@attrs.frozen
class Test:
    """Holds if a signal is at least ``least`` and below ``below``."""

    signal: Signal
    least: float = 0
    below: float = math.inf

    def holds(self, of: Subject) -> Measured | None:
        """Return what was measured if it holds, else None.

        Raises:
            Missing: The evidence lacks what the signal needs.
        """
        measured = self.signal.measure(of, self.least)
        return measured if measured and self.least <= measured.value < self.below else None


def _valid(check: valid.Check) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    def validate(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        for problem in check(value):
            raise ValueError(f"Rule.{attribute.name} {problem}")

    return validate


_NAME = valid.field("is not a name", lambda text: text.replace("-", "").isalnum())
_LINE = _valid(valid.line)


@attrs.frozen(kw_only=True, slots=False)
class Rule:
    """One thing that makes VMs slow.

    Attributes:
        id: Its name, in output and documentation.
        title: What is wrong, a sentence without a full stop.
        signal: What is compared with the thresholds.
        info: The least number that is a finding; likewise ``warning`` and ``critical``. None if
            there is no such severity.
        basis: Why the thresholds are what they are.
        given: What must hold besides; a rule of which something cannot be checked does not fire.
        certainty: How sure it is without further evidence, and ``because``, why.
        confirmed: What makes it certain, if it holds.
        context: What belongs to the evidence, if it holds.
        unless: Rules that explain the same better: if one of them fires, this one does not.
        remedies: What to change, the best first.
        advice: Whether the remedies of ``kstats explain`` for the most frequent reason follow.
        command: The command that shows more; ``{vm}`` selects the VM.
        source: Where the mechanism is documented.
        isas: The ISAs that it applies to.
        host: Whether it is about the host, and not about each VM.
    """

    id: str = attrs.field(validator=_valid(_NAME))
    title: str = attrs.field(validator=_LINE)
    signal: Signal
    info: float | None = None
    warning: float | None = None
    critical: float | None = None
    basis: str = attrs.field(validator=_LINE)
    given: tuple[Test, ...] = ()
    certainty: Certainty = Certainty.LIKELY
    because: str = attrs.field(validator=_LINE)
    confirmed: tuple[Test, ...] = ()
    context: tuple[Test, ...] = ()
    unless: tuple[str, ...] = ()
    remedies: tuple[str, ...] = attrs.field(default=(), validator=_valid(valid.lines))
    advice: bool = False
    command: str = attrs.field(validator=_LINE)
    source: str = attrs.field(validator=_LINE)
    isas: tuple[str, ...] = ()
    host: bool = False

    @functools.cached_property
    def levels(self) -> dict[Severity, float]:
        """The threshold of each severity that it has, ascending."""
        named = {severity: getattr(self, str(severity)) for severity in Severity}
        return {severity: level for severity, level in named.items() if level is not None}

    def severity(self, measured: Measured) -> Severity | None:
        """Return the severity of a number; None if it is below every threshold."""
        reached = [severity for severity, level in self.levels.items() if measured.value >= level]
        if not reached:
            return None
        cost = measured.cost or 0 if measured.timed else 0
        return max([*reached, *(s for s, share in COSTS.items() if cost >= share)])
