"""What a shell proposes: commands without importing them, groups and nodes of the cluster."""

from __future__ import annotations

import pytest
from click.shell_completion import ShellComplete

from mosha.cli.main import root
from tests.cli.conftest import Home
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import report


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
        (["status"], "w", ["web"]),
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
