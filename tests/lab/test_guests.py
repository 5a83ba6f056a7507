"""Test the guests' binaries and programs, and their layout in memory; needs the assemblers."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path

import pytest

from lab.vmm import build
from lab.vmm.errors import HostError, WorkloadError
from lab.vmm.guest import FOLDER, PROGRAM_SIZE, Binary, Ring, load, program
from lab.vmm.kinds import ARM64, ISAS, KINDS
from lab.vmm.layout import DEVICES, EXEC_STRIDE, GROUP, PAGE, WINDOW_ALIGN, layout
from lab.vmm.workload import mix, parse
from lab.vmm.x64 import BELL_PORT

EVERY = [(kind.name, isa) for kind in KINDS.values() for isa in kind.isas]
MACHINES = {"vmx": "x64", "svm": "x64", "arm64": "arm64"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("vmm")
    build.build(made)
    return made


@pytest.fixture(scope="module")
def binaries(folder: Path) -> dict[str, Binary]:
    return {isa: load(machine, folder / "guests") for isa, machine in MACHINES.items()}


def test_build_copies_the_vmm_without_its_tests(folder: Path) -> None:
    assert (folder / "vmm.py").exists()
    assert not list(folder.glob("test_*"))


def test_build_says_which_package_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(build.BuildError, match="apt-get install binutils-x86-64-linux-gnu"):
        build.build(tmp_path)


@pytest.mark.parametrize(("kind", "isa"), EVERY)
def test_every_kind_has_a_handler(kind: str, isa: str, binaries: dict[str, Binary]) -> None:
    assert KINDS[kind].handler(isa) in binaries[isa].symbols


@pytest.mark.parametrize("isa", ISAS)
def test_every_handler_has_a_kind(isa: str, binaries: dict[str, Binary]) -> None:
    ours = {kind.handler(other) for kind in KINDS.values() for other in kind.isas}
    inner = {"start", "bell", "isr_ud", "isr_irq", "isr_timer"}
    assert set(binaries[isa].symbols) <= ours | inner


@pytest.mark.parametrize("machine", ["x64", "arm64"])
def test_assembly_and_python_agree_on_constants(machine: str) -> None:
    source = (FOLDER / f"{machine}.S").read_text(encoding="utf-8")
    constants = dict(re.findall(r"^\.set (\w+), ([^/#\n]+?) *(?://|#|$)", source, re.MULTILINE))
    ours = {"PAGE": PAGE, "EXEC_STRIDE": EXEC_STRIDE, "BELL_PORT": BELL_PORT}
    ours |= {f"RING_{ring.name}": int(ring) for ring in Ring}
    shared = constants.keys() & ours.keys()
    assert shared >= {"EXEC_STRIDE", "RING_IRQ"}
    for name in shared:
        value = constants[name].replace("PAGE", str(PAGE))
        assert math.prod(int(factor, 0) for factor in value.split("*")) == ours[name]


@pytest.mark.parametrize("isa", ISAS)
def test_code_fits_into_one_page(isa: str, binaries: dict[str, Binary]) -> None:
    assert len(binaries[isa].code) <= PAGE


def test_load_says_how_to_build_a_missing_guest(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"x64\.bin: No such file .*make it with .*build\.py"):
        load("x64", tmp_path)


@pytest.mark.parametrize("isa", ISAS)
def test_programs_loop_and_start_and_end_with_a_ring(isa: str) -> None:
    entries = program(parse("hypercall=5"), isa).entries
    assert entries == (
        ("bell", 1, Ring.HERE),
        (KINDS["hypercall"].handler(isa), 5, 0),
        ("bell", 1, Ring.LAP),
        ("start", 1, 0),
    )


def test_moving_programs_ring_between_the_halves() -> None:
    entries = program(parse("smc=5"), ARM64, moves=True).entries
    assert entries[1:4] == (("smc", 2, 0), ("bell", 1, Ring.HALF), ("smc", 3, 0))


@pytest.mark.parametrize("isa", ISAS)
def test_block_holds_addresses_within_the_vcpus_own_window(
    isa: str, binaries: dict[str, Binary]
) -> None:
    window = layout(parse("page=3,exec=2"), vcpus=2).windows[1]
    block = program(parse("page=3,exec=2"), isa).block(binaries[isa], window)
    heap, calls, device, first_handler = struct.unpack_from("<4Q", block)
    assert (heap, calls, device) == (window.heap, window.calls, window.device)
    assert window.code < first_handler < window.code + PAGE


def test_programs_that_are_too_long_are_refused(binaries: dict[str, Binary]) -> None:
    window = layout((), vcpus=1).windows[0]
    steps = parse(",".join(["cpuid=1"] * (PROGRAM_SIZE // 24)))
    with pytest.raises(WorkloadError, match="steps is too long"):
        program(steps, "vmx").block(binaries["vmx"], window)


def test_windows_share_no_lowest_level_table() -> None:
    placed = layout(parse("page=1000,exec=100"), vcpus=4)
    starts = [window.base for window in placed.windows]
    ends = [window.end for window in placed.windows]
    assert starts == [0, *ends[:-1]]
    assert all(end % WINDOW_ALIGN == 0 for end in ends)
    devices = {window.device // WINDOW_ALIGN for window in placed.windows}
    assert len(devices) == 4


def test_each_page_that_the_vmm_writes_has_its_own_group() -> None:
    (window,) = layout(parse("page=9,exec=5"), vcpus=1).windows
    written = [window.code, window.block, *window.page_tables]
    written += [window.call(number) for number in range(5)]
    groups = [address // GROUP for address in written]
    assert len(set(groups)) == len(groups)
    heap = {address // GROUP for address in range(window.heap, window.heap + 9 * PAGE, PAGE)}
    assert not heap & set(groups)


def test_memory_ends_below_the_devices() -> None:
    with pytest.raises(WorkloadError, match="too many"):
        layout(parse(f"page={DEVICES // PAGE}"), vcpus=1)


def test_demo_fits_for_many_vcpus() -> None:
    for isa in ISAS:
        assert layout(mix("demo", isa), vcpus=64).size <= DEVICES
