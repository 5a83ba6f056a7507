"""The wheel, installed into an empty virtual environment."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

import pytest

from lab.payload import ROOT, build_wheel

pytestmark = pytest.mark.install


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an empty virtual environment; return its folder."""
    place = tmp_path_factory.mktemp("wheel")
    venv.create(place / "env", with_pip=True)
    wheel = build_wheel(place)
    run(place / "env", "pip", "install", "--quiet", str(wheel)).check_returncode()
    return place / "env"


def run(environment: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(environment / "bin" / program), *words]
    return subprocess.run(
        command, capture_output=True, text=True, cwd="/", timeout=300, check=False
    )


def test_commands_run(environment: Path) -> None:
    assert run(environment, "kstats", "--version").stdout.startswith("kstats ")

    for command in ("kvmexit", "kvmstat"):
        assert run(environment, command, "--help").stdout.startswith(f"usage: {command}")


def test_every_c_file_is_installed(environment: Path) -> None:
    (installed,) = environment.glob("lib/python3*/site-packages/kstats/bpf")
    ours = {file.relative_to(ROOT / "bpf") for file in (ROOT / "bpf").rglob("*.[ch]")}
    assert {file.relative_to(installed) for file in installed.rglob("*.[ch]")} == ours


def test_man_pages_and_completion_are_installed(environment: Path) -> None:
    installed = {page.name for page in environment.glob("share/man/man*/*")}
    assert installed == {source.stem for source in (ROOT / "man").iterdir()}
    assert (environment / "share/man/man1/kvmstat.1").read_text("utf-8").startswith(".Dd ")
    assert "map-entries" in run(environment, "kstats", "completion", "bash").stdout


def test_it_decodes_without_bcc(environment: Path) -> None:
    code = "from kstats import arch; print(arch.reason('vmx', 48).name)"
    assert run(environment, "python", "-c", code).stdout == "EPT_VIOLATION\n"
    assert run(environment, "python", "-c", "import bcc").returncode != 0


def test_doctor_reports_which_python_has_bcc(environment: Path) -> None:
    output = run(environment, "kstats", "doctor").stdout
    assert "ok    bcc         for /usr/bin/python3" in output


def test_names_collide_with_no_other_project(environment: Path) -> None:
    listed = run(environment, "pip", "list", "--format", "freeze").stdout
    assert "kvm-kstats==" in listed
    assert "bcc==" not in listed
