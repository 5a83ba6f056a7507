"""What commands share on the command line: the parser, values, and which options combine."""

import argparse
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple, NoReturn, Self, TypeVar

from kstats import durations
from kstats.cli import COMMANDS, streams
from kstats.errors import UsageError

T = TypeVar("T")

SHORTEST, LONGEST = 0.01, 86400.0
"""Bounds of an interval, seconds."""

FOREVER = 1e9
"""Seconds until a report that only ^C asks for: three decades."""

MOST = 10**18 - 1

_DECIMAL = r"\d{1,9}(\.\d*)?|\.\d+"


class Rule(NamedTuple):
    """Which options can be given together with ``option``.

    Options are written as on the command line, operands by their names. ``--view cpu`` means that
    value of the option only.

    Attributes:
        option: What the rule is for.
        excludes: Options that cannot be given with it.
        requires: Options of which one must be given with it; empty for none.
    """

    option: str
    excludes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.requires:
            return f"{self.option} needs {' or '.join(self.requires)}"
        return f"{self.option} cannot be combined with {', '.join(self.excludes)}"


_LIVE = Rule("--input", ("--record", "--overhead", "--probe", "--loader"))
_ONE_KIND_OF_TIME = (
    Rule("--histogram", ("--latency", "--tree")),
    Rule("--latency", ("--tree",)),
    *(
        Rule(one, (*others, "--detail", "--sort", "--top", "--rate", "--tree"))
        for one, others in {
            "--time": ("--latency", "--histogram", "--slower-than", "--reason"),
            "--slower-than": ("--latency", "--histogram"),
        }.items()
    ),
)
_THREADS = (
    Rule("--vcpu", ("--alltids", "--tid", "--tids")),
    Rule("--alltids", ("--tid", "--tids")),
    Rule("--tid", ("--tids", "--pid")),
    Rule("--tids", ("--pid",)),
)
_ONE_CREDENTIAL = Rule("--bearer-token-file", ("--basic-auth-file",))
_COMPARING = ("SOURCE", "--by", "--reasons", "--per", "--top", "--threshold", "--least")

RULES: Mapping[str, tuple[Rule, ...]] = {
    "cpu": (_LIVE, Rule("-d", ("interval",)), Rule("-n", ("count",))),
    "exits": (
        _LIVE,
        Rule("--format folded", ("--tree", "--histogram", "--time", "--slower-than")),
        Rule("--input", ("--map-entries",)),
        *_ONE_KIND_OF_TIME,
        *_THREADS,
        Rule("--vm", ("--pid", "--tid", "--tids")),
        Rule("--vcpu", requires=("--pid", "--vm")),
        Rule("--alltids", requires=("--pid", "--vm")),
    ),
    "vcpu": (
        _LIVE,
        Rule("--vm", ("--pid",)),
        Rule("--source kernel", ("--probe", "--loader", "--overhead")),
    ),
    "kvmexit": (
        *_THREADS,
        Rule("--vcpu", requires=("--pid",)),
        Rule("--alltids", requires=("--pid",)),
    ),
    "record": (
        Rule("--by cpu", ("--all", "--latency", "--time", "--slower-than", "--detail")),
        # Programs that count details time only the exits that carry one.
        Rule("--detail", ("--all", "--latency", "--slower-than")),
        Rule("--keep", requires=("--rotate-size", "--rotate-time")),
    ),
    "compare": (
        Rule("--explain", _COMPARING),
        Rule("--top", requires=("--by",)),
        Rule("--per vcpu", ("--by cpu",)),
        Rule("--least", requires=("--threshold",)),
        _ONE_CREDENTIAL,
    ),
    "report": (_ONE_CREDENTIAL,),
    "decode": (
        Rule("--output", ("--view", "--by", "--top", "--reasons", "--total", "--timestamps")),
        Rule("--output", ("--rate", "--format", "--latency")),
        Rule("--view cpu", ("--by", "--top", "--latency")),
        Rule("--slower-than", requires=("--output",)),
        Rule("--reasons", requires=("--view cpu",)),
        Rule("--total", requires=("--view cpu",)),
    ),
    "exporter": (
        Rule("--by cpu", ("--no-cpus", "--time", "--durations", "--detail")),
        Rule(
            "--source kernel",
            ("--by cpu", "--no-cpus", "--time", "--durations", "--detail", "--probe", "--loader"),
        ),
        Rule("--input", ("--probe", "--loader")),
        Rule("--speed", requires=("--input",)),
        Rule("--loop", requires=("--input",)),
        # Programs that count details time only the exits that carry one.
        Rule("--detail", ("--durations",)),
        Rule("--top", requires=("--detail",)),
    ),
    "export": (
        Rule("--by cpu", ("--no-cpus",)),
        Rule("--format perfetto", ("--by", "--no-cpus", "--label", "--interval")),
    ),
    "explain": (Rule("--search", ("REASON",)),),
    "why": (
        Rule("--input", ("--probe", "--loader")),
        Rule("--isa", requires=("--input", "--against")),
    ),
}
"""Which options combine, by command: the parsers check it and show it in their help."""


class Parser(argparse.ArgumentParser):
    """A parser that raises :class:`UsageError` for a wrong command line.

    ``usage``, ``description`` and ``epilog`` are printed as they are, and before the epilog the
    text that ``columns`` returns: only help needs to look for installed backends.
    """

    def __init__(
        self,
        prog: str,
        usage: str,
        description: str,
        epilog: str = "",
        columns: Callable[[], str] | None = None,
    ) -> None:
        self.rules = RULES.get(prog.rsplit(maxsplit=1)[-1], ())
        super().__init__(
            prog,
            usage,
            description,
            "\n".join([*self._rules_help(), epilog]),
            # argparse creates a formatter for each argument; without a width it imports shutil.
            formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=80),
            allow_abbrev=False,
        )
        self._columns = columns

    @classmethod
    def of(
        cls,
        command: str,
        operands: str,
        description: str = "",
        epilog: str = "",
        columns: Callable[[], str] | None = None,
    ) -> Self:
        """Return the parser of a command of kstats; its summary begins the description."""
        prog, summary = f"kstats {command}", COMMANDS[command]
        whole = f"{summary[0].upper()}{summary[1:]}.\n\n{description}"
        return cls(prog, f"{prog} [options] {operands}".rstrip(), whole, epilog, columns)

    def add_format(self, formats: Iterable[str]) -> None:
        """Add ``-f``/``--format``; the first of ``formats`` is the default."""
        names = list(formats)
        text = f"output format (default {names[0]})"
        self.add_argument("-f", "--format", choices=names, default=names[0], help=text)

    def add_debug(self) -> None:
        """Add ``--debug`` to a command that loads nothing: it is accepted everywhere."""
        self.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)

    def parse(self, words: list[str], kind: Callable[..., T]) -> T:
        """Return the values of ``words`` as ``kind``, called with one argument per option.

        After --help SystemExit(0) is raised.

        Raises:
            UsageError: An option is unknown, its value is invalid, or options do not combine.
        """
        self._check_names(words)
        with streams.writing():
            values = vars(self.parse_args(words))
        for rule in self.rules:
            self._check(rule, values)
        return kind(**values)

    def _check_names(self, words: Iterable[str]) -> None:
        """Refuse unknown long options: argparse first takes what follows one for an operand.

        Also refuse the value ``--``, which argparse removes: the option would get an empty list.
        """
        for word in itertools.takewhile("--".__ne__, words):
            if re.fullmatch(r"--[^= ]+=--|-\w+=?--", word, re.ASCII):
                self.error(f"invalid value '--' in {word}")
            name = word.partition("=")[0]
            if (
                name.startswith("--")
                and " " not in word
                and name not in self._option_string_actions
            ):
                self.error(f"unrecognized arguments: {word}")

    def _check(self, rule: Rule, values: Mapping[str, object]) -> None:
        if not self._is_given(rule.option, values):
            return
        for other in rule.excludes:
            if self._is_given(other, values):
                raise UsageError(
                    f"{rule.option} cannot be combined with {other}", "use only one of them"
                )
        if rule.requires and not any(self._is_given(other, values) for other in rule.requires):
            needs = " or ".join(rule.requires)
            raise UsageError(f"{rule.option} needs {needs}", f"add {needs}")

    def _is_given(self, option: str, values: Mapping[str, object]) -> bool:
        """Return whether an option of a rule has another value than its default."""
        name, _, value = option.partition(" ")
        action = next(a for a in self._actions if name in (*a.option_strings, a.metavar, a.dest))
        given = values[action.dest]
        if value:
            return given == value
        # argparse has an empty list for operands that are not there.
        return given != action.default and not (given == [] and not action.option_strings)

    def _rules_help(self) -> Iterator[str]:
        if self.rules:
            yield "combinations:"
            yield from (f"  {rule}" for rule in self.rules)
            yield ""

    def format_help(self) -> str:
        """Return the help; argparse calls this."""
        if self._columns:
            self.epilog = f"{self._columns()}\n\n{self.epilog}"
            self._columns = None
        self.formatter_class = argparse.RawDescriptionHelpFormatter  # as wide as the terminal
        return super().format_help()

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Leave after --help; argparse calls this."""
        sys.stdout.flush()
        super().exit(status, message)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError; argparse calls this."""
        raise UsageError(message, f"see {self.prog} --help")


def add_interval_arguments(p: Parser, what: str = "reports") -> None:
    """Add the operands ``[interval [count]]``."""
    text = f"seconds between {what} (default 1)"
    p.add_argument("interval", nargs="?", type=seconds, help=text)
    p.add_argument("count", nargs="?", type=times, help=f"number of {what} (default: until ^C)")


def add_probe_arguments(p: Parser) -> None:
    """Add the options of what loads a program."""
    text = "use this way to read exits; see kstats doctor"
    p.add_argument("--probe", metavar="PROBE", help=text)
    text = "load programs this way: prebuilt, or compiled by bcc (default: what works)"
    p.add_argument("--loader", metavar="LOADER", help=text)
    p.add_argument("--debug", action="store_true", help="print what is loaded, and how")


def seconds(text: str, what: str = "interval") -> float:
    """Return an interval in seconds.

    Raises:
        UsageError: ``text`` is not a decimal number, or out of bounds.
    """
    if not re.fullmatch(_DECIMAL, text, re.ASCII) or not SHORTEST <= float(text) <= LONGEST:
        raise UsageError(
            f"{what} {text!r} is not between {SHORTEST} and {LONGEST:.0f} seconds",
            "give seconds; fractions are fine, like 0.5",
        )
    return float(text)


def threshold(text: str) -> int:
    """Return nanoseconds of --slower-than; raise UsageError."""
    found = durations.parse(text)
    if found is None:
        raise UsageError(
            f"invalid duration {text!r} for --slower-than", "give a number and a unit, like 500us"
        )
    return found


def times(text: str, what: str = "count", without: str = "go on until ^C") -> int:
    """Return a count.

    Raises:
        UsageError: ``text`` is not a positive integer; ``without`` says in the hint what
            happens without this option.
    """
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not int(text):
        raise UsageError(
            f"{what} {text!r} is not a positive integer",
            f"leave it out to {without}",
        )
    return int(text)


TOP = partial(times, what="--top", without="see all rows")
"""The type of ``--top N``."""
