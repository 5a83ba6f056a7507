"""Loads a prebuilt object through libbpf. Standard library only: the worker uses it."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping

from kstats.loader import patch, syscall
from kstats.loader.answers import LoaderUnavailable
from kstats.loader.libbpf import Library, Object
from kstats.loader.wire import Plan, Prebuilt

SECTION = "kstats/"
"""What the sections of programs begin with; the name of the program follows (bpf/prebuilt.h)."""


class Program:
    """A loaded object.

    Attributes:
        maps: The descriptors of its maps by name.
        programs: The descriptors of its functions by name.
    """

    def __init__(
        self,
        library: Library,
        plan: Plan,
        found: Prebuilt,
        numbers: Mapping[str, int],
        functions: Mapping[str, str],
    ) -> None:
        """Load it.

        Args:
            library: libbpf.
            plan: What to load.
            found: The object for the chosen probe.
            numbers: The numbers of the host.
            functions: The functions to load, with the way of attaching each.

        Raises:
            LoaderUnavailable: It does not load here.
        """
        words = patch.placeholders(found.words, found.record)
        lists = {patch.PIDS: plan.pids, patch.TIDS: plan.tids}
        try:
            types = {name: syscall.PROGRAM_TYPES[attach] for name, attach in functions.items()}
            sections = {f"{SECTION}{name}": kind for name, kind in types.items()}
            loaded = Object(library, zlib.decompress(base64.b64decode(found.data)), sections)
            loaded.keep_maps({one.name for one in plan.maps})
            for one in plan.maps:
                loaded.size_map(one.name, one.entries, one.value_size)
            loaded.select(set(types))
            by_address = {one.name for one in plan.maps if one.by_address}

            def patched(instructions: bytes) -> bytes:
                # While it loads, libbpf 1.4 and later do not return descriptors of maps.
                descriptors = patch.descriptors(instructions)
                values = [fd for fd in descriptors if syscall.map_name(fd) in by_address]
                return patch.apply(instructions, words, numbers, lists, values)

            try:
                loaded.load(patched)
            except OSError as error:
                raise (loaded.error or error) from error
        except (OSError, KeyError, zlib.error, patch.PlaceholderError) as error:
            why = _reason(error)
            message = f"the prebuilt object could not be loaded: {why}"
            raise LoaderUnavailable(message, log="".join(library.messages)) from error
        self.maps = loaded.map_fds()
        self.programs = loaded.program_fds()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    return f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error)
