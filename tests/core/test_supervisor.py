"""All groups together: cltab read anew, groups that go and come back, and the shutdown."""

from __future__ import annotations

from mosha.core.status import GroupState
from mosha.core.supervision.group import Deadlines, GroupEmptied, GroupTimePassed, Shown
from mosha.core.supervision.process_events import Exit, Exited, Signal
from mosha.core.supervision.supervisor import (
    Effect,
    EntryEvent,
    Event,
    Gone,
    Halted,
    Leased,
    ShutdownAsked,
    Supervisor,
    TableRead,
    TellReply,
    step,
)
from mosha.core.supervision.unit import Launch
from mosha.core.tables import Cltab
from mosha.core.tell import Tell
from tests.core.unit_world import entry

G = "g:a:1:respawn:x"
H = "h:b:1:respawn:x"


def table(*lines: str) -> TableRead:
    return TableRead(Cltab(tuple(entry(line, number) for number, line in enumerate(lines, 1))))


class Story:
    """A supervisor and what it did last."""

    def __init__(self, *lines: str) -> None:
        self.supervisor = Supervisor()
        self.effects: tuple[Effect, ...] = ()
        self.now = 100.0
        self.happens(table(*lines))

    def happens(self, *events: Event) -> Story:
        self.effects = ()
        for event in events:
            self.supervisor, effects = step(self.supervisor, event, self.now)
            self.effects += effects
        return self

    def ends(self, group: str, tag: str) -> Story:
        run = self.supervisor.units[group].processes[tag].run
        return self.happens(EntryEvent(group, tag, Exited(run, Exit(-2))))

    def empties(self, group: str) -> Story:
        visit = self.supervisor.units[group].group.visit
        return self.happens(GroupEmptied(group, visit))

    @property
    def answer(self) -> TellReply:
        (answer,) = (effect for effect in self.effects if isinstance(effect, TellReply))
        return answer

    @property
    def started(self) -> list[str]:
        return [effect.entry.tag for effect in self.effects if isinstance(effect, Launch)]

    @property
    def signalled(self) -> list[str]:
        return [effect.entry.tag for effect in self.effects if isinstance(effect, Signal)]

    def line(self, group: str) -> str:
        its = self.supervisor.units[group].group
        return f"{its.level} {its.state}"


def test_the_answers_to_a_tell_are_the_originals_c4_1_c4_13() -> None:
    story = Story(G)
    assert story.happens(Tell("g", "1")).answer == TellReply(
        ok=True, text="level transition started"
    )
    assert story.happens(Tell("x", "1")).answer == TellReply(ok=False, text="no such group: x")
    assert "x" not in story.supervisor.units


def test_groups_are_independent_c4_10_c5_6() -> None:
    story = Story(G, H).happens(Tell("g", "1"), Tell("h", "1"))
    assert story.started == ["a", "b"]
    story.happens(table("g:a:1:respawn:y", "h:b:1:respawn:y"), Tell("g", "1"))
    assert story.signalled == ["a"]
    assert story.line("h") == "1 DONE"


def test_a_new_table_alone_moves_nothing_that_is_still_in_it_c1_16() -> None:
    story = Story(G).happens(Tell("g", "1"), table("g:a:1:respawn:y", H))
    assert story.signalled == []
    assert story.line("g") == "1 DONE"


def test_a_removed_group_ends_in_an_orderly_way_and_is_gone_c5_4() -> None:
    story = Story(G, H).happens(Tell("g", "1")).happens(table(H))
    assert story.signalled == ["a"]
    assert story.line("g") == "1 HALTING"
    story.ends("g", "a").empties("g")
    assert Gone("g") in story.effects
    assert "g" not in story.supervisor.units


def test_a_removed_group_that_comes_back_starts_from_nothing_c5_4() -> None:
    story = Story(G).happens(Tell("g", "1")).happens(table(H), table(G), Tell("g", "1"))
    assert story.answer.ok
    assert story.started == []
    story.ends("g", "a")
    assert story.started == []
    story.empties("g")
    assert story.started == ["a"]
    assert story.line("g") == "1 DONE"


def test_a_removed_group_that_comes_back_after_kill_at_runs_no_stop_entries() -> None:
    undo = "g:s:stop:wait:x"
    story = Story(G, undo).happens(Tell("g", "1", 7, "", 200.0, 230.0))
    story.happens(table()).happens(table(G, undo))
    story.now = 300.0
    story.happens(GroupTimePassed(), Tell("g", "stop", 7)).ends("g", "a").empties("g")
    assert story.started == []
    assert story.supervisor.units["g"].group.wanted == "stop"


def test_an_instance_has_the_entries_of_its_group_and_goes_with_it() -> None:
    story = Story(G, H).happens(Tell("g@3", "1"))
    assert story.answer.ok
    unit = story.supervisor.units["g@3"]
    assert [(entry.group, entry.tag) for entry in unit.entries] == [("g@3", "a")]
    story.happens(table(G))
    assert story.line("g@3") == "1 DONE"
    story.happens(table(H))
    assert story.line("g@3") == "1 HALTING"
    story.ends("g@3", "a").empties("g@3")
    assert Gone("g@3") in story.effects


def test_a_group_removed_again_forgets_that_it_was_told() -> None:
    story = Story(G).happens(Tell("g", "1")).happens(table(H), table(G), Tell("g", "1"), table(H))
    story.ends("g", "a").empties("g")
    assert story.started == []
    assert "g" not in story.supervisor.units


def test_a_shutdown_halts_all_groups_and_refuses_tells_c8_3_c4_21() -> None:
    story = Story(G, H).happens(Tell("g", "1"), Tell("h", "1")).happens(ShutdownAsked())
    assert story.answer == TellReply(ok=True, text="all groups halting")
    assert story.signalled == ["a", "b"]
    assert story.happens(Tell("g", "2")).answer == TellReply(ok=False, text="all groups halting")
    story.ends("g", "a").empties("g")
    assert story.line("g") == "1 CONFIGURED"
    assert Halted() not in story.effects
    story.ends("h", "b").empties("h")
    assert story.effects[-1] == Halted()


def test_a_shutdown_without_groups_is_over_at_once_c8_3() -> None:
    assert Halted() in Story(G).happens(ShutdownAsked()).effects


def test_a_removed_group_that_is_ending_obeys_a_stop_and_nothing_else() -> None:
    story = Story(G).happens(Tell("g", "1")).happens(table(H))
    assert story.happens(Tell("g", "stop")).answer.ok
    assert story.line("g") == "1 HALTING"
    assert not story.happens(Tell("g", "1")).answer.ok
    story.ends("g", "a").empties("g")
    assert not story.happens(Tell("g", "stop")).answer.ok
    back = Story(G).happens(Tell("g", "1")).happens(table(H), table(G), Tell("g", "1"), table(H))
    assert back.happens(Tell("g", "stop"), table(G)).ends("g", "a").empties("g").started == []


def test_a_shutdown_while_a_group_is_being_removed_waits_for_it() -> None:
    story = Story(G).happens(Tell("g", "1")).happens(table(H)).happens(ShutdownAsked())
    assert Halted() not in story.effects
    story.ends("g", "a").empties("g")
    assert story.effects[-2:] == (Gone("g"), Halted())


def test_events_of_groups_and_entries_that_are_gone_are_late() -> None:
    story = Story(G)
    late = EntryEvent("g", "a", Exited(1, Exit(0)))
    assert (
        story.happens(late, GroupEmptied("g", 1), Leased({"g": (1, Deadlines(1, 2))})).effects == ()
    )
    story.happens(Tell("g", "1")).happens(EntryEvent("g", "zz", Exited(1, Exit(0))))
    assert story.effects == ()


def test_leases_are_renewed_for_many_groups_at_once() -> None:
    story = Story(G, H)
    for name in ("g", "h"):
        story.happens(Tell(name, "1", 1, "", 130, 160))
    story.happens(Leased({"g": (1, Deadlines(200, 230)), "h": (2, Deadlines(200, 230))}))
    assert story.supervisor.due == 130
    story.now = 131
    story.happens(GroupTimePassed())
    shown = [effect.after.name for effect in story.effects if isinstance(effect, Shown)]
    assert shown == ["h"]
    assert story.supervisor.units["g"].group.state is GroupState.DONE


def test_the_next_due_is_the_earliest_of_all() -> None:
    story = Story(G, H).happens(Tell("h", "1"), Tell("h", "2"))
    assert story.supervisor.due == 105
