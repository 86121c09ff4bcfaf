"""The wrapper: what clinit runs for an entry with a resource agent, from the probe to the stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from mosha.core import agent_exits
from mosha.core.agent_exits import TURN_VARIABLE
from mosha.host.programs import PACKAGES
from mosha.ocf.results import MEANINGS
from tests.ocf.fake_agent import FakeAgent
from tests.waiting import LIMIT_S, wait_until

OFTEN = "--monitor=0/1"
RARELY = "--monitor=0/3600"


def ready(agent: FakeAgent) -> None:
    assert agent.heard() == "READY=1\nSTATUS=started"


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Return how it ended, and what it said."""
    _, said = process.communicate(timeout=LIMIT_S)
    return process.returncode, said.splitlines()


def ended_in_turn(agent: FakeAgent, process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Let a failed service be stopped, and return how it ended, and what it said."""
    assert agent.heard().startswith("STOPPING=1\nSTATUS=monitor: ")
    assert agent.calls()[-1].startswith("monitor "), "it is not stopped yet"
    process.terminate()
    return ended(process)


def test_it_probes_starts_is_ready_monitors_and_stops(agent: FakeAgent) -> None:
    agent.hook("start", "echo $OCF_RESOURCE_INSTANCE >instance")
    process = agent.wrapped(OFTEN, "--monitor=10/1")
    ready(agent)
    assert (agent.directory / "instance").read_text() == "asleep\n"
    wait_until(lambda: len(agent.calls("monitor")) > 3)
    process.terminate()
    status, said = ended(process)
    assert (status, said) == (agent_exits.STOPPED_WELL, [])
    calls = agent.calls()
    assert calls[:2] == ["monitor 0 60000 0", "start 0 30000 0"]
    assert calls[-1] == "stop 0 40000 0"
    assert set(calls[2:-1]) == {"monitor 1000 60000 0", "monitor 1000 20000 10"}
    assert agent.heard() == "STOPPING=1"
    assert agent.processes() == []


def test_a_service_whose_process_dies_is_found_dead_at_once(agent: FakeAgent) -> None:
    process = agent.wrapped(RARELY, "--monitor=10/3600")
    ready(agent)
    os.kill(agent.service(), signal.SIGKILL)
    status, said = ended_in_turn(agent, process)
    assert status == agent_exits.FAILED
    assert agent.calls("monitor")[-1].endswith(" 0"), "the cheapest monitor tells it"
    assert said[-1] == "monitor: exit 7 (not running): no process"
    assert agent.calls()[-1].startswith("stop "), "nothing of it is left"


def test_an_older_clinit_that_sends_no_sigterm_is_not_waited_for(agent: FakeAgent) -> None:
    process = agent.wrapped(RARELY, without=TURN_VARIABLE)
    ready(agent)
    os.kill(agent.service(), signal.SIGKILL)
    status, said = ended(process)
    assert (status, said[-1]) == (
        agent_exits.FAILED,
        "monitor: exit 7 (not running): no process",
    )
    assert agent.calls()[-1].startswith("stop ")


def test_a_monitor_that_hangs_is_a_failure(agent: FakeAgent) -> None:
    process = agent.wrapped(OFTEN, "--timeout=0.5")
    ready(agent)
    agent.hook("monitor", "sleep 1000")
    assert ended_in_turn(agent, process) == (
        agent_exits.FAILED,
        ["monitor: not over in 0.5 s, killed"] * 2,
    )
    assert agent.processes() == []


@pytest.mark.parametrize("code", [190, 191])
def test_a_degraded_service_goes_on_and_says_so_once(agent: FakeAgent, code: int) -> None:
    process = agent.wrapped(OFTEN)
    ready(agent)
    agent.hook("monitor", f"fail {code} 'one leg is lost'")
    text = f"monitor: exit {code} ({MEANINGS[code]}): one leg is lost"
    assert agent.heard() == f"STATUS={text}\nX_DEGRADED=1"
    count = len(agent.calls("monitor"))
    wait_until(lambda: len(agent.calls("monitor")) > count + 1)
    agent.unhook("monitor")
    assert agent.heard() == "STATUS=started"
    process.terminate()
    status, said = ended(process)
    assert status == agent_exits.STOPPED_WELL
    assert said == [text, "no longer degraded"]


def test_a_service_that_is_promoted_runs_and_is_stopped_if_the_probe_finds_it(
    agent: FakeAgent,
) -> None:
    agent.hook("monitor", "exit 8")
    process = agent.wrapped(OFTEN)
    ready(agent)
    wait_until(lambda: len(agent.calls("monitor")) > 2)
    process.terminate()
    status, said = ended(process)
    assert (status, said[0]) == (agent_exits.STOPPED_WELL, "probe: exit 8 (running, promoted)")
    assert [call.split()[0] for call in agent.calls()[:4]] == [
        *("monitor", "stop", "start", "monitor"),
    ]


def test_what_the_probe_finds_running_is_stopped_and_started_anew(agent: FakeAgent) -> None:
    first = agent.wrapped(RARELY)
    ready(agent)
    left = agent.service()
    first.kill()
    assert ended(first)[0] == -signal.SIGKILL
    second = agent.wrapped(RARELY)
    ready(agent)
    assert [call.split()[0] for call in agent.calls()] == [
        *("monitor", "start"),
        *("monitor", "stop", "start"),
    ]
    assert agent.service() != left
    second.terminate()
    status, said = ended(second)
    assert status == agent_exits.STOPPED_WELL
    assert said == ["probe: exit 0 (success)", "it was not started by this process: stopped first"]


def test_a_probe_that_hangs_is_killed_at_the_limit_that_was_given(agent: FakeAgent) -> None:
    agent.hook("monitor", "[ -f probed ] || { touch probed; sleep 1000; }")
    process = agent.wrapped(RARELY, "--timeout=0.5")
    ready(agent)
    assert [call.split()[0] for call in agent.calls()] == ["monitor", "stop", "start"]
    process.terminate()
    status, said = ended(process)
    assert status == agent_exits.STOPPED_WELL
    assert said[0] == "probe: not over in 0.5 s, killed"


def test_a_start_that_fails_is_followed_by_a_stop(agent: FakeAgent) -> None:
    agent.hook("start", "fail 1 'the port is taken'")
    status, said = ended(agent.wrapped())
    assert (status, said[-1]) == (agent_exits.FAILED, "start: exit 1 (error): the port is taken")
    assert [call.split()[0] for call in agent.calls()] == ["monitor", "start", "stop"]


def test_a_start_that_hangs_is_killed_and_stopped(agent: FakeAgent) -> None:
    agent.hook("start", "(setsid sleep 1000 &) ; sleep 1000")
    status, said = ended(agent.wrapped("--start=0.5"))
    assert (status, said[-1]) == (agent_exits.FAILED, "start: not over in 0.5 s, killed")
    assert agent.processes() == []


HERE, ANYWHERE = agent_exits.UNUSABLE_HERE, agent_exits.UNUSABLE_ANYWHERE


@pytest.mark.parametrize(
    ("code", "expected"), [(2, HERE), (3, HERE), (4, HERE), (5, HERE), (6, ANYWHERE)]
)
def test_what_is_in_vain_here_or_anywhere_has_a_status_of_its_own(
    agent: FakeAgent, code: int, expected: int
) -> None:
    agent.hook("start", f"fail {code} 'no licence'")
    status, said = ended(agent.wrapped())
    assert status == expected
    assert said[-1].startswith(f"start: exit {code} (")
    assert said[-1].endswith("): no licence")


def test_an_agent_that_refuses_its_stop_too_says_no_more_than_with_its_start(
    agent: FakeAgent,
) -> None:
    for action in ("start", "stop"):
        agent.hook(action, "fail 6 'no device'")
    text = "exit 6 (wrong parameters on any node): no device"
    assert ended(agent.wrapped()) == (
        agent_exits.UNUSABLE_ANYWHERE,
        [f"start: {text}", f"stop: {text}", f"start: {text}"],
    )


@pytest.mark.parametrize(
    ("code", "expected", "actions"),
    [
        (4, agent_exits.UNUSABLE_HERE, ["monitor"]),
        (6, agent_exits.UNUSABLE_ANYWHERE, ["monitor"]),
        (1, agent_exits.FAILED, ["monitor", "stop", "start", "stop"]),
        (5, agent_exits.FAILED, ["monitor", "start", "stop"]),
    ],
)
def test_what_a_probe_says_of_this_node_is_believed(
    agent: FakeAgent, code: int, expected: int, actions: list[str]
) -> None:
    agent.hook("monitor", f"fail {code} 'so it is'")
    agent.hook("start", "fail 1 'it was tried'")
    assert ended(agent.wrapped())[0] == expected
    assert [call.split()[0] for call in agent.calls()] == actions


@pytest.mark.parametrize(
    ("code", "expected"), [(1, 1), (2, HERE), (3, 1), (4, HERE), (5, HERE), (6, ANYWHERE), (7, 1)]
)
def test_what_a_monitor_says_of_a_service_that_runs_decides_what_follows(
    agent: FakeAgent, code: int, expected: int
) -> None:
    process = agent.wrapped(OFTEN)
    ready(agent)
    agent.hook("monitor", f"exit {code}")
    status, said = ended_in_turn(agent, process)
    assert (status, said[-1].startswith(f"monitor: exit {code} (")) == (expected, True)
    assert agent.calls()[-1].startswith("stop ")


def test_a_refused_stop_after_a_failure_says_whether_it_is_in_vain_here(agent: FakeAgent) -> None:
    agent.hook("start", "fail 1 'it crashed'")
    agent.hook("stop", "fail 5 'the program is gone'")
    status, said = ended(agent.wrapped())
    assert (status, said[-1]) == (HERE, "start: exit 1 (error): it crashed")


def test_a_failed_service_is_stopped_at_once_where_nobody_hears_that_it_has_failed(
    agent: FakeAgent,
) -> None:
    process = agent.wrapped(OFTEN)
    ready(agent)
    agent.notified.close()
    agent.hook("monitor", "fail 1 'no answer'")
    status, said = ended(process)
    assert (status, said[-1]) == (agent_exits.FAILED, "monitor: exit 1 (error): no answer")
    assert agent.calls()[-1].startswith("stop ")


def test_a_stop_that_fails_after_a_failure_is_what_is_told(agent: FakeAgent) -> None:
    agent.hook("start", "fail 6 'no device'")
    agent.hook("stop", "fail 1 'target is busy'")
    status, said = ended(agent.wrapped())
    assert (status, said[-1]) == (agent_exits.STOP_FAILED, "stop: exit 1 (error): target is busy")


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6])
def test_a_stop_that_fails_or_is_refused_has_a_status_of_its_own(
    agent: FakeAgent, code: int
) -> None:
    process = agent.wrapped(RARELY)
    ready(agent)
    agent.hook("stop", f"fail {code} 'target is busy'")
    process.terminate()
    status, said = ended(process)
    assert status == agent_exits.STOP_FAILED
    assert said[-1] == f"stop: exit {code} ({MEANINGS[code]}): target is busy"


def test_of_an_agent_that_gives_no_reason_its_last_complaint_is_told(agent: FakeAgent) -> None:
    process = agent.wrapped(RARELY)
    ready(agent)
    agent.hook("stop", "echo 'umount: /srv: target is busy' >&2; echo 'not unmounted'; exit 1")
    process.terminate()
    status, said = ended(process)
    assert status == agent_exits.STOP_FAILED
    assert said[-1] == "stop: exit 1 (error): umount: /srv: target is busy"


def test_what_a_degraded_service_complains_of_is_no_news_each_time(agent: FakeAgent) -> None:
    process = agent.wrapped(OFTEN)
    ready(agent)
    agent.hook("monitor", "date +%N >&2; exit 190")
    assert agent.heard() == "STATUS=monitor: exit 190 (running, degraded)\nX_DEGRADED=1"
    count = len(agent.calls("monitor"))
    wait_until(lambda: len(agent.calls("monitor")) > count + 1)
    agent.unhook("monitor")
    assert agent.heard() == "STATUS=started"
    process.terminate()
    assert ended(process)[0] == agent_exits.STOPPED_WELL


def test_a_stop_that_hangs_is_killed_and_has_failed(agent: FakeAgent) -> None:
    process = agent.wrapped(RARELY, "--stop=0.5")
    ready(agent)
    agent.hook("stop", "sleep 1000")
    process.terminate()
    status, said = ended(process)
    assert (status, said[-1]) == (agent_exits.STOP_FAILED, "stop: not over in 0.5 s, killed")


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("rm -f service; exit 0", agent_exits.FAILED),
        ("fail 1 'no answer'", agent_exits.STOP_FAILED),
    ],
)
def test_what_the_stop_of_a_failed_service_leaves_is_killed(
    agent: FakeAgent, script: str, status: int
) -> None:
    agent.hook("stop", script)
    process = agent.wrapped(OFTEN)
    ready(agent)
    left = agent.service()
    agent.hook("monitor", "fail 1 'it does not answer'")
    found, said = ended_in_turn(agent, process)
    assert found == status
    assert f"killed, as its stop had left them: processes {left}" in said
    assert agent.processes() == []


@pytest.mark.parametrize("action", ["start", "monitor"])
def test_told_to_stop_it_does_not_wait_for_what_it_does(agent: FakeAgent, action: str) -> None:
    agent.hook(action, "sleep 1000")
    process = agent.wrapped("--start=3600", "--timeout=3600")
    wait_until(lambda: agent.calls(action))
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == agent_exits.STOPPED_WELL
    assert agent.calls()[-1].startswith("stop ")
    assert agent.processes() == []


def test_told_to_stop_while_the_agent_describes_itself_it_stops_the_service(
    agent: FakeAgent,
) -> None:
    agent.hook("meta-data", "touch asked; sleep 0.5")
    process = agent.wrapped()
    wait_until((agent.directory / "asked").exists)
    process.terminate()
    assert ended(process) == (agent_exits.STOPPED_WELL, [])
    assert agent.calls()[-1].startswith("stop ")
    assert not agent.calls("start")


def test_a_service_goes_on_though_nobody_reads_what_is_said(agent: FakeAgent) -> None:
    process = agent.wrapped(OFTEN)
    ready(agent)
    assert process.stderr is not None
    process.stderr.close()
    agent.hook("monitor", "exit 190")
    assert agent.heard().startswith("STATUS=monitor: exit 190 (running, degraded)")
    agent.unhook("monitor")
    assert agent.heard() == "STATUS=started"
    process.terminate()
    assert process.wait(LIMIT_S) == agent_exits.STOPPED_WELL
    assert agent.calls()[-1].startswith("stop ")


def test_a_service_goes_on_though_nobody_hears_that_it_is_ready(agent: FakeAgent) -> None:
    agent.notified.close()
    process = agent.wrapped(OFTEN)
    wait_until(lambda: len(agent.calls("monitor")) > 1)
    process.terminate()
    status, said = ended(process)
    assert status == agent_exits.STOPPED_WELL
    assert f"cannot tell {agent.address} that the service is ready: Connection refused" in said


def test_a_signal_to_stop_is_not_forgotten_for_a_later_one(agent: FakeAgent) -> None:
    program = (
        "import os, signal\nfrom mosha.ocf.signals import Signals\nsignals = Signals()\n"
        "for number in (signal.SIGTERM, signal.SIGCHLD):\n"
        "    os.kill(os.getpid(), number)\n    signals.take()\nprint(signals.stopping)\n"
    )
    assert agent.python(program).stdout == "True\n"


def test_an_agent_that_is_not_there_is_named(agent: FakeAgent) -> None:
    agent.path.unlink()
    assert ended(agent.wrapped()) == (
        agent_exits.UNUSABLE_HERE,
        [f"there is no {agent.path}: install the package of the agent"],
    )


def test_an_agent_that_does_not_describe_itself_is_not_run(agent: FakeAgent) -> None:
    agent.hook("meta-data", "exit 1")
    status, said = ended(agent.wrapped())
    assert status == agent_exits.UNUSABLE_HERE
    assert said == ["meta-data: exit 1 (error): no XML: no element found: line 1, column 0"]
    assert agent.calls() == []


def test_an_agent_that_is_killed_before_it_has_described_itself_is_tried_again(
    agent: FakeAgent,
) -> None:
    agent.hook("meta-data", "kill -9 $$")
    status, said = ended(agent.wrapped())
    assert (status, said[0].startswith("meta-data: signal 9")) == (agent_exits.FAILED, True)
    agent.hook("meta-data", "sleep 1000")
    status, said = ended(agent.wrapped())
    late = said[0].startswith("meta-data: not over in 10 s, killed")
    assert (status, late) == (agent_exits.FAILED, True)


def test_a_word_that_is_no_parameter_is_wrong_usage(agent: FakeAgent) -> None:
    assert ended(agent.wrapped("--begin=1"))[0] == agent_exits.UNUSABLE_HERE


def test_it_imports_next_to_nothing() -> None:
    program = (
        f"import sys; sys.path.append({PACKAGES!r}); import mosha.ocf.wrapper\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    words = [sys.executable, "-S", "-P", "-c", program]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert "mosha" in loaded
    heavy = {"asyncio", "anyio", "contextlib", "msgspec", "pathlib", "re", "subprocess", "typing"}
    assert not heavy & set(loaded)


def test_with_stop_only_it_stops_and_makes_sure_of_it(agent: FakeAgent) -> None:
    assert ended(agent.wrapped("--stop-only")) == (agent_exits.STOPPED_WELL, [])
    assert [call.split()[0] for call in agent.calls()] == ["stop", "monitor"]
    agent.hook("monitor", "exit 0")
    assert ended(agent.wrapped("--stop-only")) == (
        agent_exits.STOP_FAILED,
        ["probe after stop: exit 0 (success)"],
    )


def test_with_stop_only_the_probe_decides_of_an_agent_that_refuses_to_stop(
    agent: FakeAgent,
) -> None:
    agent.hook("stop", "fail 5 'no program'")
    assert ended(agent.wrapped("--stop-only"))[0] == agent_exits.STOPPED_WELL
    agent.hook("monitor", "fail 4 'not for you'")
    status, said = ended(agent.wrapped("--stop-only"))
    assert status == agent_exits.STOP_FAILED
    assert said[-1].endswith("(no permission on this node): not for you")


def test_with_stop_only_nothing_cuts_its_probe_short_but_its_limit(agent: FakeAgent) -> None:
    agent.hook("monitor", "sleep 0.5")
    process = agent.wrapped("--stop-only")
    wait_until(lambda: agent.calls("monitor"))
    process.terminate()
    assert ended(process) == (agent_exits.STOPPED_WELL, [])
    agent.hook("monitor", "sleep 1000")
    assert ended(agent.wrapped("--stop-only", "--timeout=0.5")) == (
        agent_exits.STOP_FAILED,
        ["probe after stop: not over in 0.5 s, killed"],
    )
