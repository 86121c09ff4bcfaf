"""What a node remembers about itself on its local disk: rules V4b and N1.

The shell writes and syncs it *before* the status that shows the same is published. So a vote, a
term or a claim that any node may have read is never lost by a medium that is behind; and a node
knows whether a status that it finds under its number is its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct, field

from mosha.core.cluster.state import MonitorState
from mosha.core.status import NodeState, Receipt, Stamp, Status, Term, Vote

SEQ_STEP = 4096
"""Status numbers are remembered in blocks, so that heartbeats need no write of the memory."""


class Memory(Struct, frozen=True, omit_defaults=True):
    """What is remembered between two starts; all fields have their defaults if nothing is.

    `run` names the run that wrote it, `former_run` the one before. `seq` is an upper bound of the
    statuses of `inc`, `landed` says that one of them is known to have been published. `boot` and
    `machine` say where it was written; older versions of mosha wrote neither. `life_inc` is the
    incarnation in which this node's life began (E1), `left` says that it has ended, `gone` are the
    voters that were gone for certain.
    """

    inc: int = 0
    run: str = ""
    electorate: tuple[int, ...] = ()
    remembered: int = 0
    former_run: str = ""
    boot: str = ""
    machine: str = ""
    seq: int = 0
    landed: bool = False
    timeout_ms: int = 0
    votes: Mapping[str, Vote] = field(default_factory=dict)
    terms: Mapping[str, Term] = field(default_factory=dict)
    claims: Mapping[str, int] = field(default_factory=dict)
    fenced: Mapping[int, Receipt] = field(default_factory=dict)
    standby: bool = False
    life_inc: int = 0
    left: bool = False
    gone: tuple[int, ...] = ()

    @property
    def bound(self) -> Stamp:
        """No status of this node with a greater stamp was ever begun, as far as remembered."""
        return Stamp(self.inc, self.seq)

    def knows(self, run: str, machine: str) -> bool:
        """Say whether that run was on this disk and machine (N1).

        If so, its clinit is the one that is found here, or it is dead.
        """
        here = not self.boot or self.machine == machine
        return here and run in {self.run, self.former_run} - {""}


def memory_of(state: MonitorState, status: Status) -> Memory:
    """Return what must be on the local disk before `status` may be published (V4b)."""
    electorate = state.view.electorate
    # A vote binds for the T of its candidate, which may be longer than this node's (T1).
    theirs_s = (state.view.peer(vote.node).timeout_s for vote in status.votes.values())
    return Memory(
        inc=status.inc,
        run=state.run,
        electorate=tuple(sorted(electorate.nodes)),
        remembered=electorate.remembered,
        former_run=state.former_run,
        boot=state.boot,
        machine=state.machine,
        seq=math.ceil(status.seq / SEQ_STEP) * SEQ_STEP,
        landed=state.published is not None,
        timeout_ms=max(status.timeout_ms, *(math.ceil(t * 1000) for t in theirs_s), 0),
        votes=status.votes,
        terms=status.terms,
        claims=status.claims,
        fenced=status.fenced,
        standby=state.standby,
        life_inc=state.view.life_inc,
        left=status.state is NodeState.LEFT,
        gone=tuple(sorted(state.view.gone)),
    )
