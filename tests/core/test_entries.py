"""Whether entries are well: every way in which `start DONE` is not the whole truth."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mosha.core.cluster.own_status import TROUBLES_MAX, compose
from mosha.core.escalation import Limits
from mosha.core.explain.verdicts import judge
from mosha.core.explain.why import why
from mosha.core.status import GroupState, Trouble, TroubleKind
from mosha.core.supervision.entries import (
    FAILURES_MIN,
    LATE_S,
    LATE_TO_STOP_S,
    PER_GROUP_MAX,
    PUBLISHED_PER_GROUP_MAX,
    EntryReport,
    trouble_text,
    troubles,
    troubles_text,
)
from mosha.core.supervision.failures import DAEMONIZED_S, STEADY_S
from mosha.core.supervision.process import advance
from mosha.core.supervision.process_events import (
    Exit,
    Exited,
    Spawned,
    SpawnFailed,
    Started,
    StopAsked,
)
from mosha.core.supervision.process_record import Process, new_process
from mosha.core.tables import Cltab, Entry, Mode, Wish
from tests.core.story import G, Story, hactl, one_of_three, report, status

NOW = 5000.0
LIMITS = Limits()


def entry(mode: str = "respawn", state: str = "running", **more: Any) -> EntryReport:
    facts: dict[str, Any] = {"command": "/bin/d", "since": NOW - 500.0, "starts": 1}
    return EntryReport("d", Mode(mode), state, **(facts | more))


def defined(command: str = "/bin/d", mode: str = "respawn", tag: str = "d") -> Entry:
    return Entry(G, tag, "start", Mode(mode), command)


def kinds(*found: EntryReport, level: str = "start", state: str = "DONE") -> list[str]:
    wrong = troubles(found, level, GroupState(state), [defined()], NOW)
    return [trouble.kind.value for trouble in wrong]


# --- what is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (entry(), None),
        (entry(exit="signal 9", failures=1, starts=2, since=NOW), None),
        (entry(state="pausing", failures=9, exit="exit 1"), "pausing"),
        (entry(failures=FAILURES_MIN, since=NOW - 5), "failing"),
        (entry(failures=FAILURES_MIN, since=NOW - STEADY_S), None),
        (entry(state="clearing", failures=FAILURES_MIN), "failing"),
        (entry(daemonized=FAILURES_MIN - 1, exit="exit 0", since=NOW), None),
        (entry(daemonized=FAILURES_MIN, exit="exit 0", since=NOW), "failing"),
        (entry(state="clearing", daemonized=FAILURES_MIN, exit="exit 0"), "failing"),
        (entry(error="cannot execute: x: No such file or directory"), "unable"),
        (entry(state="pausing", error="cannot execute: x: No such file"), "unable"),
        (entry("once", "done", error="cannot execute: x: No such file"), "unable"),
        (entry("wait", "done", exit="exit 127"), "unable"),
        (entry("wait", "done", exit="exit 126"), "unable"),
        (entry("wait", "done", exit="exit 3"), None),
        (entry("once", "running"), None),
        (entry("wait", "running", since=NOW - LATE_S), None),
        (entry("wait", "running", since=NOW - LATE_S - 1), "late"),
        (entry("test", "running", since=NOW - LATE_S - 1), "late"),
        (entry(state="stopping", since=NOW - LATE_TO_STOP_S), None),
        (entry(state="stopping", since=NOW - LATE_TO_STOP_S - 1), "late"),
        (entry("off", "off"), None),
    ],
)
def test_an_entry_is_well_or_says_what_is_wrong(found: EntryReport, kind: str | None) -> None:
    wrong = troubles((found,), "start", GroupState.DONE, None, NOW)
    assert [trouble.kind.value for trouble in wrong] == ([kind] if kind else [])


def test_what_runs_as_an_older_cltab_had_it_is_outdated() -> None:
    assert kinds(entry()) == []
    assert kinds(entry(command="/bin/old")) == ["outdated"]
    assert kinds(entry("once")) == ["outdated"]
    (more, missing) = troubles(
        (entry(),), "start", GroupState.DONE, [defined(tag="e"), defined(tag="f")], NOW
    )[1:]
    assert (more.tag, missing.tag, more.text) == ("e", "f", "new in cltab, not started yet")
    (gone,) = troubles((entry(),), "start", GroupState.DONE, [], NOW)
    assert gone.text == "cltab no longer has it at start"


def test_what_was_moved_across_an_agent_is_outdated_and_what_was_moved_otherwise_is_not() -> None:
    a, disk, b = defined(tag="a"), defined("Filesystem", "ocf", "disk"), defined(tag="b")
    known = [EntryReport(it.tag, it.mode, "running", command=it.command) for it in (a, disk, b)]

    def moved(*lines: Entry) -> list[str]:
        found = troubles(known, "start", GroupState.DONE, lines, NOW)
        assert {trouble.text for trouble in found} <= {"cltab has it in another place"}
        return [trouble.tag for trouble in found]

    assert moved(a, disk, b) == []
    assert moved(disk, a, b) == ["a"]
    assert moved(a, b, disk) == ["b"]
    assert moved(b, disk, a) == ["a", "b"]


@pytest.mark.parametrize(("level", "state"), [("start", "STARTING"), ("plan", "DONE")])
def test_what_is_on_its_way_or_planned_is_not_outdated(level: str, state: str) -> None:
    assert kinds(entry(command="/bin/old"), level=level, state=state) == []


def test_a_clinit_of_an_older_version_says_no_command_and_nothing_is_outdated() -> None:
    assert kinds(entry(command="")) == []


def test_it_is_said_with_the_last_words_of_the_program() -> None:
    found = entry(state="pausing", starts=7, exit="exit 1", said=("x", "bind: address in use"))
    (trouble,) = troubles((found,), "start", GroupState.DONE, None, NOW)
    assert trouble == Trouble("d", TroubleKind.PAUSING, 6, 500, "exit 1: bind: address in use")
    assert trouble_text(trouble) == (
        "entry d respawns too rapidly and pauses, 6 restarts: exit 1: bind: address in use"
    )


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("failing", entry(failures=FAILURES_MIN, since=NOW - 5)),
        ("failing", entry(state="clearing", failures=FAILURES_MIN)),
        ("unhealthy", entry("monitor", failures=2, failures_max=2)),
    ],
)
def test_with_the_exit_of_the_run_that_failed_comes_what_that_run_said(
    kind: str, found: EntryReport
) -> None:
    """Not what the run prints that goes on, and may be well."""
    found = replace(found, exit="exit 1", exit_said="the disk is gone", said=("Running start",))
    (trouble,) = troubles((found,), "start", GroupState.DONE, None, NOW)
    assert (trouble.kind, trouble.text) == (kind, "exit 1: the disk is gone")
    (trouble,) = troubles((replace(found, exit_said=""),), "start", GroupState.DONE, None, NOW)
    assert trouble.text == "exit 1"


def test_of_one_that_went_into_the_background_the_cause_is_said() -> None:
    found = entry(
        state="pausing", starts=7, exit="exit 0", daemonized=6, said=("Address already in use",)
    )
    (trouble,) = troubles((found,), "start", GroupState.DONE, None, NOW)
    assert trouble_text(trouble) == (
        "entry d respawns too rapidly and pauses, 6 restarts: exit 0: it went into the background;"
        " run it in the foreground: Address already in use"
    )


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("unable", "cannot execute: x: No such file", "entry d cannot execute: x: No such file"),
        ("unable", "exit 127: sh: x: not found", "entry d did not find its program: exit 127: "),
        ("retrying", "could not be started: x", "entry d could not be started: x"),
        ("failing", "signal 11", "entry d keeps failing, 1 restart: signal 11"),
        ("late", "", "entry d has not ended for 42 s"),
        ("outdated", "cltab has a newer definition", "entry d: cltab has a newer definition"),
        ("other", "what only later versions say", "entry d: what only later versions say"),
    ],
)
def test_every_kind_has_words(kind: str, text: str, told: str) -> None:
    assert trouble_text(Trouble("d", TroubleKind(kind), 1, 42, text)).startswith(told)


def test_many_are_counted_not_listed() -> None:
    found = [Trouble(f"t{n}", TroubleKind.PAUSING) for n in range(PER_GROUP_MAX + 3)]
    assert troubles_text(found).endswith("; and 3 more entries")


# --- what clinit counts ----------------------------------------------------------------------


def run(process: Process, *, code: int, for_s: float, now: float) -> Process:
    """Let the present run end, and return the entry as it is after that."""
    process, _ = advance(process, Spawned(process.run, 17), now, LIMITS)
    ended = Exited(process.run, Exit(code), said="so it goes")
    process, _ = advance(process, ended, now + for_s, LIMITS)
    return process


def test_failures_in_a_row_are_counted_until_a_run_is_steady_or_ends_well() -> None:
    process, _ = advance(new_process(defined()), Started(1), 0.0, LIMITS)
    now, counted = 0.0, []
    for code, for_s in ((1, 5), (-9, 5), (1, STEADY_S), (1, 2), (0, 5), (1, 5)):
        process = run(process, code=code, for_s=for_s, now=now)
        now += for_s
        counted.append(process.failures)
    assert counted == [1, 2, 1, 2, 0, 1]
    assert (process.exit, process.said, process.since) == ("exit 1", "so it goes", now)


def test_runs_that_end_well_at_once_and_leave_processes_went_into_the_background() -> None:
    process, _ = advance(new_process(defined()), Started(1), 0.0, LIMITS)
    now, counted = 0.0, []
    runs = ((0, 0.1, True), (0, 2, True), (0, DAEMONIZED_S, True), (0, 2, True), (0, 2, False))
    for code, for_s, left in (*runs, (1, 2, True), (0, 2, True)):
        process, _ = advance(process, Spawned(process.run, 17), now, LIMITS)
        now += for_s
        process, _ = advance(process, Exited(process.run, Exit(code), elsewhere=left), now, LIMITS)
        counted.append(process.daemonized)
    assert counted == [1, 2, 0, 1, 0, 0, 1]


def test_a_run_that_cannot_be_executed_is_a_failure_with_its_error_until_one_can() -> None:
    process, _ = advance(new_process(defined()), Started(1), 0.0, LIMITS)
    process, _ = advance(process, SpawnFailed(1, "cannot execute: x"), 0.0, LIMITS)
    assert (process.error, process.failures) == ("cannot execute: x", 1)
    process, _ = advance(process, Spawned(process.run, 17), 1.0, LIMITS)
    assert process.error == ""


def test_who_is_stopped_has_not_failed() -> None:
    process, _ = advance(new_process(defined()), Started(1), 0.0, LIMITS)
    process, _ = advance(process, Spawned(1, 17), 0.0, LIMITS)
    process, _ = advance(process, StopAsked(), 1.0, LIMITS)
    process, _ = advance(process, Exited(1, Exit(-15)), 1.5, LIMITS)
    assert process.failures == 0


# --- what nodes say of it --------------------------------------------------------------------


def at_home_on_1(*found: EntryReport) -> Story:
    story = one_of_three()
    node = story.nodes[1]
    node.tables_adopted(hactl(Wish(G, "start")), frozenset({G}), {}, {})
    node.cltab_adopted(Cltab((defined(),)))
    shown = report("start", GroupState.DONE, wanted="start", alive=1, term=1)
    node.clinit_answered([type(shown)(**{**as_dict(shown), "entries": found})], story.now)
    return story


def as_dict(found: Any) -> dict[str, Any]:
    return {name: getattr(found, name) for name in found.__struct_fields__}


def published(story: Story) -> dict[tuple[str, str], Trouble]:
    return dict(compose(story.nodes[1].state, seq=9, now=story.now, left=False).troubles)


def test_a_group_is_not_as_wanted_while_an_entry_pauses_on_any_node() -> None:
    pausing = entry(state="pausing", exit="exit 1", said=("no such port",), since=None)
    story = at_home_on_1(pausing)
    found = judge(story.nodes[1].state, G, story.now)
    words = "entry d respawns too rapidly and pauses, 0 restarts: exit 1: no such port"
    assert (found.ok, found.why) == (False, f"start DONE on node 1, but {words}")
    assert "mosha status g" in found.next
    # What it publishes makes every other node say the same.
    other = one_of_three()
    said = status(2, 5, groups=dict(compose_lines(story)), claims={G: 1})
    said = type(said)(**{**as_dict(said), "troubles": published(story)})
    other.hear(1, said)
    there = judge(other.nodes[1].state, G, other.now)
    assert (there.ok, there.why) == (False, f"start DONE on node 2, but {words}")
    told = why(other.nodes[1].state, G, other.now, 0.0)
    assert not told.ok
    assert any(reason.rule == "entry" and "no such port" in reason.said for reason in told.reasons)


def compose_lines(story: Story) -> dict[str, Any]:
    return dict(compose(story.nodes[1].state, seq=9, now=story.now, left=False).groups)


def test_a_group_that_runs_by_an_older_cltab_says_so_and_what_to_do() -> None:
    story = at_home_on_1(entry(command="/bin/old", since=None))
    found = judge(story.nodes[1].state, G, story.now)
    assert not found.ok
    assert found.why == (
        "runs on node 1 as an older cltab had it: entry d: cltab has a newer definition"
    )
    assert found.next.startswith("to apply the new one: ")


def test_why_says_of_each_entry_here_how_it_is() -> None:
    story = at_home_on_1(entry(since=None, pid=17))
    told = why(story.nodes[1].state, G, story.now, 0.0)
    assert told.ok
    (reason,) = (reason for reason in told.reasons if reason.rule == "entry")
    assert reason.said == "entry d (respawn) is running, pid 17"


def test_what_a_node_publishes_of_its_bad_luck_is_bounded() -> None:
    story = one_of_three()
    stopped = [EntryReport(f"s{n}", Mode.RESPAWN, "stopped", held=True) for n in range(9)]
    many = stopped + [EntryReport(f"t{n}", Mode.RESPAWN, "pausing") for n in range(9)]
    shown = report("start", GroupState.DONE, wanted="start", alive=1)
    plain = as_dict(shown) | {"entries": tuple(many)}
    locals_ = [type(shown)(**(plain | {"group": f"g{n}"})) for n in range(99)]
    story.nodes[1].clinit_answered(locals_, story.now)
    found = published(story)
    assert len(found) == TROUBLES_MAX
    tags = [tag for group, tag in found if group == "g0"]
    assert len(tags) == PUBLISHED_PER_GROUP_MAX
    assert {f"t{n}" for n in range(9)} < set(tags), "what failed goes first"
