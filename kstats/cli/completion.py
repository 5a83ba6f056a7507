"""``kstats completion``: scripts that make a shell complete commands, options and values."""

from __future__ import annotations

import argparse
import importlib
import shlex
from collections.abc import Iterable, Mapping

import attrs

from kstats import arch as arches
from kstats.arch import lookup
from kstats.arch.base import Category
from kstats.cli import COMMANDS, PROGRAMS, options, streams
from kstats.errors import KstatsError
from kstats.escape import printable
from kstats.host import Host
from kstats.loader.process import LOADERS
from kstats.views import details
from kstats.views.exits import AXES, COUNT
from kstats.views.latency import SORTS
from kstats.vms.registry import VmRegistry

SHELLS = ("bash", "zsh", "fish")

_NAMES = ("kstats", *PROGRAMS)

_VMS = "--vms"
"""``kstats completion --vms`` is what the scripts call to complete the name of a VM."""

_DESCRIPTION = """\
  kstats completion bash >/etc/bash_completion.d/kstats
  kstats completion zsh >"${fpath[1]}/_kstats"
  kstats completion fish >~/.config/fish/completions/kstats.fish
"""

_EPILOG = """\
Do the same for each PROGRAM. The script lists the options of the installed version: repeat this
after an upgrade.
"""


def parser() -> options.Parser:
    """Return the command line of ``kstats completion``."""
    p = options.Parser.of("completion", "SHELL [PROGRAM]", _DESCRIPTION, _EPILOG)
    p.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    p.add_argument(
        "program",
        nargs="?",
        choices=_NAMES,
        default="kstats",
        metavar="PROGRAM",
        help=f"{', '.join(_NAMES)} (default kstats)",
    )
    p.add_debug()
    return p


@attrs.frozen(kw_only=True)
class CompletionOptions:
    """The options of ``kstats completion``."""

    shell: str
    program: str
    debug: bool


def run(words: list[str]) -> int:
    """Run ``kstats completion``; return the exit status."""
    if words == [_VMS]:
        return _print(_vm_names())
    wanted = parser().parse(words, CompletionOptions)
    try:
        import shtab  # noqa: PLC0415 - nothing else needs it
    except ImportError:
        raise KstatsError(
            "kstats completion needs the Python library shtab, which is not installed",
            "the .deb and the .rpm have installed the scripts already; else pip install shtab",
        ) from None
    shell, values = wanted.shell, _values()
    patterns = {name: {shell: value.pattern(name, shell)} for name, value in values.items()}
    paths = {"FILE": shtab.FILE, "SOURCE": shtab.FILE, "DIR": shtab.DIRECTORY}
    program = program_parser(wanted.program, {**paths, **patterns})
    functions = [value.function(name, shell) for name, value in values.items()]
    return _print([shtab.complete(program, shell, preamble="\n".join(functions))])


def _print(lines: Iterable[str]) -> int:
    with streams.writing() as out:
        out.writelines(f"{line}\n" for line in lines)
    return 0


@attrs.frozen
class Value:
    """The words that complete an option's value.

    Attributes:
        words: All of them, or none for the names of the VMs that run at that time.
        several: Whether the value is a list, with commas.
    """

    words: tuple[str, ...] = ()
    several: bool = False

    def pattern(self, name: str, shell: str) -> str:
        """Return what stands for these words in shtab's script for ``shell``."""
        if shell != "fish":
            return _function_name(name)
        if not self.words:
            return f"(kstats completion {_VMS} 2>/dev/null)"
        words = shlex.join(self.words)
        return f"(__fish_append , {words})" if self.several else words

    def function(self, name: str, shell: str) -> str:
        """Return the function that completes these words in bash or zsh; fish needs none.

        The name of a VM is never evaluated: the VM's owner chose it.
        """
        if shell == "fish":
            return ""
        body = _BODIES[shell, "list" if self.several else "words" if self.words else "vms"]
        return f"{_function_name(name)}() {{\n{body.replace('@', shlex.join(self.words))}\n}}"


def _function_name(name: str) -> str:
    return f"_kstats_{name.lower()}"


_BODIES: Mapping[tuple[str, str], str] = {
    ("bash", "words"): """  compgen -W "@" -- "$1\"""",
    ("bash", "list"): """\
  local before=
  [[ $1 == *,* ]] && before=${1%,*},
  compgen -P "$before" -W "@" -- "${1##*,}\"""",
    ("bash", "vms"): f"""\
  local name
  kstats completion {_VMS} 2>/dev/null | while IFS= read -r name; do
    [[ $name == "$1"* ]] && printf '%q\\n' "$name"
  done""",
    ("zsh", "words"): "  compadd -- @",
    ("zsh", "list"): "  compset -P '*,'; compadd -q -S , -- @",
    ("zsh", "vms"): f"""\
  local -a names
  names=("${{(@f)$(kstats completion {_VMS} 2>/dev/null)}}")
  compadd -a names""",
}


def _values() -> Mapping[str, Value]:
    """Return what completes each option, by the name of its value in the help."""
    isas = lookup.isas()
    columns = [column for arch in arches.arches() for column in arch.columns]
    groups = [*Category, *(column.key for column in columns)]
    reasons = [reason.name for isa in isas for reason in isa.reasons.values()]
    sources = [source for arch in arches.arches() for source in arch.sources]
    probes = [probe.name for source in sources for probe in source.probes]
    return {
        "AXES": Value((*AXES, details.AXIS), several=True),
        "AXIS": Value(("cpu", "vm", "vcpu")),
        "BY": Value(("category", "reason")),
        "CATEGORY": Value(tuple(Category)),
        "COLUMN": Value(_once(["vm_entry", "vm_exit", *(column.key for column in columns)])),
        "ISA": Value(tuple(isa.name for isa in isas)),
        "KEY": Value(_once([COUNT.key, *SORTS, *AXES, details.AXIS])),
        "KIND": Value(tuple(arches.detail_kinds())),
        "LOADER": Value(LOADERS),
        "PROBE": Value(_once(probes)),
        "REASON": Value(_once([*reasons, *groups])),
        "REASONS": Value(_once([*reasons, *groups]), several=True),
        "VM": Value(),
    }


def _once(words: Iterable[str]) -> tuple[str, ...]:
    """Return each word once, without those that a shell would split."""
    return tuple(dict.fromkeys(word for word in words if " " not in word))


def _vm_names() -> list[str]:
    """Return the names of the VMs that run on this host, as they are printed."""
    return sorted({printable(vm.name) for vm in VmRegistry(Host()).vms() if vm.name})


def program_parser(program: str, values: Mapping[str, object]) -> argparse.ArgumentParser:
    """Return the command line of a program, its commands as argparse's subparsers.

    ``values`` is what shtab completes a value with, by its name in the help.
    """
    if program != "kstats":
        return _prepared(program, values)
    whole = argparse.ArgumentParser(prog=program)
    whole.add_argument("-V", "--version", action="store_true")
    commands = whole.add_subparsers(metavar="COMMAND")
    for name, summary in COMMANDS.items():
        parent = _prepared(name, values)
        commands.add_parser(name, parents=[parent], add_help=False, help=summary)
    return whole


def _prepared(module: str, values: Mapping[str, object]) -> argparse.ArgumentParser:
    """Return the parser of a module of :mod:`kstats.cli`, as shtab wants it."""
    made: argparse.ArgumentParser = importlib.import_module(f"kstats.cli.{module}").parser()
    for action in made._actions:  # noqa: SLF001 - argparse has no other way to list them
        if isinstance(action.choices, dict):
            action.choices = tuple(action.choices)  # shtab takes a mapping for commands
        if action.metavar in values:
            vars(action)["complete"] = values[str(action.metavar)]
    return made
