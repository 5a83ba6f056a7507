"""Locate the C files: ``bpf/`` next to the package in a checkout, inside it if installed."""

from __future__ import annotations

from pathlib import Path


def directory() -> Path:
    """Return the folder that contains the C files."""
    # Importing importlib.resources takes longer than importing all architectures.
    package = Path(__file__).parent
    installed = package / "bpf"
    return installed if installed.is_dir() else package.parent / "bpf"
