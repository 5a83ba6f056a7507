"""Test the protocol's framing: messages may arrive in pieces of any size."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.hosts.guest.agent import Lines, encode

_VALUES = (
    st.none()
    | st.integers()
    | st.text()
    | st.lists(st.text())
    | st.dictionaries(st.text(), st.text())
)
_MESSAGES = st.fixed_dictionaries(
    {"op": st.text()}, optional={"data": st.binary() | st.none(), "id": st.integers(), "x": _VALUES}
)


@given(st.lists(_MESSAGES), st.integers(1, 100))
def test_messages_arrive_unchanged_in_pieces_of_any_size(
    messages: list[dict[str, Any]], size: int
) -> None:
    stream = b"".join(map(encode, messages))
    lines = Lines()
    got = []
    for start in range(0, len(stream), size):
        got += lines.feed(stream[start : start + size])
    assert got == messages


def test_a_message_is_one_line() -> None:
    assert encode({"op": "put", "data": b"a\nb", "path": "x\ny"}).count(b"\n") == 1


@pytest.mark.parametrize("line", [b"not a message\n", b"[1]\n", b'{"data": "%%%"\n', b"\xff\n"])
def test_a_line_that_is_not_a_message_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Lines().feed(line)
