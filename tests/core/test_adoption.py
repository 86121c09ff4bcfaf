"""What runs goes on when a monitor is restarted, and what may not go on is stopped (C7)."""

from __future__ import annotations

import pytest

from mosha.core.cluster.state import NEVER
from mosha.core.status import GroupLine, GroupState, Stamp, Status, Term, Vote
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tables import Wish
from tests.core.owner import brain
from tests.core.reborn import T, born, record
from tests.core.story import INC, G, Story, hactl, report, status

# --- C7: what runs goes on -------------------------------------------------------------------

SOON, PAST = 1000.0 + 3.0, 1000.0 - 3.0
CLAIMING = status(1, 900, claims={G: 5}, votes={G: Vote(5, 1, INC, 0)}, terms={G: Term(5, 5)})
STOPPING = report("start", GroupState.STOPPING, wanted="stop", term=5)

EXCLUSIVE = report("start", term=5, stop_at=SOON)

ADOPTIONS = [
    # what clinit has, the former status, the claim, is it granted
    ("running", report("start", term=5, stop_at=SOON), CLAIMING, 5, True),
    ("running, the lease is over", report("start", term=5, stop_at=PAST), CLAIMING, 5, False),
    ("running, a former clstat of before", EXCLUSIVE, status(1, 900), 5, True),
    ("running, no former clstat", report("start", term=5, stop_at=SOON), None, 5, True),
    ("testing", report("test", GroupState.STARTING, term=5, stop_at=SOON), CLAIMING, 5, True),
    (
        "told to test a moment ago",
        report("plan", wanted="test", term=5, stop_at=SOON),
        CLAIMING,
        5,
        True,
    ),
    ("stopping", STOPPING, CLAIMING, 5, False),
    ("stopping, no former clstat", STOPPING, None, 5, False),
    ("what stop left alive", report("stop", term=5, alive=1), CLAIMING, 5, False),
    ("a withdrawn plan that stops", STOPPING, status(1, 900), None, False),
    ("planned", report("plan", term=5), CLAIMING, None, False),
    ("stopped", report("stop", term=5), CLAIMING, None, False),
    ("started by hand", report("start", term=0), None, None, False),
]


@pytest.mark.parametrize(
    ("shown", "former", "claim", "granted"),
    [row[1:] for row in ADOPTIONS],
    ids=[row[0] for row in ADOPTIONS],
)
def test_c7_a_restarted_monitor_takes_over_the_claim_of_what_runs(
    *, shown: GroupReport, former: Status | None, claim: int | None, granted: bool
) -> None:
    story = born(former, clinit=(shown,))
    assert record(story).claim == claim
    assert record(story).granted == granted
    first = brain(story).next_status(story.now)
    assert first.claims == ({} if claim is None else {G: claim})
    assert first.groups == {G: GroupLine(shown.level, shown.state)}
    if claim is not None:
        assert first.terms[G].known >= claim


def test_c7_a_restarted_monitor_leaves_a_running_group_alone_and_renews_its_lease() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1,))))
    story.live(3.0)
    assert story.at_home() == [1]
    before = story.clinits[1][G]
    story.start(1)
    story.live(2 * T)
    after = story.clinits[1][G]
    assert (after.level, after.term) == ("start", before.term)
    assert before.stop_at is not None
    assert after.stop_at is not None
    assert after.stop_at > before.stop_at + T


def test_c7_without_its_clstat_the_monitor_still_keeps_what_runs() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1,))))
    story.live(3.0)
    term = story.clinits[1][G].term
    del story.files[1]
    story.start(1, inc=INC + 1)
    story.live(2 * T)
    assert (story.at_home(), story.clinits[1][G].term) == ([1], term)


@pytest.mark.parametrize(
    ("shown", "row"),
    [
        (report("start", term=5, stop_at=PAST), "lost its lease"),
        (report("plan", term=5), "runs unclaimed"),
        (report("start", term=0), "runs unclaimed"),
    ],
)
def test_c7_what_may_not_go_on_is_stopped(shown: GroupReport, row: str) -> None:
    story = born(clinit=(shown,))
    step = story.step(1)
    assert step.row is not None
    assert step.row.name == row
    assert step.tell is not None
    assert step.tell.level == "stop"


def test_c7_a_claim_without_a_deadline_is_not_renewed_before_it_is_granted() -> None:
    story = born(clinit=(STOPPING,))
    assert record(story).lease_until == NEVER
    assert brain(story).renewals(story.now) == []


def test_a_clinit_that_is_reached_again_does_not_set_a_lease_back() -> None:
    story = born(CLAIMING, clinit=(EXCLUSIVE,))
    record(story).lease_until = SOON + 5.0  # renewed, and clinit has not heard of it yet
    brain(story).clinit_answered([EXCLUSIVE], story.now)
    assert (record(story).claim, record(story).lease_until) == (5, SOON + 5.0)


def test_c3_an_owner_that_has_forgotten_its_own_vote_does_not_count_itself() -> None:
    story = born(None, clinit=(EXCLUSIVE,))
    story.write(1)
    assert story.files[1].claims == {G: 5}
    assert story.files[1].votes == {}  # V5: it may have given it to somebody else
    story.hear(1, status(2, 1, votes={G: Vote(5, 1, INC, 0)}, seen={1: Stamp(INC, 1)}))
    brain(story).renewals(story.now)
    assert record(story).lease_until == SOON  # what clinit had: one of two votes moves nothing


def test_a_clinit_that_was_started_again_is_asked_like_the_first_one() -> None:
    story = born(clinit=(report("start", term=5, stop_at=SOON),))
    brain(story).clinit_lost()
    brain(story).clinit_answered([], story.now)  # its processes died with it
    story.step(1)  # its `stop` entries run
    story.step(1)
    assert record(story).claim is None
    assert brain(story).next_status(story.now).claims == {}
