"""SIGHUP and `reload`: what can change while running does, the rest is named (H6.6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from mosha.core.replication.judging import TABLES
from mosha.errors import UsageError
from mosha.formats.fencing_methods import Fencing, FencingMethod
from mosha.formats.settings import Settings, parse_settings
from mosha.monitor.daemon import Monitor
from mosha.monitor.reload import LIVE, reload
from tests.monitor.house import prepared, settings

COMMAND = FencingMethod(type="command", command=("/bin/true",))

Change = Callable[..., None]


@pytest.fixture
async def monitor(short_dir: Path) -> AsyncIterator[Monitor]:
    async with prepared(short_dir) as made:
        yield made


@pytest.fixture
def change(monitor: Monitor, short_dir: Path) -> Change:
    """Let the settings file say something else."""

    def changed(**more: Any) -> None:
        monitor.read_settings = lambda: settings(short_dir, **more)

    return changed


def test_h6_6_a_reload_that_changes_nothing_says_so(monitor: Monitor, change: Change) -> None:
    change()
    assert reload(monitor) == "in force now: nothing new"


def test_without_a_settings_file_only_the_tables_are_looked_at(monitor: Monitor) -> None:
    assert reload(monitor) == "no settings file: only the tables were looked at"


def test_both_tables_are_looked_at_again(monitor: Monitor) -> None:
    tables = monitor.runtime.agent.tables
    assert tables.idle
    reload(monitor)
    assert [tables.replica(name).idle for name in TABLES] == [False, False]


def test_the_ban_and_the_grace_are_in_force_at_once(monitor: Monitor, change: Change) -> None:
    change(ban=7.0, start_grace=9.0)
    assert reload(monitor) == "in force now: ban, start_grace"
    timing = monitor.node.state.timing
    assert (timing.ban_s, timing.start_grace_s) == (7.0, 9.0)
    assert monitor.settings.ban == 7.0


def test_new_fencing_methods_are_in_force_at_once(monitor: Monitor, change: Change) -> None:
    assert not monitor.node.state.fencing.required
    change(fencing=Fencing(methods=(COMMAND,)))
    assert reload(monitor) == "in force now: fencing"
    assert monitor.settings.fencing.methods == (COMMAND,)
    assert monitor.node.state.fencing.required


def test_another_capacity_is_in_force_at_once(monitor: Monitor, change: Change) -> None:
    change(capacity=12)
    assert reload(monitor) == "in force now: capacity"
    assert monitor.node.state.capacity == 12
    assert monitor.node.dirty


def test_the_log_level_is_in_force_at_once(monitor: Monitor, change: Change) -> None:
    before = structlog.get_config()
    try:
        change(log_level="error")
        assert reload(monitor) == "in force now: log_level"
        made = structlog.get_config()["wrapper_class"]
        assert made is structlog.make_filtering_bound_logger(40)
    finally:
        structlog.configure(**before)


def test_what_others_count_on_waits_for_a_restart_and_is_named(
    monitor: Monitor, change: Change
) -> None:
    old = monitor.settings
    change(timeout=4.0, nodes=(1, 2), ban=7.0)
    expected = "in force now: ban; after a restart of the monitor: nodes, timeout"
    assert sorted(reload(monitor)) == sorted(expected.replace("nodes, timeout", "timeout, nodes"))
    assert (monitor.settings.timeout, monitor.settings.nodes) == (old.timeout, old.nodes)
    assert monitor.node.state.timing.timeout_s == old.timing.timeout_s
    # It is still named the next time, for it is still not in force.
    assert "timeout" in reload(monitor)


def test_mistakes_change_nothing(monitor: Monitor) -> None:
    def mistaken() -> Settings:
        raise UsageError("mosha.toml:3:1: unknown key: 'tiemout'")

    monitor.read_settings = mistaken
    before = monitor.settings
    with pytest.raises(UsageError, match="tiemout"):
        reload(monitor)
    assert monitor.settings == before


def test_refused_settings_are_a_trouble_until_they_are_mended(
    monitor: Monitor, change: Change
) -> None:
    def mistaken() -> Settings:
        return parse_settings(b"tiemout = 3\nmynode = 'x'\n", "mosha.toml")

    monitor.read_settings = mistaken
    with pytest.raises(UsageError):
        reload(monitor)
    (trouble,) = monitor.troubles
    assert trouble.startswith(
        "the settings are refused, those of before stay in force: 2 mistakes, the first:"
        " mosha.toml:1:1: unknown key: 'tiemout'; did you mean 'timeout'"
    )
    assert trouble.endswith("then have them read again (systemctl reload mosha, or SIGHUP)")
    assert trouble in " ".join(monitor.report().problems)
    change()
    reload(monitor)
    assert monitor.troubles == []


def test_what_may_change_while_running_are_settings() -> None:
    assert set(LIVE) <= set(Settings.__struct_fields__)
