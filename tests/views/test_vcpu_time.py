"""Tables of vCPU time and of single slow exits."""

from __future__ import annotations

import io

import attrs

from kstats.model import Place, Sample, SlowExit, VcpuTime
from kstats.render.text import TextRenderer
from kstats.table import Table
from kstats.views.slow_exits import SlowExitsView
from kstats.views.vcpu_time import VcpuTimeView
from kstats.vms.identity import Kind, Thread, Vm
from tests.samples import MOMENT, sample

WEB = Vm(100, 1, Kind.QEMU, "web")
ME, HER, NEW = (100 << 32 | tid for tid in (101, 102, 103))
THREADS = {
    number: Thread(number & 0xFFFF, 100, at, WEB) for at, number in enumerate((ME, HER, NEW))
}
MS = 10**6


def happened(elapsed: float = 1.0) -> Sample:
    """Return a sample with the time of two vCPUs; that of the third is unknown."""
    spent = {
        ME: VcpuTime(600 * MS, 100 * MS, 50 * MS, 250 * MS, 0),
        HER: VcpuTime(halted=1000 * MS),
    }
    return attrs.evolve(sample(elapsed=elapsed), vcpu_time=spent, threads=THREADS)


def cells(table: Table) -> list[tuple[object, ...]]:
    return [row.cells for row in table.rows]


def text(table: Table) -> list[list[str]]:
    """Return the words of each line that the table has on the screen."""
    stream = io.StringIO()
    TextRenderer(stream).write(table)
    return [line.split() for line in stream.getvalue().splitlines()]


def test_each_vcpu_has_a_row_in_nanoseconds() -> None:
    assert cells(VcpuTimeView().table(happened())) == [
        ("web", 0, 600 * MS, 100 * MS, 50 * MS, 250 * MS, 0),
        ("web", 1, 0, 0, 0, 1000 * MS, None),
        ("web", 2, None, None, None, None, None),
    ]


def test_the_screen_shows_percentages_of_the_elapsed_time() -> None:
    header, first, second, third, *notes = text(VcpuTimeView().table(happened(2.0)))
    assert header == ["vm", "vcpu", "guest%", "kernel%", "vmm%", "halted%", "waiting%"]
    assert first == ["web", "0", "30.0", "5.0", "2.5", "12.5", "0.0"]
    assert second == ["web", "1", "0.0", "0.0", "0.0", "50.0", "-"]
    assert third == ["web", "2", "-", "-", "-", "-", "-"]
    assert notes[0][:4] == ["#", "1", "vCPUs", "had"]


def test_rows_of_several_vcpus_are_sums() -> None:
    (row,) = cells(VcpuTimeView(("vm",)).table(happened()))
    assert row == ("web", 600 * MS, 100 * MS, 50 * MS, 1250 * MS, 0)


def slow(slow_dropped: int = 0) -> Table:
    """Return a table with one slow exit."""
    exits = (SlowExit(MOMENT, ("vmx", 30), Place(1, ME), 1_234_567),)
    return SlowExitsView().table(attrs.evolve(happened(), slow=exits, slow_dropped=slow_dropped))


def test_a_slow_exit_has_time_vm_vcpu_cpu_reason_and_duration() -> None:
    assert cells(slow()) == [
        ("2026-01-31T12:00:00.250000Z", "web", 0, 1, "IO_INSTRUCTION", 1_234_567)
    ]
    assert text(slow())[1][-1] == "1.23ms"


def test_dropped_slow_exits_are_reported() -> None:
    assert dict(slow(5).losses)["slow_dropped"] == 5
    (note,) = slow(5).notes
    assert note == (
        "5 slow exits dropped by the rate limit: counted and timed, but not listed; raise the"
        " threshold"
    )
    assert slow().notes == ()
