"""Names of ARM CPUs, which report only an implementer and a part number."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NUMBERS = re.compile(r"0x([0-9a-f]{1,2}) 0x([0-9a-f]{1,3})")

# (implementer, part) of MIDR_EL1, from Linux' arch/arm64/include/asm/cputype.h.
_NAMES: Mapping[tuple[int, int], str] = {
    (0x41, 0xD03): "Arm Cortex-A53",
    (0x41, 0xD05): "Arm Cortex-A55",
    (0x41, 0xD07): "Arm Cortex-A57",
    (0x41, 0xD08): "Arm Cortex-A72",
    (0x41, 0xD09): "Arm Cortex-A73",
    (0x41, 0xD0A): "Arm Cortex-A75",
    (0x41, 0xD0B): "Arm Cortex-A76",
    (0x41, 0xD0C): "Arm Neoverse-N1",
    (0x41, 0xD40): "Arm Neoverse-V1",
    (0x41, 0xD41): "Arm Cortex-A78",
    (0x41, 0xD49): "Arm Neoverse-N2",
    (0x41, 0xD4F): "Arm Neoverse-V2",
    (0x41, 0xD84): "Arm Neoverse-V3",
    (0x41, 0xD8E): "Arm Neoverse-N3",
    (0x43, 0x0A1): "Cavium ThunderX",
    (0x43, 0x0AF): "Cavium ThunderX2",
    (0x46, 0x001): "Fujitsu A64FX",
    (0x48, 0xD01): "HiSilicon Kunpeng 920",
    (0x4E, 0x004): "NVIDIA Carmel",
    (0x50, 0x000): "APM X-Gene",
    (0x51, 0xC00): "Qualcomm Falkor",
    (0x61, 0x022): "Apple M1",
    (0x61, 0x023): "Apple M1",
    (0x6D, 0xD49): "Microsoft Azure Cobalt 100",
    (0xC0, 0xAC3): "Ampere AmpereOne",
    (0xC0, 0xAC4): "Ampere AmpereOne",
}


def readable(model: str) -> str:
    """Return a readable CPU model: ARM numbers like ``0x41 0xd0c`` by name, others unchanged."""
    numbers = _NUMBERS.fullmatch(model)
    if not numbers:
        return model
    name = _NAMES.get((int(numbers[1], 16), int(numbers[2], 16)))
    return name or f"implementer 0x{numbers[1]}, part 0x{numbers[2]}"
