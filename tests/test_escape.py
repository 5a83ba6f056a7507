"""Text from other processes is harmless, unambiguous and short when printed."""

from __future__ import annotations

import codecs
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.escape import ELLIPSIS, inert, json_line, printable, well_formed

ANY = st.text(st.characters()) | st.text(
    st.sampled_from(" \\x1b[31m\r\n\t\x00\x7f\x85\xa0\u202e\u2066\u200b\udcff\ud800…é\u0301🦀")
)
"""Any text, including lone surrogates, and texts of the worst characters."""

LONG = 1 << 20

_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([nrt\\]))|(.)", re.DOTALL)


def restored(text: str) -> str:
    """Return the text that was printed as ``text``, by the documented rules."""

    def one(match: re.Match[str]) -> str:
        byte, short, long, named, plain = match.groups()
        if byte:
            number = int(byte, 16)
            return chr(number if number < 0x80 else 0xDC00 + number)
        if short or long:
            return chr(int(short or long, 16))
        return plain or codecs.decode(f"\\{named}", "unicode_escape")

    return _ESCAPE.sub(one, text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("web-01", "web-01"),
        ("two words", "two words"),
        ("склад", "склад"),
        ("仓库", "仓库"),
        ("caf\u0065\u0301", "caf\u0065\u0301"),
        ("\u0301x", r"\u0301x"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x00\x7f", r"\x00\x7f"),
        ("\x9b31m", r"\u009b31m"),
        ("\udc9b31m", r"\x9b31m"),
        ("a\\nb", r"a\\nb"),
        ("\\", r"\\"),
        (" ends ", r"\x20ends\x20"),
        (" ", r"\x20"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("a\u200bb\u2066c\ufeff", r"a\u200bb\u2066c\ufeff"),
        ("no\xa0break\u2028line", r"no\xa0break\u2028line".replace("xa0", "u00a0")),
        ("\u3164", r"\u3164"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("so on…", r"so on\u2026"),
    ],
)
def test_what_is_printed_for_a_name(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(ANY, st.integers(1, 80))
def test_nothing_printed_controls_the_terminal_or_is_too_long(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert shown == shown.strip()
    assert len(shown) <= limit
    shown.encode()


@given(ANY)
def test_the_text_can_be_restored_from_the_printed_form(text: str) -> None:
    """Therefore, different texts look different."""
    assert restored(printable(text, LONG)) == text


@given(ANY, st.integers(1, 80))
def test_only_a_truncated_text_ends_in_an_ellipsis(text: str, limit: int) -> None:
    shown, whole = printable(text, limit), printable(text, LONG)
    if shown.endswith(ELLIPSIS):
        assert len(whole) > limit
        assert text.startswith(restored(shown.removesuffix(ELLIPSIS)))
    else:
        assert shown == whole


def test_a_long_name_is_never_truncated_within_an_escape() -> None:
    assert printable("x" * 4096, 8) == "xxxxxxx…"
    assert printable("xxx\x1b\x1b", 8) == "xxx\\x1b…"
    assert printable("xxxx\x1b\x1b", 8) == "xxxx…"
    assert printable("\x1b" * 4096, 3) == "…"
    assert printable("12345678", 8) == "12345678"


@given(ANY)
def test_json_gets_the_text_without_lone_surrogates(text: str) -> None:
    formed = well_formed(text)
    formed.encode()
    assert len(formed) == len(text)
    assert json.loads(json.dumps(formed)) == formed
    if text.isascii():
        assert formed == text


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff20"])
def test_a_cell_that_a_spreadsheet_would_run_is_inert(begin: str) -> None:
    assert inert(f"{begin}cmd()")[0] in "'\\"
    assert inert(f"web{begin}cmd()")[0] == "w"


@given(ANY)
def test_json_is_ascii_and_has_no_lone_surrogates(text: str) -> None:
    line = json_line({text: [text, 1.5, None]})
    assert line.isascii()
    assert line.count("\n") == 1
    assert json.loads(line) == {well_formed(text): [well_formed(text), 1.5, None]}
    json.loads(line)[well_formed(text)][0].encode()
