"""The layers of the package: syntax trees show that only one part does each job."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import kstats
from kstats import arch as arches

PACKAGE = Path(kstats.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Separate programs: python -m kstats, the contract test of backends, and the
# process that loads.
PROGRAMS = {"__main__.py", "arch/contract.py", "collector/prebuild.py", "loader/worker.py"}

MACHINES = {
    name
    for arch in arches.arches()
    for name in (arch.name, *arch.machines, *(isa.name for isa in arch.isas))
}


def name(path: Path) -> str:
    """Return the path of a file in the package, for messages."""
    return path.relative_to(PACKAGE).as_posix()


def nodes(path: Path) -> Iterator[ast.AST]:
    """Yield every node of a file's syntax tree."""
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def imported(path: Path) -> set[str]:
    """Yield the modules that a file imports anywhere, also inside functions."""
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return found


def calls(path: Path) -> set[str]:
    """Yield the functions that a file calls, as in the source."""
    return {ast.unparse(node.func) for node in nodes(path) if isinstance(node, ast.Call)}


def strings(node: ast.AST) -> set[str]:
    """Yield the string constants below a node."""
    below = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant))
    return {value for value in below if isinstance(value, str)}


def test_only_the_loading_child_imports_bcc() -> None:
    assert [name(path) for path in FILES if "bcc" in imported(path)] == ["loader/compiled.py"]
    imports_it = "kstats.loader.compiled"
    assert [name(p) for p in FILES if imports_it in imported(p)] == ["loader/worker.py"]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_the_command_line_prints_and_exits(path: Path) -> None:
    if name(path).startswith("cli/") or name(path) in PROGRAMS:
        return
    forbidden = {"print", "sys.exit", "os._exit", "exit", "quit", "SystemExit", "input"}
    forbidden |= {f"sys.{stream}.write" for stream in ("stdout", "stderr")}
    assert not calls(path) & forbidden


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_architectures_know_architectures_by_name(path: Path) -> None:
    """Differences between machines are data in kstats/arch, not branches elsewhere."""
    if name(path).startswith("arch/"):
        return
    for node in nodes(path):
        if isinstance(node, ast.Compare | ast.match_case):
            assert not strings(node) & MACHINES, ast.unparse(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("startswith"):
            assert not strings(node) & MACHINES, ast.unparse(node)


@pytest.mark.parametrize("room", ["views", "render"])
def test_views_and_renderers_do_not_know_where_samples_come_from(room: str) -> None:
    for path in (PACKAGE / room).rglob("*.py"):
        for module in imported(path):
            assert not module.startswith(("kstats.collector", "kstats.cli", "kstats.host"))
            assert module.split(".")[0] not in {"ctypes", "subprocess", "socket"}


def imports() -> dict[str, set[str]]:
    """The modules of the package that each of its modules imports, wherever in it."""
    modules = {_module(path): path for path in FILES}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        graph[module] = set()
        for node in nodes(path):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                graph[module] |= {name if name in modules else node.module for name in names}
            elif isinstance(node, ast.Import):
                graph[module] |= {alias.name for alias in node.names}
        graph[module] &= modules.keys() - {module}
    return graph


def test_no_modules_import_each_other() -> None:
    """Neither for type checkers only nor inside functions."""
    graphlib.TopologicalSorter(imports()).prepare()  # CycleError lists the modules of a cycle


def test_no_folders_import_each_other() -> None:
    """Data flows one way, so imports do: a folder never imports one that is built on it."""
    graph: dict[str, set[str]] = {}
    for module, imported_ones in imports().items():
        graph.setdefault(_folder(module), set()).update(map(_folder, imported_ones))
    for folder, others in graph.items():
        others.discard(folder)
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("folder", ["recording", "importers", "views", "render", "vms"])
def test_what_reads_samples_does_not_import_what_counts(folder: str) -> None:
    for module, others in imports().items():
        if module.startswith(f"kstats.{folder}"):
            above = {"kstats.collector", "kstats.loader", "kstats.cli"}
            assert not above & set(map(_folder, others)), module


def _folder(module: str) -> str:
    """The folder of the package that a module is in; a module at the top is its own."""
    return ".".join(module.split(".")[:2])


def _module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


VALUES = (
    "model.py",
    "meaning.py",
    "histogram.py",
    "topology.py",
    "vms/identity.py",
    "facts/model.py",
    "table.py",
    "errors.py",
)


@pytest.mark.parametrize("file", VALUES)
def test_value_modules_import_only_value_modules(file: str) -> None:
    ours = {module for module in imported(PACKAGE / file) if module.startswith("kstats")}
    values = (
        "kstats.histogram",
        "kstats.meaning",
        "kstats.topology",
        "kstats.vms.identity",
    )
    assert all(module.startswith(values) for module in ours)
