"""Write docs/reasons.md, docs/categories.md, docs/why.md and the columns of a schema.

The schema is kstats/render/report.schema.json: what depends on an architecture's columns is
generated, everything else is kept.

With ``--check`` write nothing and exit with status 1 if a file is out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from kstats.arch import BUILT_IN, categories, column_keys
from kstats.arch.base import OTHER, Category
from kstats.why.render import level_text
from kstats.why.rule import Severity
from kstats.why.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kstats.arch import Arch, Isa

ISAS = tuple(isa for arch in BUILT_IN for isa in arch.isas)
ROOT = Path(__file__).parent.parent
SCHEMA = "kstats/render/report.schema.json"
GROUPS = ("cpu", "node", "socket", "core")

MARK = "<!-- Written by tools/gen_docs.py from the tables of kstats/arch; not for editing. -->\n"

REASONS_HEAD = """\

# Exit reasons

Every code that has a name: the kernel's, or one after the manual where the kernel has none. Any
other code keeps its number (`vmx:0x99`) and counts under `other`. The high 32 bits of a code
qualify it: on SVM, 1 is a read and 2 a write of an MSR; on ARM64, 1 marks a return code of KVM
instead of an exception class. [categories.md](categories.md) explains the categories, and
`kstats explain` the causes and remedies of each reason.
"""

CATEGORIES_HEAD = """
# Categories: comparing architectures

Each architecture has its own exit codes. To compare an Intel host with an ARM64 host
(`kstats compare`), each reason belongs to exactly one of nine categories. A category says what the
guest was doing, not how the processor reports it. The last table of [reasons.md](reasons.md) lists
the reasons of each category; a code without a name is in `other`.

Before you compare two architectures, read what each category hides. `kstats compare --explain`
prints this page.
"""


WHY_MARK = "<!-- Written by tools/gen_docs.py from kstats/why/rules.py; not for editing. -->\n"

WHY_HEAD = """\

# What makes a VM slow: `kstats why`

`kstats why [VM…] [seconds]` measures for ten seconds and lists what is unusual, the most important
first. Each finding states the numbers that prove it, how certain it is and why, what it costs, what
to change, and the command that shows more. `nothing unusual` is an answer, too.

```
# kstats why web
1 finding: 1 VM, 120,000 exits, 10.0 s

1. warning: web: The guest arms its timer very often [timer-storm]
   evidence  write MSR_IA32_TSC_DEADLINE(0x6e0): 6,000 exits per vCPU-second
             median 1.79us, p99 4.35us, longest 212us
   cost      1.1 % of the vCPUs' time (measured)
   certain   the exits name the register
   change    find the program with short timers in the guest: perf trace, bpftrace of hrtimers
             reduce timers in the guest: a tickless kernel (nohz=on), HZ=100 or 250
   more      kstats exits --detail msr --top 10 --vm web 10
             see SDM vol. 3, Local APIC Timer; TLFS, Synthetic Timers; arch/x86/kvm/lapic.c
```

| | |
|---|---|
| `kstats why` | all VMs of this host, for ten seconds |
| `kstats why web db 30` | two VMs, by name, pid or glob, for 30 seconds |
| `kstats why --input FILE` | a recording, in parts of ten seconds, or what another tool wrote |
| `--against FILE` | also what is new since another recording |
| `-f json`, `-f markdown` | for programs, by [a schema](../kstats/why/schema.json); for tickets |
| `--fail-on warning` | exit with status 10 if a finding is at least this severe |

## What it measures

On a live host, `kstats why` first measures exits, their latency, vCPU times, KVM's events and its
own counters, and reads [facts](recording.md#facts) about the host and its VMs. These are what
`kstats record --latency --time` records, at the same cost. If a rule depends on the MSR, port,
address or register, and there are enough such exits to matter, a second program then counts exits
by this detail: at most two kinds of detail, one after the other. So only VMs that need a closer
look pay for it.

A recording is judged in parts of ten seconds, or of the length that the last operand gives. A
finding describes the worst part and says in how many parts it occurs, so ten bad seconds of a night
are found. Record with `--latency --time` so that most rules can be checked; rules about details
need a second recording, by `kstats exits --detail KIND --record FILE`. Rules that could not be
checked are listed at the end, with what they need.

Traces of other tools are judged in the same way. For counts without times, the last operand gives
the seconds in which they were counted. Rates need at least 0.1 s.

## How to read a finding

Rates are **exits per vCPU-second**: exits divided by the seconds and by the number of vCPUs of the
VM. So a threshold means the same for a small VM and a large one. A rule compares the rate of the
busiest vCPU with its thresholds, because one vCPU in a loop can make a VM slow. Shares are shares
of the vCPUs' time.

**Severity** is that of the highest threshold that is reached. A finding with a measured cost of
5 % of the vCPUs' time is at least a warning, one of 20 % is critical.

**Cost** is the latency of the exits, if it was measured: the time from each exit to the next entry,
as a share of the vCPUs' time. Otherwise it is estimated: 2 us for an exit that KVM handles, 15 us
for one that the VMM handles. The exit and the entry alone take 1,200 to 2,500 cycles; the rest is
KVM's work, mitigations, and refilling the guest's caches and TLBs. A VMM takes several times as
long: system call, locks, device model. Two costs are always estimated: that of idle exits, because
their latency is idle time, and that of interrupts, because their latency includes whatever the host
runs meanwhile.

**Certainty** is `certain` if the exits or the kernel name the cause, `likely` if other causes are
rare, `possible` if several causes look alike.

A finding that another one explains better is left out. The column "not with" of the table lists
the rules that take precedence.

## The rules

The thresholds are those of `info`, `warning` and `critical`; `-` means that the rule does not have
this severity. A rule fires when its lowest threshold is reached. A finding of severity `info` needs
no action by itself.
"""


def why_page() -> str:
    """Return docs/why.md."""
    rows = [
        (
            f"`{rule.id}`",
            rule.title,
            " / ".join(
                level_text(rule, rule.levels[severity]) if severity in rule.levels else "-"
                for severity in Severity
            ),
            rule.signal.unit,
            rule.basis,
            ", ".join(rule.isas) or "all",
            " ".join(f"`{other}`" for other in rule.unless if other != "*")
            or ("any other" if rule.unless else "-"),
            rule.source,
        )
        for rule in RULES
    ]
    headings = (
        "rule",
        "finding",
        "thresholds",
        "unit",
        "why these thresholds",
        "ISAs",
        "not with",
        "source",
    )
    return WHY_MARK + WHY_HEAD + "\n" + _table(headings, rows)


def reasons_page() -> str:
    """Return docs/reasons.md."""
    parts = [MARK + REASONS_HEAD]
    for arch in BUILT_IN:
        parts += [f"## {arch.title}\n", columns(arch)]
        parts += [f"### {isa.title} (`{isa.name}`)\n\n{reasons(isa)}" for isa in arch.isas]
    parts += ["## By category\n", by_category()]
    return "\n".join(parts)


def categories_page() -> str:
    """Return docs/categories.md."""
    parts = [MARK + CATEGORIES_HEAD]
    for category in Category:
        meaning = categories.MEANINGS[category]
        items = [
            *meaning.hides,
            *(f"{who}: {text}" for who, text in categories.notes(category, ISAS)),
        ]
        parts.append(f"## {category}\n\n{_fill(meaning.summary)}\n" + _list(items))
    parts.append("## On every architecture\n" + _list(categories.EVERYWHERE))
    return "\n".join(parts)


def _list(items: Iterable[str]) -> str:
    lines = [_fill(f"- {item}", "  ") for item in items]
    return "\n" + "\n".join(lines) + "\n" if lines else ""


def _fill(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 100, subsequent_indent=indent, break_on_hyphens=False)


def columns(arch: Arch) -> str:
    """Return a table of the columns and the reasons that count under each."""
    rows = []
    for column in arch.columns:
        listed = [f"{isa.name}: {names(isa, column=column.key)}" for isa in arch.isas]
        heading = f"{column.group}({column.label})" if column.group else column.label
        counted = "everything else" if column.key == "other" else "; ".join(listed)
        rows.append((f"`{heading}`", f"`{column.key}`", column.meaning, counted))
    return _table(("column", "in JSON and CSV", "meaning", "reasons"), rows)


def reasons(isa: Isa) -> str:
    """Return a table of all reasons of an ISA."""
    rows = [
        (f"`{r.code:#x}`", f"`{r.name}`", r.column, r.category, r.meaning, r.source)
        for r in sorted(isa.reasons.values(), key=lambda r: r.code)
    ]
    return _table(("code", "name", "column", "category", "meaning", "source"), rows)


def by_category() -> str:
    """Return a table of the reasons of every ISA, by category."""
    rows = [
        (f"`{category}`", *(names(isa, category=category) for isa in ISAS)) for category in Category
    ]
    return _table(("category", *(isa.title for isa in ISAS)), rows)


def names(isa: Isa, **wanted: str) -> str:
    """Return the names of an ISA's reasons with a column or category, in the order of codes."""
    found = [
        f"`{reason.name}`"
        for _, reason in sorted(isa.reasons.items())
        if all(getattr(reason, key) == value for key, value in wanted.items())
    ]
    return " ".join(found) or "-"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    def lines() -> Iterator[str]:
        cells = tuple(headings)
        for row in (cells, ["---"] * len(cells), *rows):
            yield f"| {' | '.join(row)} |\n"

    return "".join(lines())


def schema() -> str:
    """Return the schema of reports with the columns of every architecture."""
    found = json.loads((ROOT / SCHEMA).read_text(encoding="utf-8"))
    by_unit = found["allOf"][0]
    found["allOf"] = [by_unit, *(_rule(arch) for arch in BUILT_IN)]
    found["$defs"] |= {arch.name: _row(arch) for arch in BUILT_IN}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _rule(arch: Arch) -> dict[str, object]:
    row = {"$ref": f"#/$defs/{arch.name}"}
    return {
        "if": {"properties": {"arch": {"const": arch.name}}},
        "then": {"properties": {"rows": {"items": row}, "total": row}},
    }


def _row(arch: Arch) -> dict[str, object]:
    keys = [key for key in column_keys(arch) if key != OTHER]
    first, *others = keys
    return {
        "description": f"Either all columns of {arch.name} and no others, or none (--reasons).",
        "if": {"required": [first]},
        "then": {
            "propertyNames": {"enum": [*GROUPS, "vm_entry", "vm_exit", *keys, OTHER, "exits"]},
            "required": keys,
        },
        "else": {"propertyNames": {"not": {"enum": others}}},
    }


FILES = {
    "docs/reasons.md": reasons_page,
    "docs/categories.md": categories_page,
    "docs/why.md": why_page,
    SCHEMA: schema,
}


def main() -> None:
    """Write or check the files."""
    parser = argparse.ArgumentParser(description="Generate files from the tables of kstats/arch.")
    parser.add_argument(
        "--check", action="store_true", help="only report files that are out of date"
    )
    check = parser.parse_args().check
    stale = {name: text() for name, text in FILES.items() if _differs(ROOT / name, text())}
    for name, text in stale.items():
        if not check:
            (ROOT / name).write_text(text, encoding="utf-8")
        print("out of date:" if check else "written:", name)
    sys.exit(check and bool(stale))


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


if __name__ == "__main__":
    main()
