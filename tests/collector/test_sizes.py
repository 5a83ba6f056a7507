"""No program grows unseen: what a view costs is decided here first."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.collector.sizes import VIEWS, Size, sizes

BOUNDS = {
    ("kstats -v", "vmx"): (130, 620),
    ("kstats -v", "svm"): (245, 900),
    ("kstats -v", "arm64"): (135, 560),
    ("kstats exits", "vmx"): (300, 1200),
    ("kstats exits", "svm"): (670, 1500),
    ("kstats exits", "arm64"): (470, 1150),
    ("kstats vcpu", "vmx"): (300, 1200),
    ("kstats vcpu", "svm"): (670, 1500),
    ("kstats vcpu", "arm64"): (470, 1150),
}
"""Instructions that the verifier goes through, and bytes of machine code, of ``on_exit``.

A tenth above what Linux 6.18 on x86-64 makes of them: a kernel more or less must not matter.
Whoever raises one has measured with ``make bench`` what an exit costs then.
"""

ENTRY, EVENT = (14, 125), (215, 780)
"""The same of ``on_entry``, and of what ``kstats vcpu`` counts beside exits."""


def bounds(size: Size) -> tuple[int, int]:
    """What ``size`` must not exceed."""
    if size.function.startswith("on_event"):
        return EVENT
    return ENTRY if size.function == "on_entry" else BOUNDS[size.view, size.isa]


@pytest.mark.root
def test_no_program_grows_past_its_bound() -> None:
    found = list(sizes())
    for size in found:
        verified, jited = bounds(size)
        assert 0 < size.verified <= verified, size
        assert 0 < size.jited <= jited, size
    # And none was left out.
    functions = Counter((size.view, size.isa) for size in found)
    assert set(functions) == set(BOUNDS)
    assert {view for view, _ in functions} == set(VIEWS)
