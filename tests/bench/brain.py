"""What deciding costs in a big cluster: the brain of one node, without any input or output."""

from __future__ import annotations

import time
from collections.abc import Mapping

from msgspec.structs import replace

from mosha.core.cluster.fencing import FencingRules
from mosha.core.cluster.memory import Memory
from mosha.core.cluster.node import Node
from mosha.core.cluster.quorum import Electorate, Policy
from mosha.core.cluster.recovery import Startup
from mosha.core.cluster.timing import derive
from mosha.core.status import GroupLine, GroupState, Status, TableVersion
from mosha.core.tables import Hactl, Wish
from mosha.formats.clstat import parse_clstat, render_clstat
from tests.bench.figures import Figure, Plan, median
from tests.bench.status import GROUPS, NODES, cpu_ms, homes_of, status_of, status_with

TIMEOUT_S = 10.0
HEARTBEAT_S = 1.0


class Model:
    """Node 1 of a cluster in which everybody else behaves, on a clock that is only counted.

    `running` says whether each group runs somewhere; else there is no hactl yet. `wishes` are its
    lines, `homes` where its groups and instances run; by default 100 groups that do not relate.
    """

    def __init__(
        self,
        *,
        running: bool,
        wishes: Mapping[str, Wish] | None = None,
        homes: Mapping[str, int] | None = None,
    ) -> None:
        self.now = 1000.0
        self._homes = homes or homes_of()
        self._wishes = wishes or {name: Wish(name, "start") for name in self._homes}
        self.others = {node: self._status(node) for node in range(2, NODES + 1)}
        former = self._status(1)
        if not running:
            self.others = {node: _without_groups(status) for node, status in self.others.items()}
            former = _without_groups(former)
        startup = Startup(
            me=1,
            inc=1_763_800_001,
            run="00000001",
            boot=former.boot,
            now=0.0,
            former=former,
            memory=Memory(inc=former.inc, run=former.run, boot=former.boot),
        )
        everyone = frozenset(range(1, NODES + 1))
        self.node = Node(
            startup,
            derive(TIMEOUT_S, heartbeat_s=HEARTBEAT_S),
            rules=FencingRules(required=False),
            electorate=Electorate(Policy.MAJORITY, everyone),
            members=everyone - {1},
        )
        self.node.clinit_answered([], self.now)
        if running:
            self.adopt_tables()
        for _ in range(3):
            self.heartbeat()

    def adopt_tables(self) -> None:
        """Let all groups be wanted at `start`."""
        names, wishes = frozenset(self._wishes), Hactl(self._wishes)
        version = {"hactl": TableVersion(1, "0"), "cltab": TableVersion(1, "0")}
        self.node.tables_adopted(wishes, names, version, {})

    def _status(self, node: int) -> Status:
        return status_with(self._homes, node, 1)

    def heartbeat(self) -> int:
        """Let one heartbeat pass: every peer is read, the own status is made; return the steps."""
        self.now += HEARTBEAT_S
        steps = 0
        for peer, status in self.others.items():
            newer = self.others[peer] = replace(status, seq=status.seq + 1)
            self.node.peer_read(peer, newer, began=self.now, now=self.now)
            steps += self.take_steps()
        status = self.node.next_status(self.now)
        self.node.wrote(status, began=self.now)
        self.node.renewals(self.now)
        self.node.take_notes()
        return steps + self.take_steps()

    def start_everything(self) -> int:
        """Let all groups be wanted, then claimed, each by its node, then voted for."""
        self.adopt_tables()
        steps = self.take_steps() + self.heartbeat()
        self.others = {n: _planning(s, self._status(n)) for n, s in self.others.items()}
        steps += self.heartbeat()
        votes = self._status(2).votes
        self.others = {n: replace(s, votes=votes) for n, s in self.others.items()}
        return steps + self.heartbeat()

    def take_steps(self) -> int:
        """Take the steps that are wanted; their effects are dropped."""
        groups = self.node.take_to_step()
        for group in groups:
            self.node.step(group, self.now, 0.5)
        return len(groups)

    def lose(self, peer: int) -> int:
        """Let a peer be found stale, and take all steps that follow from it."""
        self.now += TIMEOUT_S * 0.01
        late = self.now + TIMEOUT_S * 2
        self.node.peer_read(peer, None, began=late, now=late)
        steps = 0
        while found := self.take_steps():
            steps += found
        self.node.take_notes()
        return steps


def run(plan: Plan) -> list[Figure]:
    plan.say(f"{NODES} nodes, {GROUPS} groups")
    model = Model(running=True)
    began = time.process_time()
    beats = plan.rounds(10, 3)
    steps = [model.heartbeat() for _ in range(beats)]
    beat_ms = (time.process_time() - began) / beats * 1000
    texts = iter(_texts_of_heartbeats(beats))
    parse_ms = cpu_ms(lambda: [parse_clstat(text) for text in next(texts)], beats)
    own: Status = model.node.next_status(model.now)
    render_ms = cpu_ms(lambda: render_clstat(own))
    began = time.process_time()
    lost_steps = model.lose(NODES)
    lost_ms = (time.process_time() - began) * 1000
    idle = Model(running=False)
    began = time.process_time()
    claim_steps = idle.start_everything()
    claim_ms = (time.process_time() - began) * 1000
    return [
        Figure(
            bench="brain",
            what=f"CPU a heartbeat, {NODES} nodes x {GROUPS} groups",
            unit="ms",
            value=beat_ms + parse_ms + render_ms,
            samples=beats,
            floor=parse_ms,
            floor_is="parsing the statuses of all peers",
            parts={
                "deciding": beat_ms,
                "parsing": parse_ms,
                "rendering": render_ms,
                "turns": median(steps),
            },
        ),
        Figure(
            bench="brain",
            what="CPU when a node of these is found stale, all turns",
            unit="ms",
            value=lost_ms,
            parts={"turns": float(lost_steps)},
        ),
        Figure(
            bench="brain",
            what="CPU when all these groups are wanted at once, till the votes",
            unit="ms",
            value=claim_ms,
            parts={"turns": float(claim_steps)},
        ),
    ]


def _texts_of_heartbeats(count: int) -> list[list[bytes]]:
    """Return for each of some heartbeats what all other nodes publish."""
    return [
        [render_clstat(status_of(node, seq)).encode() for node in range(2, NODES + 1)]
        for seq in range(1000, 1000 + count)
    ]


def _without_groups(status: Status) -> Status:
    return replace(status, votes={}, claims={}, groups={})


def _planning(status: Status, running: Status) -> Status:
    """Return the status with claims for what the other one has running."""
    groups = {group: GroupLine("plan", GroupState.DONE) for group in running.groups}
    return replace(status, claims=running.claims, groups=groups)
