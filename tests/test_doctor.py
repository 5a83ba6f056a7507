"""The findings of doctor on recorded hosts; its exit status is that of kstats -v."""

from __future__ import annotations

import ctypes
import json
import struct
from pathlib import Path

import attrs
import pytest

from kstats import arch as arches
from kstats import doctor
from kstats.cli import live_cpu, main
from kstats.collector import target
from kstats.collector.kvm_stats import reader
from kstats.doctor import Check, State
from kstats.errors import BackendError
from kstats.host import Host
from kstats.loader import bcc_python, libbpf
from kstats.vms.identity import Vcpu
from tests import trees
from tests.arch.samples import ARCH

FORMAT = "sys/kernel/tracing/events/kvm/kvm_exit/format"
FORMATS = Path(__file__).parent / "data" / "formats"
ALL = 1 << 21 | 1 << 38 | 1 << 39


def found(host: Host) -> dict[str, Check]:
    """Return the checks of a host by name."""
    return {check.name: check for check in doctor.diagnose(host).checks}


def status(capabilities: int) -> dict[str, str]:
    """Return a /proc/self/status with these effective capabilities."""
    return {"proc/self/status": f"Name:\tkstats\nCapEff:\t{capabilities:016x}\nSeccomp:\t0\n"}


def format_file(kernel: str) -> dict[str, str]:
    """Return a tracefs with the format file of a kernel's kvm_exit."""
    return {FORMAT: (FORMATS / f"{kernel}.format").read_text(encoding="utf-8")}


def test_the_kernel_is_the_hosts(tmp_path: Path) -> None:
    host = trees.recorded(tmp_path, {"proc/sys/kernel/osrelease": "6.1.0-50-amd64\n"})
    assert found(host)["kernel"] == Check("kernel", State.OK, "Linux 6.1.0-50-amd64")


def test_an_unknown_machine_fails_with_the_known_ones(tmp_path: Path) -> None:
    checks = found(Host(tmp_path, "mips"))
    assert checks["arch"] == Check(
        "arch",
        State.FAIL,
        "no backend for machine 'mips'",
        "known machines: aarch64, amd64, arm64, x86_64",
    )
    assert checks["kvm"].state is State.FAIL
    assert checks["names"].state is State.WARN


@pytest.mark.parametrize("module", ["kvm_intel", "kvm_amd"])
def test_the_kvm_check_shows_the_isa_and_its_module(tmp_path: Path, module: str) -> None:
    host = trees.x64(tmp_path, module)
    isa = {"kvm_intel": "vmx", "kvm_amd": "svm"}[module]
    assert doctor._kvm(host) == Check("kvm", State.OK, f"{isa} {module}")


def test_kvm_on_arm64_has_no_module(tmp_path: Path) -> None:
    assert doctor._kvm(trees.arm64(tmp_path)) == Check("kvm", State.OK, "arm64")


def test_the_fix_for_missing_kvm_loads_the_module(tmp_path: Path) -> None:
    check = found(trees.x64(tmp_path, cpu="svm", kvm=False))["kvm"]
    assert check == Check("kvm", State.FAIL, "KVM is not loaded", "load it: modprobe kvm_amd")


@pytest.mark.parametrize(
    ("held", "state", "text"),
    [
        (ALL, State.OK, "CAP_BPF CAP_PERFMON CAP_SYS_ADMIN"),
        (1 << 21, State.OK, "CAP_SYS_ADMIN"),
        (1 << 38 | 1 << 39, State.OK, "CAP_BPF CAP_PERFMON"),
        (1 << 39, State.FAIL, "CAP_PERFMON missing"),
        (1 << 38, State.FAIL, "CAP_BPF missing"),
        (1 << 12 | 1 << 19, State.FAIL, "CAP_BPF CAP_PERFMON missing"),
        (0, State.FAIL, "CAP_BPF CAP_PERFMON missing"),
    ],
)
def test_privileges_are_the_effective_capabilities(
    tmp_path: Path, held: int, state: State, text: str
) -> None:
    check = found(trees.recorded(tmp_path, status(held)))["privileges"]
    assert check.state is state
    assert check.found.endswith(text)
    assert bool(check.fix) is (state is State.FAIL)


def test_capabilities_of_this_process_match_capget() -> None:
    header = struct.pack("=Ii", 0x20080522, 0)
    data = ctypes.create_string_buffer(24)
    assert ctypes.CDLL(None).capget(header, data) == 0
    low, _, _, high, _, _ = struct.unpack("=6I", data)
    effective = high << 32 | low
    held = doctor._held_capabilities(Host())
    assert ("CAP_SYS_ADMIN" in held) is bool(effective >> 21 & 1)
    assert ("CAP_BPF" in held) is bool(effective >> 39 & 1)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("[none] integrity confidentiality", State.OK),
        ("none [integrity] confidentiality", State.OK),
        ("none integrity [confidentiality]", State.WARN),
    ],
)
def test_only_confidentiality_is_a_warning(tmp_path: Path, text: str, state: State) -> None:
    check = found(trees.recorded(tmp_path, {"sys/kernel/security/lockdown": text}))["lockdown"]
    assert check.state is state
    assert check.found.startswith(text[text.index("[") + 1 : text.index("]")])


def test_the_btf_check_shows_the_kernel_and_the_vendor_module(tmp_path: Path) -> None:
    host = trees.x64(tmp_path, "kvm_intel")
    assert doctor._btf(host).state is State.WARN
    trees.recorded(tmp_path, {"sys/kernel/btf/vmlinux": "", "sys/kernel/btf/kvm_intel": ""})
    assert doctor._btf(host) == Check("btf", State.OK, "vmlinux kvm_intel")


def test_the_fix_for_missing_tracefs_mounts_it(tmp_path: Path) -> None:
    check = found(trees.recorded(tmp_path, {}))["tracefs"]
    assert check.state is State.WARN
    assert check.fix == "mount -t tracefs nodev /sys/kernel/tracing"
    trees.recorded(tmp_path, {FORMAT: ""})
    assert found(Host(tmp_path))["tracefs"].state is State.OK


@pytest.mark.parametrize(
    ("module", "kernel"), [("kvm_intel", "bookworm-6.1-amd64"), ("kvm_amd", "bullseye-5.10-amd64")]
)
def test_a_kernel_with_known_names_passes(tmp_path: Path, module: str, kernel: str) -> None:
    trees.x64(tmp_path, module)
    assert doctor._names(trees.recorded(tmp_path, format_file(kernel))).state is State.OK


def test_a_kernel_with_an_unknown_name_is_a_warning(tmp_path: Path) -> None:
    """Exits with an unknown code are counted under other."""
    (text,) = format_file("bookworm-6.1-amd64").values()
    assert '{ 48, "EPT_VIOLATION" }' in text
    changed = text.replace('{ 48, "EPT_VIOLATION" }', '{ 48, "EPT_VIOLATION" }, { 99, "NEW" }')
    trees.x64(tmp_path, "kvm_intel")
    check = doctor._names(trees.recorded(tmp_path, {FORMAT: changed}))
    assert check.state is State.WARN
    assert check.found == "names that kstats does not know: 0x63=NEW"


@pytest.mark.parametrize(
    ("ours", "distributions", "prebuilt", "states"),
    [
        (True, False, True, [State.OK, State.OK]),
        (False, True, False, [State.WARN, State.OK]),
        (False, False, True, [State.OK, State.OK]),
        (False, False, False, [State.FAIL, State.FAIL]),
    ],
)
def test_libbpf_or_any_bcc_is_enough(
    monkeypatch: pytest.MonkeyPatch,
    ours: bool,  # noqa: FBT001
    distributions: bool,  # noqa: FBT001
    prebuilt: bool,  # noqa: FBT001
    states: list[State],
) -> None:
    monkeypatch.setattr(bcc_python, "has_bcc", lambda: ours)
    monkeypatch.setattr(bcc_python, "distribution_has_bcc", lambda: distributions)
    monkeypatch.setattr(libbpf, "SONAME", libbpf.SONAME if prebuilt else "libnone.so.1")
    checks = doctor._loaders()
    assert [check.state for check in checks] == states
    failed = [check.fix for check in checks if check.state is State.FAIL]
    assert failed in ([], ["apt install libbpf1", "apt install python3-bpfcc"])


MINE, THEIRS = Vcpu(5, 6, 0, 3), Vcpu(7, 8, 0, 3)


@pytest.mark.parametrize(
    ("vcpus", "silent", "state", "text"),
    [
        ([], [], State.OK, "can read KVM's counters of 0 vCPUs"),
        ([MINE], [], State.OK, "can read KVM's counters of 1 vCPUs"),
        ([MINE], [THEIRS], State.WARN, "of 1 vCPUs; the VMMs of 1 vCPUs did not open theirs"),
    ],
)
def test_kvms_counters_are_readable_if_the_vmm_opened_them(  # noqa: PLR0913, PLR0917 - a table
    vcpus: list[Vcpu],
    silent: list[Vcpu],
    state: State,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = reader.Snapshot(1.0, 1.0, {vcpu: {} for vcpu in vcpus}, frozenset(silent))
    monkeypatch.setattr(reader, "offered", lambda _: True)
    monkeypatch.setattr(reader.VcpuStats, "read", lambda _: now)
    check = doctor._counters(trees.x64(tmp_path))
    assert (check.name, check.state) == ("counters", state)
    assert text in check.found
    assert bool(check.fix) == bool(silent)


@pytest.mark.parametrize(
    ("answer", "text"),
    [({}, "/dev/kvm cannot be opened"), ({"x": False}, "kstats vcpu works without them")],
)
def test_kvm_without_counters_is_a_warning(
    answer: dict[str, bool], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "offered", lambda _: answer.get("x"))
    check = doctor._counters(trees.x64(tmp_path))
    assert check.state is State.WARN
    assert text in check.found


def test_a_broken_backend_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (BackendError("package toys: no C file", "its author can fix it"),)
    monkeypatch.setattr(arches, "broken", lambda: broken)
    check = found(Host(tmp_path, "mips"))["backend"]
    assert check == Check("backend", State.WARN, "package toys: no C file", "its author can fix it")


def test_backends_of_other_packages_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arches, "arches", lambda: (*arches.BUILT_IN, ARCH))
    check = found(Host(tmp_path, "mips"))["backend"]
    assert check == Check("backend", State.OK, f"{ARCH.name}: {ARCH.title}, from another package")


HOSTS = {
    "nothing": lambda root: Host(root, "x86_64"),
    "unknown machine": lambda root: Host(root, "mips"),
    "no kvm": lambda root: trees.x64(root, kvm=False),
    "pvm": lambda root: trees.x64(root, "kvm_pvm"),
    "not initialised": lambda root: trees.x64(root, "kvm_intel", kvm=False),
    "arm64 at EL1": lambda root: trees.arm64(root, kvm=False),
}


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Make the commands run on a host where kstats -v cannot work."""
    made = HOSTS[request.param](tmp_path)
    for module in (live_cpu, target, doctor):
        monkeypatch.setattr(module, "Host", lambda: made)
    return made


def test_doctor_ends_with_the_exit_status_of_kstats_v(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["-v"])
    err = capsys.readouterr().err
    assert main(["doctor"]) == status == doctor.diagnose(host).status == 4
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "kstats cpu does not work here"
    program = found(host)["program"]
    assert err.splitlines()[:2] == [f"kstats: {program.found}", f"kstats: hint: {program.fix}"]


def test_every_failure_has_a_fix(host: Host) -> None:
    for check in doctor.diagnose(host).checks:
        assert check.fix or check.state is not State.FAIL
        assert "\n" not in check.found + check.fix


def test_json_is_the_diagnosis(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-f", "json"]) == 4
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(json.dumps(attrs.asdict(doctor.diagnose(host))))
    assert report["status"] == 4
    for check in report["checks"]:
        assert list(check) == ["name", "state", "found", "fix"]
        assert check["state"] in {"ok", "warn", "fail"}


def test_the_table_has_a_line_for_every_check_and_every_fix(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    checks = doctor.diagnose(host).checks
    failed: dict[str, str] = {}
    fixes = []
    for line, check in zip(lines, checks, strict=False):
        assert line.split()[:2] == [check.state, check.name]
        if check.state is State.FAIL and check.found in failed:
            assert line.endswith(f"see {failed[check.found]}")
            continue
        failed[check.found] = check.name
        assert line.endswith(check.found)
        if check.fix and check.state is not State.OK:
            fixes.append(f"{check.name}: {check.fix}")
    assert lines[len(checks) : -1] == fixes


def test_an_unknown_probe_is_a_usage_error(tmp_path: Path) -> None:
    diagnosis = doctor.diagnose(trees.x64(tmp_path, kvm=False), probe="gdb")
    assert diagnosis.status == 2
    assert diagnosis.checks[-1].found == "x64 has no probe 'gdb'"
