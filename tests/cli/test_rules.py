"""Which options combine: the table that the parsers check is what happens, and what help shows."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from kstats.cli import COMMANDS, PROGRAMS, kvmexit, main
from kstats.cli.options import RULES, Parser, Rule

VALUES = {
    "--cpus": "0",
    "-d": "1",
    "-n": "1",
    "interval": "1",
    "count": "1 1",
    "--pid": "1",
    "--vcpu": "0",
    "--tid": "1",
    "--tids": "1",
    "--vm": "x",
    "--reason": "io",
    "--detail": "msr",
    "--by": "cpu",
    "--top": "1",
    "--sort": "count",
    "--map-entries": "1",
    "--slower-than": "1ms",
    "--per": "second",
    "--threshold": "2",
    "--least": "1",
    "--rotate-size": "1",
    "--rotate-time": "1",
    "--keep": "1",
    "--view": "exits",
    "--input": "x",
    "--isa": "vmx",
    "--record": "x",
    "--output": "x",
    "--loader": "x",
    "--probe": "x",
    "--format": "json",
    "--search": "x",
    "--speed": "2",
    "REASON": "io",
    "SOURCE": "x",
    "--bearer-token-file": "x",
    "--basic-auth-file": "x",
    "--explain": "io",
    "--label": "a=b",
    "--interval": "1",
}
"""A valid value of each option of a rule; the others take none."""


def parser(command: str) -> Parser:
    made: Parser = importlib.import_module(f"kstats.cli.{command}").parser()
    return made


def words(*options: str) -> list[str]:
    """The options with values; operands come first, where no option can take them."""
    operands = " ".join(VALUES[option] for option in options if not option.startswith("-"))
    given = [word for option in options if option.startswith("-") for word in _option(option)]
    return [*operands.split(), *given]


def _option(option: str) -> Iterator[str]:
    name, _, value = option.partition(" ")
    yield name
    if value or name in VALUES:
        yield value or VALUES[name]


def complaint(command: str, given: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a command prints about words that do not combine; decode has a file."""
    if command == "decode":
        given = ["x", *given]
    assert (kvmexit.main(given) if command == "kvmexit" else main([command, *given])) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return [line.partition(": ")[2].removeprefix("hint: ") for line in err.splitlines()]


EXCLUDED = [
    (command, rule.option, other)
    for command, rules in RULES.items()
    for rule in rules
    for other in rule.excludes
]
NEEDED = [(c, rule) for c, rules in RULES.items() for rule in rules if rule.requires]


@pytest.mark.parametrize(("command", "option", "other"), EXCLUDED)
def test_excluded_options_are_refused(
    command: str, option: str, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line, hint = complaint(command, words(option, other), capsys)
    assert " cannot be combined with " in line
    assert hint == "use only one of them"
    assert {option, other} <= set(line.split(" cannot be combined with ")) or command == "exits"


@pytest.mark.parametrize(("command", "rule"), NEEDED)
def test_options_without_what_they_need_are_refused(
    command: str, rule: Rule, capsys: pytest.CaptureFixture[str]
) -> None:
    line, hint = complaint(command, words(rule.option), capsys)
    assert line == f"{rule.option} needs {' or '.join(rule.requires)}"
    assert hint.startswith("add ")


@pytest.mark.parametrize("command", RULES)
def test_help_shows_which_options_combine(command: str) -> None:
    text = parser(command).format_help()
    assert "combinations:\n" in text
    for rule in RULES[command]:
        assert f"  {rule}\n" in text


def test_every_rule_is_of_a_command_and_its_options() -> None:
    assert RULES.keys() <= {*COMMANDS, *PROGRAMS}
    for command, rules in RULES.items():
        actions = parser(command)._actions
        known = {name for a in actions for name in (*a.option_strings, a.metavar, a.dest)}
        for rule in rules:
            for option in (rule.option, *rule.excludes, *rule.requires):
                assert option.split()[0] in known
            assert bool(rule.excludes) != bool(rule.requires)
