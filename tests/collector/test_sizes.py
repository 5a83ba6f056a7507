"""No program grows unseen: what a view costs is decided here first."""

from __future__ import annotations

from pathlib import Path

import pytest

from kstats import csource
from kstats.loader.process import LOADERS
from tests.collector.native import LOADS
from tests.collector.sizes import RECORD, Size, programs, recorded, sizes

TENTH, FEW_INSTRUCTIONS, FEW_BYTES = 0.1, 8, 32
"""How much more than recorded is allowed: a kernel more or less must not matter.

Whoever records larger programs has measured with ``make bench`` what an exit costs then.
"""


def name(size: Size) -> tuple[str, ...]:
    """Which program it is."""
    return size.view, size.isa, size.probe, size.function


@pytest.mark.root
def test_no_program_grows_past_its_bound() -> None:
    bounds = {name(size): size for size in recorded()}
    found = {name(size): size for size in sizes(programs(), "prebuilt")}
    assert found.keys() <= bounds.keys(), f"a program without a bound: see {RECORD}"
    for program, size in found.items():
        bound = bounds[program]
        assert 0 < size.instructions <= bound.instructions * (1 + TENTH) + FEW_INSTRUCTIONS, size
        assert 0 < size.jited <= bound.jited * (1 + TENTH) + FEW_BYTES, size
    direct = {probe.name for *_, probe in programs() if probe.direct}
    left_out = {program for program in bounds if program[2] in direct and not LOADS}
    assert found.keys() == bounds.keys() - left_out, "a bound without a program"


@pytest.mark.root
def test_prebuilt_programs_are_not_larger_than_those_that_bcc_compiles() -> None:
    """Only with one probe of each ISA, because bcc is slow.

    Compilers order the rare branches of a program differently, hence the margin. What an exit
    executes is compared by make bench, in hosts that count instructions.
    """
    chosen = [one for one in programs() if one.probe.name in ("raw", "raw-btf")]
    prebuilt, bcc = (
        {name(size): size.instructions for size in sizes(chosen, loader)} for loader in LOADERS
    )
    assert prebuilt.keys() == bcc.keys()
    for program, instructions in prebuilt.items():
        assert instructions <= bcc[program] * 1.05 + 4, (program, instructions, bcc[program])


def test_every_c_file_is_in_a_program() -> None:
    texts = {one.machine.plan(one.features).text for one in programs()}
    for file in Path(csource.directory()).glob("*.c"):
        assert any(f'"bpf/{file.name}"' in text for text in texts), file
