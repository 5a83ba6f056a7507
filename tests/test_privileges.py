"""What a process can still do after it gave up its capabilities.

Each test runs in a process of its own that has all capabilities: as root, or in a user namespace.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

IMPORTS = """
import os, sys, subprocess, threading
from kstats.privileges import Capability, Need, creates_beside, drop
"""
STATUS = "print(open('/proc/thread-self/status').read())"
NOTHING = 0


def run(script: str, *words: str) -> str:
    """Return what a script prints that starts with all capabilities."""
    prefix = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
    command = [*prefix, sys.executable, "-c", f"{IMPORTS}\n{script}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def fields(status: str) -> dict[str, int]:
    """Return the capability sets of a thread and NoNewPrivs, from its status."""
    found = re.findall(r"^(Cap\w+|NoNewPrivs):\s*([0-9a-f]+)$", status, re.MULTILINE)
    return {name: int(value, 16) for name, value in found}


def sets(status: str) -> set[int]:
    """Return the sets of capabilities that the process can use, or give to others."""
    return {fields(status)[f"Cap{name}"] for name in ("Eff", "Prm", "Inh", "Amb")}


def test_nothing_is_kept_without_need() -> None:
    before = run(STATUS)
    assert fields(before)["CapEff"] != NOTHING
    after = run(f"print(*drop()); {STATUS}")
    assert after.startswith("kept no capability\n")
    assert sets(after) == {NOTHING}
    assert fields(after)["NoNewPrivs"] == 1


def test_a_program_run_as_root_gets_nothing_back() -> None:
    status = run("drop(); subprocess.run(['cat', '/proc/self/status'], check=True)")
    assert sets(status) == {NOTHING}


def test_threads_that_start_later_have_nothing() -> None:
    status = run(f"drop(); threading.Thread(target=lambda: {STATUS}).start()")
    assert sets(status) == {NOTHING}


def test_threads_that_started_before_are_reported() -> None:
    script = """
begun, end = threading.Event(), threading.Event()
threading.Thread(target=lambda: (begun.set(), end.wait())).start()
begun.wait()
print(*drop(), sep="\\n")
end.set()
"""
    lines = run(script).splitlines()
    assert lines == [
        "kept no capability",
        "threads that started before keep their capabilities: 1",
    ]


def test_what_works_without_a_capability_keeps_none() -> None:
    script = f"""
def works():
    return "CapEff:\\t0000000000000000" in open("/proc/thread-self/status").read()
print(*drop([Need("reads", (Capability.BPF,), works)]))
{STATUS}"""
    after = run(script)
    assert after.startswith("kept no capability\n")
    assert sets(after) == {NOTHING}


def test_what_does_not_work_keeps_the_first_capability_of_its_list_that_is_there() -> None:
    needs = 'Need("traces", (Capability.SYS_PTRACE,)), Need("reads", (Capability.BPF,))'
    script = f"""
drop([Need("traces", (Capability.SYS_PTRACE,)), Need("lists", (Capability.DAC_READ_SEARCH,))])
print(*drop([{needs}, Need("looks", (Capability.BPF, Capability.SYS_PTRACE))]), sep="\\n")
{STATUS}"""
    after = run(script)
    assert after.startswith("kept CAP_SYS_PTRACE: kstats looks\n")
    assert fields(after)["CapPrm"] == fields(after)["CapEff"] == 1 << 19


def test_a_directory_that_is_closed_to_root_keeps_the_right_to_write_there(tmp_path: Path) -> None:
    closed, opened = tmp_path / "closed", tmp_path / "opened"
    opened.mkdir()
    closed.mkdir(mode=0o500)
    script = """
print(*drop([creates_beside(sys.argv[1])]))
open(sys.argv[1], "x")
"""
    assert run(script, str(opened / "file")) == "kept no capability\n"
    said = run(script, str(closed / "file"))
    assert said == "kept CAP_DAC_OVERRIDE: kstats creates files in another user's directory\n"
    assert (closed / "file").exists()
