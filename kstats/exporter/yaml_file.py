"""A YAML file, read strictly: errors name the file and the line.

Only what is asked for is looked at, and aliases are never expanded, so a file cannot cost more
than its size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NoReturn, TypeVar

import yaml

from kstats.errors import UsageError
from kstats.escape import printable

T = TypeVar("T")

_LONGEST = 300


class YamlFile:
    """An open file: ``root`` is its contents, None if it is empty.

    Raises:
        UsageError: It cannot be read, or is not YAML.
    """

    def __init__(self, path: Path, hint: str) -> None:
        """Read ``path``; errors have this hint."""
        self._path = path
        self._hint = hint
        try:
            self.root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except OSError as error:
            raise UsageError(
                f"cannot read {shown(path)}: {error.strerror}", "check its name and permissions"
            ) from error
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line if error.problem_mark else None
            self._raise(f"invalid YAML: {error.problem}", line)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            self._raise(f"invalid YAML: {error}", None)

    def mapping(
        self, node: yaml.Node | None, known: Collection[str] | None = None
    ) -> dict[str, yaml.Node]:
        """Return the values of a mapping by key; empty if there is nothing.

        Raises:
            UsageError: It is not a mapping, a key is repeated, or not among ``known`` if given.
        """
        found: dict[str, yaml.Node] = {}
        if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
            return found
        if not isinstance(node, yaml.MappingNode):
            self.refuse(node, "a mapping is expected here")
        for key, value in node.value:
            name = self.text(key)
            if known is not None and name not in known:
                self.refuse(key, f"unknown key {name}")
            if name in found:
                self.refuse(key, f"{name} is given twice")
            found[name] = value
        return found

    def text(self, node: yaml.Node) -> str:
        """Return a scalar as it is written."""
        if not isinstance(node, yaml.ScalarNode):
            self.refuse(node, "a text is expected here")
        return str(node.value)

    def choice(self, node: yaml.Node, choices: Mapping[str, T]) -> T:
        """Return what one of several words stands for."""
        text = self.text(node)
        if text not in choices:
            self.refuse(node, f"{text} is not one of {', '.join(choices)}")
        return choices[text]

    def file(self, node: yaml.Node) -> Path:
        """Return a path; a relative one starts in the directory of this file."""
        return self._path.parent / self.text(node)

    def refuse(self, node: yaml.Node, why: str) -> NoReturn:
        """Raise an error about a line."""
        self._raise(why, node.start_mark.line if node.start_mark else None)

    def _raise(self, why: str, line: int | None) -> NoReturn:
        where = shown(self._path) if line is None else f"{shown(self._path)}: line {line + 1}"
        raise UsageError(f"{where}: {printable(why, _LONGEST)}", self._hint)


def shown(path: Path) -> str:
    """Return a path for a message."""
    return printable(str(path), _LONGEST)
