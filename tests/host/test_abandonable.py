"""Questions to a file system that may hang, of programs without a loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mosha.host.abandonable import within

LIMIT_S = 0.05
LONG_S = 30.0


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_question_that_hangs_is_given_up(gate: threading.Event) -> None:
    assert within(lambda: gate.wait(LONG_S), None, LIMIT_S) is None


def test_an_answer_in_time_is_returned() -> None:
    assert within(lambda: 7, 0, LONG_S) == 7


def test_a_question_that_hangs_does_not_keep_its_program_from_its_end(
    gate: threading.Event,
) -> None:
    asked: list[threading.Thread] = []

    def hang() -> bool:
        asked.append(threading.current_thread())
        return gate.wait(LONG_S)

    within(hang, False, LIMIT_S)
    assert [thread.daemon for thread in asked] == [True]
