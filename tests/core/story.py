"""Several brains whose reads, writes, tells and time a test performs by hand.

For scenes that need more than one node: who reads whose status when, which machine dies
and what it forgets is written out in the test. `live` lets time pass for all of them the
way the monitor does it, with an obedient clinit that keeps its deadlines.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from mosha.core.cluster.fencing import FenceOrder, FencingRules
from mosha.core.cluster.group_step import GroupStep
from mosha.core.cluster.memory import Memory
from mosha.core.cluster.node import Node
from mosha.core.cluster.quorum import Electorate, Policy
from mosha.core.cluster.recovery import Startup
from mosha.core.cluster.timing import Timing, derive
from mosha.core.instance_names import single
from mosha.core.replication.table_texts import Places
from mosha.core.status import GroupState, Stamp, Status
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tables import STOP_LEVEL, Hactl, Wish
from mosha.core.tell import Tell

TIMING = derive(10.0, ban_s=30.0, start_grace_s=20.0)
"""T 10 s, heartbeat 1 s, lease 6 s, stop budget 3 s, plan limit 3 s."""

START_S = 1000.0
STEP_S = 0.25
TELLS_MAX = 100
"""So many levels in one moment are no way to anywhere."""

INC = 100
G = "g"


PLACES = Places(lambda node: f"/mfs/{node}", "/state", "/state/history")


def status(node: int, seq: int = 1, *, inc: int = INC, **said: Any) -> Status:
    """A status that says only what is named."""
    return Status(node=node, inc=inc, run="run", boot="boot", seq=seq, **said)


def says(node: int, seq: int = 2, **more: Any) -> Status:
    """A status of a peer that has a quorum and echoes node 1."""
    return status(node, seq, **({"seen": {1: Stamp(INC, 1)}} | more))


def report(level: str, state: GroupState = GroupState.DONE, **more: Any) -> GroupReport:
    """Group `g` as clinit reports it: arrived at `level` with one process, unless said."""
    alive = 0 if level == STOP_LEVEL and state is GroupState.DONE else 1
    return replace(GroupReport(G, level, state, wanted=level, alive=alive), **more)


def hactl(*wishes: Wish) -> Hactl:
    """A hactl of these wishes; without any, `g` at `start`."""
    return Hactl({wish.group: wish for wish in wishes or (Wish(G, "start"),)})


def one_of_three(
    wish: Wish | None = None, *, rules: FencingRules | None = None, now: float = START_S
) -> Story:
    """A story told from node 1: it is the first choice for `g`, has a quorum, and may vote.

    Nodes 2 and 3 are known by made-up statuses only, number 1 so far.
    """
    wishes = hactl(wish or Wish(G, "start", prefer=(1,)))
    story = Story(wishes=wishes, rules=rules, now=now)
    story.write(1)
    echo = {1: Stamp(INC, 1)}
    story.hear(1, status(2, seen=echo), status(3, seen=echo))
    return story


def alone_again(nodes: Iterable[int] = (1, 2, 3)) -> Story:
    """A story told from node 1, whose monitor was started again and has heard nobody yet.

    It is the first choice for `g`, and not silent.
    """
    story = Story(nodes, wishes=hactl(Wish(G, "start", prefer=(1,))))
    story.files[1] = status(1)
    story.start(1, inc=INC + 1)
    story.write(1)
    return story


class Story:
    """Nodes that have started, with tables in force, and know nothing of each other yet.

    All times are one clock, `now`. `cuts` holds pairs (reader, writer) that see nothing new,
    `timings` the times of nodes that are started with others than `TIMING`.
    """

    def __init__(
        self,
        nodes: Iterable[int] = (1, 2, 3),
        *,
        wishes: Hactl | None = None,
        rules: FencingRules | None = None,
        policy: Policy = Policy.MAJORITY,
        now: float = START_S,
    ) -> None:
        self.now = now
        self.ids = frozenset(nodes)
        self.wishes = hactl() if wishes is None else wishes
        self.rules = rules or FencingRules()
        self.policy = policy
        self.timings: dict[int, Timing] = {}
        self.nodes: dict[int, Node] = {}
        self.files: dict[int, Status] = {}
        self.memories: dict[int, Memory] = {}
        self.clinits: dict[int, dict[str, GroupReport]] = {}
        self.cuts: set[tuple[int, int]] = set()
        self.fails: dict[tuple[int, str], str] = {}
        self.slow: set[int] = set()  # nodes on which a stop takes until `stopped`
        self._heartbeats: dict[int, float] = {}
        for node in sorted(self.ids):
            self.clinits[node] = {}
            self.start(node)

    # --- machines ----------------------------------------------------------------------

    def start(
        self,
        node: int,
        *,
        boot: str = "boot",
        inc: int = INC,
        knows: bool = True,
        clinit_lives: bool = True,
    ) -> Node:
        """Start a monitor; `knows` is whether it finds its own clstat and its memory of before.

        A clstat that a test made up is remembered as one of this machine and boot, no more.
        """
        former = self.files.get(node) if knows else None
        memory = self.memories.get(node, Memory()) if knows else Memory()
        if former is not None and not memory.run:
            memory = Memory(boot="boot", run=former.run, inc=former.inc - 1)
        startup = Startup(
            me=node,
            inc=inc,
            run="run",
            boot=boot,
            now=self.now,
            former=former,
            memory=memory,
            clinit_lives=clinit_lives,
        )
        electorate = Electorate(self.policy, self.ids)
        timing = self.timings.get(node, TIMING)
        made = Node(
            startup, timing, rules=self.rules, electorate=electorate, members=self.ids - {node}
        )
        self.nodes[node] = made
        made.clinit_answered(self.clinits[node].values(), self.now)
        self.adopt_tables(node)
        return made

    def adopt_tables(self, node: int, wishes: Hactl | None = None) -> None:
        """Put tables in force at a node: cltab has every group of hactl."""
        chosen = self.wishes if wishes is None else wishes
        groups = frozenset(chosen.wishes) | frozenset(self.wishes.wishes)
        self.nodes[node].tables_adopted(chosen, groups, {}, {})

    def die(self, *nodes: int) -> None:
        """Switch machines off: monitor, clinit and all processes."""
        for node in nodes:
            del self.nodes[node]
            self.clinits[node] = {}

    def reboot(self, node: int, *, knows: bool = True) -> Node:
        """Start a machine again; `knows` is whether its directory is still there."""
        self.clinits[node] = {}
        return self.start(node, boot=f"boot at {self.now}", inc=INC + 1, knows=knows)

    # --- single steps ------------------------------------------------------------------

    def write(self, *nodes: int) -> None:
        """Let nodes publish what they have to say."""
        for node in nodes:
            made = self.nodes[node].next_status(self.now)
            self.memories[node] = self.nodes[node].memory(made)
            self.files[node] = made
            self.nodes[node].wrote(made, began=self.now)

    def shots(self, node: int) -> list[FenceOrder]:
        """Return whom a node shoots now; that it aims at them is written first."""
        found, _ = self.nodes[node].fence_orders(self.now)
        self.write(node)
        return [*found, *self.nodes[node].fence_orders(self.now)[0]]

    def read(self, reader: int, *writers: int) -> None:
        """Let a node look at what others have published last."""
        for writer in writers:
            found = self.files.get(writer)
            self.nodes[reader].peer_read(writer, found, began=self.now, now=self.now)

    def hear(self, reader: int, *said: Status) -> None:
        """Let a node read statuses that a test made up."""
        for found in said:
            self.nodes[reader].peer_read(found.node, found, began=self.now, now=self.now)

    def miss(self, reader: int, *writers: int) -> None:
        """Let a node look at others and find nothing that can be read."""
        for writer in writers:
            self.nodes[reader].peer_read(writer, None, began=self.now, now=self.now)

    def step(self, node: int, group: str = G, chance: float = 0.0) -> GroupStep:
        """Let a node take a step of a group, and clinit obey at once."""
        step = self.nodes[node].step(group, self.now, chance)
        if step.tell is not None:
            self.obey(node, step.tell)
        return step

    def obey(self, node: int, tell: Tell) -> None:
        """Let clinit carry out a tell, and report that it has."""
        word = self.fails.get((node, tell.level))
        known = self.clinits[node].get(tell.group)
        gone = tell.level == STOP_LEVEL
        if gone and node in self.slow and known is not None and known.alive:
            self.show(node, replace(known, wanted=STOP_LEVEL, state=GroupState.STOPPING))
            return
        self.show(
            node,
            GroupReport(
                group=tell.group,
                level=tell.level,
                state=GroupState.FAILED if word else GroupState.DONE,
                wanted=tell.level,
                term=tell.term,
                alive=0 if gone else 1,
                stop_at=tell.stop_at or (known.stop_at if known and not gone else None),
                kill_at=tell.kill_at or (known.kill_at if known and not gone else None),
                cause=word or "tell",
            ),
        )

    def stopped(self, node: int, group: str = G) -> None:
        """Let a slow stop be over."""
        known = self.clinits[node][group]
        assert known.state is GroupState.STOPPING
        self.show(node, replace(known, level=STOP_LEVEL, state=GroupState.DONE, alive=0))

    def show(self, node: int, shown: GroupReport) -> None:
        """Let clinit report a group."""
        self.clinits[node][shown.group] = shown
        if node in self.nodes:
            self.nodes[node].clinit_changed(shown)

    # --- time --------------------------------------------------------------------------

    def live(self, seconds: float) -> None:
        """Let time pass for all nodes: heartbeats, looks, steps, renewals, deadlines."""
        until = self.now + seconds
        while self.now < until:
            self.now += STEP_S
            self._deadlines()
            for reader in self.nodes:
                self.read(reader, *(w for w in self.ids - {reader} if (reader, w) not in self.cuts))
                self.miss(reader, *(w for r, w in self.cuts if r == reader))
            for node in self.nodes:
                self._go_on(node)
            self.assert_at_most_one()

    def _go_on(self, node: int) -> None:
        brain = self.nodes[node]
        for group in sorted({*self.wishes.wishes, *brain.state.records}):
            for _ in range(TELLS_MAX):
                if self.step(node, group, chance=(0.37 * node) % 1).tell is None:
                    break
            else:
                raise AssertionError(f"node {node} tells {group} one level after the other")
        for renewal in brain.renewals(self.now):
            held = self.clinits[node].get(renewal.group)
            if held is not None and held.term == renewal.term:
                moved = replace(held, stop_at=renewal.stop_at, kill_at=renewal.kill_at)
                self.show(node, moved)
        due = self._heartbeats.get(node, 0.0) + TIMING.heartbeat_s
        if (brain.dirty or self.now >= due) and not brain.mute(self.now):
            self._heartbeats[node] = self.now
            self.write(node)

    def _deadlines(self) -> None:
        for node, groups in self.clinits.items():
            for held in list(groups.values()):
                if held.stop_at is not None and self.now >= held.stop_at and held.alive:
                    ended = replace(
                        held, level=STOP_LEVEL, wanted=STOP_LEVEL, alive=0, state=GroupState.DONE
                    )
                    # What is at rest has no deadlines: a later plan must not have these.
                    self.show(node, replace(ended, stop_at=None, kill_at=None))

    # --- what is seen ------------------------------------------------------------------

    def owners(self, group: str = G) -> list[int]:
        """Return the nodes on which processes run that need a lease."""
        return [
            node
            for node, groups in self.clinits.items()
            if (held := groups.get(group)) is not None and held.alive and held.exclusive
        ]

    def at_home(self, group: str = G) -> list[int]:
        """Return the nodes on which the group is at the level of hactl."""
        wanted = self.wishes.level_of(group)
        return [n for n in self.owners(group) if self.clinits[n][group].level == wanted]

    def assert_at_most_one(self) -> None:
        """Check the promise."""
        groups = {group for held in self.clinits.values() for group in held}
        for group in groups:
            assert len(self.owners(group)) <= 1, f"{group} runs on {self.owners(group)}"
            beside = self.owners(single(group)) if single(group) != group else []
            assert not (beside and self.owners(group)), f"{group} runs beside {single(group)}"
