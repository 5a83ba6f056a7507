"""Watch an emulated host for an hour: nothing grows, and no exit is lost.

`python -m lab.soak HOST --minutes 60`. `kstats exporter`, `kstats record` and `kstats exits` run
all the time, while VMs start and end, a CPU goes offline and returns, and KVM's vendor module is
reloaded. After every round, the descriptors and the memory of the three processes and the used
entries of the exporter's BPF maps are read. At the end, the exits that each of them counted are
compared with those that the guests made.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from kstats import recording
from lab.hosts import Command, Host, boot, find
from lab.payload import payload

WARM = 3
"""Rounds after which memory and descriptors must no longer grow."""

MORE_FILES = 2
"""Descriptors by which a process may exceed those after the warm rounds: files of /proc."""

MORE_KIB = 4096
"""KiB of resident memory by which a process may exceed that after the warm rounds."""

FULLEST = 0.6
"""The part of a map that may be in use: entries of ended threads are freed from a quarter on."""

CPUID, CODE, REASON = 499, ("svm", 0x72), "cpuid"
VMM = "python3 /payload/vmm/vmm.py"
FLEET = f"{VMM} --vms 2 --vcpus 2 --cpu 0,1 --laps 2 --workload cpuid={CPUID},io=50"
ALONE = f"{VMM} --cpu 0 --workload cpuid={CPUID}"
ROUND = 2 * 2 * 2 * CPUID + CPUID
"""CPUID exits of the guests of a round."""

SWITCH = "/sys/devices/system/cpu/cpu1/online"
STEPS = (
    FLEET,
    f"echo 0 > {SWITCH}",
    ALONE,
    f"echo 1 > {SWITCH}",
    "rmmod kvm_amd && modprobe kvm_amd",
)
"""What happens in a round."""

PORT = 9991
WATCHERS: Mapping[str, tuple[str, str]] = {
    "exporter": (f"exec kstats exporter --web.listen-address :{PORT}", "listening"),
    "record": ("exec kstats record -o /run/soak.jsonl 1 --debug", "exits through"),
    "exits": (
        "exec kstats exits --by reason -f json 1 1000000 --debug >/run/exits.json",
        "exits through",
    ),
}
"""The command of each watcher, and what it prints to standard error when it counts."""

# Runs in the host, with the standard library alone.
_READ = """
import json, os, sys, urllib.request
found = {"files": {}, "kib": {}}
for name, pid in zip(sys.argv[2::2], sys.argv[3::2]):
    found["files"][name] = len(os.listdir(f"/proc/{pid}/fd"))
    status = open(f"/proc/{pid}/status").read()
    found["kib"][name] = int(status.split("VmRSS:")[1].split()[0])
found["page"] = urllib.request.urlopen(f"http://localhost:{sys.argv[1]}/metrics").read().decode()
print(json.dumps(found))
"""


@attrs.frozen
class Reading:
    """What the watchers use.

    Attributes:
        files: The open descriptors of each watcher.
        kib: The resident memory of each watcher.
        maps: The part in use of each of the exporter's BPF maps.
    """

    files: Mapping[str, int]
    kib: Mapping[str, int]
    maps: Mapping[str, float]

    def __str__(self) -> str:
        each = [f"{name} {self.files[name]} files {n} KiB" for name, n in self.kib.items()]
        fullest = max(self.maps.items(), key=lambda item: item[1], default=("none", 0.0))
        return "; ".join([*each, f"fullest map {fullest[0]} {100 * fullest[1]:.1f} %"])


def grown(readings: Sequence[Reading]) -> Iterator[str]:
    """Yield a sentence for each bound that the readings after the warm rounds exceed."""
    for warm, now in ((readings[WARM - 1], one) for one in readings[WARM:]):
        for name, n in now.files.items():
            if n > warm.files[name] + MORE_FILES:
                yield f"{name} has {n} open files, after {warm.files[name]}"
        for name, n in now.kib.items():
            if n > warm.kib[name] + MORE_KIB:
                yield f"{name} takes {n} KiB, after {warm.kib[name]}"
        for name, part in now.maps.items():
            if part > FULLEST:
                yield f"{100 * part:.0f} % of the map {name} is in use"


def lost(expected: int, counted: Mapping[str, int]) -> Iterator[str]:
    """Yield a sentence for each watcher that did not count what the guests did."""
    for name, n in counted.items():
        if n != expected:
            yield f"{name} counted {n} CPUID exits of {expected}"


def metric(page: str, name: str) -> list[Sample]:
    """Return the series of a metric."""
    families = text_string_to_metric_families(page)
    return [one for family in families for one in family.samples if one.name == name]


def _read(host: Host, watchers: Mapping[str, Command]) -> tuple[Reading, str]:
    """Return a reading, and the exporter's page."""
    pids = [word for name, one in watchers.items() for word in (name, str(one.pid))]
    words = ["python3", "-c", _READ, str(PORT), *pids]
    found = json.loads(host.run(words).check().stdout)
    page = found["page"]
    sizes = {one.labels["map"]: one.value for one in metric(page, "kstats_map_entries")}
    used = {one.labels["map"]: one.value for one in metric(page, "kstats_map_used_entries")}
    maps = {name: n / sizes[name] for name, n in used.items()}
    return Reading(found["files"], found["kib"], maps), page


def _exported(page: str) -> dict[str, int]:
    """Return the CPUID exits of each VM that the exporter still knows."""
    series = metric(page, "kvm_vm_exits_total")
    return {str(one.labels): round(one.value) for one in series if one.labels["reason"] == REASON}


def soak(host: Host, minutes: float) -> list[str]:
    """Run rounds for so many minutes; return what went wrong."""
    watchers = {name: host.start(line, timeout=1e6) for name, (line, _) in WATCHERS.items()}
    for name, (_, said) in WATCHERS.items():
        watchers[name].wait_output(said)
    until = time.monotonic() + 60 * minutes
    readings = list[Reading]()
    exported = dict[str, int]()  # VMs that ended leave the page after a while
    while time.monotonic() < until or len(readings) <= WARM:
        for step in STEPS:
            host.run(step).check()
        reading, page = _read(host, watchers)
        exported |= _exported(page)
        readings.append(reading)
        print(f"round {len(readings)}: {reading}", flush=True)
    counted = {"exporter": sum(exported.values()), **_ended(host, watchers)}
    expected = len(readings) * ROUND
    print(f"CPUID exits: {expected} by the guests, counted {counted}", flush=True)
    return [*dict.fromkeys(grown(readings)), *lost(expected, counted)]


def _ended(host: Host, watchers: Mapping[str, Command]) -> dict[str, int]:
    """End the watchers; return the CPUID exits that record and exits counted."""
    for name in ("record", "exits"):
        watchers[name].stop().check()
    watchers["exporter"].kill()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "soak.jsonl"
        copy.write_bytes(host.get("/run/soak.jsonl"))
        with recording.read(copy) as samples:
            recorded = sum(
                exits.count for one in samples for exits in one.exits.get(CODE, {}).values()
            )
    reports = map(json.loads, host.get("/run/exits.json").decode().splitlines())
    rows = (row for report in reports for row in report["rows"])
    return {
        "record": recorded,
        "exits": sum(row["count"] for row in rows if row["reason"] == REASON),
    }


def main() -> int:
    """Run the command line; return 1 if something grew or was lost."""
    parser = argparse.ArgumentParser(prog="python -m lab.soak", description=__doc__)
    parser.add_argument("host", help="name of a host with SVM; see python -m lab.hosts list")
    parser.add_argument("--minutes", type=float, default=60, help="(default: %(default)s)")
    options = parser.parse_args()
    with boot(find(options.host), payload()) as host:
        wrong = soak(host, options.minutes)
    print("\n".join(wrong) or "nothing grew, and no exit was lost")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
