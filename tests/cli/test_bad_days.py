"""Hosts on which a loader, or all loading, fails: one clear line, a fix, and what still works."""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import pytest

from kstats.collector import prebuild
from kstats.collector.percpu import PER_CPU
from kstats.loader import objects
from tests.cli.process import shell
from tests.cli.test_loaded import COUNTED, LOADED
from tests.collector.native import NATIVE, target

pytestmark = pytest.mark.root

COUNT = "$KSTATS -v 0.1 1 --cpus 0"


def inside(damage: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Return a function that damages an object, not the file that it is compressed in."""
    return lambda data: zlib.compress(damage(zlib.decompress(data)))


DAMAGE: Mapping[str, Callable[[bytes], bytes]] = {
    "empty file": lambda _: b"",
    "truncated file": lambda data: data[: len(data) // 2],
    "empty": inside(lambda _: b""),
    "text": inside(lambda _: b"garbage\n" * 512),
    "truncated": inside(lambda data: data[: len(data) // 2]),
    "without its header": inside(lambda data: bytes(64) + data[64:]),
    "only its header": inside(lambda data: data[:64] + b"\xa5" * (len(data) - 64)),
}
HIDE_LIBBPF = (
    "for file in $(ldconfig -p | sed -n 's/.*libbpf.so.* => //p'); do"
    " mount --bind /dev/null $(readlink -f $file) || exit; done"
)
HIDE_BCC = (
    "for folder in /usr/lib/python3*/*-packages/bcc; do mount -t tmpfs nodev $folder || exit; done"
)
HIDE_BTF = "mount -t tmpfs nodev /sys/kernel/btf"


def write_objects(folder: Path, old: str = "", new: str = "") -> None:
    """Compile the objects of ``kstats cpu``, with ``new`` in place of ``old`` in their C."""
    plan = target(NATIVE._replace(objects=folder)).plan(PER_CPU)
    source = plan.compiled
    assert old in source.text
    if old:
        source = attrs.evolve(source, text=source.text.replace(old, new))
    changed = attrs.evolve(plan, prebuilt=source)
    for probe in plan.probes:
        data = prebuild.compile_object(changed, probe)
        (folder / objects.name(plan, probe)).write_bytes(data)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of objects that load."""
    folder = tmp_path_factory.mktemp("objects")
    write_objects(folder)
    return folder


def count(folder: Path, words: str = "", *, after: str = "true") -> tuple[int, str, list[str]]:
    """Count with the objects in ``folder``; return the status, the output and the messages.

    It runs in a mount namespace, in which ``after`` has been run.
    """
    script = shlex.quote(f"{after} && {COUNT} {words}")
    status, out, err = shell(f"unshare -m bash -c {script}", via=LOADED, OBJECTS=str(folder))
    assert "Traceback" not in err
    return status, out, err.splitlines()


def counted(folder: Path, words: str = "", *, after: str = "true") -> list[str]:
    """Check that the counts are exact; return the messages."""
    status, out, lines = count(folder, words, after=after)
    assert (status, out.splitlines()[1].split()) == (0, COUNTED)
    return lines


@pytest.mark.parametrize("absent", [HIDE_BCC, HIDE_BTF])
def test_objects_need_neither_bcc_nor_btf(intact: Path, absent: str) -> None:
    assert "kstats: loaded by prebuilt" in counted(intact, "--debug", after=absent)


def test_an_object_that_the_verifier_refuses_is_replaced_by_bcc(tmp_path: Path) -> None:
    """It reads beyond the arguments. Its log, and what happened then, are for ``--debug``."""
    write_objects(tmp_path, "->arg[1];", "->arg[1] + ((u64 *)ctx)[99];")
    assert counted(tmp_path) == []
    lines = counted(tmp_path, "--debug")
    assert lines[:2] == [
        "kstats: loaded by bcc",
        (
            "kstats: not loaded by prebuilt: the prebuilt object could not be loaded: Permission"
            " denied"
        ),
    ]
    assert any("invalid bpf_context access off=792" in line for line in lines)
    assert all(line.startswith("kstats: ") for line in lines)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_object_is_a_reason_and_not_a_crash(
    intact: Path, tmp_path: Path, damage: str
) -> None:
    for path in intact.iterdir():
        (tmp_path / path.name).write_bytes(DAMAGE[damage](path.read_bytes()))
    status, out, lines = count(tmp_path, "--loader prebuilt")
    assert (status, out) == (5, "")
    assert lines[0].startswith(
        "kstats: no loader works here: prebuilt: the prebuilt object could not be loaded: "
    )
    assert lines[-1] == "kstats: hint: without --loader, another one is tried"


def test_bcc_loads_the_program_if_the_worker_of_objects_dies(intact: Path) -> None:
    lines = counted(intact, "--debug", after="export CRASHES=1")
    died = "the loading process was killed by signal 11 (Segmentation fault)"
    assert lines[:2] == ["kstats: loaded by bcc", f"kstats: not loaded by prebuilt: {died}"]


def test_an_object_of_another_version_is_not_loaded(intact: Path, tmp_path: Path) -> None:
    for path in intact.iterdir():
        (tmp_path / f"other-{path.name}").write_bytes(path.read_bytes())
    lines = counted(tmp_path, "--debug")
    assert lines[:2] == [
        "kstats: loaded by bcc",
        (
            "kstats: not loaded by prebuilt: no prebuilt object has this program; those that"
            " exist are of another version"
        ),
    ]


def test_without_any_loader_both_are_named(intact: Path) -> None:
    """The bcc of Debian needs libbpf, too."""
    status, out, lines = count(intact, after=HIDE_LIBBPF)
    assert (status, out) == (5, "")
    assert lines[0].startswith("kstats: no loader works here: prebuilt: libbpf is not installed: ")
    assert "; bcc: bcc cannot be imported by " in lines[0]
    assert lines[1:] == ["kstats: hint: apt install libbpf1, or apt install python3-bpfcc"]


@pytest.mark.parametrize(
    ("error", "message"),
    [("EPERM", "Operation not permitted"), ("ENOSYS", "Function not implemented")],
)
def test_a_seccomp_filter_that_forbids_bpf_is_named(intact: Path, error: str, message: str) -> None:
    script = f"${{KSTATS%% *}} -m tests.cli.seccomp {error} {COUNT}"
    status, out, err = shell(script, via=LOADED, OBJECTS=str(intact))
    assert (status, out) == (3, "")
    assert err.splitlines() == [
        f"kstats: a seccomp filter forbids the system call bpf: {message}",
        (
            "kstats: hint: allow bpf and perf_event_open in the seccomp profile of the container or"
            " service"
        ),
    ]
