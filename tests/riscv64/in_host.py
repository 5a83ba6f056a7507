"""Test kstats with the example backend in an emulated RISC-V host, on a guest with known exits.

``make riscv64`` runs this file. Its name keeps it out of ``make test``, because the host needs
additional packages, some of them from Debian unstable.
"""

from __future__ import annotations

import io
import json
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from lab.hosts import Host, boot, find
from lab.payload import payload
from lab.riscv64 import vmm
from tests.live.kstats import ExitId, Watch, wait_attached, watching
from tests.riscv64.test_backend import install_backend, python

pytestmark = pytest.mark.host

INSTANCE = "/sys/kernel/tracing/instances/riscv64"
INTERRUPT = 1
WANTED = Counter({("riscv64", number, 0): n for number, n in vmm.EXPECTED.items()})


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("payload") / "payload"
    shutil.copytree(payload(), folder)
    site = folder / "site"
    install_backend(site)
    objects = site / "kstats_riscv64" / "objects"
    python(site, "-m", "kstats.collector.prebuild", str(objects), "riscv64")
    guest = folder / "riscv64"
    guest.mkdir()
    vmm.assemble(guest)
    shutil.copy(Path(vmm.__file__), guest)
    with boot(find("riscv64"), payload=folder) as booted:
        # kstats' programs need the JIT compiler, which is off by default on this architecture.
        booted.run("echo 1 >/proc/sys/net/core/bpf_jit_enable").check()
        yield booted


@attrs.frozen
class Observed:
    """One run of the guest, as measured by each observer."""

    raw: Watch
    classic: Watch
    compiled: Watch
    threads: Watch
    kernel: int
    trace: bytes


@pytest.fixture(scope="module")
def observed(host: Host) -> Observed:
    host.run(f"mkdir {INSTANCE} && echo 1 >{INSTANCE}/events/kvm/kvm_exit/enable").check()
    with (
        watching(host) as raw,
        watching(host, "--probe", "classic") as classic,
        watching(host, "--loader", "bcc") as compiled,
        watching(host, "exits", "--by", "cpu,tid,reason") as threads,
    ):
        wait_attached(raw, classic, compiled, threads)
        with host.start(["python3", "/payload/riscv64/vmm.py", "600"], timeout=900) as guest:
            guest.wait_output("}")
            kernel = int(host.get("/sys/kernel/debug/kvm/exits"))
            for watch in (raw, classic, compiled, threads):
                watch.stop()
            guest.stop(signal.SIGTERM)
    return Observed(raw, classic, compiled, threads, kernel, host.get(f"{INSTANCE}/trace"))


def certain(counts: Counter[ExitId]) -> Counter[ExitId]:
    """Return the counts without interrupts of the host, of which there may be any number."""
    return Counter({exit_: n for exit_, n in counts.items() if exit_[2] != INTERRUPT})


def test_doctor_reports_success(host: Host) -> None:
    output = host.run(["kstats", "doctor"], timeout=300).check().stdout
    assert "kstats cpu works here" in output
    assert "loaded by prebuilt and attached through raw-btf" in output


def test_every_exit_is_counted_to_the_unit(observed: Observed) -> None:
    assert certain(observed.raw.exits()) == WANTED


def test_the_classic_tracepoint_counts_the_same(observed: Observed) -> None:
    assert observed.classic.exits() == observed.raw.exits()


def test_both_loaders_count_the_same(observed: Observed) -> None:
    assert observed.compiled.exits() == observed.raw.exits()


def test_columns_sum_to_exits(observed: Observed) -> None:
    sums = observed.raw.sums()
    columns = {key: n for key, n in sums.items() if key not in ("vm_entry", "vm_exit")}
    assert sum(columns.values()) == sums["vm_exit"] == sums["vm_entry"]
    assert columns["ecall"] == vmm.EXPECTED[10]
    assert columns["ints"] == sums["vm_exit"] - WANTED.total()


def test_all_exits_belong_to_one_thread(observed: Observed) -> None:
    rows = list(observed.threads.rows())
    assert len({row["tid"] for row in rows}) == 1
    assert sum(row["count"] for row in rows) == observed.raw.sums()["vm_exit"]


def test_the_trace_decodes_to_the_same(observed: Observed, host: Host) -> None:
    """Decode in the host, where the backend is installed."""
    assert observed.trace
    done = host.run(f"kstats decode {INSTANCE}/trace --view cpu -f json", timeout=300).check()
    counts: Counter[Any] = Counter()
    for row in json.load(io.StringIO(done.stdout))["rows"]:
        for e in row["exits"]:
            counts[e["isa"], e["code"], e["qualifier"]] += e["count"]
    assert counts == observed.raw.exits()
