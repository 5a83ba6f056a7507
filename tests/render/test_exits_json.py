"""JSON of ``kstats exits`` with any options, validated against the shipped schema."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema
import pytest
from hypothesis import given

from kstats.model import Sample
from kstats.render.jsonlines import as_object
from kstats.views import View
from kstats.views.exits import AXES, THREAD_AXES, ExitsView
from kstats.views.exits import Options as ExitsOptions
from kstats.views.latency import HistogramView, LatencyView, Options
from kstats.views.slow_exits import SlowExitsView
from kstats.views.vcpu_time import VcpuTimeView
from tests.recording.samples import ANY

SCHEMA = json.loads((files("kstats.render") / "exits.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

VIEWS: list[View] = [
    ExitsView(ExitsOptions(AXES, top=3)),
    ExitsView(ExitsOptions(("reason",), rate=True)),
    ExitsView(ExitsOptions((*AXES, "detail"), detail="msr")),
    LatencyView(Options(AXES, top=3)),
    LatencyView(Options(("cpu",), rate=True)),
    LatencyView(Options(("reason", "detail"), detail="io")),
    HistogramView(Options(("vm", "reason"))),
    HistogramView(Options(("detail",), detail="msr")),
    SlowExitsView(AXES),
    VcpuTimeView(THREAD_AXES),
]


def test_the_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("view", VIEWS)
@given(sample=ANY)
def test_every_report_is_valid(view: View, sample: Sample) -> None:
    VALIDATOR.validate(json.loads(json.dumps(as_object(view.table(sample)))))


@pytest.mark.parametrize(
    "row",
    [
        {"reason": "io", "count": 1},
        {"reason": "io", "count": 1, "share": 1.0, "total_ns": 1},
        {"reason": "io", "count": -1, "share": 1.0},
        {"colour": "red", "count": 1, "share": 1.0},
        {"vm": "web", "guest_ns": 1},
        {"ended": "yesterday", "duration_ns": 1},
    ],
)
def test_a_wrong_row_is_invalid(row: dict[str, object]) -> None:
    report = as_object(SlowExitsView().table(Sample("x64", 0.0, 1.0, (0,), {}, {}))) | {
        "rows": [row]
    }
    assert not VALIDATOR.is_valid(report)
