"""Entries with a resource agent in a real clinit: ready, monitored, started again, stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest

from mosha.clinit.agents_left import AGENTS
from mosha.core.status import EntryVerb, GroupState
from mosha.core.supervision.entries import trouble_text, troubles
from mosha.core.tell import EntryOrder
from mosha.host.clock import boot_id, boottime
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon
from tests.ocf.fake_agent import FakeAgent
from tests.waiting import wait_until

TABLE = "g:a:1:ocf(interval=1h):Sleeper state=x 'rounds=1'\ng:b:1:respawn:exec sleep 7401\n"


@pytest.fixture
def agent(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAgent]:
    """The agent that the clinit of a test finds; it works in a directory of its own."""
    forkserver.ensure_running()  # it is not to get the environment of one test
    directory = short_dir / "agent"
    directory.mkdir()
    with FakeAgent(directory) as made:
        made.path.write_text(made.path.read_text().replace("\n", f"\ncd {directory}\n", 1))
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


MOUNT = "g:a:1:ocf(interval=1h):Filesystem state=x\n"


@pytest.fixture
def mount(agent: FakeAgent) -> FakeAgent:
    """An agent that is known to make what no kill undoes, and makes a file."""
    agent.path.rename(agent.path.with_name("Filesystem"))
    agent.hook("start", "touch made; exit 0")
    agent.hook("stop", "rm -f made; exit 0")
    agent.hook("monitor", "test -e made || exit 7; exit 0")
    return agent


def verbs(agent: FakeAgent) -> list[str]:
    return [call.split()[0] for call in agent.calls()]


def test_a_group_with_an_agent_starts_and_stops(agent: FakeAgent, start_in: Start) -> None:
    agent.hook("start", "while ! test -e go; do sleep 0.02; done")
    d = start_in(TABLE)
    d.tell("g", "1")
    wait_until(lambda: "start" in verbs(agent))
    assert (d.group().state, d.entry("b").pid) == ("STARTING", 0)
    (agent.directory / "go").touch()
    d.wait_for("1 DONE")
    assert agent.service()
    d.tell("g", "stop")
    d.wait_for("stop PASSED")
    assert verbs(agent) == ["monitor", "start", "stop", "stop", "monitor"]
    assert agent.processes("OCF_RESOURCE_INSTANCE") == []


def test_what_the_entry_is_given_the_agent_has_at_start_and_at_stop(
    agent: FakeAgent, start_in: Start
) -> None:
    variables = agent.directory / "variables"
    variables.write_text("COLOUR=red\n")
    told = "echo $(ulimit -n) $(umask) $(nice) $(cat /proc/self/oom_score_adj) $COLOUR"
    for action in ("start", "stop"):
        agent.hook(action, f"{told} >> told")
    options = f"nofile=100,umask=027,nice=5,oom=300,dir={agent.directory},envfile={variables}"
    d = start_in(f"g:a:1:ocf(interval=1h,{options}):Sleeper state=x\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    d.tell("g", "stop")
    d.wait_for("stop PASSED")
    lines = (agent.directory / "told").read_text().splitlines()
    assert lines == ["100 0027 5 300 red"] * 3, "start, stop, and the stop at level stop"


def test_a_service_that_dies_is_started_again(agent: FakeAgent, start_in: Start) -> None:
    d = start_in(TABLE)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    first = agent.service()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: verbs(agent).count("start") == 2)
    wait_until(lambda: d.entry("a").ready)
    assert agent.service() != first
    assert verbs(agent) == ["monitor", "start", "monitor", "stop", "monitor", "start"]
    assert d.entry("a").said[-1] == "monitor: exit 7 (not running): no process"
    assert d.entry("b").starts == 1


def test_what_needs_a_failed_service_is_gone_when_it_is_stopped_and_comes_back_after_it(
    agent: FakeAgent, start_in: Start
) -> None:
    """As a database on a volume: it may neither hinder an unmount nor start without the mount."""
    there = f"test -e {agent.directory}/mounted || touch {agent.directory}/bare"
    agent.hook("start", "touch mounted")
    agent.hook("stop", "kill -0 $(cat user) 2>/dev/null && touch busy; rm -f mounted")
    d = start_in(
        "g:a:1:ocf(interval=1s):Sleeper state=x\n"
        f"g:b:1:respawn:{there}; echo $$ > {agent.directory}/user; exec sleep 7402\n"
        f"g:c:1:wait:{there}\n"
    )
    d.tell("g", "1")
    d.wait_for("1 DONE")
    first = d.entry("b").pid
    agent.hook("monitor", "test -e failed || { touch failed; fail 1 'too slow'; }")
    wait_until(lambda: verbs(agent).count("start") == 2)
    d.wait_for("1 DONE")
    assert d.entry("b").pid != first
    assert d.entry("a").exit == "exit 1"
    left = {path.name for path in agent.directory.iterdir()}
    assert left & {"mounted", "busy", "bare"} == {"mounted"}


def _monitor_fails(_d: Daemon, agent: FakeAgent) -> None:
    agent.hook("monitor", "test -e failed || { touch failed; fail 1 'too slow'; }")


def _process_is_killed(d: Daemon, _agent: FakeAgent) -> None:
    os.kill(d.entry("a").pid, signal.SIGKILL)


def _operator_restarts_it(d: Daemon, _agent: FakeAgent) -> None:
    reply = d.ask(EntryOrder("g", "a", EntryVerb.RESTART, "1.1.1", 0))
    assert reply.ok, reply.text


def _line_changes(d: Daemon, _agent: FakeAgent) -> None:
    d.write_cltab(d.cltab.read_text().replace("state=x", "state=x wait=0"))
    d.tell("g", "1")


@pytest.mark.parametrize(
    "happen", [_monitor_fails, _process_is_killed, _operator_restarts_it, _line_changes]
)
def test_what_needs_a_service_and_is_slow_to_stop_never_sees_it_gone(
    happen: Callable[[Daemon, FakeAgent], None], agent: FakeAgent, start_in: Start
) -> None:
    """It ignores its first signal, and looks for the mount until the last moment."""
    agent.hook("start", "touch mounted")
    agent.hook("stop", "rm -f mounted")
    place = agent.directory
    look = f"test -e {place}/mounted || touch {place}/bare; touch {place}/looks; sleep 0.01"
    d = start_in(
        "g:a:1:ocf(interval=1s):Sleeper state=x\n"
        f"g:b:1:respawn(stop=INT/1s):trap '' INT; while :; do {look}; done\n"
    )
    d.tell("g", "1")
    d.wait_for("1 DONE")
    wait_until((place / "looks").exists)
    first = d.entry("b").pid
    happen(d, agent)
    wait_until(lambda: verbs(agent).count("start") == 2)
    d.wait_for("1 DONE")
    wait_until(lambda: d.entry("b").pid not in {0, first})
    (place / "looks").unlink()
    wait_until((place / "looks").exists)
    assert not (place / "bare").exists()


def test_a_stop_for_an_operator_that_fails_is_said_to_and_is_tried_again_by_the_next_order(
    agent: FakeAgent, start_in: Start
) -> None:
    agent.hook("stop", "test -e mended || fail 1 'target is busy'")
    d = start_in("g:a:1:ocf(interval=1h):Sleeper state=x\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    assert d.ask(EntryOrder("g", "a", EntryVerb.STOP, "1.1.1", 0)).ok
    wait_until(lambda: d.entry("a").state == "stopped")
    assert d.entry("a").unattended
    assert "target is busy" in d.entry("a").exit_said
    (agent.directory / "mended").touch()
    assert d.ask(EntryOrder("g", "a", EntryVerb.STOP, "1.1.2", 0)).ok
    wait_until(lambda: "1.1.2" in d.entry("a").obeyed)
    assert not d.entry("a").unattended
    assert verbs(agent)[-3:] == ["stop", "stop", "monitor"]


def test_a_killed_agent_is_stopped_before_what_comes_before_it(
    agent: FakeAgent, start_in: Start
) -> None:
    """Two entries of one agent, as a volume and a service on it."""
    agent.hook("start", "touch made-$OCF_RESOURCE_INSTANCE; exit 0")
    agent.hook("monitor", "test -e made-$OCF_RESOURCE_INSTANCE || exit 7; exit 0")
    agent.hook(
        "stop", "echo $OCF_RESOURCE_INSTANCE >>order; rm made-$OCF_RESOURCE_INSTANCE; exit 0"
    )
    d = start_in(
        "g:a:1:ocf(interval=1h):Sleeper state=x\n"
        "g:b:1:ocf(interval=1h):Sleeper state=x\n"
        "g:c:1:respawn(stop=INT/1s):trap '' INT; while :; do sleep 0.1; done\n"
    )
    d.tell("g", "1")
    d.wait_for("1 DONE")
    os.kill(d.entry("b").pid, signal.SIGKILL)
    d.wait_for("1 STOPPING")
    d.tell("g", "stop")
    d.wait_for("stop PASSED")
    order = (agent.directory / "order").read_text().split()
    assert order[:2] == ["b", "a"]
    assert verbs(agent).count("start") == 2


def test_the_service_is_not_signalled_but_stopped(agent: FakeAgent, start_in: Start) -> None:
    agent.hook("stop", "runs && touch alive-at-stop")
    d = start_in(TABLE)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    d.tell("g", "stop")
    d.wait_for("stop PASSED")
    assert (agent.directory / "alive-at-stop").exists()


def test_a_stop_that_fails_fails_the_group_and_says_why(agent: FakeAgent, start_in: Start) -> None:
    d = start_in(TABLE)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    agent.hook("stop", "fail 1 'target is busy'")
    d.tell("g", "stop")
    d.wait_for("stop FAILED")
    assert d.group().cause == ("test entry a.stop: exit 3: stop: exit 1 (error): target is busy")
    agent.unhook("stop")
    d.tell("g", "plan")
    d.wait_for("plan DONE")
    d.tell("g", "stop")
    d.wait_for("stop PASSED")


def test_an_agent_that_cannot_run_here_fails_its_group_at_once(
    agent: FakeAgent, start_in: Start
) -> None:
    agent.hook("start", "fail 5 'no sleep here'")
    d = start_in(TABLE)
    d.tell("g", "1")
    d.wait_for("1 FAILED")
    why = "entry a: start: exit 5 (a program is missing on this node): no sleep here"
    assert d.group().cause == why
    assert verbs(agent) == ["monitor", "start", "stop"], "it is not tried again"
    assert (d.entry("a").severity, d.entry("b").starts) == ("hard", 0)
    agent.unhook("start")
    d.tell("g", "1")
    d.wait_for("1 DONE")


def test_a_degraded_service_is_reported_until_a_monitor_finds_it_well(
    agent: FakeAgent, start_in: Start
) -> None:
    agent.hook("monitor", "test -e service && fail 190 'one leg is lost'")
    d = start_in(TABLE.replace("interval=1h", "interval=1s"))
    d.tell("g", "1")
    wait_until(lambda: d.entry("a").degraded)
    assert d.entry("a").status == "monitor: exit 190 (running, degraded): one leg is lost"
    (trouble,) = troubles(d.group().entries, "1", GroupState.DONE, None, boottime())
    assert trouble_text(trouble) == f"entry a is degraded: {d.entry('a').status}"
    agent.unhook("monitor")
    wait_until(lambda: not d.entry("a").degraded)
    assert troubles(d.group().entries, "1", GroupState.DONE, None, boottime()) == ()


def test_a_killed_wrapper_is_followed_by_one_that_stops_its_service_first(
    agent: FakeAgent, start_in: Start
) -> None:
    agent.hook("stop", "runs && touch alive-at-stop")
    d = start_in(TABLE)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    os.kill(d.entry("a").pid, signal.SIGKILL)
    wait_until(lambda: verbs(agent).count("start") == 2)
    wait_until(lambda: d.entry("a").ready)
    assert verbs(agent) == ["monitor", "start", "monitor", "stop", "start"]
    assert (agent.directory / "alive-at-stop").exists()


def test_a_start_whose_wrapper_is_killed_is_gone_before_the_next_one(
    agent: FakeAgent, start_in: Start
) -> None:
    agent.hook("start", "test -e first || { echo $$ >first; sleep 1000; }")
    agent.hook("monitor", "test -e first && kill -0 $(cat first) && touch both")
    d = start_in(TABLE)
    d.tell("g", "1")
    wait_until((agent.directory / "first").exists)
    os.kill(d.entry("a").pid, signal.SIGKILL)
    d.wait_for("1 DONE")
    assert verbs(agent) == ["monitor", "start", "monitor", "start"]
    assert not (agent.directory / "both").exists()


def test_a_monitor_whose_wrapper_is_killed_is_gone_before_the_next_one(
    agent: FakeAgent, start_in: Start
) -> None:
    d = start_in(TABLE.replace("interval=1h", "interval=1s"))
    d.tell("g", "1")
    d.wait_for("1 DONE")
    agent.hook("monitor", "test -e first || { echo $$ >first; exec sleep 1000; }")
    agent.hook("stop", "kill -0 $(cat first) && touch both")
    wait_until((agent.directory / "first").exists)
    os.kill(d.entry("a").pid, signal.SIGKILL)
    wait_until(lambda: verbs(agent).count("start") == 2)
    wait_until(lambda: d.entry("a").ready)
    assert verbs(agent)[-3:] == ["monitor", "stop", "start"]
    assert not (agent.directory / "both").exists()


def test_what_no_wrapper_can_stop_is_killed_before_the_next_probe(
    agent: FakeAgent, start_in: Start
) -> None:
    agent.hook("stop", "runs && fail 1 'it does not answer'")
    d = start_in(TABLE)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    frozen = agent.service()
    os.kill(frozen, signal.SIGSTOP)
    os.kill(d.entry("a").pid, signal.SIGKILL)
    wait_until(lambda: verbs(agent).count("start") == 2)
    wait_until(lambda: d.entry("a").ready)
    assert verbs(agent) == ["monitor", "start", "monitor", "stop", "monitor", "start"]
    assert agent.service() != frozen
    wait_until(lambda: not Path(f"/proc/{frozen}").exists())
    d.wait_for("1 DONE")


def test_a_wrapper_that_is_frozen_is_killed_and_its_service_watched_again(
    agent: FakeAgent, start_in: Start
) -> None:
    d = start_in(TABLE)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    frozen = d.entry("a").pid
    os.kill(frozen, signal.SIGSTOP)
    wait_until(lambda: d.log("entry_hung"))
    wait_until(lambda: verbs(agent).count("start") == 2)
    wait_until(lambda: d.entry("a").ready)
    (line,) = d.log("entry_hung")
    assert (line["group"], line["tag"], line["pid"]) == ("g", "a", frozen)
    assert agent.service()


def test_a_stop_ends_although_the_wrapper_is_frozen(agent: FakeAgent, start_in: Start) -> None:
    d = start_in(TABLE)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    os.kill(d.entry("a").pid, signal.SIGSTOP)
    d.tell("g", "stop")
    d.wait_for("stop PASSED")
    assert verbs(agent)[-2:] == ["stop", "monitor"]
    assert agent.processes("OCF_RESOURCE_INSTANCE") == []


def test_a_frozen_stop_at_level_stop_fails_and_nothing_of_it_is_left(
    agent: FakeAgent, start_in: Start
) -> None:
    d = start_in(TABLE)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    agent.hook("stop", "! test -e once || kill -STOP $PPID $$; touch once")
    d.tell("g", "stop")
    d.wait_for("stop FAILED")
    (line,) = d.log("entry_hung")
    assert (line["group"], line["tag"]) == ("g", "a.stop")
    assert d.entry("a.stop").exit == "signal 9"
    assert agent.processes("OCF_RESOURCE_INSTANCE") == []


def test_a_kill_before_the_stop_of_a_mount_is_no_stop(agent: FakeAgent, start_in: Start) -> None:
    agent.path.rename(agent.path.with_name("Filesystem"))
    d = start_in("g:a:1:ocf(interval=1h):Filesystem state=x\n")
    until = boottime() + 3600.0
    d.tell("g", "1", term=4, stop_at=until, kill_at=until)
    d.wait_for("1 DONE")
    agent.hook("stop", "sleep 1000")
    now = boottime()
    d.tell("g", "stop", term=4, stop_at=now, kill_at=now + 0.5)
    d.wait_for("stop FAILED")
    assert d.group().cause == "killed before its agents had stopped: a"
    assert agent.processes("OCF_RESOURCE_INSTANCE") == []
    agent.unhook("stop")
    until = boottime() + 3600.0
    d.tell("g", "plan", term=5, stop_at=until, kill_at=until)
    d.wait_for("plan DONE")
    d.tell("g", "stop", term=5, stop_at=until, kill_at=until)
    d.wait_for("stop PASSED")


def test_what_a_killed_clinit_has_left_is_stopped_by_the_next_one(
    mount: FakeAgent, start_in: Start
) -> None:
    d = start_in(MOUNT)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    d.kill()
    assert (mount.directory / "made").exists()
    mount.hook("stop", "while ! test -e go; do sleep 0.02; done; rm -f made; exit 0")
    d.start()
    report = d.group()
    assert (report.level, report.state, report.present) == ("stop", "STARTING", True)
    (mount.directory / "go").touch()
    wait_until(lambda: "g" not in d.groups())
    assert not (mount.directory / "made").exists()
    assert verbs(mount)[-2:] == ["stop", "monitor"]
    wait_until(lambda: not (d.base / "state" / AGENTS).exists())  # a thread removes it
    (line,) = d.log("agents_recovered")
    assert (line["group"], line["tags"]) == ("g", ["a"])


def test_what_the_next_clinit_cannot_stop_has_not_stopped(
    mount: FakeAgent, start_in: Start
) -> None:
    d = start_in(MOUNT)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    d.kill()
    mount.hook("stop", "fail 1 'target is busy'")
    d.start()
    d.wait_for("stop FAILED")
    assert d.group().cause == "test entry a.stop: exit 3: stop: exit 1 (error): target is busy"
    d.shut_down()
    d.wait()
    d.start()
    d.wait_for("stop FAILED")


def test_nothing_that_lasts_is_started_as_long_as_it_cannot_be_remembered(
    mount: FakeAgent, start_in: Start
) -> None:
    d = start_in(MOUNT)
    record = d.base / "state" / AGENTS
    record.mkdir()
    d.tell("g", "1")
    wait_until(lambda: d.entry("a").error)
    assert f"could not be started: cannot write {record}" in d.entry("a").error
    assert verbs(mount) == []
    record.rmdir()
    d.wait_for("1 DONE")
    assert record.exists()


@pytest.mark.usefixtures("mount")
def test_what_an_earlier_boot_has_left_is_of_no_account(start_in: Start) -> None:
    d = start_in(MOUNT)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    d.kill()
    record = d.base / "state" / AGENTS
    record.write_text(record.read_text().replace(boot_id(), "another boot"))
    d.start()
    assert d.groups() == {}


@pytest.mark.usefixtures("mount")
def test_a_record_that_cannot_be_read_is_reported(start_in: Start) -> None:
    d = start_in(MOUNT)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    d.kill()
    (d.base / "state" / AGENTS).write_text("{")
    d.start()
    (line,) = d.log("agents_forgotten")
    assert "truncated" in line["reason"]
