"""Selecting VMs by name, pid or glob; and the error that lists those that run."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.escape import printable
from kstats.vms.identity import Kind, Vm
from kstats.vms.select import NoSuchVmError, matches, select


def vm(name: str, pid: int = 7) -> Vm:
    return Vm(pid, 1, Kind.QEMU, name)


@pytest.mark.parametrize(
    ("name", "pattern", "does"),
    [
        ("web", "web", True),
        ("web", "Web", False),
        ("web", "we", False),
        ("web-01", "web-*", True),
        ("web-01", "web-0?", True),
        ("web-01", "web-[01]1", True),
        ("web-01", "*", True),
        ("web-01", "db-*", False),
        ("a[1]", "a[1]", True),
        ("a*b", "a*b", True),
        ("two\nlines", "*lines", True),
        ("two\nlines", r"two\nlines", True),
        ("\x1b[31m", r"\x1b[31m", True),
        ("", "", True),
        ("web", "7", True),
        ("7", "7", True),
        ("web", "07", False),
        ("web", "70", False),
        ("web", "", False),
    ],
)
def test_which_names_match_a_pattern(name: str, pattern: str, does: bool) -> None:  # noqa: FBT001 - data
    assert matches(vm(name), pattern) is does


@given(st.text())
def test_a_vm_matches_its_name_and_its_printed_name(name: str) -> None:
    assert matches(vm(name), name)
    assert matches(vm(name), printable(name, 1 << 20))


def test_a_vm_matches_the_name_that_views_print_for_namesakes() -> None:
    assert matches(vm("web", 7), "web(7)")
    assert not matches(vm("web", 7), "web(8)")


def test_a_vm_matches_its_uuid() -> None:
    uuid = "3e8f1c2a-0b4d-4c6e-9f10-2a3b4c5d6e7f"
    known = attrs.evolve(vm("web"), uuid=uuid)
    assert matches(known, uuid)
    assert matches(known, uuid.upper())
    assert not matches(known, uuid[:-1])
    assert not matches(known, "")


def test_matches_keep_their_order() -> None:
    vms = [vm("web-1", 1), vm("db", 2), vm("web-2", 3)]
    assert select(vms, "web-*") == (vms[0], vms[2])
    assert select(vms, "2") == (vms[1],)


def test_no_match_is_an_error_that_lists_the_running_vms() -> None:
    with pytest.raises(NoSuchVmError) as caught:
        select([vm("web", 1), vm("\x1b[2J", 2), vm("", 3)], "bd")
    error = caught.value
    assert (error.pattern, len(error.known), error.status) == ("bd", 3, 1)
    assert str(error) == "no VM matches 'bd'"
    assert error.hint == r"known: web(1), \x1b[2J(2), ?(3)"


def test_the_error_is_one_short_line_with_many_vms() -> None:
    with pytest.raises(NoSuchVmError, match=r"no VM matches 'a\\nb'") as caught:
        select([vm("x" * 4096, pid) for pid in range(1000)], "a\nb")
    assert caught.value.hint.endswith("(9), and 990 more")
    assert len(caught.value.hint) < 500


def test_the_error_on_a_host_without_vms() -> None:
    with pytest.raises(NoSuchVmError) as caught:
        select([], "web")
    assert caught.value.hint == "no VM runs on this host"
