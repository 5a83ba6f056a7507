"""kstats as a process that really loads: what it prints, and how it ends on a bad day."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import bcc
import pytest

from tests.cli.loaded import ODD, ODD_CODE, ONES
from tests.cli.process import DEADLINE, ROOT, finish, first_lines, shell, start
from tests.collector import kernel

pytestmark = pytest.mark.root

LOADED = ("-m", "tests.cli.loaded")
HEADER = "cpu vm_entry vm_exit ones twos other"
COUNTED = ["0", str(ONES + ODD), str(ONES + ODD), str(ONES), "0", str(ODD)]
WITHOUT_PRIVILEGES = "setpriv --no-new-privs --bounding-set=-all --inh-caps=-all"


def until(condition: Callable[[], bool]) -> None:
    """Waits for what must come true within seconds."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits for nothing but init to say good-bye."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return True
    return "State:\tZ" in status


def test_exits_are_counted_and_shown() -> None:
    status, out, err = finish(start("-v", "0.1", "2", "--cpus", "0", via=LOADED))
    assert (status, err) == (0, "")
    header, first, second = out.splitlines()
    assert header == HEADER
    assert first.split() == COUNTED
    assert second.split() == ["0", *["0"] * 5]


def test_json_has_the_codes_behind_the_columns() -> None:
    status, out, _ = finish(start("-v", "0.1", "1", "-f", "json", via=LOADED))
    report = json.loads(out)
    assert (status, report["code_dropped"], report["missed"], report["notes"]) == (0, 0, 0, [])
    assert [(e["code"], e["reason"], e["count"]) for e in report["rows"][0]["exits"]] == [
        (1, "ONE", ONES),
        (ODD_CODE, f"native:{ODD_CODE:#x}", ODD),
    ]


def test_debug_says_what_is_loaded_and_how() -> None:
    status, out, err = finish(start("-v", "0.1", "1", "--debug", via=LOADED))
    lines = err.splitlines()
    assert status == 0
    assert out.startswith(HEADER)
    assert "kstats: loaded by bcc" in lines
    assert any(line.startswith("kstats: native exits through raw") for line in lines)
    assert any(line.startswith("kstats: on_exit: ") for line in lines)
    assert all(line.startswith("kstats: ") for line in lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_nothing_attached(number: signal.Signals) -> None:
    process = start("-v", "0.5", via=LOADED)
    first_lines(process, 2)
    ids = kernel.held(process.pid)
    assert len(ids["link"]) == 2
    process.send_signal(number)
    status, _, err = finish(process)
    assert (status, err) == (0, "")
    until(lambda: not any(kernel.alive(ids).values()))


def test_an_interrupt_while_it_loads_ends_it_and_its_child() -> None:
    """^C goes to the whole process group, the compiling child included."""
    process = start("-v", via=LOADED, start_new_session=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (running := children.read_text(encoding="ascii").split()):
        time.sleep(0.001)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    assert finish(process) == (130, "", "")
    until(lambda: all(has_ended(int(child)) for child in running))


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    status, out, err = shell("$KSTATS -v 0.01 | head -1; exit ${PIPESTATUS[0]}", via=LOADED)
    assert (status, out, err) == (0, f"{HEADER}\n", "")


def test_without_privileges_it_says_which_are_needed() -> None:
    status, out, err = shell(f"{WITHOUT_PRIVILEGES} $KSTATS -v 1 1", via=LOADED)
    assert (status, out) == (3, "")
    assert err.splitlines() == [
        "kstats: loading BPF programs is not permitted",
        "kstats: hint: run as root, or with CAP_BPF and CAP_PERFMON",
    ]


def test_two_capabilities_are_enough() -> None:
    keep = "--bounding-set=-all,+bpf,+perfmon --inh-caps=-all,+bpf,+perfmon"
    status, out, err = shell(f"setpriv --no-new-privs {keep} $KSTATS -v 0.1 1", via=LOADED)
    assert (status, err) == (0, "")
    assert out.splitlines()[1].split() == COUNTED


def test_what_it_costs_needs_one_more() -> None:
    keep = "--bounding-set=-all,+bpf,+perfmon --inh-caps=-all,+bpf,+perfmon"
    status, out, err = shell(
        f"setpriv --no-new-privs {keep} $KSTATS -v 0.1 1 --overhead", via=LOADED
    )
    assert (status, out) == (3, "")
    assert err.splitlines() == [
        "kstats: enabling the kernel's BPF statistics is not permitted",
        "kstats: hint: run as root, or with CAP_SYS_ADMIN",
    ]


def test_what_it_costs_comes_with_each_report() -> None:
    status, out, _ = finish(start("-v", "0.1", "2", "-f", "json", "--overhead", via=LOADED))
    reports = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    for report in reports:
        assert report["overhead"]["timed"] == 0
        assert report["overhead"]["maps"] == {"odd_codes": {"used": 1, "size": 1024}}
        assert report["notes"][-1].startswith("overhead: no exit was timed, ")


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        (
            "raise ImportError('No module named bcc')",
            "bcc cannot be imported by ",
            "apt install python3-bpfcc",
        ),
        (
            "VERSION = 'of something else'",
            "bcc/__init__.py is another project's bcc",
            "pip uninstall bcc, and install the distribution's: apt install python3-bpfcc",
        ),
    ],
)
def test_a_module_that_is_not_bcc_is_reported_with_a_hint(
    tmp_path: Path, text: str, said: str, hint: str
) -> None:
    """In a mount namespace: no environment variable makes the worker import another module."""
    (tmp_path / "__init__.py").write_text(text, encoding="utf-8")
    (tmp_path / "libbcc.py").touch()
    replace = f"mount --bind {tmp_path} {Path(bcc.__file__).parent}"
    status, out, err = shell(f"unshare -m sh -c '{replace} && $KSTATS -v 1 1'", via=LOADED)
    assert (status, out) == (5, "")
    line, last = err.splitlines()
    assert said in line
    assert last == f"kstats: hint: {hint}"


@pytest.mark.parametrize("prefix", ["", WITHOUT_PRIVILEGES])
def test_doctor_finds_what_kstats_v_meets(prefix: str) -> None:
    expected, _, _ = shell(f"{prefix} $KSTATS -v 0.01 1", via=LOADED)
    status, out, err = shell(f"{prefix} $KSTATS doctor -f json", via=LOADED)
    diagnosis = json.loads(out)
    checks = {check["name"]: check for check in diagnosis["checks"]}
    assert err == ""
    assert status == expected == diagnosis["status"] == (3 if prefix else 0)
    assert checks["program"]["state"] == checks["privileges"]["state"]
    assert checks["program"]["state"] == ("fail" if prefix else "ok")


DIAGNOSE = """
import pathlib, sys
from kstats import arch, doctor
from tests.cli.loaded import busy_host
from tests.collector import kernel, native
arch.register(native.NATIVE)
assert doctor.diagnose(busy_host(pathlib.Path(sys.argv[1]))).status == 0
print(kernel.held())
"""


def test_doctor_leaves_nothing_attached(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIAGNOSE, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=DEADLINE,
        check=False,
    )
    assert done.stdout == "{'prog': set(), 'link': set()}\n", done.stderr


AS_NOBODY = """
import os, sys
from kstats.cli import doctor, main
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
sys.exit(main(["doctor", "-f", "json"]))
"""


def test_doctor_runs_for_people_who_may_look_at_nothing() -> None:
    """Tracefs is root's alone: a directory that cannot even be looked into."""
    mount = 'mount -t tracefs nodev /sys/kernel/tracing && exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, "-c", AS_NOBODY],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=DEADLINE,
        check=False,
    )
    assert done.stderr == ""
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["tracefs"]["state"] == "warn"
    assert checks["tracefs"]["found"].startswith("not mounted or not readable")
    assert checks["privileges"]["found"] == "CAP_BPF CAP_PERFMON missing"
