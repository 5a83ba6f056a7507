"""examples/perf_exits.py with the fields of each kvm_exit; host tests run the other example."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

HANDLER = Path(__file__).parent.parent / "examples" / "perf_exits.py"

VMX = {"exit_reason": 48, "isa": 1, "info1": 1, "vcpu_id": 0}
READ, WRITE = ({"exit_reason": 0x7C, "isa": 2, "info1": n} for n in (0, 1))
TRAP = {"ret": 2, "esr_ec": 0x16, "vcpu_pc": 0}
IRQ = {"ret": 0, "esr_ec": 0x16, "vcpu_pc": 0}
PENDING = {"ret": (1 << 31 | 2) - (1 << 32), "esr_ec": 0x99, "vcpu_pc": 0}


@pytest.mark.parametrize(
    ("events", "rows"),
    [
        ([VMX, VMX], [["2", "ept", "EPT_VIOLATION"]]),
        ([READ, WRITE, WRITE], [["2", "msr_wr", "msr:wr"], ["1", "msr_rd", "msr:rd"]]),
        ([TRAP, IRQ, IRQ], [["2", "ints", "IRQ"], ["1", "other", "HVC64"]]),
        ([PENDING], [["1", "other", "arm64:0x99"]]),
    ],
)
def test_perf_handler_names_exits(
    events: list[dict[str, Any]], rows: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    handler = runpy.run_path(str(HANDLER))
    for fields in events:
        handler["trace_unhandled"]("kvm__kvm_exit", object(), fields)
    handler["trace_unhandled"]("kvm__kvm_entry", object(), {"vcpu_id": 0})
    handler["trace_end"]()
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == rows
