"""Where the C files are: ``bpf/`` beside the package in a checkout, inside it once installed."""

from __future__ import annotations

from pathlib import Path


def directory() -> Path:
    """The folder of the C files."""
    # Not importlib.resources, whose import takes longer than that of all architectures.
    package = Path(__file__).parent
    installed = package / "bpf"
    return installed if installed.is_dir() else package.parent / "bpf"
