from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.formats.letters import cut, whole


@given(st.text(), st.integers(4, 40))
def test_text_that_is_cut_in_pieces_is_whole_letter_by_letter(text: str, limit: int) -> None:
    data, pieces = text.encode("utf-8", "replace"), []
    rest = data
    while rest:
        end = cut(rest, limit)
        assert 0 < end <= limit
        pieces.append(rest[:end].decode())
        rest = rest[end:]
    assert "".join(pieces).encode() == data


@given(st.binary(), st.integers(1, 40))
def test_what_is_no_text_is_cut_all_the_same(data: bytes, limit: int) -> None:
    assert min(len(data), 1) <= cut(data, limit) <= max(limit, 0)


@given(st.text(), st.integers(0, 30), st.integers(0, 30))
def test_a_piece_of_a_text_is_text(text: str, start: int, length: int) -> None:
    data = text.encode("utf-8", "replace")[start : start + length]
    assert data[: len(whole(data)) + 3].find(whole(data)) >= 0
    whole(data).decode()


@pytest.mark.parametrize("data", [b"", b"plain", "größer €😀".encode()])
def test_a_text_that_is_whole_stays(data: bytes) -> None:
    assert whole(data) == data
    assert cut(data, len(data)) == len(data)
