"""What counting took stands behind any report, for people and for programs."""

from __future__ import annotations

import io
import json
from importlib.resources import files

import jsonschema

from kstats.model import Cost, Fill
from kstats.render.jsonlines import JsonRenderer
from kstats.views.overhead import CostView, note
from kstats.views.percpu import Options, PerCpuView
from tests.samples import sample

MAPS = {"odd_codes": Fill(3, 1024), "threads": Fill(700, 1024)}
COST = Cost(210.26, 1234, 0.0421, 0.62, MAPS)
IDLE = Cost(None, 0, 0.0, 0.5, MAPS)


def test_the_note_has_all_that_decides_whether_to_go_on() -> None:
    assert note(COST, 2, 1) == (
        "cost: 210 ns an exit (1234 timed), 0.042 % of all CPUs; kstats itself 0.6 % of one; "
        "places odd_codes 3/1024, threads 700/1024; lost 2, missed 1"
    )
    assert note(IDLE, 0, 0).startswith("cost: no exit was timed, 0.000 % of all CPUs; ")


def test_each_report_has_the_cost_of_its_own_sample() -> None:
    costs = iter((COST, IDLE))
    view = CostView(PerCpuView(), lambda: next(costs))
    first, second = (view.table(sample(lost={0: 2}, notes=("n",))) for _ in range(2))
    assert first.notes[0] == "n"
    assert first.notes[-1] == note(COST, 2, 0)
    assert second.cost == {
        "ns_per_exit": None,
        "timed": 0,
        "cpu_share": 0.0,
        "process_share": 0.5,
        "maps": {
            "odd_codes": {"taken": 3, "places": 1024},
            "threads": {"taken": 700, "places": 1024},
        },
    }


def test_json_has_it_as_the_schema_says() -> None:
    schema = (files("kstats.render") / "report.schema.json").read_text(encoding="utf-8")
    for cost in (COST, IDLE):
        stream = io.StringIO()
        view = CostView(PerCpuView(Options(detail=True)), lambda cost=cost: cost)  # type: ignore[misc]
        JsonRenderer(stream).write(view.table(sample()))
        report = json.loads(stream.getvalue())
        jsonschema.validate(report, json.loads(schema))
        assert report["cost"]["ns_per_exit"] == (None if cost is IDLE else 210.3)


def test_nobody_else_gets_it() -> None:
    stream = io.StringIO()
    JsonRenderer(stream).write(PerCpuView(Options(detail=True)).table(sample()))
    assert "cost" not in json.loads(stream.getvalue())
