"""Where resource agents are, how they are named, and what they get."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosha.errors import UsageError
from mosha.ocf.agents import agent_named, installed_agents, root_of, why_no_agent
from mosha.ocf.environment import Resource, action_environment, rsctmp_of
from mosha.ocf.results import told_result
from mosha.ocf.wrapper_words import read_wrapper_words, wrapper_words
from tests.ocf.fake_agent import FakeAgent


@pytest.mark.parametrize(
    ("text", "provider", "type_", "shown"),
    [
        ("IPaddr2", "heartbeat", "IPaddr2", "IPaddr2"),
        ("heartbeat:IPaddr2", "heartbeat", "IPaddr2", "IPaddr2"),
        ("linbit:drbd", "linbit", "drbd", "linbit:drbd"),
        ("ocf:linbit:drbd", "linbit", "drbd", "linbit:drbd"),
        ("azure-events.in", "heartbeat", "azure-events.in", "azure-events.in"),
    ],
)
def test_names_are_read(text: str, provider: str, type_: str, shown: str) -> None:
    name = agent_named(text)
    assert (name.provider, name.type, str(name)) == (provider, type_, shown)


@pytest.mark.parametrize("text", ["", ":", "a:", ":a", "a/b", "..", "../x", "a b", "a:b:c", "é"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not the name of a resource agent"):
        agent_named(text)


def test_installed_agents_are_the_executable_files(tmp_path: Path) -> None:
    for name, mode in (("b/Two", 0o755), ("a/one", 0o755), ("a/.x", 0o755), ("a/lib.sh", 0o644)):
        path = tmp_path / "resource.d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode)
    assert [str(each) for each in installed_agents(str(tmp_path))] == ["a:one", "b:Two"]
    assert installed_agents(str(tmp_path / "none")) == []


def test_an_agent_that_is_not_there_or_cannot_be_executed_is_named(agent: FakeAgent) -> None:
    root, name = str(agent.root), agent_named("Sleeper")
    assert why_no_agent(name, root) == ""
    assert why_no_agent(agent_named("x:y"), root) == f"there is no {root}/resource.d/x/y"
    agent.path.unlink()
    agent.path.mkdir()
    assert why_no_agent(name, root) == f"there is no {agent.path}"


def test_roots_and_directories_can_be_set() -> None:
    assert root_of({}) == root_of({"OCF_ROOT": ""}) == "/usr/lib/ocf"
    assert root_of({"OCF_ROOT": "/opt/ocf"}) == "/opt/ocf"
    assert (rsctmp_of({}), rsctmp_of({"HA_RSCTMP": "/x"})) == ("/run/resource-agents", "/x")


def resource(**parameters: str) -> Resource:
    return Resource(agent_named("linbit:drbd"), "disk", parameters, "/usr/lib/ocf")


def test_the_environment_is_that_of_the_standard_and_what_agents_need_besides() -> None:
    made = action_environment(
        resource(directory="/srv/a b", empty=""),
        "monitor",
        limit_s=20.5,
        interval_s=10.0,
        depth=20,
        inherited={"PATH": "/opt/bin:/usr/bin", "MOSHA_TOKEN": "7"},
    )
    node = made.pop("OCF_RESKEY_CRM_meta_on_node")
    assert node
    assert made == {
        "PATH": "/opt/bin:/usr/bin:/usr/sbin:/sbin:/bin",
        "LC_ALL": "C",
        "MOSHA_TOKEN": "7",
        "HA_RSCTMP": "/run/resource-agents",
        "OCF_ROOT": "/usr/lib/ocf",
        "OCF_RA_VERSION_MAJOR": "1",
        "OCF_RA_VERSION_MINOR": "1",
        "OCF_RESOURCE_INSTANCE": "disk",
        "OCF_RESOURCE_TYPE": "drbd",
        "OCF_RESOURCE_PROVIDER": "linbit",
        "OCF_EXIT_REASON_PREFIX": "ocf-exit-reason:",
        "OCF_RESKEY_directory": "/srv/a b",
        "OCF_RESKEY_empty": "",
        "OCF_CHECK_LEVEL": "20",
        "OCF_RESKEY_CRM_meta_name": "monitor",
        "OCF_RESKEY_CRM_meta_timeout": "20500",
        "OCF_RESKEY_CRM_meta_interval": "10000",
    }


def test_an_agent_gets_nothing_that_is_meant_for_its_caller_or_for_another_agent() -> None:
    inherited = {
        "NOTIFY_SOCKET": "/s",
        "WATCHDOG_USEC": "1",
        "PCMK_service": "x",
        "OCF_RESKEY_ip": "::1",
        "OCF_CHECK_LEVEL": "10",
        "HA_RSCTMP": "/other",
        "LANG": "de",
    }
    made = action_environment(resource(), "start", limit_s=1.0, inherited=inherited)
    assert inherited.keys() & made.keys() == {"HA_RSCTMP", "LANG"}
    assert made["HA_RSCTMP"] == "/other"
    assert made["OCF_RESKEY_CRM_meta_interval"] == "0"


@pytest.mark.parametrize(
    ("status", "reason", "text"),
    [
        (5, "no exportfs", "start: exit 5 (a program is missing on this node): no exportfs"),
        (77, "", "start: exit 77 (not in the standard)"),
        (-9, "", "start: signal 9"),
        (None, "", "start: not over in 2.5 s, killed"),
    ],
)
def test_how_an_action_ended_is_told(status: int | None, reason: str, text: str) -> None:
    assert told_result("start", status, reason, limit_s=2.5) == text


def test_the_words_of_the_wrapper_are_read() -> None:
    words = ["--start=90", "--timeout=2.5", "--monitor=0/10", "--monitor=20", "x:y", "a=b c=", "d="]
    read = read_wrapper_words(words)
    assert (str(read.agent), read.parameters) == ("x:y", {"a": "b c=", "d": ""})
    assert read.limits == {"start": 90.0, "stop": None, "timeout": 2.5}
    assert read.intervals == [(0, 10.0), (20, 0.0)]


def test_of_the_time_until_a_kill_an_agent_s_stop_gets_most_and_the_wrapper_the_rest() -> None:
    words = wrapper_words(
        ["x:y", "a=b"],
        instance="asleep",
        stop_only=True,
        start_s=None,
        stop_s=20.0,
        timeout_s=2.5,
        intervals=[(10, 0.0)],
    )
    read = read_wrapper_words(words)
    assert read.limits == {"start": None, "stop": 18.0, "timeout": 2.5}
    assert (read.instance, read.stop_only, read.intervals) == ("asleep", True, [(10, 0.0)])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "no resource agent is named"),
        (["--start=1"], "no resource agent is named"),
        (["--start=soon", "x"], "not a number: --start=soon"),
        (["--monitor=a/b", "x"], "not a number: --monitor=a/b"),
        (["--begin=1", "x"], "unknown option: --begin=1"),
        (["x", "y"], "not a parameter: 'y'"),
        (["x", "=y"], "not a parameter: '=y'"),
        (["x", "a=1", "a=2"], "the parameter a is given twice"),
    ],
)
def test_other_words_are_refused(words: list[str], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read_wrapper_words(words)
