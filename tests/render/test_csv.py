"""CSV, parsed by the standard library."""

from __future__ import annotations

import csv
import io
from typing import Any

from hypothesis import given

from kstats.model import Sample
from kstats.render.delimited import CsvRenderer
from kstats.views.percpu import Options, PerCpuView
from tests.samples import SAMPLES, sample


def written(*samples: Sample, **options: Any) -> str:
    """Return the output for these samples."""
    stream = io.StringIO(newline="")
    view, renderer = PerCpuView(Options(**options)), CsvRenderer(stream)
    for of in samples:
        renderer.write(view.table(of))
    return stream.getvalue()


def read(text: str) -> list[list[str]]:
    """Parse the output into lines of cells."""
    return list(csv.reader(io.StringIO(text), strict=True))


def test_a_line_is_a_row_with_its_reports_time() -> None:
    of = sample({("arm64", 0x24): {1: 6}}, arch="arm64", entries={1: 7}, elapsed=0.25)
    assert written(of) == (
        "time,elapsed,cpu,vm_entry,vm_exit,"
        "inst_abt,data_abt,wfx_inst,sys_inst,smc_inst,ints,other\n"
        "2026-01-31T12:00:00.250Z,0.250000,0,0,0,0,0,0,0,0,0,0\n"
        "2026-01-31T12:00:00.250Z,0.250000,1,7,6,0,6,0,0,0,0,0\n"
    )


def test_the_header_comes_once_and_again_when_columns_change() -> None:
    assert written(sample(), sample()).count("vm_exit") == 1
    first, second = sample({("vmx", 48): {0: 1}}), sample({("vmx", 10): {0: 1}})
    headers = [row for row in read(written(first, second, first, reasons=True)) if "cpu" in row]
    assert [header[5:] for header in headers] == [
        ["EPT_VIOLATION", "other"],
        ["CPUID", "EPT_VIOLATION", "other"],
    ]


def test_the_total_is_a_row_named_total() -> None:
    of = sample({("vmx", 48): {0: 1, 1: 2}})
    assert [row[2] for row in read(written(of, total=True))] == ["cpu", "0", "1", "total"]


def test_rates_have_three_decimals() -> None:
    of = sample(entries={0: 1}, cpus=(0,), elapsed=3.0)
    assert read(written(of, rate=True))[1][3] == "0.333"


def test_notes_are_not_part_of_the_data() -> None:
    text = written(sample(code_dropped={0: 1}, notes=("a note",)))
    assert not CsvRenderer.carries_notes
    assert "note" not in text
    assert len(read(text)) == 3


@given(SAMPLES)
def test_every_line_has_a_cell_for_every_heading(of: Sample) -> None:
    """With any names of ISAs."""
    header, *rows = read(written(of, reasons=True, total=True))
    assert all(len(row) == len(header) for row in rows)
    for row in rows:
        assert int(row[4]) == sum(map(int, row[5:]))
