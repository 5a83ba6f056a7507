"""Parse the names that a kernel prints for exit codes: the ``print fmt`` of its kvm_exit.

The kernel describes the tracepoint in ``events/kvm/kvm_exit/format`` of tracefs. The ``print fmt``
is a C expression that contains the names as tables::

    __print_symbolic(REC->exit_reason, { 0x040 + 14, "PF excp" }, { -1ull, "invalid_guest_state" })

The name tables of kstats are generated from such files; ``kstats doctor`` compares them with the
file of the running kernel.
"""

from __future__ import annotations

import ast
import operator
import re
from typing import TYPE_CHECKING

import attrs

from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, Isa, NameTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_TABLE = re.compile(
    r"__print_(?P<kind>symbolic|flags)\("
    r"(?P<expression>[^,]+),\s*"
    r'(?:"[^"]*",\s*)?'  # the separator of flags
    r"(?P<entries>\{[^{}]*\}(?:,\s*\{[^{}]*\})*)\)"
)
_ENTRY = re.compile(r'\{\s*(?P<number>[^,]+?)\s*,\s*"(?P<name>[^"]*)"\s*\}')
_SUFFIX = re.compile(r"\b(0[xX][0-9a-fA-F]+|[0-9]+)[uUlL]+\b")

_BINARY: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.LShift: operator.lshift,
    ast.BitOr: operator.or_,
}


@attrs.frozen(eq=False)
class PrintTable:
    """A table of a ``print fmt``: {number: name}, and the expression that the kernel looks up."""

    kind: str
    expression: str
    names: Mapping[int, str]


def print_tables(text: str) -> Iterator[PrintTable]:
    """Yield the tables of a format file, in their order.

    Numbers are taken modulo 2**32, like the kernel compares them.

    Raises:
        ValueError: a number is not a sum, difference, shift or union of integers.
    """
    for table in _TABLE.finditer(text):
        names: dict[int, str] = {}
        for entry in _ENTRY.finditer(table["entries"]):  # the kernel takes the first match
            names.setdefault(_number(entry["number"]) & NUMBER_MASK, entry["name"])
        yield PrintTable(table["kind"], table["expression"].strip(), names)


def exit_names(isa: Isa, text: str) -> dict[int, str]:
    """Return a format file's names for the codes of ``isa``; {} if it has no such table."""
    return _names(isa, "symbolic", text)


def flag_names(isa: Isa, text: str) -> dict[int, str]:
    """Return a format file's names for the flags of ``isa``."""
    return _names(isa, "flags", text)


def strange_names(isa: Isa, text: str) -> dict[int, str]:
    """Return the codes and flags with a name in a format file that ``isa`` does not have."""
    codes = exit_names(isa, text).items()
    flags = flag_names(isa, text).items()
    strange = {code: name for code, name in codes if isa.reason(code).name != name}
    return strange | {bit: name for bit, name in flags if isa.flags.get(bit) != name}


def _names(isa: Isa, kind: str, text: str) -> dict[int, str]:
    wanted = {table.expression: table for table in isa.tables if table.kind == kind}
    found: dict[int, str] = {}
    for printed in print_tables(text):
        table = wanted.get(printed.expression)
        if table and printed.kind == kind:
            found |= _codes(table, printed)
    return found


def _codes(table: NameTable, printed: PrintTable) -> dict[int, str]:
    high = table.qualifier << NUMBER_BITS
    names = printed.names.items()
    return {high | number: name for number, name in names if number not in table.unused}


def _number(text: str) -> int:
    """Return the value of a constant C expression."""
    try:
        return _value(ast.parse(_SUFFIX.sub(r"\1", text), mode="eval").body)
    except SyntaxError:
        raise ValueError(f"not a number: {text}") from None


def _value(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left), _value(right))
    raise ValueError(f"not a number: {ast.unparse(node)}")
