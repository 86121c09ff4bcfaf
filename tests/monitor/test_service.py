"""What the monitor answers on its socket: a real one, with a real clinit."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from mosha.control.client import NoAnswerError, open_streams
from mosha.control.protocol import (
    AskReport,
    Confirm,
    Explain,
    FailGroup,
    Follow,
    GiveOrder,
    Leave,
    MonitorReply,
    OrderEntry,
    Reload,
    SetWish,
)
from mosha.core.cluster import leaving
from mosha.core.cluster.ballot import Ballot
from mosha.core.cluster.state import FailbackAttempt
from mosha.core.explain.addressees import places
from mosha.core.status import EntryVerb, NodeState, Verb, Vote
from mosha.core.tables import Hactl, Wish
from mosha.errors import BugError, HostError, UsageError
from mosha.formats.clstat import parse_clstat, render_clstat
from mosha.formats.explanation import parse_explanation
from mosha.formats.hastat import Report, parse_hastat
from mosha.formats.settings import Settings
from mosha.host import proc
from mosha.host.clock import boottime
from mosha.host.files import write_atomically
from mosha.monitor.answers import answer
from mosha.monitor.service import FOLLOW_EVERY_S, STRANDED
from mosha.monitor.tables.wish_edits import Done
from tests.core.story import TIMING, one_of_three, status
from tests.monitor.house import House, at_home, link, prepared, settings, write_tables
from tests.waiting import until


@pytest.fixture
async def house(short_dir: Path) -> AsyncIterator[House]:
    async with at_home(short_dir) as made:
        yield made


def report_of(reply: MonitorReply) -> Report:
    assert reply.ok, reply.text
    assert reply.report is not None
    return parse_hastat(bytes(reply.report))


async def test_the_report_is_the_same_view_that_hastat_has(house: House) -> None:
    found = report_of(await house.ask(AskReport()))
    assert [(group.group, group.where) for group in found.groups] == [("g", [1]), ("h", [])]
    assert found.problems == []
    path = house.monitor.layout.hastat(1)
    await until(lambda: [g.where for g in parse_hastat(path.read_bytes()).groups] == [[1], []])


async def test_a_group_alone_comes_with_its_processes_and_what_they_printed(house: House) -> None:
    # A respawn entry counts as started a moment before it is known which process it is.
    await until(lambda: [e.pid for e in house.monitor.clinit.groups["g"].entries] > [0])
    found = report_of(await house.ask(AskReport("g")))
    assert [group.group for group in found.groups] == ["g"]
    assert found.as_wanted
    (entry,) = found.groups[0].entries
    assert (entry.state, entry.command, entry.restarts) == ("running", "sleep 1000", 0)
    assert entry.pid > 0


async def test_a_group_that_only_cltab_names_has_a_view_too(house: House) -> None:
    house.monitor.node.state.hactl = Hactl({"h": Wish("h", "stop")})
    (view,) = report_of(await house.ask(AskReport("g"))).groups
    assert (view.group, view.wanted, view.in_hactl) == ("g", "stop", False)


async def test_a_group_that_nobody_knows_is_refused_with_the_one_that_may_be_meant(
    house: House,
) -> None:
    reply = await house.ask(AskReport("gg"))
    assert (reply.ok, reply.text.startswith("no node knows group gg")) == (False, True)


async def test_the_socket_is_its_owners_alone(house: House) -> None:
    assert stat.S_IMODE(house.socket.stat().st_mode) == 0o600


async def test_a_wish_is_carried_out_and_stays_in_hactl(house: House) -> None:
    reply = await house.ask(SetWish("h", "start", ("prefer=1",)))
    assert reply.ok
    assert "h" in reply.text
    assert reply.level == "start"
    await until(lambda: house.where("h") == "start DONE")
    assert "h start prefer=1" in house.monitor.layout.hactl(1).read_text()
    assert (await house.ask(SetWish("g", "stop"))).ok
    await until(lambda: house.where("g") == "stop DONE")


async def test_a_start_finds_its_level_and_a_preference_says_what_it_does_not_do(
    house: House,
) -> None:
    assert (await house.ask(SetWish("h", ""))).text == (
        "hactl in force on node 1 now says: h start"
    )
    await until(lambda: house.where("h") == "start DONE")
    state = house.monitor.node.state
    state.view.members = frozenset({2})
    assert (await house.ask(SetWish("h", "start", ("prefer=2",)))).text == (
        "hactl in force on node 1 now says: h start prefer=2; on no other node: "
        "node 2 was never heard from; if this one dies now, the edit is lost; "
        "it runs on node 1 and stays there, prefer= is for the next choice; "
        "to move it now: mosha move h 2"
    )
    again = await house.ask(SetWish("h", ""))
    assert (again.ok, again.tried) == (False, True)
    assert "says so already: h start prefer=2; on no other node" in again.text


async def test_a_group_on_all_nodes_is_set_shown_restarted_and_stopped_by_its_name(
    house: House,
) -> None:
    assert (await house.ask(SetWish("h", "start", ("on=all",)))).level == "start"
    await until(lambda: house.where("h@1") == "start DONE")
    (view,) = report_of(await house.ask(AskReport("h"))).groups
    assert (view.group, view.wanted, view.tags) == ("h@1", "start", ["t2"])
    restart = await house.ask(GiveOrder(Verb.RESTART, "h", wait=True, limit_s=60.0))
    assert (restart.ok, restart.level) == (True, "start"), restart.text
    await until(lambda: house.where("h@1") == "start DONE")
    explained = await house.ask(Explain(group="h"))
    assert parse_explanation(bytes(explained.report)).verdict == "as hactl wants it: 1 instance"
    refused = await house.ask(SetWish("h@1", "stop"))
    assert refused.text.startswith("h@1 is the instance of h on node 1 (on=all)")
    assert (await house.ask(FailGroup("h", "it hangs"))).text.startswith("h@1 is stopped here")
    assert (await house.ask(GiveOrder(Verb.CLEANUP, "h"))).ok
    await until(lambda: house.where("h@1") == "start DONE")
    assert (await house.ask(SetWish("h", "stop"))).ok
    await until(lambda: house.where("h@1") == "stop DONE")


def test_why_an_edit_is_on_no_other_node_is_told_of_each() -> None:
    story = one_of_three()
    done = Done("g stop", (1,))
    refused = {"hactl": "hactl:2:1: no"}
    story.hear(1, status(2, 2), status(3, 2, refused=refused))
    with pytest.raises(HostError) as told:
        answer(done, Wish("g", "stop"), story.nodes[1].state)
    assert (
        "on no other node: node 2 has not taken it over within 5 s; node 3 refuses what it has:"
        " hactl:2:1: no; if this one dies now, the edit is lost"
    ) in str(told.value)
    story.now += TIMING.timeout_s + 1
    story.miss(1, 2)
    with pytest.raises(HostError, match="node 2 is stale; node 3"):
        answer(done, Wish("g", "stop"), story.nodes[1].state)


async def test_a_set_says_of_its_options_what_the_status_will_say(house: House) -> None:
    house.monitor.node.state.view.members = frozenset({2})
    assert "leaves out" not in (await house.ask(SetWish("h", "stop", ("prefer=2",)))).text
    told = (await house.ask(SetWish("h", "stop", ("only=1",)))).text
    assert told.endswith(
        "; prefer names a node that only leaves out: mosha status calls that a problem; "
        "to drop the preference: mosha set h stop prefer=any"
    )
    assert "leaves out" not in (await house.ask(SetWish("h", "stop", ("prefer=any",)))).text


async def test_what_is_only_planned_does_not_run_and_stay(house: House) -> None:
    state = house.monitor.node.state
    state.view.members = frozenset({2})
    assert places(state, "g", level="start") == [1]
    assert places(state, "g", level="test") == []
    assert places(state, "g") == [1]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (GiveOrder(Verb.CLEANUP, "g"), "nothing of g is known here to have failed on node 1; wha"),
        (GiveOrder(Verb.UNSTANDBY, node=1), "node 1 was not on standby: it takes groups"),
    ],
)
async def test_an_order_that_finds_things_so_already_says_so(
    house: House, order: GiveOrder, words: str
) -> None:
    reply = await house.ask(order)
    assert (reply.ok, reply.text[: len(words)]) == (True, words)


async def test_an_order_that_changes_something_says_what(house: House) -> None:
    assert (await house.ask(GiveOrder(Verb.STANDBY, node=1))).text.startswith(
        "node 1 is on standby"
    )
    assert "already" in (await house.ask(GiveOrder(Verb.STANDBY, node=1))).text
    assert (await house.ask(GiveOrder(Verb.UNSTANDBY, node=1))).text == "node 1 takes groups again"
    house.monitor.node.state.deaths.kept[1] = boottime() + 3540
    told = (await house.ask(GiveOrder(Verb.UNSTANDBY, node=1))).text
    assert told.endswith("it takes groups, but none until its probation ends, in 59m")
    house.monitor.node.state.record("h").failbacks[2] = FailbackAttempt(1)
    told = (await house.ask(GiveOrder(Verb.CLEANUP, "h"))).text
    assert told == "what failed of h is forgotten on node 1"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (SetWish("nonsense", ""), "cltab has no group 'nonsense'; its groups are g, h"),
        (SetWish("g", "strat"), "did you mean 'start'? its levels are start"),
        (SetWish("g", "start", ("only=9",)), "only= of g names 9; nodes are 1"),
        (SetWish("nonsense", "start"), "nonsense"),
        (SetWish("g", "start", ("favour=1",)), "favour"),
        (SetWish("g:h", "start"), "g:h"),
        (Confirm(1), "alive"),
        (Confirm(9), "never seen"),
        (FailGroup("h", "no route"), "h does not run on node 1: there is nothing that could fail"),
    ],
)
async def test_what_cannot_be_done_is_refused_in_words(
    house: House, request_: SetWish | Confirm | FailGroup, words: str
) -> None:
    reply = await house.ask(request_)
    assert not reply.ok
    assert words in reply.text


async def test_an_order_for_an_entry_is_answered_when_it_was_carried_out(house: House) -> None:
    await until(lambda: house.where("g") == "start DONE")
    stop, start = (OrderEntry(verb, "g", "t1", 20.0) for verb in (EntryVerb.STOP, EntryVerb.START))
    reply = await house.ask(stop)
    assert (reply.ok, reply.text.partition(",")[0]) == (
        True,
        "entry t1 of g is stopped on node 1 until it is started (mosha start g t1)",
    )
    (entry,) = house.monitor.clinit.groups["g"].entries
    assert (entry.state, entry.held) == ("stopped", True)
    (view,) = report_of(await house.ask(AskReport("g"))).groups
    assert (view.ok, view.problem, view.tags) == (False, "stopped", ["t1"])
    assert (await house.ask(stop)).text == "entry t1 of g was stopped already"
    hint = "an operator has stopped entries of it, which stay so: mosha start g t1"
    assert (await house.ask(SetWish("g", ""))).text.endswith(hint)
    assert (await house.ask(start)).text == "entry t1 of g is started on node 1"
    assert (await house.ask(start)).text.startswith("entry t1 of g was not stopped")


@pytest.mark.parametrize(
    ("group", "tag", "words"),
    [
        ("g", "t9", "g has no entry 't9'; its entries are t1"),
        ("g", "", "which entry of g? its tag is empty"),
        ("h", "t2", "hactl wants h stopped; to start it: mosha start h"),
        ("nonsense", "t1", "cltab has no group 'nonsense'; its groups are g, h"),
    ],
)
async def test_an_order_for_an_entry_that_is_not_there_is_refused(
    house: House, group: str, tag: str, words: str
) -> None:
    reply = await house.ask(OrderEntry(EntryVerb.RESTART, group, tag, 20.0))
    assert (reply.ok, reply.tried, reply.text[: len(words)]) == (False, False, words)


async def test_what_clinit_refuses_of_an_entry_is_said_with_its_node(house: House) -> None:
    house.monitor.node.state.defined = None  # then it is clinit that knows the entries
    reply = await house.ask(OrderEntry(EntryVerb.RESTART, "g", "t9", 20.0))
    words = "by node 1: g has no entry 't9'; its entries are t1"
    assert (reply.ok, reply.tried, reply.text) == (False, False, words)


async def test_an_entry_that_does_not_end_in_time_is_not_called_stopped(house: House) -> None:
    pid = await until(lambda: house.monitor.clinit.groups["g"].entries[0].pid)
    os.kill(pid, signal.SIGSTOP)  # INT waits until it goes on
    await until(lambda: proc.is_stopped(pid))  # of two that are pending INT would be taken first
    reply = await house.ask(OrderEntry(EntryVerb.STOP, "g", "t1", 0.3))
    (view,) = report_of(await house.ask(AskReport("g"))).groups
    assert (view.ok, view.problem) == (False, "stopped"), "from when it is obeyed"
    os.kill(pid, signal.SIGCONT)
    assert (reply.ok, reply.tried) == (False, True)
    assert "node 1 has not obeyed within 0.3 s: the entry is still ending" in reply.text
    await until(lambda: house.monitor.clinit.groups["g"].entries[0].state == "stopped")


async def test_the_answer_to_an_order_has_the_level_that_it_was_given_for(house: House) -> None:
    assert (await house.ask(SetWish("g", ""))).level == "start"
    assert (await house.ask(GiveOrder(Verb.RESTART, "g", wait=True, limit_s=20))).level == "start"
    assert (await house.ask(SetWish("g", "stop"))).level == "stop"


async def test_what_hactl_wants_stopped_is_not_restarted(house: House) -> None:
    """It may be here all the same, if its stop has failed: then nothing would ever obey."""
    house.monitor.node.state.hactl = Hactl({"g": Wish("g", "stop")})
    for verb in (Verb.RESTART, Verb.MOVE):
        reply = await house.ask(GiveOrder(verb, "g"))
        assert not reply.ok
        assert reply.text == "hactl wants g stopped; to start it: mosha start g"


async def test_a_restart_is_waited_for_as_long_as_was_asked(house: House) -> None:
    reply = await house.ask(GiveOrder(Verb.RESTART, "g", wait=True, limit_s=1e-6))
    assert (reply.ok, reply.tried) == (False, True)
    assert "g has not started again on node 1 within 1e-06 s" in reply.text


async def test_an_operators_word_frees_what_a_dead_node_held(house: House) -> None:
    record = house.monitor.node.state.record("h")
    record.ballot = Ballot(Vote(term=3, node=2, inc=5, seq=1))  # as after a restart
    reply = await house.ask(Confirm(2))
    assert reply == MonitorReply(ok=True, text="node 2 counts as dead from now on")
    await until(lambda: record.ballot.vote is None)


async def test_a_reload_says_what_it_changed_and_what_is_wrong(
    house: House, short_dir: Path
) -> None:
    assert (await house.ask(Reload())).text == "no settings file: only the tables were looked at"
    house.monitor.read_settings = lambda: settings(short_dir, ban=7.0)
    assert (await house.ask(Reload())).text == "in force now: ban"

    def mistaken() -> Settings:
        raise UsageError("mosha.toml:3:1: unknown key")

    house.monitor.read_settings = mistaken
    assert await house.ask(Reload()) == MonitorReply(ok=False, text="mosha.toml:3:1: unknown key")


async def test_a_bug_that_a_request_comes_upon_is_no_refusal_but_ends_the_monitor(
    short_dir: Path,
) -> None:
    def broken() -> Settings:
        raise BugError("an invariant is broken")

    write_tables(short_dir)
    async with prepared(short_dir) as monitor:
        house = House(monitor)
        try:
            await until(lambda: house.where("g") == "start DONE")
            monitor.read_settings = broken
            with pytest.raises(NoAnswerError):
                await house.ask(Reload())
            with pytest.raises(ExceptionGroup) as raised:
                await house.task
            assert raised.group_contains(BugError, match="an invariant")
        finally:
            for process in link(monitor)._processes:
                process.kill()
                process.wait()


async def test_who_follows_gets_the_report_now_and_after_every_change(house: House) -> None:
    reader, writer = await open_streams(house.socket)
    decoder = msgspec.json.Decoder(MonitorReply)
    writer.write(msgspec.json.encode(Follow()) + b"\n")
    first = report_of(decoder.decode(await reader.readline()))
    assert [group.where for group in first.groups] == [[1], []]
    await house.ask(SetWish("h", "start"))
    began = boottime()
    lines = 0
    while True:
        found = report_of(decoder.decode(await reader.readline()))
        lines += 1
        if [group.where for group in found.groups] == [[1], [1]] and not found.problems:
            break
    assert lines <= 1 + (boottime() - began) / FOLLOW_EVERY_S + 1
    writer.close()
    await writer.wait_closed()


async def test_a_follower_that_has_gone_is_forgotten(house: House) -> None:
    _, writer = await open_streams(house.socket)
    writer.write(msgspec.json.encode(Follow()) + b"\n")
    await until(lambda: house._service._followers)
    writer.close()
    await writer.wait_closed()
    await house.ask(SetWish("h", "start"))
    await until(lambda: not house._service._followers)
    assert report_of(await house.ask(AskReport())).node == 1


async def test_h6_4_leaving_is_answered_when_the_node_has_left(house: House) -> None:
    connection = await house.connection()
    assert await connection.request(Leave()) == MonitorReply(ok=True, text="this node has left")
    await house.task
    assert house.status == 0
    with pytest.raises(NoAnswerError):
        await connection.request(AskReport())
    await connection.close()
    with pytest.raises(NoAnswerError):
        await open_streams(house.socket)
    last = parse_clstat(house.monitor.layout.clstat(1).read_bytes())
    assert (last.state, last.claims) == (NodeState.LEFT, {})


async def test_a_monitor_whose_number_another_node_has_ends_with_exit_status_1(
    house: House,
) -> None:
    path = house.monitor.layout.clstat(1)

    def displaced() -> bool:
        if not house.task.done():
            mine = parse_clstat(path.read_bytes())
            theirs = replace(mine, run="theirs", seq=mine.seq + 1000)
            write_atomically(path, render_clstat(theirs).encode())
        return house.task.done()

    await until(displaced)
    assert house.status == 1


async def test_two_who_ask_to_leave_are_both_answered(house: House) -> None:
    async with await house.connection() as one, await house.connection() as other:
        replies = await asyncio.gather(one.request(Leave()), other.request(Leave()))
    assert [reply.ok for reply in replies] == [True, True]


async def test_who_leaves_does_not_wait_for_ever_for_a_clinit_that_is_gone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "WITHOUT_CLINIT_S", 0.2)
    monitor = house.monitor
    link(monitor)._starts = False  # systemd does, but not while it stops the monitor
    os.kill(monitor.clinit.pid, signal.SIGKILL)
    await until(lambda: monitor.clinit.lost_at is not None)
    assert await house.ask(Leave()) == MonitorReply(ok=False, text=STRANDED, tried=True)
    await house.task
    assert house.status == 1
    # It does not say that nothing runs here: nobody could know. The lease ends by itself.
    last = parse_clstat(monitor.layout.clstat(1).read_bytes())
    assert (last.state, list(last.claims)) == (NodeState.LEAVING, ["g"])
