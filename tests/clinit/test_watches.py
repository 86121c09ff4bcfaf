"""The questions that wait until what shall be gone is gone."""

from __future__ import annotations

import asyncio

from mosha.clinit.watches import Answer, Watches
from mosha.core.supervision.group import GroupEmptied
from tests.waiting import until

FIRST, SECOND = GroupEmptied("g", 1), GroupEmptied("g", 2)


class Box:
    """What is asked: whether it is empty, and how often that was."""

    def __init__(self, *, empty: bool = False) -> None:
        self.empty = empty
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.empty


async def test_what_is_empty_is_answered_at_once() -> None:
    told: list[Answer] = []
    asking: set[Watches] = set()
    Watches(told.append, asking).ask(FIRST, Box(empty=True))
    assert told == [FIRST]
    assert not asking


async def test_it_is_asked_again_when_something_has_ended_in_the_next_turn() -> None:
    told: list[Answer] = []
    asking: set[Watches] = set()
    watches, box = Watches(told.append, asking), Box()
    watches.ask(FIRST, box)
    assert asking == {watches}
    box.empty = True
    watches.look()
    await asyncio.sleep(0)
    assert told == [FIRST]
    assert not asking


async def test_it_is_asked_again_in_time_though_nothing_is_heard() -> None:
    told: list[Answer] = []
    watches, box = Watches(told.append, set()), Box()
    watches.ask(FIRST, box)
    await until(lambda: box.asked > 2)
    box.empty = True
    await until(lambda: told == [FIRST])


async def test_an_answer_may_lead_to_another_question() -> None:
    told: list[Answer] = []
    asking: set[Watches] = set()
    first, second = Box(), Box()

    def happen(answer: Answer) -> None:
        told.append(answer)
        if answer == FIRST:
            watches.ask(SECOND, second)

    watches = Watches(happen, asking)
    watches.ask(FIRST, first)
    first.empty = True
    await until(lambda: told == [FIRST])
    assert asking == {watches}
    second.empty = True
    await until(lambda: told == [FIRST, SECOND])
    assert not asking


async def test_after_its_close_nothing_is_asked() -> None:
    told: list[Answer] = []
    asking: set[Watches] = set()
    watches, box = Watches(told.append, asking), Box()
    watches.ask(FIRST, box)
    watches.close()
    watches.look()
    await asyncio.sleep(0)
    assert (box.asked, told, asking) == (1, [], set())


async def test_an_answer_may_be_the_end_of_all_questions() -> None:
    told: list[Answer] = []
    first, second = Box(), Box()

    def happen(answer: Answer) -> None:
        told.append(answer)
        watches.close()

    watches = Watches(happen, set())
    watches.ask(FIRST, first)
    watches.ask(SECOND, second)
    first.empty = second.empty = True
    watches.look()
    await asyncio.sleep(0)
    assert (told, second.asked) == ([FIRST], 1)


async def test_an_answer_may_lead_to_the_same_question() -> None:
    told: list[Answer] = []
    first, second = Box(), Box()

    def happen(answer: Answer) -> None:
        told.append(answer)
        if len(told) == 1:
            watches.ask(FIRST, second)

    watches = Watches(happen, set())
    watches.ask(FIRST, first)
    first.empty = True
    await until(lambda: told == [FIRST])
    second.empty = True
    await until(lambda: told == [FIRST, FIRST])
