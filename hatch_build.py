"""Build hook for hatchling: prebuilt BPF objects, and the man pages of a wheel."""

from __future__ import annotations

import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent


class Generated(BuildHookInterface[Any]):
    """Add what is generated: ``bpf/objects``, and for a wheel ``share/man``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate the files before hatchling packs them; an editable install has no pages."""
        self._compile_objects()
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        write = runpy.run_path(str(ROOT / "tools" / "gen_man.py"))["write"]
        for page in write(Path(self._folder.name)):
            section = page.suffix[1:]
            build_data["shared_data"][str(page)] = f"share/man/man{section}/{page.name}"

    def _compile_objects(self) -> None:
        """Compile the objects; without clang, kstats loads its programs through bcc."""
        sys.path.insert(0, str(ROOT))
        try:
            from kstats.collector import prebuild  # noqa: PLC0415 - it is what is being built
        finally:
            sys.path.remove(str(ROOT))
        try:
            prebuild.main(str(ROOT / "bpf" / "objects"))
        except prebuild.BuildError as error:
            self.app.display_warning(f"no prebuilt BPF objects, so kstats will need bcc: {error}")

    def finalize(self, version: str, _: dict[str, Any], __: str) -> None:
        """Remove the generated pages after hatchling has packed the wheel."""
        if version != "editable":
            self._folder.cleanup()
