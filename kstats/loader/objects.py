"""Finds prebuilt objects: programs that were compiled when kstats was built.

The name of an object contains a digest of all that it was compiled from. So an object is found
only if it is exactly the program that is wanted; one of another version is never loaded.

Objects are compressed with zlib, to a fifth of their size: there is one for every program and probe
of every architecture, and a start reads one of them.
"""

from __future__ import annotations

import json
from functools import lru_cache

from kstats.arch.base import Probe
from kstats.loader import c_text, patch
from kstats.loader.plan import Plan

SUFFIX = ".o.z"

_PRIME = (1 << 128) - 159
"""The largest prime below 2**128."""


def words(plan: Plan, probe: Probe) -> set[str]:
    """Return the names of the numbers that a program reads from the host."""
    found = {*plan.numbers, *(field.define for field in (*plan.btf, *probe.btf))}
    found |= {field.define for field in probe.record}
    found |= {attachment.args for attachment in plan.attachments if attachment.args}
    return found | ({patch.CALL, patch.TYPE} if probe.direct else set())


def defines(plan: Plan, probe: Probe) -> dict[str, int]:
    """Return the preprocessor definitions with which an object is compiled."""
    record = (field.define for field in probe.record)
    placeholders = patch.placeholders(words(plan, probe), record)
    return {**plan.compiled.defines, probe.define: 1, "KSTATS_LISTED": patch.LISTED, **placeholders}


def text(plan: Plan) -> str:
    """Return the C text from which an object is compiled."""
    return c_text.for_object(plan.compiled.text)


@lru_cache(maxsize=16)
def name(plan: Plan, probe: Probe) -> str:
    """Return the file name of the object for a probe.

    A start asks twice, to find out whether there is an object and to read it. The answer takes
    reading and hashing all C of the program.
    """
    content = json.dumps([text(plan), defines(plan, probe)], sort_keys=True)
    # The remainder tells texts apart as well as a cryptographic hash does, as long as nobody
    # searches for collisions. Importing hashlib loads OpenSSL: 3 ms and 3 MiB.
    digest = int.from_bytes(content.encode()) % _PRIME
    return f"{probe.name}-{digest:032x}{SUFFIX}"


def read(plan: Plan, probe: Probe) -> bytes | None:
    """Return the compressed object for a probe, or None if it was not built."""
    if plan.objects is None:
        return None
    file = plan.objects.joinpath(name(plan, probe))
    return file.read_bytes() if file.is_file() else None


def missing(plan: Plan) -> str:
    """Return why no prebuilt object can be used; empty if one may be."""
    if plan.objects is None or not plan.objects.is_dir():
        return "kstats was built without prebuilt objects (clang was missing)"
    if max(len(plan.pids), len(plan.tids)) > patch.LISTED:
        return f"more than {patch.LISTED} processes or threads are selected"
    if not any(plan.objects.joinpath(name(plan, probe)).is_file() for probe in plan.probes):
        return "no prebuilt object has this program; those that exist are of another version"
    return ""
