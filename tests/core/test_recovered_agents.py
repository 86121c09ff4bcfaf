"""Agents that an earlier supervisor has left, or that cltab has lost: stopped before all else."""

from __future__ import annotations

from mosha.core.status import GroupState
from mosha.core.supervision.agent_traces import Remember, left_behind, stops_of_others
from mosha.core.supervision.group import HALTED, GroupEmptied
from mosha.core.supervision.group_report import GroupReport
from mosha.core.supervision.process_events import BecameReady, Exit, Exited, Spawned
from mosha.core.supervision.supervisor import (
    Effect,
    EntryEvent,
    Event,
    Gone,
    Recovered,
    ShutdownAsked,
    Supervisor,
    TableRead,
    TellReply,
    step,
)
from mosha.core.supervision.unit import Launch, WatchLeft
from mosha.core.tables import Cltab, Entry
from mosha.core.tell import Tell
from tests.core.unit_world import entry

DISK = entry("g:disk:1:ocf:Filesystem device=/dev/x directory=/srv")
IP = entry("g:ip:1:ocf:IPaddr2 ip=192.0.2.1")
CLEAN = entry("g:clean:stop:wait:true")


class Story:
    """A supervisor, what it did last, and what it wants to be remembered."""

    def __init__(self, *entries: Entry) -> None:
        self.supervisor = Supervisor()
        self.effects: tuple[Effect, ...] = ()
        self.remembered: dict[str, tuple[Entry, ...]] = {}
        self.happens(TableRead(Cltab(entries)))

    def happens(self, event: Event) -> Story:
        self.supervisor, self.effects = step(self.supervisor, event, 100.0)
        for effect in self.effects:
            if isinstance(effect, Remember):
                self.remembered[effect.group] = effect.agents
            if isinstance(effect, Launch):
                self.feed(effect.entry.tag, Spawned(effect.run, 7))
        for effect in self.effects:
            if isinstance(effect, WatchLeft):  # nothing is left
                return self.happens(GroupEmptied(effect.group, effect.visit))
        return self

    def feed(self, tag: str, event: BecameReady | Exited | Spawned) -> None:
        before = self.effects
        self.happens(EntryEvent("g", tag, event))
        self.effects = (*before, *self.effects)

    def ready(self, tag: str) -> Story:
        return self.happens(EntryEvent("g", tag, BecameReady(self.run(tag))))

    def ends(self, tag: str, code: int = 0) -> Story:
        return self.happens(EntryEvent("g", tag, Exited(self.run(tag), Exit(code))))

    def run(self, tag: str) -> int:
        return self.supervisor.units["g"].processes[tag].run

    @property
    def running(self) -> list[str]:
        unit = self.supervisor.units.get("g")
        return [] if unit is None else [t for t, p in unit.processes.items() if p.pid]

    @property
    def state(self) -> tuple[str, GroupState] | None:
        unit = self.supervisor.units.get("g")
        return None if unit is None else (unit.group.level, unit.group.state)


STOPPING = ("stop", GroupState.STARTING)
FAILED = ("stop", GroupState.FAILED)


def started(*entries: Entry) -> Story:
    story = Story(*entries).happens(Tell("g", "1"))
    for each in entries:
        if each.lasts:
            story.ready(each.tag)
    return story


def test_what_has_to_be_remembered_is_said_before_it_is_started() -> None:
    story = Story(DISK).happens(Tell("g", "1"))
    kinds = [type(effect) for effect in story.effects if isinstance(effect, Remember | Launch)]
    assert kinds[:2] == [Remember, Launch]
    assert story.remembered == {"g": (DISK,)}


def test_it_is_remembered_until_the_agent_was_seen_to_stop() -> None:
    story = started(DISK, IP).happens(Tell("g", "stop"))
    assert story.remembered == {"g": (DISK, IP)}
    assert story.ends("ip").remembered == {"g": (DISK,)}
    assert story.ends("disk", 3).remembered == {"g": (DISK,)}
    story.ends("ip.stop").ends("disk.stop")
    assert (story.remembered, story.state) == ({"g": ()}, ("stop", GroupState.PASSED))


def test_agents_that_do_not_last_are_not_remembered() -> None:
    assert started(entry("g:web:1:ocf:nginx")).remembered == {}


def test_a_later_supervisor_stops_them_the_last_one_first_and_then_knows_nothing() -> None:
    story = Story(DISK, IP, CLEAN).happens(Recovered("g", (DISK, IP)))
    assert (story.state, story.running) == (STOPPING, ["ip.stop"])
    assert story.ends("ip.stop").running == ["disk.stop"], "the entries of stop need a lease"
    story.ends("disk.stop")
    assert story.state is None
    assert Gone("g") in story.effects
    assert story.remembered == {"g": ()}


def test_until_then_the_group_counts_as_present() -> None:
    story = Story(DISK).happens(Recovered("g", (DISK,)))
    group = story.supervisor.units["g"].group
    assert GroupReport("g", group.level, group.state, group.wanted).present
    story.ends("disk.stop", 3)
    assert story.state == FAILED
    group = story.supervisor.units["g"].group
    report = GroupReport("g", group.level, group.state, group.wanted)
    assert (report.present, report.stop_failed) == (True, True)
    assert group.cause == "test entry disk.stop: exit 3"


def test_a_stop_that_failed_is_tried_again_when_an_operator_says_so() -> None:
    story = Story(DISK, CLEAN).happens(Recovered("g", (DISK,))).ends("disk.stop", 3)
    story.happens(Tell("g", "plan", 4, "1", 900.0, 950.0))
    story.happens(Tell("g", "stop", 4, "1", 900.0, 950.0))
    assert story.running == ["clean"]
    story.ends("clean").ends("disk.stop")
    assert (story.state, story.remembered) == (("stop", GroupState.DONE), {"g": ()})


def test_a_group_that_cltab_does_not_have_is_stopped_too_and_can_be_given_up() -> None:
    story = Story().happens(Recovered("g", (DISK,))).happens(TableRead(Cltab()))
    assert (story.state, story.running) == (STOPPING, ["disk.stop"])
    story.ends("disk.stop", 3)
    assert story.state == FAILED
    mended = story.happens(Tell("g", "stop", 4, "1", 1.0, 1.0))
    assert mended.state is None
    assert mended.remembered == {"g": ()}


def test_a_group_that_is_removed_from_cltab_is_stopped_as_well() -> None:
    story = started(DISK).happens(TableRead(Cltab())).ends("disk", 3)
    assert (story.state, story.running) == (STOPPING, ["disk.stop"])
    story.ends("disk.stop")
    assert story.state is None
    assert story.remembered == {"g": ()}


def test_one_that_was_removed_and_came_back_goes_on_with_what_is_left() -> None:
    story = started(DISK).happens(TableRead(Cltab())).happens(TableRead(Cltab((DISK,))))
    story.happens(Tell("g", "1")).ends("disk", 3)
    assert story.running == ["disk"]
    assert story.remembered == {"g": (DISK,)}


def test_an_agent_that_cltab_has_lost_is_stopped_with_its_group() -> None:
    story = started(DISK, IP).happens(TableRead(Cltab((DISK,)))).happens(Tell("g", "1"))
    story.ends("ip", 3)
    assert story.state == ("1", GroupState.DONE)
    story.happens(Tell("g", "stop")).ends("disk").ends("disk.stop")
    assert story.running == ["ip.stop"]
    assert story.remembered == {"g": (IP,)}
    story.ends("ip.stop")
    assert story.state == ("stop", GroupState.PASSED)


def test_a_shutdown_leaves_what_it_cannot_stop_to_the_next_one() -> None:
    story = started(DISK).happens(ShutdownAsked()).ends("disk", 3)
    assert story.supervisor.units["g"].group.cause == HALTED
    assert (story.supervisor.halted, story.remembered) == (True, {"g": (DISK,)})


def test_a_tell_of_a_level_takes_the_place_of_the_recovery() -> None:
    story = Story(DISK).happens(Recovered("g", (DISK,)))
    (reply,) = (it for it in story.happens(Tell("g", "1")).effects if isinstance(it, TellReply))
    assert reply.ok
    story.ends("disk.stop", -2)
    assert story.running == ["disk"]
    story.ready("disk").happens(Tell("g", "stop")).ends("disk").ends("disk.stop")
    assert story.state == ("stop", GroupState.PASSED)


def test_what_was_left_is_stopped_in_the_reverse_order_of_its_start() -> None:
    stops = stops_of_others(left_behind((DISK, IP)), ())
    assert [stop.tag for stop in stops] == ["ip.stop", "disk.stop"]
