"""set, confirm and shutdown: what is sent, and what the answer comes to."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from mosha.cli.ask import ask, has_unit, remedy
from mosha.cli.commands.shutdown import ANSWER_LIMIT_S
from mosha.cli.exits import NoDaemonError
from mosha.cli.order import ENTRY_LIMIT_S
from mosha.cli.settings import settings_to_ask
from mosha.control.calls import HungDaemonError, NoAnswerError, NotAllowedError
from mosha.control.protocol import (
    AskReport,
    Confirm,
    FailGroup,
    GiveOrder,
    Leave,
    MonitorReply,
    MonitorRequest,
    OrderEntry,
    SetWish,
)
from mosha.core.replication.judging import spread_limit_s
from mosha.core.status import EntryVerb, Verb
from mosha.formats.hastat import Quorum
from mosha.host import proc
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import group, node, report
from tests.cli.terminal import Terminal
from tests.waiting import wait_until


def refuse(_request: MonitorRequest) -> MonitorReply:
    return MonitorReply(ok=False, text="not now")


WISH = SetWish(group="web", level="start", options=("prefer=2",))
COMMANDS = [
    (
        ["set", "web", "start", "prefer=2,3"],
        SetWish(group="web", level="start", options=("prefer=2,3",)),
    ),
    (["set", "web", "strat", "--force"], SetWish(group="web", level="strat", force=True)),
    (["start", "web"], SetWish(group="web", level="")),
    (["stop", "web"], SetWish(group="web", level="stop")),
    (["restart", "web"], GiveOrder(verb=Verb.RESTART, group="web")),
    (["restart", "web", "a"], OrderEntry(EntryVerb.RESTART, "web", "a", ENTRY_LIMIT_S)),
    (["stop", "web", "a"], OrderEntry(EntryVerb.STOP, "web", "a", ENTRY_LIMIT_S)),
    (["start", "web", "a"], OrderEntry(EntryVerb.START, "web", "a", ENTRY_LIMIT_S)),
    (["move", "web", "3"], GiveOrder(verb=Verb.MOVE, group="web", node=3)),
    (["move", "web"], GiveOrder(verb=Verb.MOVE, group="web")),
    (["cleanup", "web"], GiveOrder(verb=Verb.CLEANUP, group="web")),
    (["cleanup", "web", "2"], GiveOrder(verb=Verb.CLEANUP, group="web", node=2)),
    (["standby", "2"], GiveOrder(verb=Verb.STANDBY, node=2)),
    (["unstandby", "2"], GiveOrder(verb=Verb.UNSTANDBY, node=2)),
    (["fail", "web", "--reason", "no route"], FailGroup(group="web", reason="no route")),
    (["fail", "web", "--reason", " no\nroute "], FailGroup(group="web", reason="no route")),
    (["fail", "web", "--reason", ""], FailGroup(group="web", reason="reported by a watcher")),
    (["confirm", "3", "--yes"], Confirm(node=3)),
    (["shutdown"], Leave()),
    (["shutdown", "--wait"], Leave()),
]


@pytest.mark.parametrize(("words", "request_"), COMMANDS)
def test_a_command_sends_its_request_and_prints_the_answer(
    mosha: Mosha, home: Home, words: list[str], request_: MonitorRequest
) -> None:
    def answer(_request: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=True, text="done")

    with FakeMonitor(home.rundir, report(), answer) as monitor:
        said = mosha(*words)
    assert (said.status, said.out, said.err) == (0, "done\n", "")
    assert monitor.asked == [request_]


@pytest.mark.parametrize("words", [words for words, _ in COMMANDS])
def test_a_refusal_is_exit_status_1_with_its_reason(
    mosha: Mosha, home: Home, words: list[str]
) -> None:
    with FakeMonitor(home.rundir, report(), refuse):
        said = mosha(*words)
    assert (said.status, said.out, said.err) == (1, "", "mosha: refused: not now\n")


def test_a_monitor_of_an_older_version_is_said_to_be_that(mosha: Mosha, home: Home) -> None:
    def answer(_: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=False, text="malformed request: Invalid value 'order-entry'")

    with FakeMonitor(home.rundir, report(), answer):
        said = mosha("restart", "web", "a")
    assert said.status == 1
    assert "the monitor of this node is of an older version" in " ".join(said.err.split())


def test_what_was_tried_is_not_called_refused(mosha: Mosha, home: Home) -> None:
    alone = MonitorReply(ok=False, text="in force here, on no other node: why", tried=True)
    with FakeMonitor(home.rundir, report(), lambda _: alone):
        for words in (["set", "web", "start"], ["set", "web", "start", "--wait"]):
            said = mosha(*words)
            assert (said.status, said.out) == (1, "")
            assert said.err == "mosha: in force here, on no other node: why\n"


@pytest.mark.parametrize("words", [words for words, _ in COMMANDS])
def test_the_answer_can_be_had_as_json(mosha: Mosha, home: Home, words: list[str]) -> None:
    with FakeMonitor(home.rundir, report(), refuse):
        said = mosha(*words, "--json")
    assert said.status == 1
    assert json.loads(said.out) == {"ok": False, "text": "not now"}


@pytest.mark.parametrize(
    "words", [*(words for words, _ in COMMANDS), ["status"], ["status", "--watch"]]
)
def test_no_monitor_is_exit_status_3_with_what_to_do(mosha: Mosha, words: list[str]) -> None:
    said = mosha(*words)
    assert (said.status, said.out) == (3, "")
    assert "mosha.s" in said.err
    assert "mosha run" in said.err


@pytest.mark.parametrize(
    "words", [["set", "web", "start"], ["confirm", "3", "--yes"], ["shutdown", "--wait"]]
)
def test_a_monitor_that_goes_away_without_an_answer_is_told(
    mosha: Mosha, home: Home, words: list[str]
) -> None:
    with FakeMonitor(home.rundir, report(), lambda _: None):
        said = mosha(*words)
    assert said.status == 3, said.err
    assert "mosha.s" in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["web", "start", "prefre=2"], "did you mean 'prefer'?"),
        (["web", "start", "prefer=x"], "not a node number"),
        (["we b", "start"], "command line"),
        (["web", "start", "soon"], "not an option: 'soon'; options are written prefer=2,3"),
    ],
)
def test_a_mistyped_wish_is_wrong_usage_and_asks_nobody(
    mosha: Mosha, words: list[str], told: str
) -> None:
    said = mosha("set", *words)
    assert said.status == 2
    assert told in said.err


def test_who_waits_hears_how_it_goes_and_whether_it_came_about(mosha: Mosha, home: Home) -> None:
    known = report(groups=[*report().groups, group("new", ok=False)])
    with FakeMonitor(home.rundir, known) as monitor:
        said = mosha("start", "web", "--wait")
        assert (said.status, said.out, said.err) == (0, "done\n", "web: start DONE on node 1\n")
        said = mosha("set", "new", "start", "--wait", "--limit", "0")
        assert (said.status, said.out) == (1, "done\n")
        assert said.err == "new: on no node\nmosha: new: not reached within 0 s\n"
        views = [replace(view, wanted="stop") for view in monitor.report.groups]
        monitor.report = replace(monitor.report, groups=views)
        said = mosha("stop", "web", "--wait", "--limit", "0")  # it still runs
        assert said.status == 1


def test_a_watcher_in_an_entry_need_not_name_its_group(
    mosha: Mosha, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MOSHA_GROUP", raising=False)
    said = mosha("fail")
    assert (said.status, "MOSHA_GROUP is not set" in said.err) == (2, True)
    monkeypatch.setenv("MOSHA_GROUP", "web")
    with FakeMonitor(home.rundir, report()) as monitor:
        assert mosha("fail").status == 0
    assert monitor.asked == [FailGroup(group="web", reason="reported by a watcher")]


STALE = [node(1, "self"), node(2), node(3, "stale"), node(4, "left")]


def test_confirm_without_a_terminal_wants_yes(mosha: Mosha, home: Home) -> None:
    with FakeMonitor(home.rundir, report()) as monitor:
        said = mosha("confirm", "3")
    assert said.status == 2
    assert "--yes" in said.err
    assert monitor.asked == []


@pytest.mark.parametrize(
    ("answer", "status", "asked"), [("y", 0, [Confirm(node=3)]), ("n", 1, []), ("", 1, [])]
)
def test_confirm_asks_on_a_terminal_and_means_no_unless_told_yes(
    home: Home, answer: str, status: int, asked: list[MonitorRequest]
) -> None:
    with FakeMonitor(home.rundir, report(nodes=STALE)) as monitor:
        screen = Terminal("confirm", "3", "--config", str(home.config))
        try:
            wait_until(lambda: screen.shows("Is node 3 switched off"))
            screen.type(f"{answer}\n")
        finally:
            ended = screen.exit_status()
    assert ended == status
    assert monitor.asked == [AskReport(), *asked]


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (2, "node 2 is alive: it was heard 0.4 s ago"),
        (1, "node 1 is this one"),
        (4, "node 4 has left in an orderly way: nothing waits for a confirmation"),
        (7, "there is no node 7; the nodes are 1, 2, 3, 4"),
    ],
)
def test_confirm_does_not_ask_about_a_node_that_is_not_dead(
    home: Home, number: int, told: str
) -> None:
    with FakeMonitor(home.rundir, report(nodes=STALE)) as monitor:
        screen = Terminal("confirm", str(number), "--config", str(home.config))
        try:
            wait_until(lambda: screen.shows(told))
        finally:
            ended = screen.exit_status()
    assert ended == 1
    assert monitor.asked == [AskReport()]


@pytest.mark.parametrize(
    ("error", "systemd", "told"),
    [
        (NoAnswerError("x"), False, "start the monitor (mosha run)"),
        (NoAnswerError("x"), True, "start the monitor (systemctl start mosha)"),
        (HungDaemonError("x", 7), False, "end it (kill -KILL 7), and start it again (mosha run)"),
        (HungDaemonError("x"), False, "kill -KILL PID"),
        (HungDaemonError("x", 7, stopped=True), False, "process 7 is stopped: kill -CONT 7"),
        (HungDaemonError("x"), True, "systemctl kill -s KILL mosha"),
        (NotAllowedError("x"), True, "as in `sudo mosha status`"),
    ],
)
def test_what_to_do_is_said_in_the_words_of_this_machine(  # M8, M9
    error: Exception, *, systemd: bool, told: str
) -> None:
    assert told in remedy(error, systemd=systemd)


def test_a_socket_of_another_user_leaves_it_unknown_how_things_are(
    mosha: Mosha, home: Home
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may talk to every socket")
    with FakeMonitor(home.rundir, report()):
        (home.rundir / "mosha.s").chmod(0)
        said = mosha("status")
    assert said.status == 3
    assert "sudo mosha status" in said.err


@pytest.mark.parametrize("mistake", ["tiemout = 3", "timeout = 60s", "mynode = 'x'"])
def test_a_monitor_is_asked_though_its_settings_have_mistakes_by_now(
    mosha: Mosha, home: Home, mistake: str
) -> None:
    home.config.write_text(f"{home.config.read_text()}\n{mistake}\n")
    with FakeMonitor(home.rundir, report()):
        said = mosha("status")
    assert "NODE" in said.out
    assert str(home.config) in said.err
    assert "asking the running monitor all the same: it keeps its former settings" in said.err
    assert mosha("status").status == 2  # nobody runs: the mistakes are what matters


@pytest.mark.parametrize("mistake", ["rundri = '/nowhere'", "rundir = 7", "rundir ="])
def test_a_monitor_that_may_be_another_nodes_is_not_asked(
    mosha: Mosha, home: Home, mistake: str
) -> None:
    lines = home.config.read_text().splitlines()
    kept = [line for line in lines if "rundir" not in line or mistake.startswith("rundri")]
    home.config.write_text("\n".join([*kept, mistake, ""]))
    with FakeMonitor(home.rundir, report()) as monitor:
        said = mosha("status")
    assert (said.status, monitor.asked) == (2, [])


def test_people_are_told_after_a_second_what_a_question_waits_for(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home.rundir / "mosha.s"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        settings = settings_to_ask(str(home.config))
        for request, told in ((AskReport(), True), (GiveOrder(verb=Verb.RESTART), False)):
            with pytest.raises(NoDaemonError, match=r"did not answer in 1\.1 s"):
                ask(settings, request, 1.1)
            waits = f"the monitor (process {os.getpid()}) does not answer; waiting for up to 1.1 s"
            assert (waits in capsys.readouterr().err) is told


def test_nobody_waits_for_a_stopped_monitor_to_read_an_order(home: Home) -> None:
    path = home.rundir / "mosha.s"
    words = f"import socket; s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); s.listen()"
    stopped = f"{words}; import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
    with subprocess.Popen([sys.executable, "-c", stopped]) as process:
        try:
            wait_until(lambda: proc.is_stopped(process.pid))
            settings = settings_to_ask(str(home.config))
            with pytest.raises(NoDaemonError) as caught:
                ask(settings, GiveOrder(verb=Verb.RESTART), 600.0)
        finally:
            process.kill()
    assert "is stopped: it drops the order unless it had read it" in str(caught.value)
    assert f"kill -CONT {process.pid}" in str(caught.value)


def test_a_unit_is_found_in_any_of_its_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = (tmp_path / "etc", tmp_path / "lib")
    monkeypatch.setattr("mosha.cli.ask.SYSTEMD", tmp_path)
    monkeypatch.setattr("mosha.cli.ask.UNIT_PLACES", places)
    assert not has_unit()
    places[1].mkdir()
    (places[1] / "mosha.service").touch()
    assert has_unit()


def test_a_monitor_that_ends_while_it_is_asked_is_not_stopped(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: int) -> bool:
        raise ProcessLookupError

    monkeypatch.setattr("mosha.cli.ask.is_stopped", gone)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(home.rundir / "mosha.s"))
        deaf.listen()
        settings = settings_to_ask(str(home.config))
        monkeypatch.setattr("mosha.control.calls.is_stopped", lambda _: False)
        with pytest.raises(NoDaemonError, match=r"did not answer in 1\.1 s"):
            ask(settings, GiveOrder(verb=Verb.RESTART), 1.1)


@pytest.mark.timeout(30)
def test_who_waits_for_an_entry_hears_that_there_is_no_monitor(mosha: Mosha) -> None:
    said = mosha("restart", "web", "web-a", "--wait")
    assert said.status == 3
    assert "no daemon answers at " in said.err


def test_who_edits_waits_as_long_as_the_nodes_have_time_to_agree(
    mosha: Mosha, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread_s = spread_limit_s(settings_to_ask(str(home.config)).timing.heartbeat_s)
    monkeypatch.setattr("mosha.cli.commands.set.CALL_LIMIT_S", 0.2 - spread_s)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(home.rundir / "mosha.s"))
        deaf.listen()
        said = mosha("set", "web", "start")
    assert said.status == 3
    assert "did not answer in 0.2 s" in said.err


@pytest.mark.parametrize(
    ("voters", "note"),
    [([1, 2, 3], "note: this node has no quorum"), ([1, 3], "note: this half goes on alone when")],
)
def test_who_confirms_without_a_quorum_is_told_what_moves(
    home: Home, voters: list[int], note: str
) -> None:
    lost = Quorum(has=False, policy="majority", seen=1, electorate=voters, needed=2)
    with FakeMonitor(home.rundir, report(nodes=STALE, quorum=lost)):
        screen = Terminal("confirm", "3", "--config", str(home.config))
        try:
            wait_until(lambda: screen.shows(note))
            wait_until(lambda: screen.shows("Is node 3 switched off"))
            screen.type("n\n")
        finally:
            assert screen.exit_status() == 1


def test_who_waits_for_a_shutdown_waits_until_the_monitor_is_gone(mosha: Mosha, home: Home) -> None:
    happened: list[str] = []
    returned = threading.Event()

    def leave() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b'{"ok":true,"text":"this node has left"}\n')
            # Who does not wait, or no longer than without --wait, has returned by then.
            returned.wait(ANSWER_LIMIT_S + 0.3)
            happened.append("gone")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.rundir / "mosha.s"))
        listener.listen()
        monitor = threading.Thread(target=leave)
        monitor.start()
        said = mosha("shutdown", "--wait")
        happened.append("returned")
        returned.set()
        monitor.join()
    assert (said.status, said.out) == (0, "this node has left\n")
    assert happened == ["gone", "returned"]
