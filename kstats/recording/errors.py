"""What is wrong with a line, before anybody knows whose and which."""

from __future__ import annotations


class LineError(ValueError):
    """A line of a recording is not what belongs there; the text says what is wrong."""
