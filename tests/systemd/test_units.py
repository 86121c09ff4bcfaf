"""mosha as a service of a real systemd: install, start, kill, hang, reboot, upgrade, stop."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mosha.core.status import NodeState
from tests.systemd.node import (
    CLINIT,
    GROUPS,
    LIMIT_S,
    MONITOR,
    SERVICES,
    SETTINGS,
    STOPPED,
    Node,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.systemd.machine import Machine

PAGE = Path(__file__).parents[2] / "docs/how-to/systemd.md"
# `timeout` for tests in which a watchdog shall not take long.
SHORT_S = 3.0


def assert_left(node: Node) -> None:
    """The node has gone in an orderly way, and nothing of it runs."""
    status = node.status()
    assert status is not None
    assert status.state is NodeState.LEFT
    assert node.services() == {}
    wait_until(lambda: node.state(CLINIT) == "inactive", LIMIT_S)
    assert node.state(MONITOR) == "inactive"
    assert sorted(node.machine.read(STOPPED).split()) == sorted(GROUPS)


# --- install and start -----------------------------------------------------------------------


def test_systemd_finds_nothing_wrong_with_the_installed_units(machine: Machine) -> None:
    said = machine.get("mosha", "install-units")
    assert "systemctl enable --now mosha" in said
    for unit in (MONITOR, CLINIT):
        done = machine.do("systemd-analyze", "verify", f"/etc/systemd/system/{unit}")
        assert (done.returncode, done.stderr) == (0, "")


def test_a_started_node_has_published_and_answers_as_soon_as_systemctl_returns(
    node: Node,
) -> None:
    node.machine.get("systemctl", "stop", MONITOR)
    assert_left(node)
    before = node.status()
    node.machine.get("systemctl", "start", MONITOR)
    after = node.status()
    assert node.report()["node"] == 1
    assert before is not None
    assert after is not None
    assert after.inc > before.inc
    assert after.state is NodeState.UP
    node.wait_running()


def test_systemctl_status_says_how_the_node_is(node: Node) -> None:
    wanted = "1 of 1 nodes fresh, 2 groups here, quorum yes"
    wait_until(lambda: node.machine.show(MONITOR, "StatusText") == wanted, LIMIT_S)
    clinits = "2 groups active, 2 entries running"
    wait_until(lambda: node.machine.show(CLINIT, "StatusText") == clinits, LIMIT_S)


def test_the_log_is_in_the_journal_with_its_fields(node: Node) -> None:
    started = [json.loads(line) for line in node.journal(MONITOR) if '"monitor_started"' in line]
    assert {"event", "node", "inc", "run", "version", "level", "timestamp"} <= started[-1].keys()
    changed = [json.loads(line) for line in node.journal(CLINIT) if '"group_changed"' in line]
    assert {"group", "from", "to", "cause"} <= changed[-1].keys()


def test_the_groups_live_below_clinit_and_inherit_neither_its_line_to_systemd_nor_its_luck(
    node: Node,
) -> None:
    for pid in node.services().values():
        assert CLINIT in node.machine.get("cat", f"/proc/{pid}/cgroup")
        environment = node.machine.get("cat", f"/proc/{pid}/environ").split("\0")
        names = {item.partition("=")[0] for item in environment}
        assert not names & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
        assert node.machine.get("cat", f"/proc/{pid}/oom_score_adj").strip() == "0"
    assert node.machine.show(CLINIT, "OOMScoreAdjust") == "-950"


def test_one_command_makes_a_machine_a_witness_that_runs(node: Node) -> None:
    machine = node.machine
    machine.get("systemctl", "disable", "--now", MONITOR)
    wait_until(lambda: node.state(CLINIT) == "inactive", LIMIT_S)
    units = [f"/etc/systemd/system/{unit}" for unit in (MONITOR, CLINIT)]
    machine.do("rm", "-f", SETTINGS, *units)
    said = machine.get("mosha", "init", "--witness", "--nodes", "1", "--mynode", "1", "--start")
    assert "started" in said
    (itself,) = node.report()["nodes"]
    assert (itself["state"], itself["witness"]) == ("self", True)
    assert machine.show(MONITOR, "UnitFileState") == "enabled"
    assert machine.show(CLINIT, "LoadState") == "not-found"
    tasks = machine.show(MONITOR, "ControlGroup")
    pids = (Path("/sys/fs/cgroup") / tasks[1:] / "cgroup.procs").as_posix()
    assert machine.get("cat", pids).split() == [str(node.pid(MONITOR))]
    assert node.services() == {}


# --- restart means stay ------------------------------------------------------------------------


def test_an_upgrade_restarts_the_monitor_and_no_group_notices(node: Node) -> None:
    services, terms, monitor = node.services(), node.terms(), node.pid(MONITOR)
    clinit = node.pid(CLINIT)
    code = "/opt/mosha/lib/python3.11/site-packages/mosha/__init__.py"
    text = node.machine.read(code)
    try:
        node.machine.write(code, re.sub(r'__version__ = ".*"', '__version__ = "99.0.0"', text))
        node.machine.get("systemctl", "restart", MONITOR)
    finally:
        node.machine.write(code, text)
    assert node.pid(MONITOR) not in {0, monitor}
    wait_until(lambda: node.running() == GROUPS, LIMIT_S)
    assert node.services() == services
    assert node.terms() == terms
    assert node.pid(CLINIT) == clinit
    assert node.machine.read(STOPPED) == ""
    started = [json.loads(line) for line in node.journal(MONITOR) if '"monitor_started"' in line]
    assert started[-1]["version"] == "99.0.0"


def test_a_killed_monitor_comes_back_and_takes_over_what_runs(node: Node) -> None:
    services, terms = node.services(), node.terms()
    old = node.signal(MONITOR, "KILL")
    node.wait_new_pid(MONITOR, old)
    wait_until(lambda: node.running() == GROUPS, LIMIT_S)
    assert node.services() == services
    assert node.terms() == terms


def test_a_monitor_that_is_told_by_hand_to_go_and_leave_the_groups_is_started_again(
    node: Node,
) -> None:
    services = node.services()
    old = node.signal(MONITOR, "USR1")
    node.wait_new_pid(MONITOR, old)
    wait_until(lambda: node.running() == GROUPS, LIMIT_S)
    assert node.services() == services
    assert any('"monitor_handing_over"' in line for line in node.journal(MONITOR))


def test_a_restart_into_wrong_settings_is_tried_until_they_are_right(node: Node) -> None:
    services = node.services()
    right = node.machine.read(SETTINGS)
    node.machine.write(SETTINGS, "timeout = true\n")
    done = node.machine.do("systemctl", "restart", MONITOR)
    assert done.returncode != 0
    node.machine.write(SETTINGS, right)
    wait_until(lambda: node.state(MONITOR) == "active", LIMIT_S)
    wait_until(lambda: node.running() == GROUPS, LIMIT_S)
    assert node.services() == services


def test_reload_reads_the_settings_again(node: Node) -> None:
    old = node.pid(MONITOR)
    node.machine.write(SETTINGS, node.machine.read(SETTINGS) + "ban = 77.0\n")
    node.machine.get("systemctl", "reload", MONITOR)
    wait_until(
        lambda: any('"settings_reloaded"' in line for line in node.journal(MONITOR, "-n", "50")),
        LIMIT_S,
    )
    wait_until(lambda: node.state(MONITOR) == "active", LIMIT_S)
    assert node.pid(MONITOR) == old


# --- what hangs or dies ------------------------------------------------------------------------


def test_a_hanging_monitor_is_ended_by_the_watchdog_and_a_new_one_goes_on(node: Node) -> None:
    node.drop_in(MONITOR, "[Service]\nWatchdogSec=1\n")
    node.restart_with(SHORT_S)
    old = node.signal(MONITOR, "STOP")
    node.wait_new_pid(MONITOR, old)
    node.wait_running()
    assert "Failed with result 'watchdog'" in node.machine.get("journalctl", "-b", "--no-pager")


def test_groups_of_a_hanging_monitor_are_stopped_by_clinit_in_time(node: Node) -> None:
    node.restart_with(SHORT_S)  # WatchdogSec stays 30
    clinit = node.pid(CLINIT)
    old = node.signal(MONITOR, "STOP")
    try:
        wait_until(lambda: not node.services(), SHORT_S + 1)
        assert node.pid(CLINIT) == clinit
    finally:
        node.machine.get("kill", "-CONT", str(old))
    node.wait_running()


def test_nothing_survives_a_killed_clinit_and_all_starts_again(node: Node) -> None:
    services = node.services()
    monitor = node.pid(MONITOR)
    old = node.signal(CLINIT, "KILL")
    wait_until(lambda: not set(services.values()) & set(node.services().values()), 1.0)
    node.wait_new_pid(CLINIT, old)
    node.wait_running()
    assert not set(services.values()) & set(node.services().values())
    assert node.pid(MONITOR) == monitor


def test_nothing_survives_clinit_and_its_guard_being_killed_at_once(node: Node) -> None:
    services = node.services()
    old = node.pid(CLINIT)
    guard = node.machine.get("pgrep", "-f", "clinit.forkserver").split()
    # The guard first: after clinit it would have done its work and gone before its turn came.
    node.machine.get("kill", "-KILL", *guard, str(old))
    wait_until(lambda: not set(services.values()) & set(node.services().values()), 1.0)
    node.wait_new_pid(CLINIT, old)
    node.wait_running()


def test_a_hanging_clinit_is_ended_by_the_watchdog_with_all_its_processes(node: Node) -> None:
    node.restart_with(SHORT_S)
    services = node.services()
    old = node.signal(CLINIT, "STOP")
    node.wait_new_pid(CLINIT, old)
    assert not set(services.values()) & set(node.services().values())
    node.wait_running()
    said = node.machine.get("journalctl", "-b", "--no-pager", "-u", CLINIT)
    assert "Failed with result 'watchdog'" in said


def test_clinit_ended_by_its_own_script_comes_back(node: Node) -> None:
    old = node.pid(CLINIT)
    node.machine.get("clinit", "-k", "-s", "/var/mosix-ha/clinit.s")
    node.wait_new_pid(CLINIT, old)
    node.wait_running()


# --- stop means leave ------------------------------------------------------------------------


def test_a_stopped_node_has_halted_its_groups_and_left(node: Node) -> None:
    node.machine.get("systemctl", "stop", MONITOR)
    assert_left(node)


def test_a_node_that_was_shut_down_stays_down(node: Node) -> None:
    node.machine.get("mosha", "shutdown", "--wait")
    wait_until(lambda: node.state(MONITOR) == "inactive", LIMIT_S)
    assert_left(node)


def test_stopping_a_node_whose_monitor_hangs_halts_its_groups_all_the_same(node: Node) -> None:
    node.drop_in(MONITOR, "[Service]\nTimeoutStopSec=1\n")
    node.signal(MONITOR, "STOP")
    node.machine.get("systemctl", "stop", MONITOR)
    wait_until(lambda: node.state(CLINIT) == "inactive", LIMIT_S)
    assert node.services() == {}


def test_stopping_a_node_whose_clinit_has_just_died_does_not_wait_for_another(node: Node) -> None:
    services = node.services()
    kill_and_stop = f"kill -KILL {node.pid(CLINIT)}; systemctl stop {MONITOR}"
    node.machine.get("sh", "-c", kill_and_stop)
    wait_until(lambda: node.state(CLINIT) == "inactive", LIMIT_S)
    assert services.keys() == {*SERVICES}
    assert node.services() == {}
    assert node.state(MONITOR) == "failed"
    status = node.status()
    assert status is not None
    assert status.state is NodeState.LEAVING  # not left: its stop entries did not run


@pytest.mark.parametrize("verb", ["stop", "restart", "start"])
def test_clinit_is_not_to_be_touched_by_hand(node: Node, verb: str) -> None:
    services = node.services()
    done = node.machine.do("systemctl", verb, CLINIT)
    assert done.returncode != 0
    assert "refused" in done.stderr
    assert node.services() == services


def test_a_machine_that_shuts_down_halts_its_groups_leaves_and_is_back_after_its_boot(
    node: Node,
) -> None:
    before = node.status()
    node.machine.power_off()
    try:
        left = node.status()
        assert before is not None
        assert left is not None
        assert (left.state, left.inc) == (NodeState.LEFT, before.inc)
        assert sorted(node.machine.read(STOPPED).split()) == sorted(GROUPS)
    finally:
        node.machine.boot()
    node.wait_running()
    after = node.status()
    assert after is not None
    assert after.inc > left.inc


# --- hardening ---------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [MONITOR, CLINIT])
def test_the_exposure_that_the_manual_notes_is_the_one_that_systemd_finds(
    machine: Machine, unit: str
) -> None:
    machine.get("mosha", "install-units")
    path = f"/etc/systemd/system/{unit}"
    said = machine.get("systemd-analyze", "security", "--offline=true", "--no-pager", path)
    (level,) = re.findall(r"Overall exposure level for \S+: (\d+\.\d) ", said)
    assert f"| `{unit}` | {level} " in PAGE.read_text()
