"""What has changed in the cluster, as one node sees it: the events of `mosha events`.

`picture` takes down the facts that people follow: the standing of each node, each group on
each node, quorum, shots, bans and refused tables. Two pictures make transitions. What a node
knew before it began to look is no event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct

from mosha.core import explain
from mosha.core.orders import MOVED
from mosha.core.peers import Standing
from mosha.core.seat import Mind
from mosha.core.status import Status

MOVING = "moves away"
"""A ban that is a move by an operator."""

ABSENT = "-"
"""How a group is on a node that says nothing of it."""


class Subject(NamedTuple):
    """What a fact is about: `kind` is quorum, node, clinit, shot, table, ban, entry or group.

    Besides these there are transitions of the kinds move (`core/homes.py`) and monitor.
    """

    kind: str
    group: str
    node: int


class Fact(NamedTuple):
    """What holds, and what the one who says it gives as the cause."""

    value: str
    cause: str = ""


Picture = Mapping[Subject, Fact]


class Transition(Struct, frozen=True):
    """One change: `before` and `after` are values of the fact, ABSENT where there was none.

    Of a move they are the nodes, and `away_s` is how long the group ran on none.
    """

    kind: str
    group: str
    node: int
    before: str
    after: str
    cause: str
    away_s: float | None = None


def picture(mind: Mind) -> dict[Subject, Fact]:
    """Return all facts of this moment that people follow."""
    found: dict[Subject, Fact] = {}
    sight = Fact(mind.view.sight.value, explain.quorum_reason(mind))
    found[Subject("quorum", "", mind.me)] = sight
    found[Subject("node", "", mind.me)] = Fact(mind.state.value)
    for node in mind.view.watched():
        standing = mind.view.standing(node)
        if standing is not Standing.NEVER:
            found[Subject("node", "", node)] = Fact(standing.value, mind.view.peer(node).error)
    # Nothing is published before clinit has answered for the first time.
    if mind.published is not None and not mind.clinit_known:
        found[Subject("clinit", "", mind.me)] = Fact("does not answer")
    found.update(_groups(mind))
    found.update(_entries(mind))
    for shot in mind.shots.values():
        outcome = f"{shot.outcome} ({shot.method})" if shot.method else shot.outcome
        found[Subject("shot", "", shot.node)] = Fact(outcome, shot.detail)
    refused = [(mind.me, mind.refused), *((s.node, s.refused) for s in _counted(mind))]
    for node, files in refused:
        for file, text in files.items():
            found[Subject("table", file, node)] = Fact("refused", text)
    return found


_COUNTED = frozenset({Standing.FRESH, Standing.LEAVING, Standing.STALE})


def _counted(mind: Mind) -> Iterator[Status]:
    """Yield the statuses of others whose facts are followed; a stale node's are as they were."""
    return (s for s in mind.view.known() if mind.view.standing(s.node) in _COUNTED)


def _groups(mind: Mind) -> Iterator[tuple[Subject, Fact]]:
    """Yield each group on each node, and the bans."""
    for group, local in mind.locals.items():
        if local.present:
            yield (
                Subject("group", group, mind.me),
                Fact(f"{local.level} {local.state}", local.cause),
            )
    for group, seat in mind.seats.items():
        if seat.ban_reason:
            yield Subject("ban", group, mind.me), _ban(seat.ban_reason)
    for status in _counted(mind):
        for group, line in status.groups.items():
            if line.active:
                yield Subject("group", group, status.node), Fact(f"{line.level} {line.state}")
        for group, ban in status.bans.items():
            yield Subject("ban", group, status.node), _ban(ban.reason)


def _ban(reason: str) -> Fact:
    """Return that a node keeps off a group: it failed there, or an operator moves it away."""
    return Fact(MOVING if reason.startswith(MOVED) else "banned", reason)


def _entries(mind: Mind) -> Iterator[tuple[Subject, Fact]]:
    """Yield the groups with entries that are not well, as their nodes say."""
    own = [mind.published] if mind.published is not None else []
    for status in (*own, *_counted(mind)):
        for group in sorted({group for group, _ in status.troubles}):
            wrong = status.troubles_of(group)
            value = ", ".join(f"{trouble.tag} {trouble.kind}" for trouble in wrong)
            yield Subject("entry", group, status.node), Fact(value, wrong[0].text)


def transitions(before: Picture, after: Picture) -> list[Transition]:
    """Return what has changed between two pictures: nodes first, then groups."""
    changed = [
        subject
        for subject in before.keys() | after.keys()
        if before.get(subject, _NONE).value != after.get(subject, _NONE).value
    ]
    return [
        Transition(
            *subject,
            before=before.get(subject, _NONE).value,
            after=after.get(subject, _NONE).value,
            cause=_cause(subject, after),
        )
        for subject in sorted(changed, key=lambda item: (_ORDER.index(item.kind), *item))
    ]


def _cause(subject: Subject, after: Picture) -> str:
    fact = after.get(subject)
    if fact is not None:
        return fact.cause
    node = after.get(Subject("node", "", subject.node), _NONE).value
    gone = subject.kind in _OF_A_STATUS and node in (Standing.LEFT, Standing.FENCED)
    return f"node {subject.node} is {node}" if gone else ""


_OF_A_STATUS = frozenset({"group", "ban", "entry", "table"})
"""What a node says of itself: it goes with the node, and has not ended well by that."""

_NONE = Fact(ABSENT)
_ORDER = ("quorum", "node", "clinit", "shot", "table", "ban", "entry", "group")
