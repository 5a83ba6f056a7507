"""``kstats demo``: ``kstats top`` on a recording that comes with kstats."""

from __future__ import annotations

from pathlib import Path

import attrs

from kstats.cli import options, top
from kstats.cli.top import TopOptions
from kstats.errors import UsageError

_DESCRIPTION = """\
Nothing is counted: this needs neither root nor KVM. Press Space to play, ? for the keys.

  kstats demo                     an AMD host
  kstats demo vmx                 an Intel host
"""

_EPILOG = """\
The recordings are of emulated hosts with two VMs of two vCPUs each, 30 seconds long.
"""

_SUFFIX = ".jsonl"
_DEFAULT = "svm"


def parser() -> options.Parser:
    """Return the command line of ``kstats demo``."""
    p = options.Parser.of("demo", "[ISA]", _DESCRIPTION, _EPILOG)
    text = f"which recording: {', '.join(sorted(_recordings()))} (default {_DEFAULT})"
    p.add_argument("name", nargs="?", metavar="ISA", default=_DEFAULT, help=text)
    p.add_debug()
    return p


@attrs.frozen(kw_only=True)
class DemoOptions:
    """The options of ``kstats demo``."""

    name: str
    debug: bool


def run(words: list[str]) -> int:
    """Run ``kstats demo``; return the exit status."""
    wanted = parser().parse(words, DemoOptions)
    known = _recordings()
    if wanted.name not in known:
        names = ", ".join(sorted(known))
        raise UsageError(f"there is no example recording {wanted.name!r}", f"known: {names}")
    return top.shown(TopOptions(input=str(known[wanted.name])))


def _recordings() -> dict[str, Path]:
    """Return the recordings by name: in a checkout they are examples, else in the package."""
    package = Path(__file__).parent.parent
    installed = package / "recordings"
    folder = installed if installed.is_dir() else package.parent / "examples" / "recordings"
    return {path.name.removesuffix(_SUFFIX): path for path in folder.glob(f"*{_SUFFIX}")}
