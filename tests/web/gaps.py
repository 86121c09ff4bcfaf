"""What the notes of client and nodes say: the longest gap, and who was there with whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise


@dataclass(frozen=True, slots=True)
class Answer:
    """A request: when it was sent and when it ended; `node` answered it, None if nobody did."""

    sent: float
    ended: float
    node: int | None


@dataclass(frozen=True, slots=True)
class Stay:
    """The address was on a node; `until` is None as long as it is."""

    node: int
    since: float
    until: float | None


def read_answers(text: str) -> list[Answer]:
    """Return the requests that a client noted, by the time they ended."""
    answers = []
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            sent, ended, node, *_ = line.split()
            answers.append(Answer(float(sent), float(ended), None if node == "-" else int(node)))
    return sorted(answers, key=lambda answer: answer.ended)


def longest_gap(answers: Iterable[Answer], began: float, ended: float) -> float:
    """Return the longest time without an answer between two moments, in seconds.

    The answers just before and just after count, too: a gap that ends later than `ended` is
    as long as it is. Raises ValueError if there is no answer on one of both sides.
    """
    good = [answer.ended for answer in answers if answer.node is not None]
    before = [time for time in good if time <= began]
    after = [time for time in good if time >= ended]
    if not before or not after:
        raise ValueError("no answer before or none after")
    times = [before[-1], *(time for time in good if began < time < ended), after[0]]
    return max(later - earlier for earlier, later in pairwise(times))


def within(answers: Iterable[Answer], began: float, ended: float) -> list[Answer]:
    """Return the requests that were sent between two moments."""
    return [answer for answer in answers if began <= answer.sent <= ended]


def servers(answers: Iterable[Answer]) -> list[int]:
    """Return who answered, each as often as it began to: [1, 2, 1] is there, over and back."""
    nodes = [answer.node for answer in answers if answer.node is not None]
    return [node for node, _ in groupby(nodes)]


def read_stays(text: str) -> list[Stay]:
    """Return where the address was and when, from the notes of all nodes."""
    stays: list[Stay] = []
    since: dict[int, float] = {}
    for line in text.splitlines():
        time, node, word = line.split()
        if word == "yes":
            since[int(node)] = float(time)
        elif int(node) in since:
            stays.append(Stay(int(node), since.pop(int(node)), float(time)))
    stays += [Stay(node, time, None) for node, time in since.items()]
    return sorted(stays, key=lambda stay: stay.since)


def on_two_nodes(stays: Sequence[Stay]) -> list[str]:
    """Return every pair of stays at the same time, in words."""
    found = []
    for first, second in combinations(stays, 2):
        last = min(_until(first), _until(second))
        if second.since < last and first.node != second.node:
            lasted = f"for {last - second.since:.3f} s" if last < float("inf") else "to the end"
            found.append(f"the address was on nodes {first.node} and {second.node} {lasted}")
    return found


def _until(stay: Stay) -> float:
    return float("inf") if stay.until is None else stay.until
