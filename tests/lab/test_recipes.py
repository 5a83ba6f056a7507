"""Recipes: found by name, and kept in the cache under names that say what went into them."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from lab.hosts import RECIPES, Kernel, Recipe, UnknownHostError, cache, find, images, needs
from lab.hosts.build.kernel import BINUTILS
from lab.hosts.machines import Qemu
from lab.hosts.recipes import BENCHES


def entries(recipe: Recipe) -> tuple[tuple[str, str], tuple[str, str]]:
    return images.userland_entry(recipe), images.kernel_entry(recipe)


def test_names_are_unique_and_found() -> None:
    assert [find(recipe.name) for recipe in RECIPES] == list(RECIPES)
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)


def test_hosts_of_the_benchmark_have_one_cpu_and_count_instructions() -> None:
    for recipe in BENCHES:
        assert recipe.cpus == 1
        assert isinstance(recipe.machine, Qemu)
        assert recipe.machine.instruction_ns


def test_an_unknown_host_is_an_error_with_the_known_ones() -> None:
    with pytest.raises(UnknownHostError, match="unknown host 'x64'") as caught:
        find("x64")
    assert "svm-5.10" in caught.value.hint


def test_userlands_are_shared_within_an_architecture_only() -> None:
    userlands = {recipe.name: images.userland_entry(recipe) for recipe in RECIPES}
    assert userlands["svm"] == userlands["vmx"] == userlands["svm-6.12"]
    assert userlands["svm"] != userlands["arm64"]


def test_each_kernel_has_its_own_entry() -> None:
    kernels = {recipe.name: images.kernel_entry(recipe) for recipe in RECIPES}
    assert kernels["svm"] == kernels["svm-qemu"] == kernels["vmx"] == kernels["vmx-up"]
    assert len(set(kernels.values())) == len({(r.arch, r.kernel) for r in RECIPES})


def test_images_do_not_depend_on_cpus_memory_and_deadlines() -> None:
    svm = find("svm")
    assert entries(svm) == entries(attrs.evolve(svm, name="other", cpus=7, memory=4096, deadline=1))


def test_packages_change_the_userland_but_not_the_kernel() -> None:
    svm = find("svm")
    more = attrs.evolve(svm.userland, packages=(*svm.userland.packages, "strace"))
    other = attrs.evolve(svm, userland=more)
    assert images.userland_entry(other) != images.userland_entry(svm)
    assert images.kernel_entry(other) == images.kernel_entry(svm)


def test_the_kernels_suite_does_not_change_the_userland() -> None:
    svm = find("svm")
    other = attrs.evolve(svm, kernel=Kernel("sid", "linux-image-amd64"))
    assert images.userland_entry(other) == images.userland_entry(svm)
    assert images.kernel_entry(other) != images.kernel_entry(svm)


def test_a_changed_builder_rebuilds_all_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "BUILDER", tmp_path)
    keys = set()
    for name, text in [("a.py", "1"), ("a.py", "2"), ("b.py", "")]:
        (tmp_path / name).write_text(text)
        keys.add(entries(find("svm")))
    assert len(keys) == 3


def test_packages_txt_lists_the_needed_packages() -> None:
    needed = set(needs.ALWAYS.values())
    for recipe in RECIPES:
        needed.update(recipe.machine.needs.values())
        assert f"{BINUTILS[recipe.arch]}-objcopy" in needs.ALWAYS
    assert needs.packages() == sorted(needed)


def test_missing_programs_are_reported_by_package() -> None:
    there = {"sh": "dash", str(Path(__file__)): "this"}
    assert needs.missing({**there, "no-such-program": "b", "/no/such/file": "a"}) == ["a", "b"]
