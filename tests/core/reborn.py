"""A story told from node 1, which has just started after a former life."""

from __future__ import annotations

from typing import Any

from mosha.core.cluster.state import GroupRecord
from mosha.core.status import Stamp, Status, Term, Vote
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tables import Wish
from tests.core.owner import brain
from tests.core.story import INC, TIMING, G, Story, hactl, status

T, L, D = TIMING.timeout_s, TIMING.lease_s, TIMING.stop_budget_s
VOTE = Vote(term=5, node=2, inc=INC, seq=7)
FORMER = status(1, 900, votes={G: VOTE}, terms={G: Term(6, voted=5), "h": Term(3)})


def born(
    former: Status | None = None, *, boot: str = "boot", clinit: tuple[GroupReport, ...] = ()
) -> Story:
    """A story told from node 1, which has just started after this former life."""
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1,)), Wish("h", "start")))
    if former is not None:
        story.files[1] = former
    story.clinits[1] = {shown.group: shown for shown in clinit}
    story.start(1, boot=boot)
    return story


def record(story: Story) -> GroupRecord:
    return brain(story).state.record(G)


def echoes(node: int, seq: int = 1, *, inc: int, **more: Any) -> Status:
    """A status of a peer that echoes this incarnation of node 1."""
    return status(node, seq, **({"seen": {1: Stamp(inc, 1)}} | more))
