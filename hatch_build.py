"""Build hook for hatchling that generates the man pages of the wheel."""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent


class ManPages(BuildHookInterface[Any]):
    """Add the man pages to ``share/man`` of a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate the pages before hatchling packs the wheel; an editable install has none."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        write = runpy.run_path(str(ROOT / "tools" / "gen_man.py"))["write"]
        for page in write(Path(self._folder.name)):
            section = page.suffix[1:]
            build_data["shared_data"][str(page)] = f"share/man/man{section}/{page.name}"

    def finalize(self, version: str, _: dict[str, Any], __: str) -> None:
        """Remove the generated pages after hatchling has packed the wheel."""
        if version != "editable":
            self._folder.cleanup()
