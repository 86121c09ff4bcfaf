"""The wrapper: what clinit runs for an entry with a resource agent, from the probe to the stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from mosha.host.programs import PACKAGES
from mosha.ocf import wrapper
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


def test_it_probes_starts_is_ready_monitors_and_stops(agent: FakeAgent) -> None:
    process = agent.wrapped(OFTEN, "--monitor=10/1")
    ready(agent)
    wait_until(lambda: len(agent.calls("monitor")) > 3)
    process.terminate()
    status, said = ended(process)
    assert (status, said) == (wrapper.STOPPED_WELL, [])
    calls = agent.calls()
    assert calls[:2] == ["monitor 0 60000 0", "start 0 30000 0"]
    assert calls[-1] == "stop 0 40000 0"
    assert set(calls[2:-1]) == {"monitor 1000 60000 0", "monitor 1000 20000 10"}
    assert agent.heard() == "STOPPING=1"
    assert agent.processes() == []


def test_a_service_whose_process_dies_is_found_dead_at_once(agent: FakeAgent) -> None:
    process = agent.wrapped(RARELY)
    ready(agent)
    os.kill(agent.service(), signal.SIGKILL)
    status, said = ended(process)
    assert status == wrapper.FAILED
    assert said[-1] == "monitor: exit 7 (not running): no process"
    assert agent.calls()[-1].startswith("stop "), "nothing of it is left"


def test_a_monitor_that_hangs_is_a_failure(agent: FakeAgent) -> None:
    process = agent.wrapped(OFTEN, "--timeout=0.5")
    ready(agent)
    agent.hook("monitor", "sleep 1000")
    assert ended(process) == (
        wrapper.FAILED,
        ["monitor: not over in 0.5 s, killed"] * 2,
    )
    assert agent.processes() == []


def test_a_degraded_service_goes_on_and_says_so_once(agent: FakeAgent) -> None:
    process = agent.wrapped(OFTEN)
    ready(agent)
    agent.hook("monitor", "fail 190 'one leg is lost'")
    text = "monitor: exit 190 (running, degraded): one leg is lost"
    assert agent.heard() == f"STATUS={text}"
    count = len(agent.calls("monitor"))
    wait_until(lambda: len(agent.calls("monitor")) > count + 1)
    agent.unhook("monitor")
    assert agent.heard() == "STATUS=started"
    process.terminate()
    status, said = ended(process)
    assert status == wrapper.STOPPED_WELL
    assert said == [text, "no longer degraded"]


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
    assert status == wrapper.STOPPED_WELL
    assert said == ["probe: exit 0 (success)", "it was not started by this process: stopped first"]


def test_a_start_that_fails_is_followed_by_a_stop(agent: FakeAgent) -> None:
    agent.hook("start", "fail 1 'the port is taken'")
    status, said = ended(agent.wrapped())
    assert (status, said[-1]) == (wrapper.FAILED, "start: exit 1 (error): the port is taken")
    assert [call.split()[0] for call in agent.calls()] == ["monitor", "start", "stop"]


def test_a_start_that_hangs_is_killed_and_stopped(agent: FakeAgent) -> None:
    agent.hook("start", "(setsid sleep 1000 &) ; sleep 1000")
    status, said = ended(agent.wrapped("--start=0.5"))
    assert (status, said[-1]) == (wrapper.FAILED, "start: not over in 0.5 s, killed")
    assert agent.processes() == []


@pytest.mark.parametrize("code", [2, 3, 4, 5, 6])
def test_what_is_in_vain_on_this_node_has_a_status_of_its_own(agent: FakeAgent, code: int) -> None:
    agent.hook("start", f"fail {code} 'no licence'")
    status, said = ended(agent.wrapped())
    assert status == wrapper.UNUSABLE
    assert said[-1].startswith(f"start: exit {code} (")
    assert said[-1].endswith("): no licence")


def test_a_stop_that_fails_has_a_status_of_its_own(agent: FakeAgent) -> None:
    process = agent.wrapped(RARELY)
    ready(agent)
    agent.hook("stop", "fail 1 'target is busy'")
    process.terminate()
    status, said = ended(process)
    assert (status, said[-1]) == (wrapper.STOP_FAILED, "stop: exit 1 (error): target is busy")


def test_a_stop_that_hangs_is_killed_and_has_failed(agent: FakeAgent) -> None:
    process = agent.wrapped(RARELY, "--stop=0.5")
    ready(agent)
    agent.hook("stop", "sleep 1000")
    process.terminate()
    status, said = ended(process)
    assert (status, said[-1]) == (wrapper.STOP_FAILED, "stop: not over in 0.5 s, killed")


@pytest.mark.parametrize("action", ["start", "monitor"])
def test_told_to_stop_it_does_not_wait_for_what_it_does(agent: FakeAgent, action: str) -> None:
    agent.hook(action, "sleep 1000")
    process = agent.wrapped("--start=3600", "--timeout=3600")
    wait_until(lambda: agent.calls(action))
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == wrapper.STOPPED_WELL
    assert agent.calls()[-1].startswith("stop ")
    assert agent.processes() == []


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
    assert process.wait(LIMIT_S) == wrapper.STOPPED_WELL
    assert agent.calls()[-1].startswith("stop ")


def test_a_service_goes_on_though_nobody_hears_that_it_is_ready(agent: FakeAgent) -> None:
    agent.notified.close()
    process = agent.wrapped(OFTEN)
    wait_until(lambda: len(agent.calls("monitor")) > 1)
    process.terminate()
    status, said = ended(process)
    assert status == wrapper.STOPPED_WELL
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
        wrapper.UNUSABLE,
        [f"there is no {agent.path}: install the package of the agent"],
    )


def test_an_agent_that_does_not_describe_itself_is_not_run(agent: FakeAgent) -> None:
    agent.hook("meta-data", "exit 1")
    status, said = ended(agent.wrapped())
    assert status == wrapper.UNUSABLE
    assert said == ["meta-data: exit 1 (error): no XML: no element found: line 1, column 0"]
    assert agent.calls() == []


def test_a_word_that_is_no_parameter_is_wrong_usage(agent: FakeAgent) -> None:
    assert ended(agent.wrapped("--begin=1"))[0] == wrapper.UNUSABLE


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
    assert ended(agent.wrapped("--stop-only")) == (wrapper.STOPPED_WELL, [])
    assert [call.split()[0] for call in agent.calls()] == ["stop", "monitor"]
    agent.hook("monitor", "exit 0")
    assert ended(agent.wrapped("--stop-only")) == (
        wrapper.STOP_FAILED,
        ["probe after stop: exit 0 (success)"],
    )
