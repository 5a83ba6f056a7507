"""A recording of every version of the format there has been stays readable, as documented."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kstats import recording
from kstats.recording.header import READABLE, VERSION

ROOT = Path(__file__).parents[2]
KEPT = sorted((ROOT / "tests" / "data" / "recordings").glob("*.jsonl"))
EXAMPLES = sorted((ROOT / "examples" / "recordings").glob("*.jsonl"))


def counts(path: Path) -> Iterator[Counter[Any]]:
    """The counts of each sample by field and keys: what the document says, and no more."""
    series: list[str] = []
    values: list[int] = []
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        if line["type"] != "sample":
            continue
        if line.get("key"):
            series, values = [], []
        for field, runs in line.get("series", {}).items():
            for above, keys in runs:
                series += [json.dumps([field, *above, key]) for key in keys]
                values += [0] * len(keys)
        for i, change in enumerate(line.get("counts", [])):
            values[i] += change
        yield Counter({key: n - 1 for key, n in zip(series, values, strict=True) if n})


@pytest.mark.parametrize("path", [*KEPT, *EXAMPLES], ids=lambda path: path.stem)
def test_the_document_alone_is_enough_to_read_it(path: Path) -> None:
    with recording.read(path) as kept:
        read = [
            {json.dumps(["entries", cpu]): n for cpu, n in sample.entries.items()}
            | {
                json.dumps(["exits", code, place[:2]]): exits.count
                for code, at in sample.exits.items()
                for place, exits in at.items()
            }
            for sample in kept
        ]
    assert len(read) > 5
    assert read == [dict(found) for found in counts(path)]
    assert sum(sum(sample.values()) for sample in read) > 1000


def test_there_is_one_of_every_version_and_architecture() -> None:
    names = {path.stem for path in KEPT}
    assert {f"{version}-{host}" for version in READABLE for host in ("svm", "arm64")} <= names
    assert VERSION in READABLE


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_it_shows_what_it_showed_when_it_was_made(path: Path) -> None:
    """The CSV file next to it is what kstats of that version showed."""
    words = ["-v", "--total", "-f", "csv", "--input", str(path)]
    command = [sys.executable, "-m", "kstats", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == path.with_suffix(".csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_tell_whose_they_are(path: Path) -> None:
    with recording.read(path) as kept:
        assert kept.header.host.name == path.stem
        assert all(sample.arch == kept.header.arch for sample in kept)
        assert kept.tail is None
