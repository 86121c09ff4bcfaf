"""Which node is shot, when, and by which node (STOMITH; docs/reference/fencing.md).

A stale node that did not leave is shot by the lowest fresh node; the next ones take over one
delay later each, so that they never all shoot at once. No node shoots without a quorum, in the
first `start_grace_s` after its start, or at a node that it has not seen alive since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from mosha.core.cluster.peers import Peer
from mosha.core.status import Grade

TIE_BREAK_DEFAULT_S = 15.0
PROBATION_DEFAULT = 3

AIMING, RUNNING = "aiming", "running"
SHOT = "shot"
"""Published of a shot with a receipt that does not count yet: its victim was still heard (R1)."""


class FencingRules(Struct, frozen=True):
    """`required`: a stale node's groups wait for a receipt. The fields in seconds delay shots.

    `tie_break_s`: how much longer that half of an even cluster waits which has less to lose.
    `delays`: how many seconds longer than others these nodes are spared.
    `probation`: after so many deaths within an hour a node owns nothing; 0: never. `unfences`: a
    node that was shot has to be let in to its storage again (`access`).
    `ask_for_shots`: if this node cannot end a group, it asks to be shot (`on_stop_failure`).
    `switches`: a shot does something; without any device it only prints that one is needed.
    """

    required: bool = False
    takeover_s: float = 5.0
    retry_s: float = 30.0
    tie_break_s: float = TIE_BREAK_DEFAULT_S
    delays: Mapping[int, float] = field(default_factory=dict)
    probation: int = PROBATION_DEFAULT
    unfences: bool = False
    ask_for_shots: bool = False
    switches: bool = True


class FenceOrder(Struct, frozen=True):
    """An order to shoot a node in this incarnation, for a receipt of the `required` grade.

    The node is stale, except where an operator has ordered it (`asked`) or the node itself asks for
    it (`requested`).
    """

    node: int
    inc: int
    required: Grade = Grade.OPERATOR_SAID_SO
    asked: bool = False
    requested: bool = False


class Shot(Struct, frozen=True):
    """The last shot at one incarnation of a node: when it was ordered and how it ended.

    `outcome` is `aiming` (it is published first), `running`, `receipt`, `no receipt` or `failed`;
    `grade` is that of the receipt.
    """

    node: int
    inc: int
    at: float
    outcome: str = RUNNING
    method: str = ""
    detail: str = ""
    grade: Grade = Grade.LEASE_ELAPSED

    @property
    def under_way(self) -> bool:
        """Whether it is to come, or has not ended."""
        return self.outcome in (AIMING, RUNNING)


def witnesses(fresh: Iterable[Peer], victim: Peer, now: float, timeout_s: float) -> frozenset[int]:
    """Return the fresh peers that were heard since the victim went silent, and within T (O4).

    Nodes behind the same cut go stale one by one: one that was not heard since the first of them
    may be the next. And a node that was paused may still count peers as fresh that it has not
    read again.
    """
    since = victim.stale_since
    return frozenset(
        peer.node
        for peer in fresh
        if peer.heard_at is not None
        and since is not None
        and peer.heard_at >= since
        and now - peer.heard_at <= timeout_s
    )


def shoot_at(
    victim: Peer,
    *,
    me: int,
    fresh: Sequence[int],
    started_at: float,
    start_grace_s: float,
    healed_at: float,
    rules: FencingRules,
    last: Shot | None,
    requested_at: float | None = None,
) -> float | None:
    """Return when this node is to shoot a peer that is stale, or asks for it; None if not.

    Args:
        victim: the peer.
        me: this node.
        fresh: the nodes that are fresh, this one included and the victim not, in any order.
        started_at: when this monitor started, seconds of boottime.
        start_grace_s: no shot in this time after the start (H3.6).
        healed_at: no shot before; by then healthy nodes were heard again after a cut (O4).
        rules: the delays.
        last: this node's last shot at that node, if any.
        requested_at: since when a node that is not stale asks to be shot, if it does (F1).

    A shot that failed is tried again; a message that proves nothing is sent once for each
    incarnation of the victim.
    """
    since = requested_at if victim.stale_since is None else victim.stale_since
    if since is None or not victim.advanced:
        return None
    position = sorted(fresh).index(me)
    # All nodes wait for the same moment, and from then on each for its rank.
    begins = max(started_at + start_grace_s, healed_at, since)
    due = begins + rules.delays.get(victim.node, 0.0) + position * rules.takeover_s
    if last is None or last.inc < victim.inc or last.outcome == AIMING:
        return due
    if last.outcome == "failed":
        return max(due, last.at + rules.retry_s)
    return None
