"""libvirt's names in cgroups, escaped as libvirt does."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.vms.libvirt import machine_name

_PLAIN = string.digits + string.ascii_letters + ":_."


def scope(machine: str) -> str:
    """Return the scope of a machine, escaped as virSystemdEscapeName does."""
    escaped = ""
    for position, byte in enumerate(machine.encode("utf-8", "surrogateescape")):
        char = chr(byte)
        plain = char in _PLAIN and not (char == "." and position == 0)
        escaped += "-" if char == "/" else char if plain else f"\\x{byte:02x}"
    return f"machine-{escaped}.scope"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (r"/machine.slice/machine-qemu\x2d1\x2dweb.scope", "web"),
        (r"/machine.slice/machine-qemu\x2d1\x2dweb.scope/libvirt/emulator", "web"),
        (
            r"/machine.slice/machine-qemu\x2d12\x2dweb\x2d01.example.scope/libvirt/vcpu0",
            "web-01.example",
        ),
        (r"/machine.slice/machine-qemu\x2dweb.scope", "web"),
        (r"/machine.slice/machine-qemu\x2dembed\x2d0a1b2c3d\x2d1\x2dweb.scope", "web"),
        (r"/machine.slice/machine-ch\x2d4\x2ddb.scope", "db"),
        (r"/machine.slice/machine-qemu\x2d9.scope", ""),
        (r"/../../machine.slice/machine-qemu\x2d1\x2dweb.scope", "web"),
        ("/machine/qemu-2-old_guest.libvirt-qemu/emulator", "old_guest"),
        ("/machine/prod.partition/guest7.libvirt-qemu/vcpu1", "guest7"),
        (r"/machine.slice/machine-lxc\x2d1\x2dweb.scope", None),
        (r"/machine.slice/machine-debian.scope", None),
        (r"/machine.slice/machine-qemubox.scope", None),
        ("/system.slice/libvirtd.service", None),
        ("/user.slice/user-1000.slice/session-1.scope", None),
        ("/machine.slice/machine-.scope", None),
        ("/", None),
        ("", None),
    ],
)
def test_the_name_in_a_cgroup(path: str, name: str | None) -> None:
    assert machine_name([path]) == name


def test_any_hierarchy_may_have_the_name() -> None:
    assert machine_name(["/", "/cpu", rf"/x/{scope('qemu-1-web')}/emulator"]) == "web"
    assert machine_name([]) is None


@given(st.text(min_size=1) | st.text("a/-.\\", min_size=1), st.integers(1, 9999))
def test_escaped_names_are_restored(name: str, number: int) -> None:
    assert machine_name([f"/machine.slice/{scope(f'qemu-{number}-{name}')}/libvirt"]) == name


@given(
    st.lists(st.text() | st.sampled_from(["machine-", "qemu-", "/", "\\x2d", "\\xff", ".scope"]))
)
def test_any_cgroup_is_parsed(parts: list[str]) -> None:
    name = machine_name(["".join(parts)])
    assert name is None or isinstance(name, str)
