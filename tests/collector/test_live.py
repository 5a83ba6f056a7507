"""Detection of recorded hosts; otherwise, why a host shows no exits and how to fix it."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from kstats import arch as arches
from kstats.collector.live import identified
from kstats.collector.target import Target, choose_probes, find_arch, find_source
from kstats.errors import KstatsError, UnsupportedHostError, UsageError
from kstats.host import Host
from kstats.model import Place
from kstats.vms.registry import VmRegistry
from tests import trees
from tests.samples import sample
from tests.vms.trees import Tree

X64 = arches.find("x64")
ARM64 = arches.find("arm64")


def refusal(host: Host) -> tuple[str, str]:
    """Text and hint of the error that :meth:`Target.find` ends with."""
    with pytest.raises(UnsupportedHostError) as caught:
        Target.find(host)
    assert caught.value.status == 4
    assert "\n" not in str(caught.value) + caught.value.hint
    return str(caught.value), caught.value.hint


@pytest.mark.parametrize(
    ("machine", "name"),
    [("x86_64", "x64"), ("amd64", "x64"), ("aarch64", "arm64"), ("arm64", "arm64")],
)
def test_machines_have_their_architecture(machine: str, name: str) -> None:
    assert find_arch(Host(machine=machine)).name == name


@pytest.mark.parametrize("machine", ["sparc64", "riscv64", "", "X86_64"])
def test_an_unknown_machine_is_told_which_are_known(tmp_path: Path, machine: str) -> None:
    said, hint = refusal(trees.recorded(tmp_path, trees.cpus("0"), machine))
    assert said == f"no backend for machine {machine!r}"
    assert hint == "known machines: aarch64, amd64, arm64, x86_64"


@pytest.mark.parametrize(("module", "isa"), [("kvm_intel", "vmx"), ("kvm_amd", "svm")])
def test_the_vendor_module_decides_the_isa(tmp_path: Path, module: str, isa: str) -> None:
    """Whatever the CPU says: a hypervisor above may hide or invent flags."""
    assert find_source(X64, trees.x64(tmp_path, module, cpu="none")).isa == isa


@pytest.mark.parametrize("isa", ["vmx", "svm"])
def test_where_both_are_built_in_the_cpu_decides(tmp_path: Path, isa: str) -> None:
    host = trees.x64(tmp_path, "kvm_intel", "kvm_amd", cpu=isa)
    assert find_source(X64, host).isa == isa


def test_arm64_needs_no_module(tmp_path: Path) -> None:
    assert find_source(ARM64, trees.arm64(tmp_path)).isa == "arm64"


def test_dev_kvm_is_enough_where_sysfs_is_cut_short(tmp_path: Path) -> None:
    host = trees.x64(tmp_path, "kvm_amd", kvm=False)
    assert find_source(X64, trees.recorded(Path(host.root), {"dev/kvm": ""})).isa == "svm"


@pytest.mark.parametrize(("cpu", "module"), [("vmx", "kvm_intel"), ("svm", "kvm_amd")])
def test_without_kvm_the_hint_is_the_module_for_this_cpu(
    tmp_path: Path, cpu: str, module: str
) -> None:
    said, hint = refusal(trees.x64(tmp_path, cpu=cpu, kvm=False))
    assert said == "KVM is not loaded"
    assert hint == f"load it: modprobe {module}"


def test_a_cpu_without_virtualisation_is_told_so(tmp_path: Path) -> None:
    said, hint = refusal(trees.x64(tmp_path, cpu="none", kvm=False))
    assert said == "KVM is not loaded and this CPU offers no hardware virtualisation"
    assert hint == "enable it in the firmware, or nested virtualisation in the hypervisor above"


def test_without_any_sysfs_it_ends_as_clearly(tmp_path: Path) -> None:
    said, _ = refusal(Host(tmp_path, "x86_64"))
    assert said.startswith("KVM is not loaded")


def test_pvm_never_fires_and_is_refused(tmp_path: Path) -> None:
    """Counting would work and show zeros for ever."""
    said, hint = refusal(trees.x64(tmp_path, "kvm_pvm"))
    assert said == "KVM runs with kvm_pvm here, which never fires kvm_exit: no exits to count"
    assert "unload kvm_pvm and load kvm_intel or kvm_amd" in hint


def test_hardware_beside_pvm_is_counted(tmp_path: Path) -> None:
    assert find_source(X64, trees.x64(tmp_path, "kvm_pvm", "kvm_intel")).isa == "vmx"


def test_kvm_that_did_not_initialise_is_told_from_kvm_that_is_missing(tmp_path: Path) -> None:
    for host in (
        trees.arm64(tmp_path / "arm64", kvm=False),
        trees.x64(tmp_path / "x64", "kvm_intel", kvm=False),
    ):
        said, hint = refusal(host)
        assert said == "KVM did not initialise on this host (there is no kvm device)"
        assert "dmesg | grep -i kvm" in hint
        assert "EL2" in hint


def test_every_probe_is_tried_unless_one_is_asked_for() -> None:
    (source,) = ARM64.sources
    assert choose_probes(source, None) == source.probes
    assert [probe.name for probe in choose_probes(source, "classic")] == ["classic"]


def test_an_unknown_probe_is_told_before_what_the_host_lacks(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Target.find(trees.x64(tmp_path, kvm=False), probe="kprobe")
    assert str(caught.value) == "x64 has no probe 'kprobe'"
    assert caught.value.hint == "known: raw-cast, raw-btf, raw-arg, classic"


def test_a_probe_of_another_source_is_no_probe_of_this_one() -> None:
    with pytest.raises(UsageError, match="arm64 has no probe 'raw-btf'") as caught:
        choose_probes(ARM64.sources[0], "raw-btf")
    assert caught.value.hint == "known: raw, classic"


def test_the_layout_has_the_possible_cpus_and_the_sources_codes(tmp_path: Path) -> None:
    host = trees.recorded(Path(trees.x64(tmp_path, "kvm_intel").root), trees.cpus("0-1", "0-1,8"))
    layout = Target.find(host).layout()
    assert (layout.arch, layout.isa, layout.cpus) == ("x64", "vmx", (0, 1, 8))
    assert layout.codes == tuple(range(128))


def test_a_module_that_leaves_and_returns_is_noted(tmp_path: Path) -> None:
    """An attached program keeps kvm.ko in; the vendor module may go."""
    target = Target.find(trees.x64(tmp_path, "kvm_intel"))
    assert target.notes() == ()
    gone = attrs.evolve(target, host=Host(tmp_path / "nowhere", "x86_64"))
    assert gone.notes() == ("kvm_intel was unloaded: no VM can run until it is loaded again",)


def test_every_refusal_is_an_error_with_a_hint(tmp_path: Path) -> None:
    for machine in ("x86_64", "aarch64", "mips"):
        with pytest.raises(KstatsError) as caught:
            Target.find(Host(tmp_path, machine))
        assert caught.value.hint


def test_idle_vcpus_are_those_of_the_wanted_processes(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for pid in (100, 200):
        tree.process(pid, "qemu-kvm", "-name", "web", threads={str(pid + 1): "CPU 0/KVM"})
        tree.vm(pid, 9, {0: pid + 1})
    directory = VmRegistry(tree.host)
    both, one = (identified(sample(), directory, pids)["threads"] for pids in ((), (200,)))
    assert {thread.pid for thread in both.values()} == {100, 200}
    assert {thread.pid for thread in one.values()} == {200}


def test_who_counted_and_is_gone_has_ended(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.process(100, "qemu-kvm", "-name", "web", threads={"101": "CPU 0/KVM"})
    tree.vm(100, 9, {0: 101})
    directory = VmRegistry(tree.host)
    tree.end(100)
    number = 100 << 32 | 101
    counted = attrs.evolve(sample(), events={"kvm_mmio": {Place(0, number): 3}})
    found = identified(counted, directory, ())
    assert found["threads"][number].vcpu == 0
    assert found["ended"] == {number}
    assert identified(sample(), directory, ()) == {"threads": {}, "ended": frozenset()}
