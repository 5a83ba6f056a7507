"""Patterns in texts of other processes.

Patterns are compiled when they are used: starting kstats must not wait for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def first_match(pattern: str, texts: Iterable[str]) -> str:
    """Return the group of a pattern in the first of the texts that has it; empty without one."""
    found = (re.search(pattern, text) for text in texts)
    return next((match[1] for match in found if match), "")
