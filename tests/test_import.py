"""Importing kstats is fast and does not read anything from the host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PATH = os.pathsep.join([str(ROOT), *(p for p in sys.path if p.endswith("-packages"))])
"""For Python without ``site``, which may import modules that are looked for here."""

# An audit hook sees every open, also those of C code in the interpreter.
WATCHED = """
import sys
opened = []
def hook(event, arguments):
    if event in ("open", "os.listdir", "os.scandir", "subprocess.Popen", "socket.__new__"):
        opened.append(str(arguments[0]))
sys.addaudithook(hook)
before = set(sys.modules)
import {module}
print(*(path for path in opened if path.startswith(("/sys", "/proc", "/dev"))))
print(*sorted(set(sys.modules) - before))
"""


def importing(module: str) -> tuple[list[str], set[str]]:
    """Return what an import opens below /sys, /proc and /dev, and the modules it loads."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", WATCHED.format(module=module)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=True,
        env={**os.environ, "PYTHONPATH": PATH},
    )
    opened, modules = done.stdout.splitlines()
    return opened.split(), set(modules.split())


def test_importing_kstats_imports_no_other_module() -> None:
    """Nothing else can take time."""
    assert importing("kstats") == ([], {"kstats"})


@pytest.mark.parametrize("module", ["kstats.arch", "kstats.cli.cpu", "kstats.doctor"])
def test_importing_a_module_does_not_read_the_host(module: str) -> None:
    opened, modules = importing(module)
    assert opened == []
    assert "bcc" not in modules


def test_architectures_do_not_import_the_collector() -> None:
    """Decoding works on systems other than Linux."""
    _, modules = importing("kstats.arch")
    assert not {m for m in modules if m.startswith(("kstats.collector", "kstats.host", "ctypes"))}


def test_the_loading_child_needs_only_the_standard_library() -> None:
    """It may run with a Python that has neither kstats nor its dependencies installed."""
    code = f"import sys; sys.path.append({str(ROOT)!r}); import kstats.loader.worker"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], timeout=120, check=True)


def test_importing_kstats_takes_less_time_than_starting_python() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import kstats"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=True,
    )
    took = {}
    for line in done.stderr.splitlines()[1:]:
        _, cumulative, module = line.removeprefix("import time:").split("|")
        took[module.strip()] = int(cumulative)
    assert took["kstats"] < 50_000
    assert took["kstats"] < took["site"]


LIVE = {"kstats.collector", "kstats.loader", "kstats.vms.registry", "subprocess"}
"""Modules that only counting on this host needs."""

HEAVY = {"attrs", "attr", "argparse", "typing", "collections", "contextlib", "pathlib", "json"}


@pytest.mark.parametrize("word", ["--version", "-V", "--help", "help", ""])
def test_help_and_version_import_almost_nothing(word: str) -> None:
    """Scripts and shells run these often."""
    _, modules = running(*word.split())
    assert not modules & HEAVY
    ours = {module for module in modules if module.startswith("kstats")}
    assert ours <= {"kstats", "kstats.cli", "kstats.cli.streams", "kstats.errors"}


@pytest.mark.parametrize(
    ("words", "unused"),
    [
        ("explain HLT", {*LIVE, "kstats.recording", "kstats.views", "tabulate", "pathlib"}),
        ("arch svm", {*LIVE, "kstats.recording", "kstats.views"}),
        ("compare --help", {*LIVE}),
        ("exits --help", {*LIVE, "tabulate"}),
        ("record --help", {*LIVE, "tabulate"}),
        ("exporter --help", {*LIVE, "tabulate", "asyncio", "ssl", "logging"}),
        (
            "cpu --input examples/recordings/svm.jsonl",
            {*LIVE, "tabulate", "kstats.importers", "kstats.recording.writer", "pathlib"},
        ),
        ("exits --input examples/recordings/svm.jsonl", {*LIVE, "tabulate", "kstats.importers"}),
        ("decode tests/data/decode/ftrace.txt", {*LIVE, "tabulate"}),
    ],
)
def test_a_command_imports_only_what_it_needs(words: str, unused: set[str]) -> None:
    _, modules = running(*words.split())
    assert not {module for module in modules for name in unused if module.startswith(name)}


HEAVY_AT_START = {
    "hashlib",
    "pathlib",
    "datetime",
    "csv",
    "kstats.filters",
    "kstats.importers",
    "kstats.model",
    "kstats.privileges",
    "kstats.recording",
    "kstats.render.",
    "kstats.table",
    "kstats.views.",
    "kstats.vms",
}
"""What kstats -v does without until its programs are attached."""


def test_counting_begins_before_what_shows_it_is_imported() -> None:
    _, modules = importing("kstats.cli.watch_cpu, kstats.cli.live_cpu")
    assert not {m for m in modules for name in HEAVY_AT_START if m.startswith(name)}


def test_the_worker_starts_before_most_modules_are_imported() -> None:
    """Those that the worker is started with are the standard library's, without attrs."""
    _, modules = importing("kstats.cli.cpu, kstats.loader.process")
    ours = {module for module in modules if module.startswith(("kstats", "attr"))}
    assert ours == {
        *("kstats", "kstats.cli", "kstats.cli.cpu", "kstats.cli.streams"),
        *("kstats.errors", "kstats.loader", "kstats.loader.process"),
    }


def running(*words: str) -> tuple[str, set[str]]:
    """Run kstats without the imports of site-packages; return its output and its modules."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "from kstats.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=True,
        env={**os.environ, "PYTHONPATH": PATH},
    )
    return done.stdout, set(done.stderr.splitlines()[-1].split())
