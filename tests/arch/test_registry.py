"""The registry finds built-in architectures cheaply and other packages' backends safely."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kstats.arch.arm64 import ARM64
from kstats.arch.registry import GROUP, Registry, installed
from kstats.arch.x64 import X64
from kstats.errors import BackendError, UnknownNameError
from tests.arch.samples import ARCH, DEMO

if TYPE_CHECKING:
    from kstats.arch import Arch

RENAMED = DEMO._replace(name="demo2")
OTHER_ARCH = ARCH._replace(name="other", machines=("other",), isas=(RENAMED,))


def registry(*values: str) -> Registry:
    """Return a registry of the built-in architectures and entry points with these values."""
    points = [EntryPoint(f"point{n}", value, GROUP) for n, value in enumerate(values)]
    return Registry((X64, ARM64), lambda: points)


@pytest.mark.parametrize("name", ["demo-1.dist-info", "demo.egg-info"])
def test_entry_points_are_found_where_packages_are_installed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", ["/nonexistent", str(tmp_path)])
    assert not list(installed())
    package = tmp_path / name
    package.mkdir()
    (package / "METADATA").write_text("Name: demo\nVersion: 1\n")
    (package / "PKG-INFO").write_text("Name: demo\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[other]\nx = y\n")
    assert not list(installed())
    (package / "entry_points.txt").write_text(f"[{GROUP}]\ndemo = demo:ARCH\n")
    assert [point.value for point in installed()] == ["demo:ARCH"]


def test_entry_points_are_found_in_zip_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "demo.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("demo-1.dist-info/METADATA", "Name: demo\nVersion: 1\n")
        file.writestr("demo-1.dist-info/entry_points.txt", f"[{GROUP}]\ndemo = demo:ARCH\n")
    monkeypatch.setattr("sys.path", [str(archive)])
    assert [point.value for point in installed()] == ["demo:ARCH"]


def raising() -> Arch:
    raise RuntimeError("no\nluck")


def leaving() -> Arch:
    sys.exit("bye")


def made() -> Arch:
    return OTHER_ARCH


def test_built_in_architectures() -> None:
    ours = registry()
    assert ours.arches() == (X64, ARM64)
    assert ours.find("x64") is X64
    assert ours.isa("arm64") is ARM64.isas[0]
    assert ours.broken() == ()


@pytest.mark.parametrize(
    ("machine", "arch"),
    [("x86_64", X64), ("amd64", X64), ("aarch64", ARM64), ("arm64", ARM64), ("riscv64", None)],
)
def test_machines(machine: str, arch: Arch | None) -> None:
    assert registry().for_machine(machine) is arch


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown architecture 'x86'") as caught:
        registry().find("x86")
    assert (caught.value.kind, caught.value.name) == ("architecture", "x86")
    assert caught.value.known == ("x64", "arm64")
    with pytest.raises(UnknownNameError, match="unknown ISA 'x64'") as caught:
        registry().isa("x64")
    assert caught.value.known == ("vmx", "svm", "arm64")


def test_registering_a_value() -> None:
    ours = registry()
    ours.register(ARCH)
    assert ours.find("demo64") is ARCH
    assert ours.for_machine("demo64") is ARCH
    assert ours.isa("demo") is DEMO
    assert ours.reason("demo", 1).name == "ONE"


@pytest.mark.parametrize(
    ("arch", "conflict"),
    [
        (ARCH._replace(name="x64"), "name 'x64' already belongs to architecture 'x64'"),
        (
            ARCH._replace(machines=("aarch64",)),
            "machine 'aarch64' already belongs to architecture",
        ),
        (
            ARCH._replace(isas=(DEMO._replace(name="svm"),)),
            "ISA 'svm' already belongs to architecture 'x64'",
        ),
    ],
)
def test_taken_names_are_refused(arch: Arch, conflict: str) -> None:
    ours = registry()
    with pytest.raises(BackendError, match=conflict):
        ours.register(arch)
    assert ours.arches() == (X64, ARM64)


def test_a_value_that_breaks_the_contract_is_refused() -> None:
    with pytest.raises(BackendError, match=r"backend 'demo64': the last column .* \(and 1 more\)"):
        registry().register(ARCH._replace(columns=()))


def test_an_installed_value_and_an_installed_function() -> None:
    ours = registry("tests.arch.samples:ARCH", "tests.arch.test_registry:made")
    assert ours.arches() == (X64, ARM64, ARCH, OTHER_ARCH)
    assert ours.find("other") is OTHER_ARCH
    assert ours.broken() == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no.such.module:ARCH", "cannot be loaded: ModuleNotFoundError: No module named 'no'"),
        ("tests.arch.samples:NOTHING", "cannot be loaded: AttributeError"),
        ("tests.arch.test_registry:raising", "cannot be loaded: RuntimeError: no"),
        ("tests.arch.test_registry:leaving", "cannot be loaded: SystemExit: bye"),
        ("tests.arch.samples:DEMO", "is a Isa, not a kstats.arch.Arch"),
        ("kstats.arch.x64:X64", "name 'x64' already belongs to architecture 'x64'"),
    ],
)
def test_a_broken_backend_is_left_out_and_reported(value: str, message: str) -> None:
    """Other backends keep working."""
    ours = registry(value, "tests.arch.samples:ARCH")
    assert ours.arches() == (X64, ARM64, ARCH)
    (error,) = ours.broken()
    assert str(error).startswith("package ?: ")
    assert message in str(error)
    assert "\n" not in str(error)


def test_backends_are_searched_for_once_and_only_if_needed() -> None:
    asked = []

    def installed() -> list[EntryPoint]:
        asked.append(1)
        return []

    ours = Registry((X64, ARM64), installed)
    ours.find("arm64")
    ours.for_machine("x86_64")
    ours.isa("svm")
    ours.reason("vmx", 12345)
    assert asked == []
    assert ours.reason("mystery", 1).name == "mystery:0x1"
    ours.arches()
    ours.broken()
    assert asked == [1]


def test_importing_opens_no_files_and_searches_for_no_backends() -> None:
    """Only modules are read: no C files, no entry points, no /sys or /proc."""
    script = """if True:
        import importlib.resources, sys
        opened = []
        sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
        import kstats.arch
        strange = [name for name in opened if not str(name).endswith((".py", ".pyc"))]
        assert not strange, strange
        unneeded = "contract rules print_fmt x64.msr_names arm64.sysreg_names".split()
        for module in ("importlib.metadata", *(f"kstats.arch.{name}" for name in unneeded)):
            assert module not in sys.modules, module
    """
    subprocess.run([sys.executable, "-c", script], check=True)
