"""Finding libbpf, with real shared objects in the place of the system's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kstats.loader import libbpf


def library(folder: Path, text: str) -> str:
    """Compile a shared object from C; return its path."""
    path = folder / "library.so"
    command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path)]
    subprocess.run(command, input=text, text=True, check=True)
    return str(path)


def test_a_host_without_libbpf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(libbpf, "SONAME", str(tmp_path / "none.so.1"))
    monkeypatch.setattr(libbpf, "_OLD_SONAME", str(tmp_path / "none.so.0"))
    with pytest.raises(libbpf.MissingError, match=r"libbpf is not installed: .*none\.so\.1"):
        libbpf.open_library()


def test_a_libbpf_before_1_0(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(libbpf, "SONAME", str(tmp_path / "none.so.1"))
    monkeypatch.setattr(libbpf, "_OLD_SONAME", library(tmp_path, "int libbpf_major_version(void);"))
    with pytest.raises(libbpf.MissingError, match=r"libbpf is older than 1\.0"):
        libbpf.open_library()


def test_a_libbpf_that_lacks_a_function(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second = list(libbpf._SIGNATURES)[:2]
    text = f"const char *{first}(void) {{ return 0; }}"
    monkeypatch.setattr(libbpf, "SONAME", library(tmp_path, text))
    with pytest.raises(libbpf.MissingError, match=f"has no function {second}"):
        libbpf.open_library()
