"""What a shell proposes: commands without importing them, groups and nodes of the cluster."""

from __future__ import annotations

import click
import pytest
from click.shell_completion import ShellComplete

from mosha.cli.completion import NodeNumber, groups, tags
from mosha.cli.main import COMMANDS, root
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import group, on, report


def proposed(words: list[str], incomplete: str) -> list[str]:
    """Return what is proposed for the next word."""
    shell = ShellComplete(root, {}, "mosha", "_MOSHA_COMPLETE")
    return [item.value for item in shell.get_completions(words, incomplete)]


def test_commands_are_completed() -> None:
    assert set(proposed([], "s")) >= {"status", "set", "shutdown", "supervise"}
    assert "logs" not in proposed([], "s")
    assert proposed(["events"], "--gr") == ["--group"]


@pytest.mark.parametrize(
    ("words", "incomplete", "known"),
    [
        (["set"], "", ["db", "web"]),
        (["set"], "w", ["web"]),
        (["why"], "d", ["db"]),
        (["start"], "", ["db", "web"]),
        (["stop"], "w", ["web"]),
        (["move", ""], "", ["1", "2", "3"]),
        (["status"], "w", ["web"]),
        (["move"], "w", ["web"]),
        (["restart"], "d", ["db"]),
        (["cleanup"], "", ["db", "web"]),
        (["fail"], "d", ["db"]),
        (["move", "web"], "", ["1", "2", "3"]),
        (["cleanup", "web"], "", ["1", "2", "3"]),
        (["standby"], "", ["1", "2", "3"]),
        (["unstandby"], "2", ["2"]),
        (["fence", "--test"], "", ["1", "2", "3"]),
        (["why-not", "web"], "", ["1", "2", "3"]),
        (["confirm"], "3", ["3"]),
        (["logs", "--group"], "", ["db", "web"]),
        (["events", "--node"], "", ["1", "2", "3"]),
    ],
)
def test_groups_and_nodes_of_the_cluster_are_completed(
    home: Home, words: list[str], incomplete: str, known: list[str]
) -> None:
    name, *rest = words
    line = [name, "--config", str(home.config), *rest]
    with FakeMonitor(home.rundir, report()):
        assert proposed(line, incomplete) == known
    assert proposed(line, incomplete) == []  # nobody to ask


def test_the_entries_of_a_group_are_completed(home: Home) -> None:
    view = group("web", on(1), tags=["web-ip", "web-nginx"])
    for verb in ("start", "stop", "restart"):
        line = [verb, "--config", str(home.config), "web"]
        with FakeMonitor(home.rundir, report(groups=[view])):
            assert proposed(line, "web-n") == ["web-nginx"]
        assert proposed(line, "") == []  # nobody to ask


def test_a_group_on_all_nodes_is_completed_and_so_are_its_instances(home: Home) -> None:
    views = [group(f"dns@{it}", on(it)) for it in (1, 2)]
    with FakeMonitor(home.rundir, report(groups=[*views, group("web", on(1))])):
        assert proposed(["why", "--config", str(home.config)], "d") == ["dns", "dns@1", "dns@2"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_group_and_node_of_a_command_is_completed(command: str) -> None:
    """A command that is added later too: found by the names of its parameters."""
    found = root.get_command(click.Context(root), command)
    assert found is not None
    for param in found.params:
        if param.name in {"node", "mynode"}:
            assert isinstance(param.type, NodeNumber)
        elif param.name == "group":
            assert param._custom_shell_complete is groups
        elif param.name == "tag":
            assert param._custom_shell_complete is tags


@pytest.mark.parametrize("word", ["x", "0", "65536", "007", ""])
@pytest.mark.parametrize("line", [["standby"], ["move", "web"], ["why-not", "web"]])
def test_a_mistyped_node_is_told_what_a_node_is(mosha: Mosha, line: list[str], word: str) -> None:
    said = mosha(*line, word)
    assert said.status == 2
    assert f"{word!r}: a node is a number from 1 to 65535" in " ".join(said.err.split())
