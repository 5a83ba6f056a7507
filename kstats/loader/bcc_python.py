"""Finds a Python that has bcc, which is a package of the distribution."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

DISTRIBUTION_PYTHON = "/usr/bin/python3"
"""The Python that has bcc where kstats is installed for another one."""


def has_bcc() -> bool:
    """Return whether this Python has the distribution's bcc; PyPI's bcc is another project."""
    spec = importlib.util.find_spec("bcc")
    places = spec.submodule_search_locations if spec else None
    return any(Path(place, "libbcc.py").exists() for place in places or ())


def distribution_has_bcc() -> bool:
    """Return whether the distribution's Python has bcc, without starting it."""
    places = Path(DISTRIBUTION_PYTHON).parent.parent.glob("lib/python3*/*-packages/bcc/__init__.py")
    return any(places)


def python_with_bcc() -> str:
    """Return the worker's interpreter: this one, unless only the distribution's has bcc."""
    if has_bcc() or not distribution_has_bcc():
        return sys.executable
    return DISTRIBUTION_PYTHON
