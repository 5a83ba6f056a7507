"""The overhead of kstats is part of any report that requests it."""

from __future__ import annotations

import io
import json
from importlib.resources import files

import jsonschema

from kstats.model import MapUsage, Overhead
from kstats.render.jsonlines import JsonRenderer
from kstats.views.overhead import OverheadView, note
from kstats.views.percpu import Options, PerCpuView
from tests.samples import sample

MAPS = {"odd_codes": MapUsage(3, 1024), "threads": MapUsage(700, 1024)}
BUSY = Overhead(210.26, 1234, 0.0421, 0.62, MAPS)
IDLE = Overhead(None, 0, 0.0, 0.5, MAPS)


def test_the_note_has_every_figure() -> None:
    assert note(BUSY, 2, 1) == (
        "overhead: 210 ns per exit (1234 timed), 0.042 % of all CPUs; kstats process 0.6 % of one"
        " CPU; maps used: odd_codes 3/1024, threads 700/1024; code_dropped 2, missed 1"
    )
    assert note(IDLE, 0, 0).startswith("overhead: no exit was timed, 0.000 % of all CPUs; ")


def test_each_report_has_the_cost_of_its_own_sample() -> None:
    overheads = iter((BUSY, IDLE))
    view = OverheadView(PerCpuView(), lambda: next(overheads))
    first, second = (view.table(sample(code_dropped={0: 2}, notes=("n",))) for _ in range(2))
    assert first.notes[0] == "n"
    assert first.notes[-1] == note(BUSY, 2, 0)
    assert second.overhead == {
        "ns_per_exit": None,
        "timed": 0,
        "cpu_share": 0.0,
        "process_share": 0.5,
        "maps": {
            "odd_codes": {"used": 3, "size": 1024},
            "threads": {"used": 700, "size": 1024},
        },
    }


def test_json_has_it_and_matches_the_schema() -> None:
    schema = (files("kstats.render") / "report.schema.json").read_text(encoding="utf-8")
    for overhead in (BUSY, IDLE):
        stream = io.StringIO()
        view = OverheadView(PerCpuView(Options(detail=True)), lambda overhead=overhead: overhead)  # type: ignore[misc]
        JsonRenderer(stream).write(view.table(sample()))
        report = json.loads(stream.getvalue())
        jsonschema.validate(report, json.loads(schema))
        assert report["overhead"]["ns_per_exit"] == (None if overhead is IDLE else 210.3)


def test_other_reports_do_not_have_it() -> None:
    stream = io.StringIO()
    JsonRenderer(stream).write(PerCpuView(Options(detail=True)).table(sample()))
    assert "overhead" not in json.loads(stream.getvalue())
