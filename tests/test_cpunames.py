"""Names of ARM CPUs, which report only numbers."""

from __future__ import annotations

import pytest

from kstats.cpunames import readable


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("0x41 0xd0c", "Arm Neoverse-N1"),
        ("0xc0 0xac3", "Ampere AmpereOne"),
        ("0x00 0x051", "implementer 0x00, part 0x051"),
        ("AMD EPYC 7763", "AMD EPYC 7763"),
        ("0x41", "0x41"),
        ("", ""),
    ],
)
def test_arm_models_are_shown_by_name_or_as_numbers(model: str, shown: str) -> None:
    assert readable(model) == shown
