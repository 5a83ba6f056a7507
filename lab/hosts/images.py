"""The cached parts of a host: a userland and a kernel."""

from __future__ import annotations

from pathlib import Path

from lab.hosts import cache, riscv64
from lab.hosts.build import kernel as kernels
from lab.hosts.build import userland as userlands
from lab.hosts.build.apt import Apt
from lab.hosts.machines import Images
from lab.hosts.recipes import Recipe

KERNEL_BUILDERS = {"riscv64": riscv64.build_kernel}
"""Builders for architectures that `build.kernel` does not support."""


def userland_entry(recipe: Recipe) -> tuple[str, str]:
    """Return label and key of the recipe's userland in the cache; recipes may share it."""
    return f"userland-{recipe.arch}", cache.key(recipe.arch, recipe.userland)


def kernel_entry(recipe: Recipe) -> tuple[str, str]:
    """Return label and key of the recipe's kernel in the cache; recipes may share it."""
    label = f"kernel-{recipe.kernel.suite}-{recipe.arch}"
    return label, cache.key(recipe.arch, recipe.kernel)


def entries(recipe: Recipe) -> list[Path]:
    """Return the paths of the recipe's cache entries, whether they exist or not."""
    return [
        cache.directory() / "-".join(entry)
        for entry in (userland_entry(recipe), kernel_entry(recipe))
    ]


def build(recipe: Recipe) -> Images:
    """Return the recipe's images; build those that are missing.

    Raises:
        BuildError: A build step failed.
    """

    def userland(target: Path) -> None:
        apt = Apt(packages, recipe.userland.suite, recipe.arch)
        userlands.build_userland(recipe.userland, apt, target)

    def kernel(target: Path) -> None:
        apt = Apt(packages, recipe.kernel.suite, recipe.arch)
        KERNEL_BUILDERS.get(recipe.arch, kernels.build_kernel)(recipe.kernel, apt, target)

    packages = cache.directory() / "packages"
    user_place = cache.entry(*userland_entry(recipe), userland)
    kernel_place = cache.entry(*kernel_entry(recipe), kernel)
    return Images(
        root=user_place / userlands.IMAGE,
        busybox=user_place / userlands.BUSYBOX,
        kernel=kernel_place / kernels.IMAGE,
        modules=kernel_place / kernels.MODULES,
    )
