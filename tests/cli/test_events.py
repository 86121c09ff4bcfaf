from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import jsonschema
import msgspec
import pytest

from mosha.cli.commands.events import sentence
from mosha.control.protocol import AskEvents, MonitorReply, MonitorRequest
from mosha.core.explain.transitions import FOR_GOOD, GIVEN_UP, MOVING, Transition
from mosha.formats.events import (
    ClusterEvent,
    cluster_event,
    cluster_event_schema,
    parse_happenings,
    render_happenings,
)
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import report
from tests.waiting import wait_until

SEEN = [
    Transition("quorum", "", 1, "yes", "no", "1 of 3 nodes fresh"),
    Transition("node", "", 3, "fresh", "stale", "no answer\nfor 3 s"),
    Transition("node", "", 2, "-", "fresh", ""),
    Transition("shot", "", 3, "-", "running", ""),
    Transition("fencing", "", 1, "armed", "disarmed", "from node 2: switch 3 is replaced"),
    Transition("fencing", "", 1, "disarmed", "armed", ""),
    Transition("hold", "", 3, "-", "held back: budget", "a minority was shot (2)"),
    Transition("hold", "", 3, "held back: budget", "-", ""),
    Transition("probation", "", 3, "-", "on probation", "found dead 3 times"),
    Transition("probation", "", 3, "on probation", "-", ""),
    Transition("late-kill", "web", 2, "-", "killed too late", "it may have run on two nodes"),
    Transition("late-kill", "web", 2, "killed too late", "-", ""),
    Transition("table", "hactl", 2, "-", "refused", "hactl:1:1: no"),
    Transition("table", "hactl", 2, "refused", "-", ""),
    Transition("ban", "web", 2, "-", "banned", "exit 1"),
    Transition("ban", "web", 2, "banned", "-", ""),
    Transition("health", "web", 2, "-", "unhealthy", "monitor ok fails: exit 7"),
    Transition("health", "web", 2, "unhealthy", "-", ""),
    Transition("restart", "web", 2, "1 time", "2 times", "monitor ok failed 3 times in a row"),
    Transition("exhausted", "web", 2, "-", FOR_GOOD, "failed 4 times"),
    Transition("exhausted", "web", 2, FOR_GOOD, "-", ""),
    Transition("ban", "web", 2, "-", GIVEN_UP, "failed 4 times"),
    Transition("ban", "web", 2, "-", MOVING, "moved to node 3 by an operator"),
    Transition("ban", "web", 2, MOVING, "-", ""),
    Transition("ban", "web", 2, MOVING, "-", "not done: it is not on node 3"),
    Transition("clinit", "", 1, "-", "does not answer", ""),
    Transition("clinit", "", 1, "does not answer", "-", ""),
    Transition("entry", "web", 2, "-", "webd pausing", "exit 1: no port"),
    Transition("entry", "web", 2, "webd pausing", "-", ""),
    Transition("entry", "web", 2, "webd pausing", "-", "node 2 is fenced"),
    Transition("group", "web", 2, "plan DONE", "start DONE", "tell"),
    Transition("group", "web", 2, "start DONE", "-", "node 2 is fenced"),
    Transition("group", "web", 2, "plan DONE", "-", ""),
    Transition("group", "web", 2, "start DONE", "stop STARTING", "lease ended"),
    Transition("move", "web", 3, "2", "3", "", 5.2),
    Transition("move", "web", 2, "2", "2", "", 0.0),
    Transition("clinit", "", 1, "process 7", "process 9", ""),
    Transition("reset", "", 1, "-", "sysrq", "processes of web have outlived kill_at"),
    Transition("monitor", "", 1, "-", "started", ""),
]
TOLD = [
    "quorum: yes -> no (1 of 3 nodes fresh)",
    "node 3: fresh -> stale (no answer for 3 s)",
    "node 2: fresh",
    "node 3 shot: running",
    "fencing: armed -> disarmed (from node 2: switch 3 is replaced)",
    "fencing: disarmed -> armed",
    "shots at node 3: held back: budget (a minority was shot (2))",
    "shots at node 3: not held back any more",
    "node 3: on probation (found dead 3 times)",
    "node 3: its probation is over",
    "web on node 2: killed too late (it may have run on two nodes)",
    "web on node 2: its late kill was looked at",
    "hactl on node 2: refused (hactl:1:1: no)",
    "hactl on node 2: taken again",
    "web on node 2: banned (exit 1)",
    "web on node 2: ban ended",
    "web on node 2: unhealthy (monitor ok fails: exit 7)",
    "web on node 2: its monitors succeed, or do not run",
    "web restarted in place on node 2, 2 times so far: monitor ok failed 3 times in a row",
    "web on node 2: stopped for good (failed 4 times)",
    "web on node 2: may be started again",
    "web on node 2: given up (failed 4 times)",
    "web: node 2 leaves it to others (moved to node 3 by an operator)",
    "web: node 2 leaves it to others no longer: the move is over",
    "web: node 2 leaves it to others no longer: the move is over (not done: it is not on node 3)",
    "clinit of node 1: does not answer",
    "clinit of node 1: answers again",
    "web on node 2: webd pausing (exit 1: no port)",
    "web on node 2: all entries are well",
    "web on node 2: gone (node 2 is fenced)",
    "web on node 2: plan DONE -> start DONE",
    "web on node 2: start DONE -> gone (node 2 is fenced)",
    "web on node 2: plan DONE -> stopped",
    "web on node 2: start DONE -> stop STARTING (lease ended)",
    "web moved 2 -> 3, away 5.2 s",
    "web is back on node 2, away 0.0 s",
    "clinit of node 1 ended and was started again",
    "node 1 reset itself (sysrq): processes of web have outlived kill_at",
    "monitor of node 1 started: what it did not see is not here",
]
EVENTS: list[ClusterEvent] = [
    cluster_event(seen, seq=number, time="2025-11-22T10:31:02.123+00:00", said_by=1)
    for number, seen in enumerate(SEEN, 1)
]


def answer(request: MonitorRequest) -> MonitorReply:
    assert isinstance(request, AskEvents)
    return MonitorReply(ok=True, report=msgspec.Raw(render_happenings(EVENTS)))


@pytest.mark.parametrize(("event", "told"), list(zip(EVENTS, TOLD, strict=True)))
def test_an_event_reads_as_a_sentence(event: ClusterEvent, told: str) -> None:
    assert sentence(event) == told


def test_events_are_printed_with_their_day_and_time(mosha: Mosha, home: Home) -> None:
    with FakeMonitor(home.rundir, report(), answer):
        said = mosha("events")
    assert said.status == 0
    day, *rest = said.out.splitlines()
    assert day == "--- 2025-11-22"
    assert [line.partition(" ")[2] for line in rest] == TOLD


def test_json_is_an_object_a_line_that_keeps_its_schema(mosha: Mosha, home: Home) -> None:
    with FakeMonitor(home.rundir, report(), answer):
        said = mosha("events", "--json", "--group", "web")
    shown = [json.loads(line) for line in said.out.splitlines()]
    for one in shown:
        jsonschema.validate(one, cluster_event_schema())
    assert [(one["kind"], one["from"], one["to"], one["away_s"]) for one in shown][-2:] == [
        ("move", "2", "3", 5.2),
        ("move", "2", "2", 0.0),
    ]
    assert {one["group"] for one in shown} == {"web"}
    assert len(shown) == len([one for one in EVENTS if one.group == "web"])


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["--group", "nope"], 2, "no node knows group nope"),
        (["--node", "7"], 2, "there is no node 7; nodes are 1, 2, 3"),
        (["--group", "db"], 0, "no event is about that, as far as this monitor remembers"),
        (["--group", "web", "--node", "1"], 0, "no event is about that"),
        ([], 0, ""),
    ],
)
def test_that_nothing_is_about_a_group_or_node_is_said(
    mosha: Mosha, home: Home, words: list[str], status: int, told: str
) -> None:
    def nothing(_: MonitorRequest) -> MonitorReply:
        few = [one for one in EVENTS if one.group == "web"]
        return MonitorReply(ok=True, report=msgspec.Raw(render_happenings(few if words else [])))

    with FakeMonitor(home.rundir, report(), nothing):
        said = mosha("events", *words)
    assert (said.status, said.out) == (status, "")
    assert told in said.err
    assert bool(said.err) is bool(told)


def test_only_what_is_on_a_node_can_be_asked_for(mosha: Mosha, home: Home) -> None:
    with FakeMonitor(home.rundir, report(), answer):
        said = mosha("events", "--node", "1", "--node", "3")
    assert [line.partition(" ")[2] for line in said.out.splitlines()[1:]] == [
        TOLD[0],
        TOLD[1],
        TOLD[3],
        *(
            told
            for told in TOLD[4:]
            if re.match(
                "(clinit|monitor) of node 1|node 1 reset|web moved|fencing|shots at node 3|node 3:",
                told,
            )
        ),
    ]


def test_a_move_away_from_a_node_is_an_event_of_that_node_too(mosha: Mosha, home: Home) -> None:
    moved = [one for one in EVENTS if one.kind == "move"]

    def moves(_: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=True, report=msgspec.Raw(render_happenings(moved)))

    with FakeMonitor(home.rundir, report(), moves):
        said = {node: mosha("events", "--node", node).out for node in ("1", "2", "3")}
    assert {node: out.count("moved 2 -> 3") for node, out in said.items()} == {
        "1": 0,
        "2": 1,
        "3": 1,
    }
    assert "is back on node 2" not in said["3"]


def test_the_events_of_a_group_are_those_of_its_instances_too(mosha: Mosha, home: Home) -> None:
    names = ("web@2", "web", "webs", "db@2")
    found = [msgspec.structs.replace(EVENTS[14], group=name) for name in names]

    def of_instances(_: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=True, report=msgspec.Raw(render_happenings(found)))

    with FakeMonitor(home.rundir, report(), of_instances):
        of_group = mosha("events", "--group", "web").out.splitlines()[1:]
        of_one = mosha("events", "--group", "web@2").out.splitlines()[1:]
    assert [line.split()[1] for line in of_group] == ["web@2", "web"]
    assert [line.split()[1] for line in of_one] == ["web@2"]


def test_what_is_bad_is_red_where_colours_are_wanted(mosha: Mosha, home: Home) -> None:
    """Also into a pipe, as for `less -R`."""
    with FakeMonitor(home.rundir, report(), answer):
        red = mosha("events", "--color", "always").out
        plain = mosha("events", "--color", "never").out
    marked = {line for line in TOLD if f"\033[31m{line}\033[0m\n" in red}
    bad = (
        *("quorum: yes -> no", "node 3: fresh -> stale", "hactl on node 2: refused"),
        *("web on node 2: banned", "web on node 2: unhealthy", "web on node 2: given up"),
        "web on node 2: stopped for good",
    )
    assert marked == {line for line in TOLD if line.startswith(bad)}
    assert "\033" not in plain


@pytest.mark.parametrize(("lines", "told"), [("0", []), ("2", TOLD[-2:]), ("999", TOLD)])
def test_of_the_events_so_far_only_the_last_may_be_asked_for(
    mosha: Mosha, home: Home, lines: str, told: list[str]
) -> None:
    with FakeMonitor(home.rundir, report(), answer):
        said = mosha("events", "-n", lines)
        followed = mosha("events", "-n", "1", "--node", "3")
    assert [line.partition(" ")[2] for line in said.out.splitlines()[1:]] == told
    assert followed.out.splitlines()[1].endswith("web moved 2 -> 3, away 5.2 s")


def test_a_monitor_that_goes_away_while_it_is_followed_is_exit_status_3(
    home: Home, tmp_path: Path
) -> None:
    words = ["events", "-f", "-n", "1", "--config", str(home.config)]
    out = tmp_path / "out"
    with out.open("wb") as file, FakeMonitor(home.rundir, report(), answer):
        process = subprocess.Popen(
            [sys.executable, "-m", "mosha.cli.main", *words], stdout=file, stderr=subprocess.PIPE
        )
        wait_until(lambda: TOLD[-1] in out.read_text())
        assert TOLD[0] not in out.read_text()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert b"the monitor went away" in err


def test_only_of_what_was_before_a_follower_sees_the_last(mosha: Mosha, home: Home) -> None:
    def batch(found: list[ClusterEvent]) -> bytes:
        reply = MonitorReply(ok=True, report=msgspec.Raw(render_happenings(found)))
        return msgspec.json.encode(reply) + b"\n"

    def tell(listener: socket.socket) -> None:
        line, _ = listener.accept()
        with line:
            line.recv(4096)
            line.sendall(batch(EVENTS[:3]) + batch(EVENTS[3:6]) + batch(EVENTS[6:8]))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.rundir / "mosha.s"))
        listener.listen()
        teller = threading.Thread(target=tell, args=[listener])
        teller.start()
        said = mosha("events", "-f", "-n", "1")
        teller.join()
    assert [line.partition(" ")[2] for line in said.out.splitlines()[1:]] == TOLD[2:8]
    assert said.status == 3


def test_who_follows_a_group_that_is_not_known_is_told_so_and_waits_for_it(
    mosha: Mosha, home: Home
) -> None:
    unknown = MonitorReply(ok=False, text="no node knows group shop")
    known = MonitorReply(ok=True, report=msgspec.Raw(render_happenings([])))

    def tell(listener: socket.socket) -> None:
        for reply in (unknown, known):
            line, _ = listener.accept()
            with line:
                line.recv(4096)
                line.sendall(msgspec.json.encode(reply) + b"\n")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.rundir / "mosha.s"))
        listener.listen()
        teller = threading.Thread(target=tell, args=[listener])
        teller.start()
        said = mosha("events", "-f", "--group", "shop")
        teller.join()
    assert said.err.splitlines() == [
        "mosha: no node knows group shop",
        "mosha: the monitor went away",
    ]
    assert said.status == 3


def test_the_time_of_an_event_is_that_of_this_place(
    mosha: Mosha, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC-3")
    time.tzset()
    late = msgspec.structs.replace(EVENTS[0], time="2025-11-22T22:31:02.005+00:00")

    def one(_: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=True, report=msgspec.Raw(render_happenings([late])))

    try:
        with FakeMonitor(home.rundir, report(), one):
            said = mosha("events")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert said.out == f"--- 2025-11-23\n01:31:02.005 {TOLD[0]}\n"


def test_without_a_monitor_it_is_exit_status_3(mosha: Mosha) -> None:
    assert mosha("events").status == 3
    assert mosha("events", "-f").status == 3


def test_a_monitor_that_refuses_is_an_error(mosha: Mosha, home: Home) -> None:
    def refuse(_: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=False, text="malformed request")

    with FakeMonitor(home.rundir, report(), refuse):
        said = mosha("events")
    assert said.status == 1
    assert "malformed request" in said.err


def test_events_travel_as_json_and_back() -> None:
    assert parse_happenings(render_happenings(EVENTS)) == EVENTS
    with pytest.raises(ValueError, match="truncated"):
        parse_happenings(b"[")
