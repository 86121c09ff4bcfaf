"""The consolidated view: every fact with who said it and how old it is, and what is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from mosha.core.cluster import orders
from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.fencing import FencingRules
from mosha.core.cluster.quorum import Electorate, Policy
from mosha.core.cluster.timing import CLOCK_RATE_ERROR, KILL_BASE_S, KILL_PER_GROUP_S, kill_warning
from mosha.core.explain.problems import ProblemKind
from mosha.core.explain.why import why
from mosha.core.status import (
    Ban,
    GroupLine,
    GroupState,
    NodeState,
    Order,
    Receipt,
    Stamp,
    Status,
    TableVersion,
    Verb,
    Vote,
)
from mosha.core.supervision.entries import EntryReport
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tables import Cltab, Entry, Mode, Wish
from mosha.formats.hastat import (
    GroupView,
    NodeReport,
    Problem,
    Report,
    hastat_schema,
    parse_hastat,
    render_hastat,
)
from mosha.monitor import report as report_module
from mosha.monitor.problems import problems
from mosha.monitor.report import HostFacts, make, of_groups
from tests.core.story import INC, START_S, TIMING, G, Story, hactl, one_of_three, status

T = TIMING.timeout_s


def says(node: int, seq: int = 2, **more: Any) -> Status:
    return status(node, seq, **({"seen": {1: Stamp(INC, 1)}} | more))


def at(level: str, state: GroupState = GroupState.DONE) -> dict[str, GroupLine]:
    return {G: GroupLine(level, state)}


def report(story: Story, **around: Any) -> Report:
    return make(story.nodes[1], HostFacts(**around), story.now)


def node(found: Report, number: int) -> NodeReport:
    return next(item for item in found.nodes if item.node == number)


def group(found: Report, name: str = G) -> GroupView:
    return next(item for item in found.groups if item.group == name)


def owner() -> Story:
    """Node 1 owns `g` and is at `start`."""
    story = one_of_three()
    story.step(1)
    story.write(1)
    story.hear(1, says(2, votes={G: Vote(1, 1, INC, 2)}, seen={1: Stamp(INC, 2)}), says(3))
    story.step(1)
    story.step(1)
    assert story.at_home() == [1]
    return story


def make_stale(story: Story, number: int) -> None:
    story.now += T + 1
    story.hear(1, says(5 - number, 90))
    story.miss(1, number)


def full() -> Story:
    """A story in which every part of a report says something."""
    story = owner()
    votes = {"h": Vote(4, 3, INC, 3)}
    story.hear(
        1,
        says(2, 3, votes={G: Vote(1, 1, INC, 2)} | votes, seen={1: Stamp(INC, 2)}),
        says(
            *(3, 3),
            votes=votes,
            claims={"h": 4},
            groups={"h": GroupLine("stop", GroupState.FAILED)},
            bans={G: Ban(240, "entry t1: exit 1")},
            refused={"cltab": "line 3: no such mode"},
            tables={"hactl": TableVersion(5, "d")},
        ),
    )
    story.nodes[1].tables_adopted(
        hactl(Wish(G, "start", prefer=(1,)), Wish("far", "start")),
        frozenset({G}),
        {"hactl": TableVersion(9, "e")},
        {"hactl": "line 1: no level"},
    )
    return story


# --- the form --------------------------------------------------------------------------------


@pytest.mark.parametrize("story", [Story, one_of_three, owner, full])
def test_a_report_is_what_its_schema_says_and_can_be_read_back(story: Any) -> None:
    entry = EntryReport("t", Mode.RESPAWN, "pausing", starts=9, exit="exit 1", until=2000.0)
    detail = GroupReport(G, "start", GroupState.DONE, "start", entries=(entry,))
    found = report(story(), groups={G: detail}, troubles=["t"], warnings=["w"])
    data = render_hastat(found)
    jsonschema.validate(json.loads(data), hastat_schema())
    assert parse_hastat(data) == found


def test_a_report_says_who_made_it_when_and_with_which_times() -> None:
    found = report(one_of_three())
    assert found.node == 1
    age_s = (datetime.now(UTC) - datetime.fromisoformat(found.time)).total_seconds()
    assert -1 < age_s < 60
    assert found.timing.timeout_s == T
    assert found.timing.lease_s == TIMING.lease_s


# --- nodes -----------------------------------------------------------------------------------


def test_the_own_node_is_shown_with_the_age_of_its_last_write() -> None:
    story = owner()
    story.now += 1.5
    own = node(report(story), 1)
    assert (own.state, own.age_s, own.inc, own.seq, own.load) == ("self", 1.5, INC, 2, 1)
    assert not own.silent


def test_a_node_that_has_not_published_yet_has_no_age() -> None:
    own = node(report(Story()), 1)
    assert (own.age_s, own.seq, own.silent) == (None, 0, True)


def test_a_peer_is_shown_with_the_age_of_its_news_and_what_it_says_of_itself() -> None:
    story = full()
    story.now += 2.5
    peer = node(report(story), 3)
    assert (peer.state, peer.age_s, peer.inc, peer.seq) == ("fresh", 2.5, INC, 3)
    assert peer.refused == {"cltab": "line 3: no such mode"}
    assert peer.tables["hactl"].digest == "d"
    assert peer.load == 1


STANDINGS = [
    ("fresh", says(3)),
    ("leaving", says(3, state=NodeState.LEAVING)),
    ("left", says(3, state=NodeState.LEFT)),
]


@pytest.mark.parametrize(("state", "said"), STANDINGS)
def test_what_a_peer_is_has_a_word(state: str, said: Status) -> None:
    story = one_of_three()
    story.hear(1, said)
    assert node(report(story), 3).state == state


def fenced() -> Story:
    """Node 3 is silent, and there is a receipt that it is dead (R1)."""
    story = one_of_three()
    make_stale(story, 3)
    story.hear(1, says(2, 99, fenced={3: Receipt(INC, "ipmi")}))
    return story


def test_who_is_dead_by_a_receipt_is_fenced() -> None:
    assert node(report(fenced()), 3).state == "fenced"


def test_stale_and_never_have_words_too_and_the_reason_of_the_last_look() -> None:
    story = Story()
    story.nodes[1].peer_read(2, None, began=story.now, now=story.now, error="no clstat")
    found = report(story)
    assert (node(found, 2).state, node(found, 2).error) == ("never", "no clstat")
    story = one_of_three()
    make_stale(story, 3)
    assert node(report(story), 3).state == "stale"
    assert node(report(story), 3).age_s == T + 1


def test_a_node_that_is_no_member_any_more_is_still_shown() -> None:
    story = full()
    story.nodes[1].members_found(frozenset({1, 2}))
    assert [item.node for item in report(story).nodes] == [1, 2, 3]


def test_the_own_tables_are_those_in_force_be_they_published_yet_or_not() -> None:
    story = one_of_three()
    story.write(1)
    versions = {"hactl": TableVersion(9, "e")}
    story.nodes[1].tables_adopted(hactl(Wish(G, "start")), frozenset({G}), versions, {})
    assert node(report(story), 1).tables["hactl"].digest == "e"


def test_a_node_that_missed_heartbeats_is_late_long_before_timeout() -> None:
    story = one_of_three()
    beat_s = TIMING.heartbeat_s
    story.nodes[1].state.view.roundtrips = {2: beat_s / 2, 3: 4 * beat_s}
    story.now += 5.6 * beat_s
    story.miss(1, 2)
    story.miss(1, 3)  # on a slow medium that is no delay
    found = report(story)
    assert (node(found, 2).state, node(found, 2).late, node(found, 3).late) == ("fresh", 5, 0)
    assert "node 2 is late: 5 heartbeats missed" in found.problems
    assert not found.as_wanted
    story.hear(1, says(2, 9))
    assert node(report(story), 2).late == 0


def test_who_did_not_look_accuses_nobody_of_being_late() -> None:  # O3
    story = one_of_three()
    story.now += 0.9 * T
    assert node(report(story), 2).late == 0


def test_the_heartbeat_is_that_of_the_node_if_it_says_its_own() -> None:
    story = one_of_three()
    story.hear(1, says(2, 5, heartbeat_ms=int(TIMING.heartbeat_s * 4000)))
    story.now += 5.5 * TIMING.heartbeat_s
    story.miss(1, 2)
    assert node(report(story), 2).late == 0


# --- quorum, shots, margin -----------------------------------------------------------------------


def test_the_quorum_is_shown_with_its_sum() -> None:
    quorum = report(owner()).quorum
    assert (quorum.has, quorum.policy, quorum.seen, quorum.needed) == (True, "majority", 3, 2)
    assert quorum.electorate == [1, 2, 3]
    assert quorum.reason == "3 of 3 nodes fresh, 2 needed"


def test_h2_1_the_adaptive_quorum_is_shown_with_its_own_sum() -> None:
    story = one_of_three()
    story.nodes[1].state.view.electorate = Electorate(Policy.ADAPTIVE, frozenset({1, 2, 3, 4}), 5)
    quorum = report(story).quorum
    assert (quorum.policy, quorum.seen, quorum.needed) == ("adaptive", 3, 3)


def test_every_shot_is_shown_with_its_outcome_and_its_age() -> None:
    story = one_of_three()
    story.hear(1, says(3))
    story.now += TIMING.start_grace_s
    make_stale(story, 3)
    (order,) = story.shots(1)
    story.now += 2.0
    story.nodes[1].shot(ShotEnded(order, "failed", "ipmi", "exit 1"), story.now)
    story.now += 3.0
    (shot,) = report(story).shots
    told = (shot.node, shot.inc, shot.method, shot.outcome, shot.detail, shot.age_s)
    assert told == (3, INC, "ipmi", "failed", "exit 1", 3.0)


def test_the_margin_uses_the_round_trip_of_the_supporter_that_the_lease_waits_for() -> None:
    story = one_of_three()
    view = story.nodes[1].state.view
    assert report(story).margin.roundtrip_s == 0.0
    view.roundtrips = {2: 1.0, 3: 4.0, 9: 0.1}  # node 9 does not vote
    found = report(story).margin
    assert found.roundtrip_s == 1.0
    assert found.lease_margin == pytest.approx(TIMING.lease_s / (1.0 + TIMING.heartbeat_s))
    assert found.warning == ""
    view.roundtrips = {2: 5.0, 3: 4.0}
    found = report(story).margin
    assert found.roundtrip_s == 4.0
    assert found.warning == (
        "the lease is only 1.2 times what its renewal takes: "
        "raise `timeout`, or make the file system faster"
    )


def test_a_stale_nodes_round_trip_does_not_count() -> None:
    story = one_of_three()
    story.nodes[1].state.view.roundtrips = {3: 1.0, 2: 4.0}
    make_stale(story, 3)
    assert report(story).margin.roundtrip_s == 4.0


# --- groups ----------------------------------------------------------------------------------


def test_a_group_at_home_is_shown_with_its_owner_term_lease_and_votes() -> None:
    story = owner()
    story.now += 1.0
    found = group(report(story))
    assert (found.ok, found.why, found.wanted, found.where) == (True, "", "start", [1])
    assert (found.term, found.lease_s) == (1, TIMING.lease_s - 1.0)
    assert found.votes == {1: 1, 2: 1}
    (instance,) = found.instances
    assert (instance.node, instance.level, instance.claim_term) == (1, "start", 1)
    assert found.prefer == [1]


@pytest.mark.parametrize(("votes_max", "all_votes"), [(3, True), (2, False)])
def test_with_too_many_votes_those_for_groups_that_are_as_wanted_are_left_out(
    monkeypatch: pytest.MonkeyPatch, votes_max: int, *, all_votes: bool
) -> None:
    monkeypatch.setattr(report_module, "ALL_VOTES_MAX", votes_max)
    story = owner()
    votes = {1: 1, 2: 1}
    assert group(report(story)).votes == (votes if all_votes else {})
    story.adopt_tables(1, hactl(Wish(G, "other")))
    assert not group(report(story)).ok
    assert group(report(story)).votes == votes


def test_a_lease_that_has_run_out_is_not_shown_before_the_brain_has_noticed() -> None:
    story = owner()
    story.now += TIMING.lease_s + 0.1
    assert group(report(story)).lease_s is None


def test_stale_facts_are_shown_with_their_age_and_do_not_count() -> None:
    story = one_of_three()
    story.hear(1, says(3, claims={G: 4}, groups=at("start")))
    make_stale(story, 3)
    found = group(report(story))
    (instance,) = found.instances
    assert (instance.node, instance.said_by, instance.age_s) == (3, 3, T + 1)
    assert (found.where, found.ok) == ([], False)


def test_every_group_that_anybody_wants_or_has_is_listed() -> None:
    assert [item.group for item in report(full()).groups] == ["far", "g", "h"]


def test_who_may_not_run_a_group_is_listed_with_its_reason_and_bans_with_their_time() -> None:
    story = full()
    story.nodes[1].tell_refused(G, "start", "no such group", story.now)
    found = group(report(story))
    assert [(ban.node, ban.left_s, ban.reason) for ban in found.bans] == [
        (1, TIMING.ban_s, "clinit: no such group"),
        (3, 240.0, "entry t1: exit 1"),
    ]
    assert found.not_here == {
        1: "banned here: clinit: no such group",
        3: "banned there for 240 s: entry t1: exit 1",
    }


def test_entries_and_the_respawn_throttle_come_from_clinit() -> None:
    entries = (
        EntryReport("a", Mode.RESPAWN, "running", pid=17, starts=2, exit="signal 9"),
        EntryReport("b", Mode.RESPAWN, "pausing", starts=9, exit="exit 1", until=START_S + 5),
        EntryReport("c", Mode.RESPAWN, "running", pid=18, until=START_S - 5),
    )
    story = owner()
    detail = GroupReport(G, "start", GroupState.DONE, "start", entries=entries)
    found = group(report(story, groups={G: detail}))
    assert [(e.tag, e.mode, e.state, e.pid) for e in found.entries] == [
        ("a", "respawn", "running", 17),
        ("b", "respawn", "pausing", 0),
        ("c", "respawn", "running", 18),
    ]
    assert [(item.tag, item.left_s) for item in found.throttled] == [("b", 5.0)]


def test_refused_files_are_shown_with_who_refuses_them() -> None:
    found = [(item.node, item.file, item.text) for item in report(full()).refused]
    assert found == [(1, "hactl", "line 1: no level"), (3, "cltab", "line 3: no such mode")]


# --- problems ----------------------------------------------------------------------------------


def test_a_cluster_that_is_well_has_no_problems() -> None:
    assert report(owner()).problems == []


@pytest.mark.parametrize("late_s", [0.05, 5.0])
def test_a_kill_that_came_too_late_is_a_problem_that_stands(late_s: float) -> None:
    story = owner()
    state = story.nodes[1].state
    state.reports[G] = replace(state.reports[G], killed_late_s=late_s)
    found = report(story).problems
    slack_s = 0.99 * T - TIMING.lease_s - TIMING.stop_budget_s
    assert bool(found) is (late_s > slack_s)
    if found:
        assert found[0].startswith(f"group {G} was killed 5.0 s late on node 1")
        assert "it may have run on two nodes" in found[0]
        assert found[0].endswith(f": mosha cleanup {G} 1")
        orders.give(state, Order(Verb.CLEANUP, G, 1), story.now)
        assert report(story).problems == []
        state.reports[G] = replace(state.reports[G], killed_late_s=late_s + 1)
        assert report(story).problems, "another one is to be looked at too"


def test_a_kill_that_came_too_late_is_shown_by_every_node_before_all_else() -> None:
    story = owner()
    state = story.nodes[1].state
    state.reports[G] = replace(state.reports[G], killed_late_s=4.0)
    assert story.nodes[1].next_status(story.now).late_kills == {G: 4000}
    record = state.record(G)
    record.late_seen_s = 4.0
    assert story.nodes[1].next_status(story.now).late_kills == {}
    story.hear(1, says(2, 9, late_kills={"h": 3600}))
    found = report(story, troubles=["the disk is full"])
    assert found.problems[0] == (
        "group h was killed 3.6 s late on node 2 (it may be 0.9 s): it may have run on two nodes;"
        " look at its data -> this stands until you say that you have: mosha cleanup h 2"
    )
    assert found.problem_list[0].subjects == ["2"]


def test_what_clinit_has_reported_is_as_old_as_its_last_word() -> None:
    story = owner()
    for lost_at, age_s in ((None, 0.0), (story.now - 7.0, 7.0)):
        (here,) = group(report(story, clinit_lost_at=lost_at)).instances
        assert (here.node, here.age_s) == (1, age_s)


def test_what_was_there_before_this_monitor_started_is_not_vouched_for() -> None:
    story = one_of_three()
    found = report(story)
    assert [node.confirmed for node in found.nodes] == [True, False, False]
    assert found.problem_list[0].kind == ProblemKind.NODE_UNCONFIRMED
    assert found.problems[0] == (
        "nodes 2, 3 have published nothing since this monitor started: what is shown of them may"
        " be old"
    )
    assert found.quorum.reason == "3 of 3 nodes fresh, 2 needed; not confirmed yet: 2, 3"
    story.hear(1, says(2), says(3))
    assert all(node.confirmed for node in report(story).nodes)
    story = one_of_three()
    make_stale(story, 3)
    (text,) = (p for p in report(story).problems if "stale" in p)
    assert text == "node 3 is stale: nothing new since this monitor started"


def test_problems_come_in_the_order_of_their_weight() -> None:
    story = full()
    story.nodes[1].state.view.roundtrips = {2: 9.0}
    entry = EntryReport("t1", Mode.RESPAWN, "pausing", until=START_S + 4.0)
    detail = GroupReport(G, "start", GroupState.DONE, "start", entries=(entry,))
    problems = report(
        story, groups={G: detail}, troubles=["cannot publish: full"], warnings=["hactl line 9"]
    ).problems
    assert problems == [
        "cannot publish: full",
        (
            "group far: hactl wants it at start, but cltab has no group far"
            " -> add far to cltab, or take it out of hactl"
        ),
        (
            "group h: its stop entries failed on node 3: no other node may start it"
            " -> repair what failed there, then: mosha cleanup h 3"
        ),
        "hactl on node 1 is refused: line 1: no level",
        "cltab on node 3 is refused: line 3: no such mode",
        (
            "the lease is only 0.6 times what its renewal takes: raise `timeout`, or make the file"
            " system faster"
        ),
        "hactl line 9",
    ]


def test_a_lost_quorum_comes_first_then_the_nodes_then_the_groups() -> None:
    story = one_of_three()
    story.hear(1, says(2), says(3))
    story.now += T + 1
    for number, error in ((2, "no answer for 11 s"), (3, "")):
        story.nodes[1].peer_read(number, None, began=story.now, now=story.now, error=error)
    assert report(story).problems == [
        (
            "no quorum: 1 of 3 nodes fresh, 2 needed; not fresh: 2, 3; nothing is started or"
            " fenced; 1 group waits for it: g -> bring nodes back"
        ),
        "node 2 is stale: nothing new for 11.0 s when it was declared stale (no answer for 11 s)",
        "node 3 is stale: nothing new for 11.0 s when it was declared stale",
    ]


def test_half_of_a_cluster_says_what_it_waits_for_and_not_that_nobody_is_fenced() -> None:
    story = Story((1, 2))
    story.write(1)
    story.hear(1, says(2, 1))
    story.hear(1, says(2))
    story.now += TIMING.start_grace_s
    story.miss(1, 2)
    failed = ShotEnded(story.shots(1)[0], "failed", "ipmi", "Unable to connect/login")
    story.nodes[1].shot(failed, story.now)
    assert report(story).problems[0] == (
        "no quorum: 1 of 2 nodes fresh, 2 needed; not fresh: 2; nothing is started; this half goes"
        " on alone when node 2 is certainly off: the shot failed (ipmi): Unable to connect/login;"
        " 1 group waits for it: g -> repair the fencing; the shot is repeated by itself, at once"
        " by mosha fence 2; or bring node 2 back; if you are sure that node 2 is off: mosha"
        " confirm 2"
    )


def test_a_hundred_groups_without_quorum_are_one_problem_with_few_names() -> None:
    story = one_of_three()
    names = [f"g{number:03d}" for number in range(100)]
    wishes = hactl(*(Wish(name, "start") for name in names))
    story.nodes[1].tables_adopted(wishes, frozenset(names), {}, {})
    story.now += T + 1
    for number in (2, 3):
        story.miss(1, number)
    found = report(story)
    (problem,) = [it for it in found.problem_list if it.kind == ProblemKind.NO_QUORUM]
    assert problem.subjects == names
    assert "100 groups wait for it: g000, g001, g002, g003, g004, g005, g006 and 93 more" in (
        problem.text
    )
    assert len(found.problems) == len(found.problem_list) == 3
    one = of_groups(found, ["g042"])
    assert ([g.group for g in one.groups], len(one.problems)) == (["g042"], 1)


def test_a_dead_rack_is_one_line() -> None:
    story = Story(range(1, 8))
    for number in range(2, 8):
        story.hear(1, says(number))
    story.now += T + 1
    for number in range(4, 8):
        story.miss(1, number)
    (problem,) = [it for it in report(story).problem_list if it.kind == ProblemKind.NODE_STALE]
    assert problem.text == "4 nodes are stale: 4, 5, 6, 7"


def test_nodes_that_were_never_heard_from_or_are_fenced_are_told() -> None:
    assert report(fenced()).problems[0] == "node 3 is fenced (ipmi, command-said-so)"
    story = Story()
    story.nodes[1].peer_read(2, None, began=story.now, now=story.now, error="no clstat")
    story.miss(1, 3)
    assert report(story).problems[:2] == [
        "node 2 was never heard from: no clstat",
        "node 3 was never heard from",
    ]


@pytest.mark.parametrize("number", [1, 3])
def test_a_node_on_probation_is_a_problem_on_every_node(number: int) -> None:
    story = one_of_three()
    story.hear(1, says(2, probations={number: 3541}), says(3))
    found = report(story)
    assert {it.node: it.probation_s for it in found.nodes if it.probation_s} == {number: 3541}
    problem = Problem(
        kind="node-probation",
        subjects=[str(number)],
        text=f"node {number} is on probation for 1h more, and owns no group: it was found dead 3"
        " times within an hour",
        next=f"look why node {number} died; its probation ends by itself",
    )
    assert [it for it in found.problem_list if it.kind != "group"] == [problem]
    story.nodes[1].state.fencing = FencingRules(probation=0)
    assert [it.kind for it in report(story).problem_list] == ["group"]


def test_who_left_in_an_orderly_way_is_no_problem() -> None:
    story = owner()
    story.hear(1, says(3, state=NodeState.LEFT))
    assert report(story).problems == []


def test_a_clinit_without_cgroups_is_a_problem_with_its_remedy() -> None:
    told = report(owner(), no_cgroups="Read-only file system").problems
    assert any("without cgroups: Read-only file system" in text for text in told)
    assert any("Delegate=yes" in text for text in told)
    assert not any("cgroups" in text for text in report(owner()).problems)


@pytest.mark.parametrize("refuser", [0, 1, 3])
def test_a_table_that_lies_refused_anywhere_is_not_called_missing(refuser: int) -> None:
    story = one_of_three()
    story.nodes[1].state.hactl = None
    refused = {"hactl": "hactl:1: no such level"}
    story.hear(1, says(2), says(3, refused=refused if refuser == 3 else {}))
    story.nodes[1].state.refused = refused if refuser == 1 else {}
    told = report(story, missing={"hactl": "DIR/hactl"} if refuser != 1 else {}).problems
    assert any("there is no hactl yet; write DIR/hactl" in text for text in told) is not bool(
        refuser
    )
    assert any("is refused" in text for text in told) is bool(refuser)
    explained = why(story.nodes[1].state, G, story.now, 0.0)
    step = "write hactl in" if not refuser else f"correct what is refused: hactl on node {refuser}"
    assert step in explained.next


def test_more_groups_than_the_times_leave_room_to_kill_are_a_problem() -> None:
    story = owner()
    timing = story.nodes[1].state.timing
    limit_s = timing.timeout_s * (1 - CLOCK_RATE_ERROR)
    most = int((limit_s - timing.lease_s - timing.stop_budget_s - KILL_BASE_S) / KILL_PER_GROUP_S)
    assert kill_warning(timing, most) == ""
    assert kill_warning(timing, 0) == ""
    warning = kill_warning(timing, most + 2)
    assert "groups take" in warning
    view = group(report(story))
    wrong = problems(
        story.nodes[1].state,
        [view] * (most + 2),
        (),
        START_S,
        troubles=(),
        warnings=(),
        margin_warning="",
        no_cgroups="",
        missing={},
        fencing=(),
    )
    assert [(it.kind, it.text) for it in wrong if it.kind == ProblemKind.LEASE] == [
        (ProblemKind.LEASE, warning)
    ]


def test_a_group_that_only_cltab_names_is_reported_to_those_who_ask_for_it() -> None:
    story = one_of_three(Wish("h", "stop"))
    story.hear(1, says(2), says(3))
    assert [view.group for view in report(story).groups] == ["h"]
    found = make(story.nodes[1], HostFacts(), story.now, asked=[G])
    view = group(found)
    assert (view.ok, view.wanted, view.in_hactl) == (True, "stop", False)


def test_the_entries_of_a_group_are_listed_for_those_who_ask_for_it() -> None:
    story = full()
    entries = tuple(Entry(g, tag, "start", Mode.WAIT, "x") for g, tag in ((G, "a"), ("h", "b")))
    story.nodes[1].cltab_adopted(Cltab(entries))
    found = make(story.nodes[1], HostFacts(), story.now, asked=[G])
    assert {view.group: view.tags for view in found.groups} == {G: ["a"], "far": [], "h": []}


def test_the_ban_of_a_node_that_is_not_heard_any_more_is_not_shown() -> None:
    story = full()
    assert [ban.node for ban in group(report(story)).bans] == [3]
    make_stale(story, 3)
    assert group(report(story)).bans == []


def test_nodes_that_may_run_a_stopped_group_unseen_are_named_and_it_is_not_as_wanted() -> None:
    story = one_of_three(Wish(G, "stop"))
    story.hear(1, says(2), says(3, claims={G: 4}, groups=at("start")))
    story.now += T + 1
    story.miss(1, 2, 3)
    found = report(story)
    view = group(found)
    assert (view.ok, view.where, view.may_run, view.problem) == (False, [], [2, 3], "no-quorum")
    assert not of_groups(found, [G]).as_wanted
    (text,) = (line for line in found.problems if "no quorum" in line)
    assert "1 group waits" not in text
    assert text.endswith(
        "; whether nodes that are not heard still run it is not known: g -> bring nodes back"
    )


def test_no_other_node_may_run_what_this_one_has_the_lease_for() -> None:
    story = owner()
    assert group(report(story)).may_run == []
    story.live(0.1)
    story.miss(1, 2, 3)
    assert group(report(story)).may_run == []


def test_a_monitor_that_waits_for_its_clinit_says_that_it_reads_no_other_node() -> None:
    story = Story()
    story.nodes[1].state.clinit_known = False
    found = make(story.nodes[1], HostFacts(), story.now)
    assert found.quorum.reason == "no other node is read before clinit of node 1 answers"
    errors = [node.error for node in found.nodes if node.node != 1]
    assert errors == ["not read before clinit answers"] * 2
