"""One action: its time limit kills all that it has started, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import Any

import pytest

from mosha.formats.agent_xml import METADATA_MAX_BYTES
from mosha.ocf.action import REASON_MAX_CHARS
from mosha.ocf.outputs import KEPT_MAX_BYTES, LINE_MAX_BYTES, PIECES_MAX, ActionOutput
from tests.ocf.fake_agent import FakeAgent

PROGRAM = """
import json, os, time
from mosha.ocf.action import BegunAction, run_action
from mosha.ocf.agents import agent_named
from mosha.ocf.environment import Resource
from mosha.ocf.kin import adopt_orphans, alive_below
from mosha.ocf.signals import Signals
adopt_orphans()
signals, said = Signals(), []
resource = Resource(agent_named("Sleeper"), "asleep", {{}}, os.environ["OCF_ROOT"])
def act(action, limit_s, **more):
    return told(run_action(
        resource, action, limit_s=limit_s, says=said.append, signals=signals, **more
    ))
def both(action, *limits_s):
    begun = []
    for number in range(len(limits_s)):
        environment = os.environ | {{"NUMBER": str(number)}}
        begun.append(BegunAction(resource, action, environment, said.append))
    ends = zip(begun, limits_s, strict=True)
    return [told(each.end(limit_s, signals, stoppable=True)) for each, limit_s in ends]
def told(ended):
    return dict(status=ended.status, reason=ended.reason, cause=ended.cause,
                interrupted=ended.interrupted,
                took_s=ended.took_s, output=ended.output.decode(), undead=ended.undead)
fds = len(os.listdir("/proc/self/fd"))
used_s = time.process_time()
ended = [{actions}]
used_s = time.process_time() - used_s
more = len(os.listdir("/proc/self/fd")) - fds
print(json.dumps(dict(ended=ended, said=said, alive=alive_below(), more=more, used_s=used_s)))
"""


def acted(agent: FakeAgent, actions: str) -> dict[str, Any]:
    done: dict[str, Any] = json.loads(agent.python(PROGRAM.format(actions=actions)).stdout)
    return done


def test_an_action_tells_its_end_its_reason_and_what_it_printed(agent: FakeAgent) -> None:
    agent.hook("monitor", "printf 'one\\ntwo'; printf 'no\\377end\\n' >&2; fail 6 ' no disk '")
    found = acted(agent, "act('monitor', 20.0, interval_s=5.0, depth=10)")
    (ended,) = found["ended"]
    assert (ended["status"], ended["reason"], ended["interrupted"]) == (6, "no disk", False)
    assert sorted(found["said"]) == ["no\ufffdend", "one", "two"]
    assert agent.calls() == ["monitor 5000 20000 10"]


def test_the_cause_is_the_reason_else_the_last_line_of_standard_error(agent: FakeAgent) -> None:
    agent.hook("start", "echo 'ocf-exit-reason:no disk' >&2; echo gone >&2; exit 1")
    agent.hook("stop", "echo trying >&2; echo busy >&2; echo done; exit 1")
    agent.hook("monitor", "echo quiet; exit 1")
    ends = acted(agent, "act('start', 20.0), act('stop', 20.0), act('monitor', 20.0)")["ended"]
    assert [(each["reason"], each["cause"]) for each in ends] == [
        ("no disk", "no disk"),
        ("", "busy"),
        ("", ""),
    ]


def test_of_no_action_a_descriptor_is_left(agent: FakeAgent) -> None:
    """The wrapper of a service runs a monitor every few seconds, for months."""
    agent.hook("stop", "sleep 1000")
    found = acted(agent, "act('start', 20.0), act('monitor', 20.0), act('stop', 0.5)")
    assert [each["status"] for each in found["ended"]] == [0, 0, None]
    assert found["more"] == 0
    agent.path.write_text("#!/no/such/shell\n")
    assert acted(agent, "act('start', 20.0)")["more"] == 0


def test_a_line_without_end_is_not_kept() -> None:
    said: list[str] = []
    with ActionOutput(said.append) as output:
        os.write(output.writer, b"x" * (LINE_MAX_BYTES + 1))
        assert output.read()
        assert said == ["x" * LINE_MAX_BYTES]


def test_an_output_without_end_is_kept_as_far_as_it_may_be_metadata(agent: FakeAgent) -> None:
    agent.hook("meta-data", "yes | head -c 2000000; exit 0")
    (ended,) = acted(agent, "act('meta-data', 20.0)")["ended"]
    assert len(ended["output"]) == KEPT_MAX_BYTES > METADATA_MAX_BYTES


def test_what_a_service_writes_without_end_is_read_for_a_while_only() -> None:
    said: list[str] = []

    def take(line: str) -> None:
        said.append(line)
        assert len(said) <= PIECES_MAX
        os.write(output.writer, b"more\n")

    with ActionOutput(take) as output:
        os.write(output.writer, b"more\n")
        output.read_rest()
    assert said == ["more"] * PIECES_MAX


def test_an_action_that_has_closed_its_outputs_is_waited_for_without_looking_all_the_time(
    agent: FakeAgent,
) -> None:
    agent.hook("monitor", "exec >&- 2>&-; sleep 1; exit 0")
    found = acted(agent, "act('monitor', 20.0)")
    assert found["ended"][0]["status"] == 0
    assert found["used_s"] < 0.25


def test_a_reason_without_end_is_cut(agent: FakeAgent) -> None:
    agent.hook("monitor", f"fail 1 \"$(head -c {2 * REASON_MAX_CHARS} /dev/zero | tr '\\0' x)\"")
    (ended,) = acted(agent, "act('monitor', 20.0)")["ended"]
    assert ended["reason"] == "x" * REASON_MAX_CHARS


def test_an_agent_does_not_ignore_what_its_caller_ignores(agent: FakeAgent) -> None:
    """Python ignores SIGPIPE, and a wrapper may have been started with SIGHUP ignored."""
    agent.hook("monitor", "grep SigIgn /proc/self/status >ignored; exit 0")
    program = PROGRAM.replace(
        "signals, said",
        "import signal\nsignal.signal(1, signal.SIG_IGN)\n\
signals, said",
    )
    agent.python(program.format(actions="act('monitor', 20.0)"))
    ignored = int((agent.directory / "ignored").read_text().split()[1], 16)
    assert not ignored & sum(1 << number - 1 for number in (1, 2, 13, 15, 17))


def test_the_output_of_meta_data_is_kept_whole(agent: FakeAgent) -> None:
    agent.hook("meta-data", "echo warning >&2")
    found = acted(agent, "act('meta-data', 20.0)")
    assert found["ended"][0]["output"].startswith("<?xml")
    assert found["said"] == ["warning"]


def test_a_service_outlives_its_start_and_is_buried_while_its_stop_waits(agent: FakeAgent) -> None:
    found = acted(agent, "act('start', 20.0), act('monitor', 20.0), act('stop', 20.0)")
    assert [each["status"] for each in found["ended"]] == [0, 0, 0]
    assert found["alive"] == []


@pytest.mark.parametrize(
    "script",
    [
        "sleep 1000",
        "setsid sleep 1000 & sleep 1000",
        "(setsid sh -c 'env -i sleep 1000 & wait') & trap '' TERM INT; while :; do sleep 1; done",
        "(sleep 1000 &) ; sleep 1000",
    ],
)
def test_at_its_limit_an_action_is_killed_with_all_it_has_started(
    agent: FakeAgent, script: str
) -> None:
    agent.hook("start", script)
    found = acted(agent, "act('start', 0.5)")
    assert found["ended"][0]["status"] is None
    assert found["ended"][0]["undead"] is False
    assert found["alive"] == []


def test_a_monitor_that_hangs_is_killed_and_the_service_is_not(agent: FakeAgent) -> None:
    agent.hook("monitor", "(sleep 1000 &) ; sleep 1000")
    found = acted(agent, "act('start', 20.0), act('monitor', 0.5)")
    assert [each["status"] for each in found["ended"]] == [0, None]
    assert found["alive"] == [agent.service()]


def test_a_process_that_is_dead_and_not_buried_is_not_alive(agent: FakeAgent) -> None:
    done = agent.python(
        "import os\nfrom mosha.ocf.kin import alive_below, kill_below\n"
        "pid = os.posix_spawn('/bin/true', ['true'], {})\n"
        "os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
        "print(alive_below(), kill_below())\n"
    )
    assert done.stdout == "[] True\n"


def test_a_process_is_found_whatever_its_name_is(agent: FakeAgent) -> None:
    name = "a) S 1 (b"
    shutil.copy("/bin/sleep", agent.directory / name)
    done = agent.python(
        "import os\nfrom mosha.ocf.kin import alive_below, kill_below\n"
        f"pid = os.posix_spawn({name!r}, ['sleep', '1000'], dict(os.environ))\n"
        f"while open(f'/proc/{{pid}}/comm').read() != {name + chr(10)!r}: pass\n"
        "print(alive_below() == [pid], kill_below(), alive_below())\n"
    )
    assert done.stdout == "True True []\n"


def test_two_actions_may_run_at_once(agent: FakeAgent) -> None:
    agent.hook("monitor", "echo $$ >>met; while [ $(wc -l <met) -lt 2 ]; do :; done; exit 7")
    found = acted(agent, "*both('monitor', 20.0, 20.0)")
    assert [each["status"] for each in found["ended"]] == [7, 7]


def test_of_two_actions_at_once_the_late_one_alone_is_killed(agent: FakeAgent) -> None:
    agent.hook(
        "monitor",
        "[ $NUMBER != 0 ] || { echo $$ >late; sleep 1000; }\n"
        "while [ ! -s late ]; do :; done\n"
        'while kill -0 "$(cat late)" 2>/dev/null; do :; done; exit 7',
    )
    found = acted(agent, "*both('monitor', 0.5, 20.0)")
    assert [each["status"] for each in found["ended"]] == [None, 7]
    assert found["alive"] == []


def test_an_agent_that_cannot_be_executed_is_one_that_is_not_installed(agent: FakeAgent) -> None:
    agent.path.write_text("#!/no/such/shell\n")
    (ended,) = acted(agent, "act('start', 20.0)")["ended"]
    assert ended["status"] == 5
    assert ended["reason"] == f"cannot execute {agent.path}: No such file or directory"


def test_an_agent_has_no_input_and_its_own_group(agent: FakeAgent) -> None:
    agent.hook("monitor", "cat; ps -o pid=,pgid= -p $$ >group; exit 0")
    assert acted(agent, "act('monitor', 20.0)")["ended"][0]["status"] == 0
    pid, group = (agent.directory / "group").read_text().split()
    assert pid == group


def test_an_action_that_ends_by_a_signal_says_which(agent: FakeAgent) -> None:
    agent.hook("monitor", "kill -SEGV $$")
    assert acted(agent, "act('monitor', 20.0)")["ended"][0]["status"] == -signal.SIGSEGV
