"""Finds the C files: ``bpf/`` is beside the package in a checkout, and in it when installed."""

from __future__ import annotations

from pathlib import Path


def directory() -> Path:
    """Return the folder of the C files."""
    # Importing importlib.resources would take longer than importing all architectures.
    package = Path(__file__).parent
    installed = package / "bpf"
    return installed if installed.is_dir() else package.parent / "bpf"
