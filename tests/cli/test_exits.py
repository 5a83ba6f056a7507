"""The words of kstats exits: which threads they select, and which are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kstats.arch import detail_kinds
from kstats.cli import exits, live, main, options
from kstats.cli.exits_options import MORE_THREADS, ExitsOptions
from kstats.collector import threads
from kstats.errors import KstatsError
from kstats.filters import ThreadFilter
from kstats.host import Host
from kstats.views.exits import AXES
from kstats.vms.registry import VmRegistry
from tests import trees
from tests.vms.trees import Tree

COUNT_OF = "{} is not a positive integer"
PROCESS, THREADS = 4000, (4001, 4002)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """An Intel host without KVM, with a process and two threads that may be named."""
    names = (PROCESS, *THREADS)
    made = trees.x64(tmp_path, kvm=False)
    trees.recorded(tmp_path, {f"proc/{number}/comm": "qemu\n" for number in names})
    monkeypatch.setattr(live, "Host", lambda: made)
    return made


def wanted(host: Host, words: str) -> ThreadFilter:
    """The threads that the words choose."""
    selected = exits.parser().parse(words.split(), ExitsOptions).threads
    return live.threads_wanted(selected, host, VmRegistry(host))


def complaint(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was printed: a line, and a hint if there is one."""
    out, err = capsys.readouterr()
    assert out == ""
    return [line.removeprefix("kstats: ").removeprefix("hint: ") for line in err.splitlines()]


@pytest.mark.parametrize(
    ("words", "pids", "tids"),
    [
        ("", set(), set()),
        ("-p 4000", {4000}, set()),
        ("-p 4000 --alltids", {4000}, set()),
        ("--tid 4001", set(), {4001}),
        ("--tids 4001,4002", set(), {4001, 4002}),
        ("--tids 4001", set(), {4001}),
    ],
)
def test_threads_are_chosen_as_kvmexit_has_it(
    host: Host, words: str, pids: set[int], tids: set[int]
) -> None:
    assert wanted(host, words) == ThreadFilter(frozenset(pids), frozenset(tids))


@pytest.mark.parametrize(
    ("words", "axes"),
    [
        ("", "vm vcpu reason"),
        ("--vm web", "vm vcpu reason"),
        ("-p 4000", "reason"),
        ("--tid 4001", "reason"),
        ("-p 4000 --alltids", "tid reason"),
        ("--tids 4001,4002", "tid reason"),
        ("-p 4000 --by cpu,vm", "cpu vm"),
        ("--detail msr", "vm vcpu reason detail"),
        ("-p 4000 --detail io", "reason detail"),
        ("--tids 4001 --detail io", "tid reason detail"),
        ("--detail io --by detail,cpu --sort detail", "detail cpu"),
    ],
)
def test_axes_follow_from_the_threads_unless_they_are_named(words: str, axes: str) -> None:
    assert " ".join(exits.parser().parse(words.split(), ExitsOptions).axes) == axes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0"], "duration '0' is not between 0.01 and 86400 seconds"),
        ([""], "duration '' is not between 0.01 and 86400 seconds"),
        (["-1"], "duration '-1' is not between 0.01 and 86400 seconds"),
        (["1", "0"], "count " + COUNT_OF.format("'0'")),
        (["--top", "0"], "--top " + COUNT_OF.format("'0'")),
        (["--top", ""], "--top " + COUNT_OF.format("''")),
        (["--map-entries", "0"], "--map-entries " + COUNT_OF.format("'0'")),
        (["--map-entries", "4194305"], "--map-entries 4194305 is more than 4194304"),
        (["--by", "cpu,colour"], "unknown axis 'colour'"),
        (["--by", ""], "unknown axis ''"),
        (["--by", "cpu,cpu"], "an axis is named twice in 'cpu,cpu'"),
        (["--by", "vm,detail"], "the axis detail needs --detail KIND"),
        (["--tree", "--by", "vm"], "--tree needs two axes or more"),
        (["--sort", "detail"], "cannot sort by 'detail'"),
        (["--detail", "port"], "unknown detail 'port'"),
        (["--detail", ""], "unknown detail ''"),
        (["--sort", "colour"], "cannot sort by 'colour'"),
        (["--by", "vm", "--sort", "cpu"], "cannot sort by 'cpu'"),
        (["--vcpu", "0"], "--vcpu needs --pid or --vm"),
        (["--alltids"], "--alltids needs --pid or --vm"),
        (["-p", "4000", "--tid", "4001"], "--tid cannot be combined with --pid"),
        (["--vm", "web", "--tids", "4001"], "--vm cannot be combined with --tids"),
        (["-p", "4000", "--vm", "web"], "--vm cannot be combined with --pid"),
        (["-p", "all"], "invalid process ID 'all'"),
        (["-p", ""], "invalid process ID ''"),
        (["-p", "-4000"], "invalid process ID '-4000'"),
        (["--tid", ""], "invalid thread ID ''"),
        (["--tid", "4001,4002"], "invalid thread ID '4001,4002'"),
        (["--tids", ""], "invalid thread ID ''"),
        (["--tids", "4001,"], "invalid thread ID ''"),
        (["--tids", "4001, 4002"], "invalid thread ID ' 4002'"),
        (["-p", "4000", "--vcpu", "x"], "invalid vCPU number 'x'"),
        (["-p", "4000", "--vcpu", ""], "invalid vCPU number ''"),
        (["-p", "9" * 5000], f"invalid process ID {'9' * 5000!r}"),
        (["--tid", "1", "--tids", "2"], "--tid cannot be combined with --tids"),
        (["1", "2", "3"], "unrecognized arguments: 3"),
        (["--probe", "gdb"], "x64 has no probe 'gdb'"),
    ],
)
@pytest.mark.usefixtures("host")
def test_invalid_options_are_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exits", *words]) == 2
    line, *hint = complaint(capsys)
    assert line == said
    assert len(hint) <= 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-p 4999", "process 4999 does not exist"),
        ("--vm web", "no VM matches 'web'"),
        ("--tids 4001,4999", "thread 4999 does not exist"),
        ("-p 4000 --vcpu 7", "process 4000 has no vCPU 7"),
    ],
)
@pytest.mark.usefixtures("host")
def test_missing_processes_threads_and_vms_are_reported(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exits", *words.split()]) == 1
    assert complaint(capsys)[0] == said


@pytest.mark.usefixtures("host")
def test_valid_command_lines_get_as_far_as_the_host(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("", "5", "0.5 10", "--by cpu,pid,tid,isa,column,category --top 3 --sort cpu 1"):
        assert main(["exits", *words.split()]) == 4
        assert complaint(capsys) == ["KVM is not loaded", "load it: modprobe kvm_intel"]


def test_a_report_until_an_interrupt_has_no_end_of_its_own() -> None:
    assert options.FOREVER > 20 * 365 * 86400


def test_the_default_size_of_the_tables_is_the_collectors() -> None:
    assert MORE_THREADS == threads.MORE_THREADS


def test_help_mentions_every_option_and_axis(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["exits", "--help"])
    text = capsys.readouterr().out
    for action in exits.parser()._actions:
        assert all(option in text for option in action.option_strings)
    for axis in AXES:
        assert axis in text


def test_a_vcpu_that_is_not_there_comes_with_those_that_are(host: Host) -> None:
    with pytest.raises(KstatsError) as caught:
        wanted(host, "-p 4000 --vcpu 7")
    assert caught.value.hint == "its vCPUs: none known"


@pytest.mark.parametrize(
    ("words", "tid"),
    [("-p 100 --vcpu 1", 111), ("-p 100 --vcpu 10", 120), ("--vm web --vcpu 1", 111)],
)
def test_vcpu_1_is_not_vcpu_10(tmp_path: Path, words: str, tid: int) -> None:
    tree = Tree(tmp_path)
    threads = {str(110 + vcpu): f"CPU {vcpu}/KVM" for vcpu in range(11)}
    descriptors = {9: "anon_inode:kvm-vm"}
    tree.process(100, "qemu-kvm", "-name", "guest=web", fds=descriptors, threads=threads)
    assert wanted(tree.host, words) == ThreadFilter(frozenset({100}), frozenset({tid}))


def test_a_vcpu_of_each_of_several_vms(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for pid in (100, 200):
        tree.process(pid, "qemu-kvm", "-name", f"guest=web{pid}")
        tree.vm(pid, 9, {0: pid + 1, 1: pid + 2})
        for tid in (pid + 1, pid + 2):
            tree.thread(pid, tid, "qemu-kvm")
    assert wanted(tree.host, "--vm web* --vcpu 1") == ThreadFilter(
        frozenset({100, 200}), frozenset({102, 202})
    )


def test_the_help_lists_every_kind_of_detail() -> None:
    (action,) = (a for a in exits.parser()._actions if a.dest == "detail")
    assert set(detail_kinds()) <= set(re.findall(r"\w+", action.help or ""))
