"""What kstats takes on a disk, with what it needs to count, where there was only Python."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.table import Budget, Table
from lab import trees
from tests.packaging import made

SUITE = "bookworm"


def tables() -> Iterator[Table]:
    """Yield the packages that the .deb brings; root makes the system."""
    with tempfile.TemporaryDirectory() as temporary:
        packages = made.packages(Path(temporary, "packages"))
        original = trees.tree(SUITE, made.depends(packages))
        with trees.copied(original, Path(temporary, SUITE)) as tree:
            shutil.copytree(packages, tree.root / "packages")
            added = made.install(tree, f"/packages/{made.one(packages, 'deb').name}")
    total = sum(added.values())
    rows = [*sorted(added.items()), ("together", total)]
    budget = Budget(SUITE, "KiB of kstats and what it needs beyond Python", made.MOST_KIB, total)
    yield Table("installed by apt beside Python", ("package", "KiB"), rows, budgets=[budget])
