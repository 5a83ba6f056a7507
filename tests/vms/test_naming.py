"""Command lines, cgroups and thread names of every VMM, and of other programs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.vms.identity import Kind
from kstats.vms.naming import VMMS, Identity, by_path, identify, option, qemu_name, vcpu_number
from kstats.vms.proc import Proc
from tests.vms.trees import Tree

COMMAND_LINES = [
    line
    for line in (Path(__file__).parent.parent / "data/vms.txt").read_text().splitlines()
    if line and not line.startswith("#")
]

WORDS = st.lists(
    st.text(max_size=9) | st.sampled_from(["-name", "--name", "guest=", ",,", "=", "--id"]),
    max_size=6,
)


@pytest.mark.parametrize(
    ("comm", "number"),
    [
        ("CPU 0/KVM", 0),
        ("CPU 1023/KVM", 1023),
        ("fc_vcpu 12", 12),
        ("vcpu7", 7),
        ("crosvm_vcpu31", 31),
        ("kvm-vcpu-3", 3),
        ("db_vcpu15", 15),
        ("vcpu-0", 0),
        ("EMT-0", None),
        ("CPU 0/TCG", None),
        ("CPU 10/KVM ", None),
        ("xCPU 1/KVM", None),
        ("CPU /KVM", None),
        ("CPU -1/KVM", None),
        ("CPU \u0661/KVM", None),
        ("vcpu", None),
        ("vcpu1x", None),
        ("vcpu1\n", None),
        ("my_vcpu1", None),
        ("fc_vcpu", None),
        ("fc_api", None),
        ("qemu-system-x86", None),
        ("", None),
    ],
)
def test_the_vcpu_number_in_a_thread_name(comm: str, number: int | None) -> None:
    assert vcpu_number(comm) == number


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["-name", "web"], "web"),
        (["--name", "web"], "web"),
        (["-name", "web,debug-threads=on"], "web"),
        (["-name", "guest=web,debug-threads=on"], "web"),
        (["-name", "debug-threads=on,guest=web"], "web"),
        (["-name", "process=x,guest=web"], "web"),
        (["-name", "guest=a,,b,,,process=x"], "a,b,"),
        (["-name", "a,,b=c"], "a,b=c"),
        (["-name", "guest=one,guest=two"], "two"),
        (["-name", "one", "-name", "guest=two"], "two"),
        (["-name", "one", "-name", "debug-threads=on"], "one"),
        (["-name", "guest=a=b"], "a=b"),
        (["-name", "debug-threads=on"], ""),
        (["-name", ""], ""),
        (["-name"], ""),
        (["-uuid", "1"], ""),
    ],
)
def test_the_name_on_qemus_command_line(words: list[str], name: str) -> None:
    assert qemu_name(["qemu", *words]) == name


@given(st.text(st.characters(exclude_characters="\0"), min_size=1))
def test_any_name_on_qemus_command_line_is_read(name: str) -> None:
    """As QEMU's documentation has it, a comma in a value is doubled."""
    words = ["qemu", "-name", f"guest={name.replace(',', ',,')},debug-threads=on"]
    assert qemu_name(words) == name


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--id", "a"], "a"),
        (["--id=a"], "a"),
        (["--id=a=b"], "a=b"),
        (["--id", "a", "--id", "b"], "b"),
        (["--idea", "a"], ""),
        (["--id"], ""),
        ([], ""),
    ],
)
def test_the_value_of_an_option(words: list[str], value: str) -> None:
    assert option(words, "--id") == value


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_vm_as_it_is_started_in_the_field(tmp_path: Path, line: str) -> None:
    name, kind, command, exe, comm, cgroup, *facts = (part.strip() for part in line.split("|"))
    given = dict(fact.split("=") for fact in "".join(facts).split())
    words = shlex.split(command, posix=True) if "'" in command else command.split()
    Tree(tmp_path).process(7, *words, exe=exe, cgroup=[cgroup], threads={"7": comm})
    assert identify(Proc(tmp_path), 7) == Identity(
        kind=Kind(kind),
        name=name,
        uuid=given.get("uuid", ""),
        vmid=int(given["vmid"]) if "vmid" in given else None,
        pod=given.get("pod", ""),
        namespace=given.get("namespace", ""),
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/run/vms/web.sock", "web"),
        ("path=/run/vms/web.socket", "web"),
        ("/run/vms/web-socket", "web"),
        ("web.sock", "web"),
        ("/vms/a/data/run/api.sock", "a"),
        ("/vms/Root/API.sock", ""),
        ("/home/alice/api.sock", ""),
        ("/home/alice.sock", "alice"),
        ("/run/user/1000/fc.sock", ""),
        ("/run/user/1000.sock", "1000"),
        ("/proc/self/fd/fc.sock", "fd"),
        ("/srv/fc.sock", ""),
        ("fd=9", ""),
        ("", ""),
        ("/", ""),
    ],
)
def test_the_name_of_a_vm_by_a_path(path: str, name: str) -> None:
    assert by_path(path) == name


@pytest.mark.parametrize(
    ("words", "kind", "name"),
    [
        (["/usr/bin/kvm", "-name", "web"], Kind.QEMU, "web"),
        (["qemu-system-riscv64", "-name", "web"], Kind.QEMU, "web"),
        (["/nix/store/x/bin/.qemu-system-x86_64-wrapped"], Kind.QEMU, "vmm"),
        (["/firecracker-v1.2", "--id=m-1"], Kind.FIRECRACKER, "m-1"),
        (["firecracker", "--api-sock", "/run/firecracker.socket"], Kind.FIRECRACKER, "vmm"),
        (["firecracker", "--api-sock", "/run/fc/m-2/firecracker.sock"], Kind.FIRECRACKER, "m-2"),
        (["cloud-hypervisor"], Kind.CLOUD_HYPERVISOR, "vmm"),
        (["cloud-hypervisor", "--api-socket", "/run/ch-api.sock"], Kind.CLOUD_HYPERVISOR, "vmm"),
        (["cloud-hypervisor", "--api-socket", "path=db,event=x"], Kind.CLOUD_HYPERVISOR, "db"),
        (["crosvm", "run", "--name=arc", "kernel"], Kind.CROSVM, "arc"),
        (["lkvm", "run"], Kind.KVMTOOL, "guest-7"),
        (["qemu-img", "convert", "-name", "x"], Kind.OTHER, "vmm"),
        (["bash", "-c", "qemu-system-x86_64 -name x"], Kind.OTHER, "vmm"),
        ([], Kind.OTHER, "vmm"),
    ],
)
def test_a_vm_by_its_command_line(tmp_path: Path, words: list[str], kind: Kind, name: str) -> None:
    tree = Tree(tmp_path)
    tree.process(7, *words)
    assert kind_and_name(Proc(tmp_path), 7) == (kind, name)


def kind_and_name(proc: Proc, pid: int) -> tuple[Kind, str]:
    found = identify(proc, pid)
    return found.kind, found.name


def test_the_program_file_takes_precedence_over_the_command_line(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.process(7, "kvm", "--id", "x", exe="/opt/firecracker")
    tree.process(8, "kvm", "--name", "x", exe="/usr/bin/lkvm (deleted)")
    assert kind_and_name(Proc(tmp_path), 7) == (Kind.FIRECRACKER, "x")
    assert kind_and_name(Proc(tmp_path), 8) == (Kind.KVMTOOL, "x")


def test_without_a_command_line_the_process_name_identifies_the_vmm(tmp_path: Path) -> None:
    Tree(tmp_path).process(7, threads={"7": "cloud-hyperviso"})
    assert kind_and_name(Proc(tmp_path), 7) == (Kind.CLOUD_HYPERVISOR, "cloud-hyperviso")


def test_libvirts_name_on_the_command_line_takes_precedence_over_the_cgroups(
    tmp_path: Path,
) -> None:
    """The cgroup's is truncated and lacks the characters that a host name cannot have."""
    tree = Tree(tmp_path)
    scope = r"0::/machine.slice/machine-qemu\x2d1\x2dwebshop.scope/libvirt"
    tree.process(7, "qemu-kvm", "-name", "guest=web_shop", cgroup=[scope])
    tree.process(8, "qemu-kvm", cgroup=[scope])
    tree.process(9, "qemu-kvm", cgroup=[r"0::/machine.slice/machine-qemu\x2d3.scope"])
    proc = Proc(tmp_path)
    assert kind_and_name(proc, 7) == (Kind.LIBVIRT, "web_shop")
    assert kind_and_name(proc, 8) == (Kind.LIBVIRT, "webshop")
    assert kind_and_name(proc, 9) == (Kind.LIBVIRT, "vmm")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["kvm", "-uuid", "3E8F1C2A-0B4D-4c6e-9f10-2a3b4c5d6e7f"], True),
        (["kvm", "--uuid=3e8f1c2a-0b4d-4c6e-9f10-2a3b4c5d6e7f"], True),
        (["kvm", "-smbios", "type=1,uuid=3e8f1c2a-0b4d-4c6e-9f10-2a3b4c5d6e7f,sku=x"], True),
        (["kvm", "-uuid", '3e8f1c2a"} 1'], False),
        (["kvm", "-uuid"], False),
        ([], False),
    ],
)
def test_the_uuid_of_a_vm(tmp_path: Path, words: list[str], found: bool) -> None:  # noqa: FBT001
    Tree(tmp_path).process(7, *words)
    expected = "3e8f1c2a-0b4d-4c6e-9f10-2a3b4c5d6e7f" if found else ""
    assert identify(Proc(tmp_path), 7).uuid == expected


@given(WORDS)
def test_any_command_line_is_parsed(words: list[str]) -> None:
    assert isinstance(qemu_name(words), str)
    assert isinstance(option(words, "--name", "-s"), str)
    for vmm in VMMS:
        assert isinstance(vmm.name(words), str)
