"""A backend in a separate package, installed like users install it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kstats import arch

TOY = Path(__file__).parent.parent / "data" / "toy_backend"

ASK = """if True:
    import json
    from kstats import arch
    from kstats.arch.rules import check
    toy = arch.find("toy")
    print(json.dumps({
        "problems": check(toy),
        "broken": [str(error) for error in arch.broken()],
        "arches": [one.name for one in arch.arches()],
        "machine": arch.for_machine("toy64").name,
        "bell": arch.reason("house", 2).name,
        "nine": arch.reason("house", 9).name,
        "columns": [column.key for column in arch.columns("toy")],
        "c": "exit_code" in toy.bpf.read_text(),
    }))
"""


COUNT = """if True:
    import sys
    from kstats.collector.live import Collector
    from kstats.collector.percpu import PER_CPU
    from kstats.collector.target import Target
    from kstats.host import Host
    from kstats.render.text import TextRenderer
    from kstats.views.percpu import Options, PerCpuView
    from tests.collector import kernel
    with Collector(Target.find(Host(machine="toy64")), PER_CPU) as collector:
        second = collector.loaded.probe == "second"
        for visit in (1, 1, 2, 3, 3, 3, 9):
            args = (0, visit) if second else (visit, 0, 0)
            kernel.fire(collector.loaded.programs["on_exit"], *args)
        table = PerCpuView(Options(cpus={0})).table(collector.sample())
    TextRenderer(sys.stdout).write(table)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the toy backend is installed."""
    folder = tmp_path_factory.mktemp("site")
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    words += ["--no-build-isolation", "--target", str(folder), str(TOY)]
    subprocess.run([sys.executable, *words], check=True)
    return folder


def ask(site: Path) -> dict[str, Any]:
    """Run ASK in a Python with ``site`` on its path."""
    env = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", ASK], check=True, env=env, stdout=subprocess.PIPE)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_an_installed_backend_is_found(site: Path) -> None:
    assert ask(site) == {
        "problems": [],
        "broken": [],
        "arches": [*(one.name for one in arch.BUILT_IN), "toy"],
        "machine": "toy",
        "bell": "BELL",
        "nine": "house:0x9",
        "columns": ["knock", "ring_bell", "ring_phone", "other"],
        "c": True,
    }


def test_its_author_can_run_the_contract(site: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(site)}
    words = [sys.executable, "-m", "kstats.arch.contract", "toy"]
    done = subprocess.run(words, check=False, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "toy: keeps the contract\n"), done.stderr


def test_a_broken_backend_is_reported_with_its_package(site: Path, tmp_path: Path) -> None:
    """The other backends keep working."""
    info = tmp_path / "wreck-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wreck\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kstats.arch]\nwreck = wreck_module:ARCH\n")
    env = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{site}"}
    script = "from kstats import arch; print(arch.find('toy').name, *arch.broken(), sep='|')"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, env=env, capture_output=True, text=True
    )
    name, error = done.stdout.strip().split("|")
    assert name == "toy"
    assert error.startswith("package wreck: entry point wreck = wreck_module:ARCH cannot be loaded")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other users")
@pytest.mark.parametrize("changeable", ["file", "folder", "open folder", "namespace"])
def test_root_does_not_load_what_another_user_can_change(changeable: str, tmp_path: Path) -> None:
    """The planted module would end the process."""
    info = tmp_path / "planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kstats.arch]\nplanted = planted.sub:ARCH\n")
    folder = tmp_path / "planted"
    folder.mkdir()
    file = folder / ("sub.py" if changeable == "namespace" else "__init__.py")
    file.write_text("import os; os._exit(3)\n")
    if changeable == "open folder":
        folder.chmod(0o777)
    else:
        os.chown(file if changeable == "file" else folder, 65534, 65534)
    done = subprocess.run(
        [sys.executable, "-c", "from kstats import arch; print(*arch.broken())"],
        check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    path = file if changeable == "file" else folder
    assert done.returncode == 0, done.stderr
    assert f"is not loaded by root: another user can change {path}\n" in done.stdout


@pytest.mark.root
def test_its_exits_are_counted_and_printed(site: Path) -> None:
    """From its C program in this kernel to its columns in the table."""
    root = Path(__file__).parent.parent.parent
    env = os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{root}"}
    words = [sys.executable, "-c", COUNT]
    done = subprocess.run(words, check=False, env=env, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "cpu vm_entry vm_exit knock ring(bell phone) other",
        "  0        0       7     2         1      3     1",
    ], done.stderr
