"""The C text that is compiled: which files, in which order, with which slots."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kstats import arch as arches
from kstats import csource
from kstats.arch.base import ExitSource, SlotRange
from kstats.errors import BackendError
from kstats.loader import c_text

LAYOUT = ("counts.c", "entries.c", "exits_percpu.c")
SOURCES = [
    pytest.param(arch, source, id=source.isa) for arch in arches.arches() for source in arch.sources
]


def test_slots_are_numbered_through_all_ranges() -> None:
    slots = (SlotRange(0, 2), SlotRange(0x400, 1), SlotRange(1 << 32, 2))
    assert c_text.slot_codes(slots) == (0, 1, 0x400, 1 << 32, (1 << 32) + 1)


@pytest.mark.parametrize(("arch", "source"), SOURCES)
def test_the_c_function_and_the_reader_agree_on_every_slot(
    arch: arches.Arch, source: ExitSource
) -> None:
    """The test parses the C text: each range has COUNT codes, starting with FIRST."""
    pattern = r"if \(code - (0x\w+)ULL < (\d+)\)\n\t\treturn (\d+) \+ \(code - (0x\w+)ULL\);"
    in_c: dict[int, int] = {}
    for first, count, base, again in re.findall(pattern, c_text.slot_function(source.slots)):
        assert first == again
        in_c |= {int(first, 16) + i: int(base) + i for i in range(int(count))}
    in_python = c_text.slot_codes(source.slots)
    assert in_c == {code: slot for slot, code in enumerate(in_python)}
    assert c_text.slot_function(source.slots).count("return") == len(source.slots) + 1
    assert arch.bpf


@pytest.mark.parametrize(("arch", "source"), SOURCES)
def test_a_program_is_made_of_named_files(arch: arches.Arch, source: ExitSource) -> None:
    """So that compiler errors name the right file and line."""
    assert arch.bpf
    text = c_text.text(arch, source, files=LAYOUT)
    assert re.findall(r'^#line 1 "(.*)"$', text, re.MULTILINE) == [
        "bpf/kstats.h",
        f"bpf/{arch.bpf.name}",
        f"slots of {source.isa}",
        *(f"bpf/{name}" for name in LAYOUT),
    ]
    for name in ("kstats.h", *LAYOUT):
        assert (Path(csource.directory(), name)).read_text(encoding="utf-8") in text


def test_a_backend_that_only_decodes_cannot_be_loaded() -> None:
    arch = arches.find("arm64")._replace(bpf=None)
    with pytest.raises(BackendError, match="backend arm64 has no C file"):
        c_text.text(arch, arch.sources[0], files=LAYOUT)


def test_the_header_tree_has_the_files_that_bcc_includes() -> None:
    wanted = ("linux/kconfig.h", "linux/types.h", "linux/version.h", "uapi/linux/bpf.h")
    for header in wanted:
        assert Path(c_text.headers(), "include", header).is_file()
    assert Path(c_text.headers()).is_absolute()
