"""Export the tables of exit codes as JSON objects and in the formats of other tools.

``kstats/arch/arch.schema.json`` describes the objects.
"""

from __future__ import annotations

import json
from typing import Any

from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, Arch, Column, Isa, Reason


def reference_object(isa: Isa, reason: Reason) -> dict[str, Any]:
    """Return what identifies a reason."""
    return {
        "isa": isa.name,
        "code": reason.code & NUMBER_MASK,
        "qualifier": reason.code >> NUMBER_BITS,
        "reason": reason.name,
    }


def reason_object(isa: Isa, reason: Reason) -> dict[str, Any]:
    """Return a reason with its meaning and advice."""
    return {
        **reference_object(isa, reason),
        "column": reason.column,
        "category": str(reason.category),
        "meaning": reason.meaning,
        "source": reason.source,
        "causes": list(reason.advice.causes),
        "remedies": list(reason.advice.remedies),
        "advice_sources": list(reason.advice.sources),
    }


def arch_object(arch: Arch, isas: tuple[Isa, ...]) -> dict[str, Any]:
    """Return an architecture with its columns and the ISAs in ``isas``."""
    return {
        "arch": arch.name,
        "title": arch.title,
        "machines": list(arch.machines),
        "columns": [_column(column) for column in arch.columns],
        "isas": [_isa(isa) for isa in isas],
    }


def _column(column: Column) -> dict[str, Any]:
    return column._asdict()


def _isa(isa: Isa) -> dict[str, Any]:
    return {
        "isa": isa.name,
        "title": isa.title,
        "flag_mask": isa.flag_mask,
        "flags": [{"bit": bit, "name": name} for bit, name in isa.flags.items()],
        "reasons": [reason_object(isa, isa.reasons[code]) for code in sorted(isa.reasons)],
    }


def ebpf_exporter(isa: Isa) -> str:
    """Return the YAML of a counter for cloudflare/ebpf_exporter that is labelled by reason.

    The key of its map is the code (u64). A code without a name keeps its number.
    """
    lines = [
        f"# VM exits of {isa.title}: the key of the map kvm_exits is a code (u64), kstats' own:",
        "# the kernel's number in the low 32 bits, a qualifier in the high 32 bits.",
        "metrics:",
        "  counters:",
        "    - name: kvm_exits_total",
        "      help: VM exits by reason",
        "      labels:",
        "        - name: reason",
        "          size: 8",
        "          decoders:",
        "            - name: uint",
        "            - name: static_map",
        "              allow_unknown: true",
        "              static_map:",
    ]
    lines += [f"                {json.dumps(str(c))}: {json.dumps(n)}" for c, n in _names(isa)]
    return "\n".join(lines) + "\n"


def bpftrace(isa: Isa) -> str:
    """Return a bpftrace script that counts exits by code and name.

    bpftrace has no constant maps: BEGIN fills ``@names``.

    Raises:
        ValueError: the ISA has no ``event``.
    """
    if isa.event is None:
        raise ValueError(f"no bpftrace script for {isa.name}: its backend lacks an event")
    condition = f" /{isa.event.bpftrace_filter}/" if isa.event.bpftrace_filter else ""
    lines = [
        "#!/usr/bin/env bpftrace",
        f"// VM exits of {isa.title} by code and name; a code without a name keeps its number.",
        "// The kernel's number is in the low 32 bits, a qualifier in the high 32 bits.",
        "BEGIN {",
        *(f"  @names[(uint64){code}] = {json.dumps(name)};" for code, name in _names(isa)),
        "}",
        "",
        f"tracepoint:kvm:kvm_exit{condition} {{",
        f"  $code = {isa.event.bpftrace_code};",
        "  @exits[$code, @names[$code]] = count();",
        "}",
        "",
        "END { clear(@names); }",
    ]
    return "\n".join(lines) + "\n"


def _names(isa: Isa) -> list[tuple[int, str]]:
    return [(code, isa.reasons[code].name) for code in sorted(isa.reasons)]
