"""`mosha ocf test`: an agent that keeps the standard passes, and each way to break it is found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import jsonschema
import pytest

from mosha.host.programs import command_of
from mosha.ocf.forms import OcfTest
from tests.docs_schemas import schema_of
from tests.ocf.fake_agent import FakeAgent
from tests.waiting import LIMIT_S, wait_until


def tried(agent: FakeAgent, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [*command_of("mosha.cli.main"), "ocf", "test", "--json", "Sleeper", *words],
        cwd=agent.directory,
        env=agent.environment(),
        capture_output=True,
        text=True,
        timeout=2 * LIMIT_S,
        check=False,
    )
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(found, schema_of(OcfTest))
    assert done.returncode == (0 if found["ok"] else 1)
    return found


def failed(found: dict[str, Any]) -> dict[str, str]:
    return {it["step"]: it["text"] for it in found["steps"] if it["outcome"] == "failed"}


def test_an_agent_that_keeps_the_standard_passes_all_steps(agent: FakeAgent) -> None:
    agent.hook("start", "sleep 0.2")  # so that it can be killed in the middle
    agent.hook("stop", "sleep 0.2")
    found = tried(agent, "state=x", "rounds=3")
    assert failed(found) == {}
    assert {it["outcome"] for it in found["steps"]} == {"good"}
    assert [it["step"] for it in found["steps"]][:5] == [
        *("actions", "parameters", "validate-all", "unknown action", "probe"),
    ]
    assert "monitor 10000 20000 10" in agent.calls()
    assert agent.processes() == []


OUTLIVES = "what outlives a kill of all processes"


def test_what_outlives_a_kill_is_told_and_what_to_write_for_it(agent: FakeAgent) -> None:
    def told() -> str:
        steps = tried(agent, "state=x")["steps"]
        (text,) = (it["text"] for it in steps if it["step"] == OUTLIVES)
        return str(text)

    assert told() == "nothing that is known of: if that is all there is, write ocf(lasts=no)"
    agent.hook("start", "touch made; exit 0")
    agent.hook("stop", "rm -f made; exit 0")
    agent.hook("monitor", "test -e made || exit 7; exit 0")
    assert told().startswith("nothing that is known of; its probe says that it runs: if")


@pytest.mark.parametrize(
    ("action", "script", "step", "text"),
    [
        ("validate-all", "fail 6 'no state'", "validate-all", "exit 6 (wrong parameters on any"),
        ("no-such-action", "exit 1", "unknown action", "exit 1 (error); expected was 3"),
        ("monitor", "runs || exit 1", "probe", "exit 1 (error); expected was 5 or 7"),
        ("stop", "runs || exit 7", "stop what is stopped", "exit 7 (not running); expected was 0"),
        ("start", "! runs || exit 1", "start what runs", "exit 1 (error); expected was 0"),
        (
            "monitor",
            "[ ${OCF_CHECK_LEVEL-0} = 0 ] || exit 1",
            "monitor, depth 10",
            "exit 1 (error); expected was 0 or 6 or 8",
        ),
        (
            "start",
            "setsid sleep 1000 >/dev/null 2>&1 9>&- &",
            "stop, then what is left",
            "(sleep)",
        ),
        (
            "stop",
            "rm -f service; exit 0",
            "stop, then what is left",
            "(sleep)",
        ),
        (
            "monitor",
            "[ -f service ] && exit 0",
            "killed underneath",
            "exit 0 (success); expected was 1 or 2 or 3",
        ),
        (
            "monitor",
            "mkdir once 2>/dev/null || exit 1; sleep 0.2; rmdir once",
            "two of monitor at once",
            "exit 1 (error)",
        ),
    ],
)
def test_each_way_to_break_the_standard_is_found(
    agent: FakeAgent, action: str, script: str, step: str, text: str
) -> None:
    agent.hook(action, script)
    assert text in failed(tried(agent, "state=x"))[step]
    assert agent.processes() == []


def test_what_a_killed_start_leaves_and_the_stop_does_not_find_is_told(agent: FakeAgent) -> None:
    agent.hook("start", "touch killed-in-start; sleep 0.4; rm killed-in-start")
    agent.hook("stop", "[ ! -f killed-in-start ] || fail 1 'half a start'")
    step = "stop after a start that was killed"
    assert failed(tried(agent, "state=x"))[step].startswith("exit 1 (error): half a start")


def test_parameters_are_compared_with_the_metadata(agent: FakeAgent) -> None:
    found = tried(agent, "stat=x", "rounds=many", "loud=1")
    assert failed(found)["parameters"].split("; ") == [
        "it has no parameter stat",
        "its parameter rounds is 'many', and should be of kind integer",
        "its parameter loud is deprecated",
        "it requires the parameter state",
    ]


def test_missing_actions_are_told(agent: FakeAgent) -> None:
    agent.hook("meta-data", "grep -v validate-all metadata; exit 0")
    assert failed(tried(agent, "state=x"))["actions"] == "no validate-all"


def test_what_runs_already_is_left_alone(agent: FakeAgent) -> None:
    agent.hook("monitor", "exit 0")
    found = tried(agent, "state=x")
    assert failed(found)["not running"].startswith("it runs already, and is left alone")
    assert {call.split()[0] for call in agent.calls()} == {
        *("validate-all", "no-such-action", "monitor"),
    }


def test_an_interrupted_test_stops_what_it_has_started(agent: FakeAgent) -> None:
    agent.hook("monitor", "if runs; then touch waits; sleep 1000; fi")
    with subprocess.Popen(
        [*command_of("mosha.cli.main"), "ocf", "test", "Sleeper", "state=x"],
        cwd=agent.directory,
        env=agent.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until((agent.directory / "waits").exists)
        agent.unhook("monitor")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert "FAILED    0.00 s  interrupted: not all steps were made" in said
    assert agent.calls()[-1].startswith("stop ")
    assert agent.processes() == []


def test_verbose_prints_what_the_agent_prints(agent: FakeAgent) -> None:
    agent.hook("validate-all", "echo 'all is well' >&2")
    done = subprocess.run(
        [*command_of("mosha.cli.main"), "ocf", "test", "-v", "Sleeper", "state=x"],
        cwd=agent.directory,
        env={**agent.environment(), "HA_RSCTMP": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "mosha: cannot make /dev/null, which agents need: Not a directory\n"
    done = subprocess.run(
        [*command_of("mosha.cli.main"), "ocf", "test", "-v", "Sleeper", "state=x"],
        cwd=agent.directory,
        env=agent.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "all is well\n" in done.stderr
    assert done.stdout.splitlines()[-1].endswith(" steps, 0 failed")
