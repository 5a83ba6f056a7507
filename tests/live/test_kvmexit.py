"""``kvmexit``: each example of its manual page, around guests with known exits."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pytest

from lab.hosts import Host
from lab.vmm import workload as workloads
from tests.live.conftest import Bed, beds
from tests.live.inside import kvmexit_examples

pytestmark = pytest.mark.host

INSIDE = "/run/kvmexit_examples.py"
SCRIPT = Path(kvmexit_examples.__file__)
ABOUT = "Display kvm exit reasons and statistics for"
FOREVER = "... Hit Ctrl-C to end."


@attrs.frozen
class Example:
    """A command, its title, and the VM and vCPUs that it shows; None is all."""

    command: str
    title: str
    shows: tuple[int, tuple[int, ...]] | None
    columns: str = "KVM_EXIT_REASON COUNT"
    vms: int = 2
    vcpus: int = 2
    in_bochs: bool = False

    @property
    def name(self) -> str:
        """The name of its test."""
        return self.command.replace(" ", "")


BOTH = (0, (0, 1))
EXAMPLES = (
    Example(
        *("kvmexit", f"all threads{FOREVER}", None, "PID TID KVM_EXIT_REASON COUNT"), in_bochs=True
    ),
    Example(
        "kvmexit 6", "all threads after sleeping 6 secs.", None, "PID TID KVM_EXIT_REASON COUNT"
    ),
    Example("kvmexit -p $PID 5", "PID $PID after sleeping 5 secs.", BOTH),
    Example(
        "kvmexit -p $PID 5 -a",
        "PID $PID and its all threads after sleeping 5 secs.",
        BOTH,
        "TID KVM_EXIT_REASON COUNT",
        in_bochs=True,
    ),
    Example("kvmexit -p $PID -v 0", f"PID $PID VCPU 0{FOREVER}", (0, (0,))),
    Example("kvmexit -p $PID -v 0 4", "PID $PID VCPU 0 after sleeping 4 secs.", (0, (0,))),
    Example("kvmexit -t $TID1 10", "TID $TID1 after sleeping 10 secs.", (0, (1,))),
    Example(
        "kvmexit -T '$TID1,$TID0'",
        f"TIDS ['$TID1', '$TID0']{FOREVER}",
        BOTH,
        "TID KVM_EXIT_REASON COUNT",
    ),
    # Not in the manual: the name of vCPU 10's thread starts with that of vCPU 1.
    Example("kvmexit -p $PID -v 1", f"PID $PID VCPU 1{FOREVER}", (0, (1,)), vms=1, vcpus=11),
)
LOADS = {
    "x64": "cpuid=211,rdmsr=53,wrmsr=31,io=17",
    "arm64": "hypercall=211,smc=53,sys64=31,mmio=17",
}


def examples(bed: Bed) -> list[Example]:
    """Return the examples for a host: the slowest runs one of all threads and one of some.

    Which threads are selected does not depend on the ISA; the names of its reasons do.
    """
    return [example for example in EXAMPLES if example.in_bochs or bed.isa != "vmx"]


def in_hosts(*recipes: str) -> pytest.MarkDecorator:
    """Run a test in these hosts."""
    return pytest.mark.parametrize("bed", beds(*recipes), indirect=True, scope="session")


@pytest.fixture(scope="module")
def results(bed: Bed, host: Host) -> dict[str, dict[str, Any]]:
    """Run all examples; return the results by command."""
    load = LOADS["arm64" if bed.isa == "arm64" else "x64"]
    asked = [
        {
            "command": example.command,
            "interrupt": example.title.endswith(FOREVER),
            "vms": ["--vms", str(example.vms), "--vcpus", str(example.vcpus), "--workload", load],
        }
        for example in examples(bed)
    ]
    host.put(INSIDE, SCRIPT.read_bytes())
    done = host.run(["python3", INSIDE], stdin=json.dumps(asked).encode()).check()
    answers = json.loads(done.stdout)
    return dict(zip((example.command for example in examples(bed)), answers, strict=True))


def filled(text: str, result: dict[str, Any]) -> str:
    """Insert the process and thread IDs of the first VM into a text."""
    vm = result["vms"][0]
    for vcpu in reversed(vm["vcpus"]):
        text = text.replace(f"$TID{vcpu['vcpu']}", str(vcpu["tid"]))
    return text.replace("$PID", str(vm["pid"]))


def wanted(
    example: Example, result: dict[str, Any], load: str, isa: str
) -> Counter[tuple[str, ...]]:
    """Return the expected rows, as {words before the count: count}."""
    names = {name: n for (_, name), n in workloads.expected(workloads.parse(load), isa).items()}
    columns = example.columns.split()[:-1]
    rows: Counter[tuple[str, ...]] = Counter()
    for number, vm in enumerate(result["vms"]):
        for vcpu in vm["vcpus"]:
            if example.shows and (
                number != example.shows[0] or vcpu["vcpu"] not in example.shows[1]
            ):
                continue
            for name, n in names.items():
                words = {"PID": str(vm["pid"]), "TID": str(vcpu["tid"]), "KVM_EXIT_REASON": name}
                rows[tuple(words[column] for column in columns)] += n
    return rows


def of_each(*examples: Example) -> pytest.MarkDecorator:
    """Run a test for each of these examples."""
    return pytest.mark.parametrize("example", examples, ids=[one.name for one in examples])


@in_hosts("svm", "arm64")
@of_each(*EXAMPLES)
def test_each_example_counts_the_selected_threads_exactly(
    bed: Bed, results: dict[str, dict[str, Any]], example: Example
) -> None:
    check(bed, results, example)


@in_hosts("vmx-up")
@of_each(*(example for example in EXAMPLES if example.in_bochs))
def test_the_reasons_of_vmx_are_counted_exactly(
    bed: Bed, results: dict[str, dict[str, Any]], example: Example
) -> None:
    check(bed, results, example)


def check(bed: Bed, results: dict[str, dict[str, Any]], example: Example) -> None:
    """Check what an example printed."""
    result = results[example.command]
    assert result["status"] == 0, result["errors"]
    assert result["title"] == f"{ABOUT} {filled(example.title, result)}\n"
    header, *lines = result["output"].splitlines()
    assert header.split() == example.columns.split()
    load = LOADS["arm64" if bed.isa == "arm64" else "x64"]
    vague = {exit_.name for exit_ in workloads.inexact(workloads.parse(load), bed.isa)}
    pids = {str(vm["pid"]) for vm in result["vms"]}
    rows: Counter[tuple[str, ...]] = Counter()
    for line in lines:
        *words, count = line.split()
        words[-1] = re.sub(":.*", "", words[-1])
        # Without a process ID, the VMs of another example may be included.
        if words[-1] not in vague and ("PID" not in header or words[0] in pids):
            rows[tuple(words)] += int(count)
    assert rows == wanted(example, result, load, bed.isa)


@in_hosts("svm")
def test_reasons_come_most_frequent_first(results: dict[str, dict[str, Any]]) -> None:
    lines = results["kvmexit -p $PID 5"]["output"].splitlines()[1:]
    counts = [int(line.split()[-1]) for line in lines]
    assert len(counts) > 3
    assert counts == sorted(counts, reverse=True)
