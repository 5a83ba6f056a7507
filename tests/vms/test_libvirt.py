"""libvirt's names in cgroups, escaped as libvirt does."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.vms.libvirt import Domain, find_domain

_PLAIN = string.digits + string.ascii_letters + ":_."


def scope(machine: str) -> str:
    """Return the scope of a machine, escaped as virSystemdEscapeName does."""
    escaped = ""
    for position, byte in enumerate(machine.encode("utf-8", "surrogateescape")):
        char = chr(byte)
        plain = char in _PLAIN and not (char == "." and position == 0)
        escaped += "-" if char == "/" else char if plain else f"\\x{byte:02x}"
    return f"machine-{escaped}.scope"


def machine_name(cgroups: list[str]) -> str | None:
    domain = find_domain([], cgroups)
    return domain.name if domain else None


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


@pytest.mark.parametrize(
    ("word", "path", "domain"),
    [
        ("", r"/machine.slice/machine-qemu\x2d12\x2dweb.scope", Domain(12, "web")),
        ("", r"/machine.slice/machine-qemu\x2d12.scope", Domain(12, "")),
        ("", "/machine/web.libvirt-qemu", Domain(None, "web")),
        ("", "/machine/qemu-2-web.libvirt-qemu/vcpu0", Domain(2, "web")),
        ("path=/var/lib/libvirt/qemu/domain-7-web/monitor.sock", "/", Domain(7, "")),
        ("/home/u/.config/libvirt/qemu/lib/domain-8-web/key", "/", Domain(8, "")),
        ("/libvirt/qemu/domain-7-web/x", "/machine/web.libvirt-qemu", Domain(7, "web")),
        ("/libvirt/qemu/domain-7-web/x", "/machine/qemu-2-web.libvirt-qemu", Domain(2, "web")),
        ("/var/lib/libvirt/images/web.qcow2", "/", None),
        ("/libvirt/qemu/domain-x-web", "/", None),
    ],
)
def test_the_number_of_a_domain(word: str, path: str, domain: Domain | None) -> None:
    assert find_domain([word], [path]) == domain


@given(st.text(min_size=1) | st.text("a/-.\\", min_size=1), st.integers(1, 9999))
def test_escaped_names_are_restored(name: str, number: int) -> None:
    assert machine_name([f"/machine.slice/{scope(f'qemu-{number}-{name}')}/libvirt"]) == name


@given(
    st.lists(st.text() | st.sampled_from(["machine-", "qemu-", "/", "\\x2d", "\\xff", ".scope"]))
)
def test_any_cgroup_is_parsed(parts: list[str]) -> None:
    name = machine_name(["".join(parts)])
    assert name is None or isinstance(name, str)
