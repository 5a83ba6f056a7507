"""The public API keeps its promised names, and its documentation is correct.

After an intended change, run ``python -m tests.test_api > tests/data/api.txt`` and describe the
change in the changelog.
"""

from __future__ import annotations

import doctest
import enum
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from kstats import api
from kstats.errors import UnknownNameError
from tests.samples import counts
from tests.test_import import importing

ROOT = Path(__file__).parent.parent
PROMISED = Path(__file__).parent / "data" / "api.txt"


def described() -> str:
    """Return every public name with its signature or members, one per line."""
    return "".join(f"{line}\n" for name in sorted(api.__all__) for line in _lines(name))


def _lines(name: str) -> Iterator[str]:
    value = getattr(api, name)
    if inspect.isclass(value):
        yield f"class {name}{'' if attrs.has(value) else f'({value.__mro__[1].__name__})'}"
        yield from sorted(f"    {member}" for member in _members(value))
    elif callable(value) and not hasattr(value, "__origin__"):
        yield f"{name}{inspect.signature(value)}"
    else:
        yield f"{name}: {_shape(value)}"


def _fields(value: type) -> Iterator[str]:
    # attrs may or may not have resolved the types of its fields by now.
    annotations = inspect.get_annotations(value)
    if attrs.has(value):
        for field in attrs.fields(value):
            default = "" if field.default is attrs.NOTHING else " = …"
            yield f"{field.name}: {annotations[field.name]}{default}"
    else:
        defaults = vars(value)["_field_defaults"]
        for name, kind in annotations.items():
            yield f"{name}: {_type(kind)}{' = …' if name in defaults else ''}"


def _type(kind: Any) -> str:
    """Return an annotation as it is written, whether its module evaluates it or not."""
    text = kind.__forward_arg__ if hasattr(kind, "__forward_arg__") else _signed(kind)
    return str(text)


def _signed(value: Any) -> str:
    """Return a signature or a type without the modules of its types."""
    text = value.__name__ if isinstance(value, type) else str(value)
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])", "", text)


def _members(value: type) -> Iterator[str]:
    if attrs.has(value) or issubclass(value, tuple):
        yield from _fields(value)
    elif issubclass(value, enum.Enum):
        yield from value.__members__
    elif not issubclass(value, BaseException):
        yield f"made of {inspect.signature(value)}"
    ours = (base for base in value.__mro__ if base.__module__.startswith("kstats"))
    found = {name: member for base in ours for name, member in vars(base).items()}
    for name, member in found.items():
        if name.startswith("_") or inspect.ismemberdescriptor(member):
            continue
        if isinstance(member, property):
            yield f"{name}: property"
        elif inspect.isroutine(member):
            yield f"{name}{_signed(inspect.signature(getattr(value, name)))}"


def _shape(value: Any) -> str:
    return f"{{{', '.join(sorted(value))}}}" if isinstance(value, dict) else str(value)


def blocks(text: str) -> dict[str, set[str]]:
    """Return the lines of members for each line of a public name."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if not line.startswith(" "):
            found[line] = set()
        else:
            found[list(found)[-1]].add(line.strip())
    return found


def test_nothing_public_changes_unnoticed() -> None:
    """A class may gain members, but every public name must be on the list."""
    promised, there = blocks(PROMISED.read_text(encoding="utf-8")), blocks(described())
    assert promised.keys() == there.keys()
    for name, members in promised.items():
        assert members <= there[name], name


def test_every_public_name_is_exported_and_documented() -> None:
    defined = {name for name in vars(api) if not name.startswith("_")}
    hidden = {"annotations", "clocks", "numbers", "arches", "TYPE_CHECKING"}
    hidden |= {"Iterable", "Iterator", "Mapping", "Literal"}
    assert set(api.__all__) == defined - hidden
    for name in api.__all__:
        assert inspect.getdoc(getattr(api, name))


@pytest.mark.parametrize("page", ["api.md"])
def test_examples_in_the_documentation_work(page: str) -> None:
    path = str(ROOT / "docs" / page)
    failed, tried = doctest.testfile(path, module_relative=False)
    assert (failed, tried > 10) == (0, True)


def test_importing_it_does_not_read_the_host() -> None:
    opened, modules = importing("kstats.api")
    assert opened == []
    assert not modules & {"bcc", "zstandard", "ctypes", "subprocess"}
    assert not any(module.startswith("kstats.collector") for module in modules)


def test_counts_from_elsewhere_keep_codes_without_a_name() -> None:
    sample = api.counted("arm64", {0x99: 3})
    assert sample.arch == "arm64"
    assert counts(sample.exits) == {("arm64", 0x99): {(0, 0): 3}}
    with pytest.raises(UnknownNameError, match="unknown ISA 'z80'"):
        api.counted("z80", {})


if __name__ == "__main__":
    sys.stdout.write(described())
