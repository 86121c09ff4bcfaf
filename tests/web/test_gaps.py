"""What the notes of a client and of the nodes amount to."""

from __future__ import annotations

import pytest

from tests.web.gaps import (
    Answer,
    Stay,
    longest_gap,
    on_two_nodes,
    read_answers,
    read_stays,
    servers,
    within,
)

ANSWERS = read_answers(
    """\
1.00 1.01 1
1.05 1.06 1
1.10 1.30 - TimeoutError
1.15 1.16 - ConnectionRefusedError
1.35 1.36 2
1.40 1.41 2
1.45 1.4"""
)


def test_a_line_that_is_not_complete_yet_is_left_out() -> None:
    assert [answer.ended for answer in ANSWERS] == [1.01, 1.06, 1.16, 1.30, 1.36, 1.41]


def test_the_gap_lies_between_two_answers_and_not_between_requests() -> None:
    assert longest_gap(ANSWERS, 1.02, 1.40) == pytest.approx(0.30)


def test_a_gap_that_ends_later_than_the_event_is_as_long_as_it_is() -> None:
    assert longest_gap(ANSWERS, 1.07, 1.08) == pytest.approx(0.30)


def test_without_an_answer_afterwards_there_is_no_telling_how_long_the_gap_is() -> None:
    with pytest.raises(ValueError, match="none after"):
        longest_gap(ANSWERS, 1.02, 2.0)


def test_who_answered_is_told_as_often_as_it_changes() -> None:
    assert servers(ANSWERS) == [1, 2]
    back = [*ANSWERS, Answer(1.50, 1.51, 1)]
    assert servers(within(back, 1.05, 1.50)) == [1, 2, 1]


def test_two_nodes_with_the_address_at_once_are_found() -> None:
    stays = read_stays("1.0 1 yes\n1.0 2 no\n5.0 2 yes\n5.5 1 no\n9.0 2 no\n9.1 1 yes\n")
    assert stays == [Stay(1, 1.0, 5.5), Stay(2, 5.0, 9.0), Stay(1, 9.1, None)]
    assert on_two_nodes(stays) == ["the address was on nodes 1 and 2 for 0.500 s"]


def test_an_address_that_is_never_taken_away_is_there_to_the_end() -> None:
    stays = read_stays("1.0 1 yes\n5.0 2 yes\n")
    assert on_two_nodes(stays) == ["the address was on nodes 1 and 2 to the end"]


def test_an_address_that_moves_is_on_one_node_at_a_time() -> None:
    assert on_two_nodes(read_stays("1.0 1 yes\n4.0 1 no\n4.1 2 yes\n4.5 2 no\n4.6 1 yes\n")) == []
