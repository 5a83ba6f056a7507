"""What hatchling does beside packing files: the wheel gets man pages that are made for it."""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent


class ManPages(BuildHookInterface[Any]):
    """Writes the pages, and tells where in share/man each belongs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs; an editable install gets no man pages."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        write = runpy.run_path(str(ROOT / "tools" / "gen_man.py"))["write"]
        for page in write(Path(self._folder.name)):
            section = page.suffix[1:]
            build_data["shared_data"][str(page)] = f"share/man/man{section}/{page.name}"

    def finalize(self, version: str, _: dict[str, Any], __: str) -> None:
        """Called by hatchling when it has packed."""
        if version != "editable":
            self._folder.cleanup()
