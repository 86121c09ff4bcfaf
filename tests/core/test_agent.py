"""When an agent does what: its pace, the order of its effects, and how it leaves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest

from mosha.core.cluster import effects, leaving
from mosha.core.cluster.agent import Agent
from mosha.core.cluster.effects import Effect
from mosha.core.cluster.events import (
    ClinitEnded,
    ClinitLost,
    DeathConfirmed,
    Event,
    FileChanged,
    GroupsReported,
    LeasesRenewed,
    LeaveAsked,
    MembersFound,
    NamesakeFound,
    ReadFailed,
    ShotEnded,
    StatusRead,
    StatusWritten,
    TellAnswered,
    TimePassed,
    WriteFailed,
)
from mosha.core.cluster.fencing import FenceOrder, FencingRules
from mosha.core.cluster.pace import GATHER_S
from mosha.core.cluster.peers import Standing
from mosha.core.replication.judging import CLTAB, HACTL, NS_PER_S
from mosha.core.replication.node_tables import NodeTables
from mosha.core.replication.table_effects import ReadOwnTable, ReadPeerTable
from mosha.core.replication.table_events import OwnTableRead, PeerTableRead, TableLoaded
from mosha.core.replication.table_texts import Seen
from mosha.core.status import EntryVerb, Grade, NodeState, Stamp, TableVersion
from mosha.core.tables import Cltab, Entry, Mode
from mosha.core.tell import EntryOrder, Tell
from mosha.errors import BugError
from tests.core.story import INC, PLACES, TIMING, G, Story, one_of_three, report, status

T, H = TIMING.timeout_s, TIMING.heartbeat_s

E = TypeVar("E")


class Life:
    """An agent of node 1 that lives as its story says; nothing is answered but by the test."""

    def __init__(self, story: Story | None = None, *, obeyed: bool = False) -> None:
        self.story = story or one_of_three()
        self.story.nodes[1].take_notes()
        self.agent = Agent(self.story.nodes[1], NodeTables(1, PLACES))
        self.obeyed = obeyed  # clinit answers each tell at once
        self.seq = 1

    @property
    def now(self) -> float:
        return self.story.now

    def report(self, event: Event) -> Sequence[Effect]:
        return self.agent.handle(event, self.now)

    def open(self) -> list[Effect]:
        """Begin, and do what is due."""
        return [*self.report(GroupsReported(full=True)), *self.act()]

    def act(self) -> list[Effect]:
        """Do what is due at this moment."""
        found: list[Effect] = []
        for _ in range(9):
            if self.agent.due > self.now:
                return found
            done = self.report(TimePassed(0.5))
            for order in of(Tell, done) if self.obeyed else ():
                self.report(TellAnswered(order.group, order.level))
            found += done
        raise AssertionError(self.agent.due)

    def wait(self, seconds: float) -> list[Effect]:
        """Let time pass, doing everything at its time."""
        until, found = self.now + seconds, list[Effect]()
        while self.agent.due <= until:
            self.story.now = max(self.agent.due, self.now)
            found += self.act()
        self.story.now = until
        return found

    def written(self, done: Sequence[Effect]) -> Sequence[Effect]:
        """Let the write among these effects end."""
        (order,) = of(effects.WriteStatus, done)
        return self.report(StatusWritten(order.status))

    def hears(self, node: int, **said: Any) -> Sequence[Effect]:
        """Let a read that is under way bring news of a node that lives."""
        self.seq += 1
        seen = {1: Stamp(INC, 1)}
        return self.report(StatusRead(node, status(node, self.seq, **({"seen": seen} | said))))


def of(kind: type[E], done: Sequence[object]) -> list[E]:
    return [effect for effect in done if isinstance(effect, kind)]


def nodes_read(done: Sequence[Effect]) -> list[int]:
    return [order.node for order in of(effects.ReadStatus, done)]


def test_nothing_is_due_before_clinit_has_said_what_it_has() -> None:
    life = Life()
    assert (life.agent.due, life.report(TimePassed(0.5))) == (math.inf, ())
    assert life.report(FileChanged(2)) == ()
    done = life.open()
    assert of(effects.WatchNodes, done) == [effects.WatchNodes(frozenset({2, 3}))]
    assert nodes_read(done) == [2, 3]
    assert len(of(effects.WriteStatus, done)) == 1


def test_an_order_for_an_entry_is_given_to_clinit_once() -> None:
    life = Life()
    life.open()
    order = EntryOrder(G, "r", EntryVerb.STOP, "2.1.1", 1)
    life.story.nodes[1].state.to_clinit.append(order)
    done = [*life.report(FileChanged(2)), *life.report(FileChanged(3))]
    assert of(EntryOrder, done) == [order]


def test_what_no_agent_knows_is_a_bug() -> None:
    with pytest.raises(BugError, match="does not know int"):
        Life().report(7)  # type: ignore[arg-type]


# --- publishing -------------------------------------------------------------------------


def test_one_write_at_a_time_at_each_heartbeat() -> None:
    life = Life()
    done = life.open()
    assert of(effects.WriteStatus, life.wait(5 * H)) == [], "the first one has not ended"
    after = life.written(done)
    assert effects.FeedWatchdog() in after
    assert effects.LookAround() in after
    again = life.act()
    assert len(of(effects.WriteStatus, again)) == 1, "a heartbeat has passed long ago"
    life.written(again)
    assert of(effects.WriteStatus, life.wait(0.99 * H)) == []
    assert len(of(effects.WriteStatus, life.wait(0.02 * H))) == 1


def test_changes_that_come_together_are_one_status() -> None:
    life = Life()
    life.written(life.open())
    life.agent.node.state.changed()
    life.report(FileChanged(2))
    life.story.now += GATHER_S / 2
    life.agent.node.state.changed()
    life.report(FileChanged(3))
    assert of(effects.WriteStatus, life.act()) == []
    (order,) = of(effects.WriteStatus, life.wait(GATHER_S / 2))
    life.report(StatusWritten(order.status))
    assert of(effects.WriteStatus, life.wait(H / 2)) == []


def test_v4b_a_status_comes_with_what_has_to_be_remembered_first() -> None:
    life = Life()
    (order,) = of(effects.WriteStatus, life.open())
    assert order.memory == life.agent.node.memory(order.status)
    assert order.memory.inc == order.status.inc


def test_a_write_that_failed_is_tried_again_at_the_next_heartbeat() -> None:
    life = Life()
    life.open()
    failed = life.report(WriteFailed())
    assert effects.FeedWatchdog() in failed, "it is not this process that hangs"
    assert len(of(effects.WriteStatus, life.wait(H))) == 1


def test_c4_a_lease_counts_from_the_order_to_write_however_long_that_takes() -> None:
    life = Life()
    (order,) = of(effects.WriteStatus, life.open())
    ordered_at = life.now
    life.story.now += 0.75
    life.report(StatusWritten(order.status))
    assert life.agent.node.state.writes.began(order.status.seq) == ordered_at


def test_n1_a_mute_node_writes_nothing_and_does_all_the_rest() -> None:
    life = Life()
    state = life.agent.node.state
    state.mute_until, state.published = life.now + 3 * H, None
    done = life.open() + life.wait(2.5 * H)
    assert of(effects.WriteStatus, done) == []
    assert len(of(effects.FeedWatchdog, done)) == 3
    assert len(of(effects.LookAround, done)) >= 2
    assert len(of(effects.WriteStatus, life.wait(H))) == 1


# --- leases -----------------------------------------------------------------------------


def test_leases_are_counted_at_each_heartbeat_and_not_with_each_vote() -> None:
    life = Life()
    assert len(of(effects.RenewLeases, life.open())) == 1
    assert of(effects.RenewLeases, life.wait(5 * H)) == [], "clinit has not answered the first"
    life.report(LeasesRenewed())
    assert len(of(effects.RenewLeases, life.act())) == 1
    life.report(LeasesRenewed())
    life.agent.node.state.claimed[G] = life.agent.node.state.record(G)
    for _ in range(5):
        life.hears(2)
        life.report(FileChanged(2))
        assert of(effects.RenewLeases, life.act()) == []
    assert len(of(effects.RenewLeases, life.wait(0.26 * H))) == 1


def test_without_clinit_leases_are_counted_and_handed_to_nobody() -> None:
    life = Life()
    life.open()
    life.report(LeasesRenewed())
    life.report(ClinitLost())
    assert of(effects.RenewLeases, life.wait(3 * H)) == []


# --- reading ----------------------------------------------------------------------------


def test_a_file_that_has_changed_is_read_at_once() -> None:
    life = Life()
    life.open()
    life.hears(2)
    assert life.report(FileChanged(2)) == [effects.ReadStatus(2, 2.0)]
    assert life.report(FileChanged(9)) == ()


def test_news_of_a_node_and_nothing_else_have_its_tables_looked_at() -> None:
    life = Life()
    life.open()
    life.report(TableLoaded(HACTL, wall_ns=NS_PER_S))
    life.report(OwnTableRead(HACTL, wall_ns=NS_PER_S))
    newest = TableVersion(7, "digest")
    news = status(2, 2, seen={1: Stamp(INC, 1)}, tables={HACTL: newest})
    assert ReadPeerTable(HACTL, 2, newest) in life.report(StatusRead(2, news))
    life.report(PeerTableRead(HACTL, wall_ns=NS_PER_S, error="EIO"))
    life.report(FileChanged(2))
    assert of(ReadPeerTable, life.report(StatusRead(2, news))) == [], "it says nothing new"
    life.report(FileChanged(2))
    life.story.now += T + 1
    life.report(ReadFailed(2, "EIO"))
    life.report(FileChanged(2))
    life.report(ReadFailed(2, "EIO"))
    assert of(ReadPeerTable, life.act()) == [], "a node that is not heard is not asked"


def test_what_is_in_force_reaches_the_node_when_both_tables_were_looked_at() -> None:
    life = Life()
    cltab = Seen(TableVersion(1, "c"), b"", Cltab((Entry(G, "t", "start", Mode.ONCE, "true"),)))
    force = cltab.in_force(TableVersion(1, "c"), ())
    assert life.report(TableLoaded(CLTAB, NS_PER_S, force)) == [ReadOwnTable(CLTAB)]
    life.report(TableLoaded(HACTL, NS_PER_S))
    life.report(OwnTableRead(CLTAB, NS_PER_S, cltab))
    state = life.story.nodes[1].state
    assert state.tables == {}
    life.report(OwnTableRead(HACTL, NS_PER_S))
    assert (state.tables, state.cltab_groups) == ({CLTAB: TableVersion(1, "c")}, frozenset({G}))


def test_a_read_that_hangs_says_for_how_long() -> None:
    life = Life()
    life.open()
    life.story.now += 7
    life.report(ReadFailed(2, "given up", hung=True))
    assert life.agent.node.state.view.peer(2).error == "no answer for 7 s"


def test_o3_a_node_is_stale_by_a_look_that_was_ordered_after_its_time() -> None:
    life = Life()
    life.open()
    life.hears(3)
    began = life.now
    life.report(FileChanged(3))
    life.story.now = began + T + 1
    life.report(ReadFailed(3, "EIO"))  # it was ordered when the node was well
    assert life.agent.node.state.view.standing(3) is Standing.FRESH
    assert nodes_read(life.act()) == [3]
    life.report(ReadFailed(3, "EIO"))
    assert life.agent.node.state.view.standing(3) is Standing.STALE


def test_a_node_that_is_found_is_watched_and_read() -> None:
    life = Life()
    life.open()
    done = life.report(MembersFound(frozenset({1, 2, 3, 4})))
    assert of(effects.WatchNodes, done) == [effects.WatchNodes(frozenset({2, 3, 4}))]
    assert nodes_read(life.act()) == [4]
    assert of(effects.WatchNodes, life.report(MembersFound(frozenset({1, 2, 3, 4})))) == []


# --- groups -----------------------------------------------------------------------------


def planned() -> tuple[Life, Tell]:
    """Node 1 has been ordered to plan `g`."""
    life = Life()
    (plan,) = of(Tell, life.open() + life.wait(H))
    assert (plan.group, plan.level) == (G, "plan")
    return life, plan


def test_a_group_has_one_order_at_a_time() -> None:
    life, plan = planned()
    state = life.agent.node.state
    life.report(GroupsReported((report("plan", term=plan.term),)))
    state.record(G).granted = True
    state.record(G).lease_until = life.now + TIMING.lease_s
    state.wake_all()
    assert of(Tell, life.act()) == [], "the plan is not answered yet"
    life.report(TellAnswered(G, plan.level))
    (test,) = of(Tell, life.act())
    assert test.level == "test"


def test_a_refusal_keeps_the_node_off_the_group() -> None:
    life, plan = planned()
    life.report(TellAnswered(G, plan.level, "no such group"))
    assert life.agent.node.state.record(G).ban_reason == "clinit: no such group"
    assert life.agent.due == -math.inf, "its turn has come"


def test_orders_leave_before_the_lines_that_tell_of_them() -> None:
    life = Life()
    done = life.open() + life.wait(H)
    kinds = [type(effect).__name__ for effect in done]
    assert kinds.index("Tell") < max(n for n, kind in enumerate(kinds) if kind == "LogRecord")
    assert "Announce" in kinds


# --- shots ------------------------------------------------------------------------------


def test_a_shot_is_ordered_once_and_its_end_taken_in() -> None:
    story = one_of_three(rules=FencingRules(required=True))
    life = Life(story)
    life.written(life.open())
    life.hears(3)
    life.story.now += TIMING.start_grace_s + T + 1
    life.hears(2)
    life.report(FileChanged(3))
    life.report(ReadFailed(3, "EIO"))
    life.report(FileChanged(2))
    life.hears(2)
    done = life.act() + life.wait(H)
    assert of(FenceOrder, done) == [], "it is not shown yet"
    shots = of(FenceOrder, (*life.written(done), *life.act()))
    assert shots == [FenceOrder(3, INC)]
    life.report(ShotEnded(shots[0], "receipt", "test", "", Grade.COMMAND_SAID_SO))
    assert life.agent.node.state.view.standing(3) is Standing.FENCED


def test_a_confirmation_that_was_not_asked_for_is_a_bug() -> None:
    life = Life()
    life.open()
    with pytest.raises(BugError, match="is alive"):
        life.report(DeathConfirmed(2))


# --- leaving ----------------------------------------------------------------------------


def test_h6_4_a_node_leaves_when_nothing_is_left_and_says_so_last() -> None:
    life = Life(obeyed=True)
    life.written(life.open())
    life.report(GroupsReported((report("start"),)))
    life.report(LeaveAsked())
    assert of(effects.EndClinit, life.act()) == []
    life.report(GroupsReported(gone=(G,)))
    assert of(effects.EndClinit, life.act()) == [effects.EndClinit()]
    (order,) = of(effects.WriteStatus, life.report(ClinitEnded()))
    assert order.status.state is NodeState.LEFT
    assert life.report(StatusWritten(order.status))[-1] == effects.EndMonitor()
    assert of(effects.WriteStatus, life.wait(5 * H)) == []


def test_the_last_status_waits_for_the_write_that_is_under_way() -> None:
    life = Life(obeyed=True)
    (order,) = of(effects.WriteStatus, life.open())
    life.report(LeaveAsked())
    life.act()
    assert of(effects.WriteStatus, life.report(ClinitEnded())) == []
    (last,) = of(effects.WriteStatus, life.report(StatusWritten(order.status)))
    assert last.status.state is NodeState.LEFT


@pytest.mark.parametrize("event", [WriteFailed(), None])
def test_a_last_status_that_cannot_be_written_keeps_nobody(event: Event | None) -> None:
    life = Life(obeyed=True)
    life.written(life.open())
    life.report(LeaveAsked())
    life.act()
    done = list(life.report(ClinitEnded()))
    (order,) = of(effects.WriteStatus, done)
    assert effects.EndMonitor() in life.report(event or StatusWritten(order.status))


def test_a_node_may_leave_before_it_has_begun() -> None:
    life = Life()
    life.report(LeaveAsked())
    assert of(effects.EndClinit, life.act()) == [effects.EndClinit()]
    (order,) = of(effects.WriteStatus, life.report(ClinitEnded()))
    assert order.status.state is NodeState.LEFT


def test_a_namesake_makes_it_leave_and_say_nothing() -> None:
    life = Life(obeyed=True)
    life.open()
    life.report(NamesakeFound())
    life.report(WriteFailed())
    assert of(effects.EndClinit, life.act()) == [effects.EndClinit()]
    assert effects.EndMonitor() in life.report(ClinitEnded())


def test_who_leaves_waits_for_a_clinit_that_is_gone_and_not_for_ever() -> None:
    life = Life()
    life.written(life.open())
    life.report(GroupsReported((report("start"),)))
    life.report(ClinitLost())
    life.report(LeaveAsked())
    assert of(effects.EndMonitor, life.wait(leaving.WITHOUT_CLINIT_S - 0.1)) == []
    assert effects.EndMonitor(stranded=True) in life.wait(0.2)


def test_a_clinit_that_comes_back_is_waited_for() -> None:
    life = Life()
    life.written(life.open())
    life.report(GroupsReported((report("start"),)))
    life.report(ClinitLost())
    life.report(LeaveAsked())
    life.report(GroupsReported((report("start"),), full=True))
    assert of(effects.EndMonitor, life.wait(2 * leaving.WITHOUT_CLINIT_S)) == []


def test_nothing_that_has_not_changed_makes_effects() -> None:
    life = Life()
    life.open()
    same = status(2, 2)
    life.report(StatusRead(2, same))
    life.act()
    life.report(FileChanged(2))
    assert life.report(StatusRead(2, same)) == ()
