"""Recordings of the three architectures with everything that the exporter can export."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from kstats import recording
from kstats.histogram import Histogram
from kstats.model import Exits, Sample, VcpuTime
from tests.fleet.engines import ROOT

ISAS = ("vmx", "svm", "arm64")
EXAMPLES: Mapping[str, Path] = {isa: ROOT / f"examples/recordings/{isa}.jsonl" for isa in ISAS}

MISSED = 3
"""Events missed in each sample: on these hosts, an alert fires."""


def complete(isa: str, path: Path) -> Path:
    """Write the example of an ISA with durations, times and losses in addition; return ``path``."""
    with recording.read(str(EXAMPLES[isa])) as source:
        counted = (*source.header.counted, "latency", "vcpu_time")
        header = attrs.evolve(source.header, counted=counted)
        with recording.Writer(path, header) as writer:
            for sample in source:
                writer.write(_complete(sample))
    return path


def _complete(sample: Sample) -> Sample:
    second = int(sample.elapsed * 10**9)
    time = VcpuTime(second // 2, second // 10, second // 10, second // 5, second // 10)
    return attrs.evolve(
        sample,
        timed=True,
        missed=MISSED,
        vcpu_time=dict.fromkeys(sample.threads, time),
        exits={
            code: {
                place: Exits(exits.count, Histogram.of([2000] * exits.count))
                for place, exits in places.items()
            }
            for code, places in sample.exits.items()
        },
    )
