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


def test_benchmarks_run_on_one_cpu_with_a_clock_of_instructions() -> None:
    for recipe in BENCHES:
        assert recipe.cpus == 1
        assert isinstance(recipe.machine, Qemu)
        assert recipe.machine.counts_instructions


def test_an_unknown_host_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownHostError, match="unknown host 'x64'") as caught:
        find("x64")
    assert "svm-5.10" in caught.value.hint


def test_userlands_are_shared_within_an_architecture_only() -> None:
    userlands = {recipe.name: images.userland_entry(recipe) for recipe in RECIPES}
    assert userlands["svm"] == userlands["vmx"] == userlands["svm-6.12"]
    assert userlands["svm"] != userlands["arm64"]


def test_a_kernel_is_kept_apart_from_every_other() -> None:
    kernels = {recipe.name: images.kernel_entry(recipe) for recipe in RECIPES}
    assert kernels["svm"] == kernels["svm-qemu"] == kernels["vmx"] == kernels["vmx-up"]
    assert len(set(kernels.values())) == len({(r.arch, r.kernel) for r in RECIPES})


def test_how_a_host_is_booted_is_no_part_of_its_images() -> None:
    svm = find("svm")
    assert entries(svm) == entries(attrs.evolve(svm, name="other", cpus=7, memory=4096, deadline=1))


def test_other_packages_make_another_userland_but_the_same_kernel() -> None:
    svm = find("svm")
    more = attrs.evolve(svm.userland, packages=(*svm.userland.packages, "strace"))
    other = attrs.evolve(svm, userland=more)
    assert images.userland_entry(other) != images.userland_entry(svm)
    assert images.kernel_entry(other) == images.kernel_entry(svm)


def test_another_suite_makes_another_kernel_but_the_same_userland() -> None:
    svm = find("svm")
    other = attrs.evolve(svm, kernel=Kernel("sid", "linux-image-amd64"))
    assert images.userland_entry(other) == images.userland_entry(svm)
    assert images.kernel_entry(other) != images.kernel_entry(svm)


def test_a_changed_builder_makes_all_images_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "BUILDER", tmp_path)
    keys = set()
    for name, text in [("a.py", "1"), ("a.py", "2"), ("b.py", "")]:
        (tmp_path / name).write_text(text)
        keys.add(entries(find("svm")))
    assert len(keys) == 3


def test_packages_for_installing_are_those_that_are_needed() -> None:
    needed = set(needs.ALWAYS.values())
    for recipe in RECIPES:
        needed.update(recipe.machine.needs.values())
        assert f"{BINUTILS[recipe.arch]}-objcopy" in needs.ALWAYS
    assert needs.packages() == sorted(needed)


def test_what_is_missing_is_named_by_its_package() -> None:
    there = {"sh": "dash", str(Path(__file__)): "this"}
    assert needs.missing({**there, "no-such-program": "b", "/no/such/file": "a"}) == ["a", "b"]
