"""The services as systemd runs them: they count exactly, unprivileged and within their limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from kstats import recording
from lab.hosts import Host
from tests.exporter.running import Values
from tests.live.conftest import beds
from tests.live.guests import guest
from tests.live.kstats import ROOT
from tests.live.test_exporter import VM, by_reason, fresh

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize("bed", beds("svm-systemd"), indirect=True, scope="session"),
]

UNITS = sorted((ROOT / "deploy/systemd").glob("kstats-*"))
EXPORTER, RECORD = "kstats-exporter.service", "kstats-record.service"
CONFIGURATION = """
EXPORTER_OPTIONS=--debug
RECORD_OPTIONS=--debug --rotate-size 32M --keep 3 1
"""
# kstats is not installed in /usr here, and an emulated CPU takes minutes of the time of a real one.
HERE = """\
[Service]
Environment=PYTHONPATH=/payload/site
CPUQuota=
TimeoutStartSec=infinity
WatchdogSec=3600
"""
EXITS = 500


@attrs.frozen
class Service:
    """What was seen of a running service.

    Attributes:
        threads: The lines of the status of all threads.
        journal: Its log until it had stopped.
        properties: systemd's properties after that.
    """

    threads: str
    journal: str
    properties: str


@attrs.frozen
class Services:
    """Both services, by unit, and what they published of a guest.

    Attributes:
        page: What was scraped after its exits.
        listing: What ``ls -l`` shows of the directory of recordings.
        files: The recordings, oldest first.
    """

    units: Mapping[str, Service]
    page: Values
    listing: str
    files: tuple[bytes, ...]


@pytest.fixture(scope="module")
def services(host: Host) -> Services:
    _install(host)
    logs = "journalctl --no-pager -u 'kstats-*'"
    start = f"systemctl start {EXPORTER} {RECORD} || {{ {logs}; exit 1; }}"
    host.run(f"systemctl daemon-reload && {start}").check()
    with guest(host, "--workload", f"cpuid={EXITS}"):
        page = fresh(host)
        # A file without samples is not rotated: wait for one.
        size = "$(stat -c %s /var/lib/kstats/exits.jsonl.zst)"
        host.run(f"before={size}; until [ {size} -gt $before ]; do sleep 0.1; done").check()
        host.run(f"systemctl reload {RECORD}").check()
        # The next sample is in a new file.
        host.run("until ls /var/lib/kstats | grep -q Z; do sleep 0.1; done").check()
    threads = {unit: _threads(host, unit) for unit in (EXPORTER, RECORD)}
    host.run(f"systemctl stop {EXPORTER} {RECORD} kstats-exporter.socket").check()
    names = host.run("ls -tr /var/lib/kstats").check().stdout.split()
    return Services(
        {unit: _stopped(host, unit, threads[unit]) for unit in threads},
        page,
        host.run("ls -ld /var/lib/kstats/ /var/lib/kstats/*").check().stdout,
        tuple(host.get(f"/var/lib/kstats/{name}") for name in names),
    )


def _install(host: Host) -> None:
    for unit in UNITS:
        host.put(f"/run/systemd/system/{unit.name}", unit.read_bytes())
        if unit.suffix == ".service":
            start = re.search(r"^ExecStart=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
            assert start
            moved = start[1].replace("/usr/bin/", "/payload/bin/")
            text = f"{HERE}ExecStart=\nExecStart={moved}\n"
            host.put(f"/run/systemd/system/{unit.name}.d/here.conf", text.encode())
    host.put("/etc/kstats/kstats.conf", CONFIGURATION.encode())


def _threads(host: Host, unit: str) -> str:
    pid = host.run(f"systemctl show --property MainPID --value {unit}").check().stdout.strip()
    return host.run(f"cat /proc/{pid}/task/*/status").check().stdout


def _stopped(host: Host, unit: str, threads: str) -> Service:
    journal = host.run(f"journalctl --no-pager --output cat -u {unit}").check().stdout
    names = "Result,ExecMainStatus,NRestarts"
    properties = host.run(f"systemctl show --property {names} {unit}").check().stdout
    return Service(threads, journal, properties)


@pytest.fixture(params=[EXPORTER, RECORD])
def service(services: Services, request: pytest.FixtureRequest) -> Service:
    return services.units[request.param]


def test_it_starts_and_stops_without_failure(service: Service) -> None:
    shown = set(service.properties.split())
    assert shown == {"Result=success", "ExecMainStatus=0", "NRestarts=0"}, service.journal


def test_it_has_no_capability_and_a_user_of_its_own(service: Service) -> None:
    fields = re.findall(r"^(\w+):\s*(\S+)", service.threads, re.MULTILINE)
    assert {v for name, v in fields if name in {"CapEff", "CapPrm", "CapAmb"}} == {"0" * 16}
    assert {v for name, v in fields if name == "NoNewPrivs"} == {"1"}
    assert all(int(v) >= 61184 for name, v in fields if name == "Uid")  # of systemd's dynamic users
    assert "kept no capability" in service.journal


def test_the_exporter_counts_exactly(services: Services) -> None:
    assert by_reason(services.page, "kvm_vm_exits_total", vm=VM)["cpuid"] == EXITS
    assert "msg=listening address=127.0.0.1:9991" in services.units[EXPORTER].journal


def test_recordings_are_exact_and_closed_to_others(services: Services, tmp_path: Path) -> None:
    count = 0
    for number, data in enumerate(services.files):
        path = tmp_path / f"{number}.jsonl.zst"
        path.write_bytes(data)
        with recording.read(path) as found:
            count += sum(
                exits.count
                for sample in found
                for (_, code), places in sample.exits.items()
                for exits in places.values()
                if code == 0x72
            )
    assert len(services.files) >= 2
    assert count == EXITS
    folder, *files = services.listing.splitlines()
    assert folder.startswith("drwx------ ")
    assert all(file.startswith("-rw------- ") for file in files)
