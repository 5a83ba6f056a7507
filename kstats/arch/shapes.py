"""The tables of exit codes in the shapes that programs take.

Objects are what ``kstats/arch/arch.schema.json`` describes.
"""

from __future__ import annotations

import json
from typing import Any

import attrs

from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, Advice, Arch, Column, Isa, Reason

_NO_ADVICE = Advice((), ())


def advice(isa: Isa, reason: Reason) -> Advice:
    """Causes and cures of a reason; both are empty where nothing is written."""
    base = isa.reasons.get(reason.code & ~isa.flag_mask, reason)
    return isa.advice.get(base.name, _NO_ADVICE)


def reason_object(isa: Isa, reason: Reason) -> dict[str, Any]:
    """A reason with everything that is known of it."""
    known = advice(isa, reason)
    return {
        "isa": isa.name,
        "code": reason.code & NUMBER_MASK,
        "qualifier": reason.code >> NUMBER_BITS,
        "reason": reason.name,
        "column": reason.column,
        "category": str(reason.category),
        "meaning": reason.meaning,
        "source": reason.source,
        "causes": list(known.causes),
        "cures": list(known.cures),
    }


def arch_object(arch: Arch, isas: tuple[Isa, ...]) -> dict[str, Any]:
    """An architecture with its columns, and those of its ISAs that are asked for."""
    return {
        "arch": arch.name,
        "title": arch.title,
        "machines": list(arch.machines),
        "columns": [_column(column) for column in arch.columns],
        "isas": [_isa(isa) for isa in isas],
    }


def _column(column: Column) -> dict[str, Any]:
    return attrs.asdict(column)


def _isa(isa: Isa) -> dict[str, Any]:
    return {
        "isa": isa.name,
        "title": isa.title,
        "flag_mask": isa.flag_mask,
        "flags": [{"bit": bit, "name": name} for bit, name in isa.flags.items()],
        "reasons": [reason_object(isa, isa.reasons[code]) for code in sorted(isa.reasons)],
    }


def ebpf_exporter(isa: Isa) -> str:
    """A counter for cloudflare/ebpf_exporter whose label is the reason: the decoders are YAML.

    Its map has the code (u64) as key. A code without a name stays a number.
    """
    lines = [
        f"# VM exits of {isa.title}: the key of the map kvm_exits is a code (u64), kstats' own:",
        "# the kernel's number in the low 32 bits, what qualifies it in the high ones.",
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
    """A script for bpftrace that counts exits by code and name.

    bpftrace has no constant maps: BEGIN fills ``@names``. Raises ValueError for an ISA whose
    event nobody described.
    """
    if isa.event is None:
        raise ValueError(f"how kvm_exit tells of {isa.name} exits is not known")
    condition = f" /{isa.event.bpftrace_filter}/" if isa.event.bpftrace_filter else ""
    lines = [
        "#!/usr/bin/env bpftrace",
        f"// VM exits of {isa.title} by code and name; a code without a name keeps its number.",
        "// The kernel's number is in the low 32 bits, what qualifies it in the high ones.",
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
