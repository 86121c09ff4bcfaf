"""Orders for single entries on their way: given anywhere, obeyed where the group runs, answered."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from msgspec.structs import replace

from mosha.core.cluster import entry_orders, orders
from mosha.core.explain import unanswered, verdicts
from mosha.core.explain.addressees import concerned
from mosha.core.explain.problems import ProblemKind
from mosha.core.explain.why import why
from mosha.core.status import (
    EntryAnswer,
    EntryVerb,
    GroupState,
    Order,
    Receipt,
    Trouble,
    TroubleKind,
)
from mosha.core.supervision.entries import EntryReport
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tables import Cltab, Mode
from mosha.core.tell import EntryOrder
from mosha.errors import UsageError
from tests.core.story import INC, TIMING, G, Story, report
from tests.core.unit_world import entry

LONG_S = 3 * TIMING.timeout_s
STOP = EntryVerb.STOP
CLTAB = Cltab(
    (
        entry("g:r:start:respawn:x"),
        entry("g:t:test:test:x"),
        entry("g:w:start:wait:x"),
        entry("g:f:start:off:x"),
    )
)


class Scene:
    """Three nodes, one of which runs the group; another one gives the order."""

    def __init__(self) -> None:
        self.story = Story()
        self.story.live(LONG_S)
        (self.owner,) = self.story.at_home()
        self.issuer = min(self.story.ids - {self.owner})
        for node in self.story.nodes.values():
            node.cltab_adopted(CLTAB)

    @property
    def there(self) -> list[EntryOrder]:
        """What the owner has passed on to its clinit."""
        return self.story.nodes[self.owner].state.to_clinit

    def give(self, verb: EntryVerb = STOP, tag: str = "r") -> int:
        """Give the order, and let it arrive; return its number."""
        state = self.story.nodes[self.issuer].state
        number = orders.give(state, Order(verb, G, tag=tag), self.story.now)
        self.story.write(self.issuer)
        self.story.read(self.owner, self.issuer)
        return number

    def reply(self, *, ok: bool | None = True, text: str = "") -> None:
        state = self.story.nodes[self.owner].state
        (order,) = self.there
        entry_orders.replied(state, order, ok=ok, text=text, now=self.story.now)

    def report(self, *obeyed: str) -> None:
        """Let clinit report the group with what it has obeyed."""
        known = self.story.clinits[self.owner][G]
        shown = EntryReport("r", Mode.RESPAWN, "stopped", exit="signal 2", held=True, obeyed=obeyed)
        others = EntryReport("w", Mode.WAIT, "done"), EntryReport("f", Mode.OFF, "off")
        self.show(replace(known, entries=(*others, shown)))

    def show(self, shown: GroupReport) -> None:
        self.story.show(self.owner, shown)
        self.story.step(self.owner)

    def answer(self, number: int) -> EntryAnswer | None:
        """What the issuer reads in the status of the owner."""
        self.story.write(self.owner)
        self.story.read(self.issuer, self.owner)
        return entry_orders.answer_to(self.story.nodes[self.issuer].state, self.owner, number)


def test_an_order_is_obeyed_where_the_group_runs_under_its_claim_and_once() -> None:
    scene = Scene()
    number = scene.give()
    term = scene.story.nodes[scene.owner].state.record(G).claim
    assert term is not None
    assert scene.there == [
        EntryOrder(G, "r", STOP, f"{scene.issuer}.{INC}.{number}", term),
    ]
    scene.story.write(scene.issuer)
    scene.story.read(scene.owner, scene.issuer)
    assert len(scene.there) == 1
    third = min(scene.story.ids - {scene.owner, scene.issuer})
    scene.story.read(third, scene.issuer)
    state = scene.story.nodes[third].state
    assert (state.to_clinit, state.answers) == ([], {})


@pytest.mark.parametrize("report_first", [False, True])
def test_an_order_is_answered_when_clinit_has_carried_it_out(*, report_first: bool) -> None:
    scene = Scene()
    number = scene.give()
    name = f"{scene.issuer}.{INC}.{number}"
    steps: list[Callable[[], None]] = [scene.reply, partial(scene.report, name)]
    for step in reversed(steps) if report_first else steps:
        assert scene.answer(number) is None
        step()
    scene.story.step(scene.owner)
    assert scene.answer(number) == EntryAnswer(INC, ok=True)


@pytest.mark.parametrize("verb", EntryVerb)
def test_a_start_that_clinit_could_not_carry_out_is_answered_with_the_reason(
    verb: EntryVerb,
) -> None:
    scene = Scene()
    number = scene.give(verb)
    scene.reply(text="started")
    known = scene.story.clinits[scene.owner][G]
    obeyed = (f"{scene.issuer}.{INC}.{number}",)
    error = "could not be started: Resource temporarily unavailable; it is tried again"
    shown = EntryReport("r", Mode.RESPAWN, "retrying", error=error, prevented=True, obeyed=obeyed)
    scene.show(replace(known, entries=(shown,)))
    failed = EntryAnswer(INC, ok=False, text=f"entry r of {G} {error}")
    stopped = EntryAnswer(INC, ok=True, text="started")  # whatever the last start came to
    assert scene.answer(number) == (stopped if verb is STOP else failed)


def test_a_stop_that_failed_is_answered_with_its_end_and_shown_on_every_node() -> None:
    scene = Scene()
    number = scene.give()
    scene.reply(text="stopped")
    known = scene.story.clinits[scene.owner][G]
    shown = EntryReport(
        *("r", Mode.OCF, "stopped"),
        held=True,
        unattended=True,
        exit="exit 3",
        exit_said="stop: exit 1 (error): umount: target is busy",
        obeyed=(f"{scene.issuer}.{INC}.{number}",),
    )
    scene.show(replace(known, entries=(shown,)))
    why_not_stopped = "exit 3: stop: exit 1 (error): umount: target is busy"
    text = f"entry r of {G} may not be stopped, its stop failed: {why_not_stopped}"
    assert scene.answer(number) == EntryAnswer(INC, ok=False, text=text)
    for node in (scene.owner, scene.issuer):
        verdict = verdicts.judge(scene.story.nodes[node].state, G, scene.story.now)
        failed = f"was to be stopped by an operator, and its stop failed: {why_not_stopped}"
        assert f"but entry r {failed};" in verdict.why
        assert verdict.next == "repair what failed, then: mosha stop g r"


@pytest.mark.parametrize("verb", EntryVerb)
def test_a_start_of_what_ended_before_it_was_ready_is_answered_with_its_end(
    verb: EntryVerb,
) -> None:
    scene = Scene()
    number = scene.give(verb)
    scene.reply(text="started")
    known = scene.story.clinits[scene.owner][G]
    obeyed = (f"{scene.issuer}.{INC}.{number}",)
    shown = EntryReport(
        "r", Mode.RESPAWN, "running", exit="not ready within 3 s", ready=False, obeyed=obeyed
    )
    scene.show(replace(known, entries=(shown,)))
    text = f"entry r of {G} has not become ready: not ready within 3 s"
    failed = EntryAnswer(INC, ok=False, text=text)
    stopped = EntryAnswer(INC, ok=True, text="started")
    assert scene.answer(number) == (stopped if verb is STOP else failed)


@pytest.mark.parametrize("answered", [False, True])
def test_an_order_is_answered_also_if_its_node_begins_a_new_incarnation(*, answered: bool) -> None:
    scene = Scene()
    number = scene.give()
    name = scene.there[0].order
    scene.reply(text="done")
    if answered:
        scene.report(name)
    giver = scene.story.nodes[scene.issuer]
    receipt = Receipt(giver.state.inc, "operator")  # somebody calls dead who lives
    said = scene.story.nodes[scene.owner].next_status(scene.story.now)
    scene.story.hear(scene.issuer, replace(said, fenced={scene.issuer: receipt}))
    assert giver.state.inc > receipt.inc
    scene.story.write(scene.issuer)
    scene.story.read(scene.owner, scene.issuer)
    if not answered:
        scene.report(name)
    answer = scene.answer(number)
    assert answer is not None
    assert (answer.ok, answer.text) == (True, "done")
    assert len(scene.there) == 1


def test_an_order_that_was_carried_out_before_its_reply_is_answered_without_another_report() -> (
    None
):
    scene = Scene()
    scene.report(f"{scene.issuer}.{INC}.{scene.give()}")
    state = scene.story.nodes[scene.owner].state
    state.to_step.clear()
    scene.reply()
    assert state.to_step == {G}


def test_what_becomes_of_another_group_is_no_answer() -> None:
    scene = Scene()
    number = scene.give()
    entry_orders.settle(scene.story.nodes[scene.owner].state, "another", scene.story.now)
    assert scene.answer(number) is None


def test_what_clinit_says_to_an_order_arrives_where_it_was_given() -> None:
    scene = Scene()
    number = scene.give()
    scene.story.nodes[scene.owner].state.dirty = False
    scene.reply(ok=False, text="g is stopping or has stopped")
    assert scene.story.nodes[scene.owner].state.dirty
    assert scene.answer(number) == EntryAnswer(INC, ok=False, text="g is stopping or has stopped")
    (note,) = (
        n for n in scene.story.nodes[scene.owner].take_notes() if n.event == "entry_order_refused"
    )
    assert note.fields["reason"] == "g is stopping or has stopped"


def test_an_answer_to_an_earlier_life_of_the_node_is_none() -> None:
    scene = Scene()
    number = scene.give()
    scene.reply(ok=False, text="no")
    assert scene.answer(number) is not None
    scene.story.nodes[scene.issuer].state.inc += 1
    assert scene.answer(number) is None


def test_an_order_that_got_no_reply_was_perhaps_carried_out() -> None:
    scene = Scene()
    number = scene.give()
    scene.reply(ok=None)
    assert scene.answer(number) == EntryAnswer(INC, ok=False, text=entry_orders.NO_REPLY)


@pytest.mark.parametrize("change", ["level", "term", "gone"])
def test_an_order_is_void_when_its_group_was_stopped_or_started_anew(change: str) -> None:
    scene = Scene()
    number = scene.give()
    scene.reply()
    scene.report()
    assert scene.answer(number) is None
    known = scene.story.clinits[scene.owner][G]
    match change:
        case "level":
            scene.show(replace(known, wanted="stop", state=GroupState.STOPPING))
        case "term":
            scene.show(replace(known, term=known.term + 1))
        case "gone":
            scene.story.nodes[scene.owner].clinit_dropped(G)
            scene.story.step(scene.owner)
    assert scene.answer(number) == EntryAnswer(INC, ok=False, text=entry_orders.VOID)


def test_an_order_for_another_entry_or_of_another_time_is_not_taken_for_this_one() -> None:
    scene = Scene()
    number = scene.give()
    scene.reply()
    scene.report(f"{scene.issuer}.{INC - 1}.{number}", f"{scene.owner}.{INC}.{number}")
    assert scene.answer(number) is None


def test_without_a_lease_or_clinit_an_order_is_refused_at_once() -> None:
    scene = Scene()
    state = scene.story.nodes[scene.owner].state
    state.record(G).granted = False
    number = scene.give()
    assert scene.there == []
    assert scene.answer(number) == EntryAnswer(
        INC, ok=False, text=f"g has no lease on node {scene.owner}"
    )
    scene = Scene()
    scene.story.nodes[scene.owner].clinit_lost()
    found = scene.answer(scene.give())
    assert found is not None
    assert (found.ok, scene.there) == (False, [])


def test_an_order_of_a_later_version_is_answered_by_nobody() -> None:
    scene = Scene()
    state = scene.story.nodes[scene.issuer].state
    number = orders.give(state, Order("signal", G, tag="r"), scene.story.now)
    scene.story.write(scene.issuer)
    scene.story.read(scene.owner, scene.issuer)
    assert scene.there == []
    assert scene.answer(number) is None


def test_a_later_order_does_not_answer_an_earlier_one() -> None:
    scene = Scene()
    number = scene.give()
    later = scene.give(EntryVerb.RESTART)
    state = scene.story.nodes[scene.owner].state
    entry_orders.replied(state, scene.there[1], ok=True, text="", now=scene.story.now)
    scene.report(f"{scene.issuer}.{INC}.{later}")
    assert scene.answer(number) is None
    assert scene.answer(later) == EntryAnswer(INC, ok=True)


def test_answers_stand_for_a_while_and_not_without_bound() -> None:
    scene = Scene()
    state = scene.story.nodes[scene.owner].state
    state.record(G).granted = False
    for _ in range(2 * entry_orders.ENTRY_ORDERS_MAX):
        number = scene.give()
    assert len(state.answers) == entry_orders.ENTRY_ORDERS_MAX
    assert scene.answer(number) is not None
    state.record(G).granted = True
    for _ in range(2 * entry_orders.ENTRY_ORDERS_MAX):
        scene.give()
    assert len(state.entry_orders) == entry_orders.ENTRY_ORDERS_MAX
    scene.story.now += max(entry_orders.ORDER_MIN_S, 2 * TIMING.timeout_s) - 1.0
    scene.story.write(scene.owner)
    assert scene.story.files[scene.owner].answers
    scene.story.now += 1.0
    scene.story.write(scene.owner)
    assert not scene.story.files[scene.owner].answers


# --- not answered ----------------------------------------------------------------------


def test_an_order_that_will_not_be_answered_is_over_and_says_why() -> None:
    scene = Scene()
    number, order = scene.give(), Order(STOP, G, tag="r")
    state, owner = scene.story.nodes[scene.issuer].state, scene.owner
    run = unanswered.run_of(state, owner)

    def loss(since: str = run) -> str:
        return unanswered.loss(state, order, owner, number, since)

    assert loss() == "", "it may still be answered"
    assert loss("an earlier run") == f"the monitor of node {owner} has started anew"
    standing = state.orders.pop(number)
    assert loss() == f"node {owner} has not answered while the order stood"
    scene.report()  # it is being stopped there
    scene.answer(number)
    assert loss() == "", "it takes long to end"
    state.orders[number] = standing
    scene.show(replace(scene.story.clinits[owner][G], level="stop", wanted="stop"))
    scene.answer(number)
    third = min(scene.story.ids - {owner, scene.issuer})
    assert loss() == "", "it runs nowhere yet"
    state.view.find_members(frozenset({third, state.me}))
    assert loss().startswith(f"node {owner} is "), "it is not heard any more"


# --- before it is given ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "tag", "words"),
    [
        (STOP, "x", "g has no entry 'x'; its entries are r, t, w, f"),
        (STOP, "t", "entry t is for level test, and g is at start"),
        (EntryVerb.START, "f", "entry f is off in cltab"),
        (STOP, "w", "entry w is a wait entry"),
    ],
)
def test_what_cltab_rules_out_is_refused_before_it_is_given(
    verb: EntryVerb, tag: str, words: str
) -> None:
    scene = Scene()
    state = scene.story.nodes[scene.issuer].state
    with pytest.raises(UsageError, match=words):
        concerned(state, Order(verb, G, tag=tag), scene.story.now)
    there = concerned(state, Order(EntryVerb.RESTART, G, tag="r"), scene.story.now)
    assert there == {scene.owner}


def test_the_entry_of_a_group_that_is_not_there_yet_is_refused() -> None:
    scene = Scene()
    scene.story.show(scene.owner, report("test", GroupState.STARTING))
    state = scene.story.nodes[scene.owner].state
    with pytest.raises(UsageError, match=f"g is on its way to start on node {scene.owner}"):
        concerned(state, Order(STOP, G, tag="r"), scene.story.now)


# --- what is said of it ----------------------------------------------------------------


def test_a_group_with_a_stopped_entry_is_not_as_wanted_and_the_way_back_is_named() -> None:
    scene = Scene()
    scene.report()
    scene.answer(0)
    for node in (scene.owner, scene.issuer):
        state = scene.story.nodes[node].state
        verdict = verdicts.judge(state, G, scene.story.now)
        assert verdict.kind is ProblemKind.STOPPED
        assert verdict.why.endswith("but entry r is stopped by an operator")
        assert verdict.next == "to start it: mosha start g r"
        found = why(state, G, scene.story.now, 0.0)
        assert (found.ok, found.next) == (False, verdict.next)
        assert not orders.has_failed(state, G, scene.owner)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("g:r:start:respawn:newer", "cltab has a newer definition"),
        ("g:r:other:respawn:x", "cltab no longer has it at start"),
    ],
)
def test_the_way_back_of_a_stopped_entry_that_cltab_has_no_longer_is_a_restart_of_its_group(
    line: str, words: str
) -> None:
    scene = Scene()
    scene.story.nodes[scene.owner].cltab_adopted(Cltab((entry(line),)))
    known = scene.story.clinits[scene.owner][G]
    shown = EntryReport("r", Mode.RESPAWN, "stopped", held=True, command="x")
    scene.show(replace(known, entries=(shown,)))
    scene.answer(0)
    for node in (scene.owner, scene.issuer):
        verdict = verdicts.judge(scene.story.nodes[node].state, G, scene.story.now)
        assert verdict.kind is ProblemKind.STOPPED
        assert verdict.why.endswith(f"but entry r is stopped by an operator; {words}")
        assert verdict.next == "to run what cltab has now: mosha restart g"


def test_an_entry_that_has_failed_counts_for_more_than_one_that_was_stopped() -> None:
    scene = Scene()
    known = scene.story.clinits[scene.owner][G]
    wrong = (
        EntryReport("r", Mode.RESPAWN, "stopped", held=True),
        EntryReport("q", Mode.RESPAWN, "pausing"),
    )
    scene.show(replace(known, entries=wrong))
    verdict = verdicts.judge(scene.story.nodes[scene.owner].state, G, scene.story.now)
    assert verdict.kind is ProblemKind.ENTRY
    assert "entry r is stopped by an operator; entry q respawns too rapidly" in verdict.why


def test_only_what_was_stopped_is_to_be_started() -> None:
    scene = Scene()
    known = scene.story.clinits[scene.owner][G]
    changed = (
        EntryReport("r", Mode.RESPAWN, "stopped", held=True, command="x"),
        EntryReport("w", Mode.WAIT, "running", command="another"),
    )
    scene.show(replace(known, entries=changed))
    state = scene.story.nodes[scene.owner].state
    kinds = {trouble.kind for trouble in state.troubles(G, scene.story.now)}
    assert kinds == {TroubleKind.STOPPED, TroubleKind.OUTDATED}
    assert verdicts.judge(state, G, scene.story.now).next == "to start it: mosha start g r"


def test_of_other_nodes_a_stopped_entry_is_known_by_their_status() -> None:
    scene = Scene()
    scene.report()
    scene.story.write(scene.owner)
    assert scene.story.files[scene.owner].troubles == {
        (G, "r"): Trouble("r", TroubleKind.STOPPED),
    }
