"""Units of systemd as entries of a group: started, watched, stopped and killed by mosha."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mosha.core.status import GroupLine, GroupState
from tests.systemd.node import CLINIT, LIMIT_S, MONITOR, Node
from tests.systemd.unit_node import UNIT, Units
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.systemd.machine import Machine

PROGRAM = "/usr/bin/sleep 1000007"
STUBBORN = "/usr/bin/python3 -c 'import signal; signal.signal(15, signal.SIG_IGN); signal.pause()'"
RAN = "/var/lib/ran"
FREEZERS = "$(find /sys/fs/cgroup/mosha.slice -name cgroup.freeze)"


@pytest.fixture
def units(machine: Machine) -> Iterator[Units]:
    """A node for units; nothing of its unit stays behind."""
    made = Units(Node(machine))
    machine.do("rm", "-f", RAN)
    yield made
    machine.do("systemctl", "kill", "-s", "CONT", MONITOR)
    made.clear()


def test_a_unit_runs_in_the_slice_of_its_entry_and_is_stopped_with_its_group(units: Units) -> None:
    units.begin(f"ExecStart={PROGRAM}\nExecStop=/bin/sh -c 'echo asked > {RAN}'\nRestart=always")
    assert units.machine.show(UNIT, "Slice").endswith("-web-u.slice")
    assert units.machine.show(UNIT, "Restart") == "no"
    assert units.processes() == [str(units.pid())]
    units.machine.get("mosha", "set", "web", "stop")
    units.wait_line("stop", GroupState.DONE, GroupState.PASSED)
    assert units.node.state(UNIT) == "inactive"
    assert units.machine.read(RAN) == "asked\n"
    assert units.processes() == []
    refused = units.machine.do("systemctl", "start", UNIT)
    assert "Assertion failed" in refused.stderr
    assert units.node.state(UNIT) == "inactive"


def test_a_unit_that_dies_is_started_again_by_mosha_and_not_by_systemd(units: Units) -> None:
    units.begin(f"ExecStart={PROGRAM}\nRestart=always\nRestartSec=0")
    old = units.pid()
    units.machine.get("kill", "-9", str(old))
    wait_until(lambda: units.pid() not in {0, old}, LIMIT_S)
    units.wait_done()
    assert "web.service has ended: Result=signal, signal 9" in units.said()
    assert units.machine.show(UNIT, "NRestarts") == "0"


def test_a_unit_that_cannot_start_says_why(units: Units) -> None:
    units.begin("Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'exit 7'", done=False)
    wait_until(lambda: "was not started: Result=exit-code, exit status 7" in units.said(), LIMIT_S)
    page = units.machine.do("mosha", "status", "web").stdout
    assert "was not started: Result=exit-code, exit status 7" in page
    assert units.line() == GroupLine("start", GroupState.STARTING)


def test_a_oneshot_that_remains_counts_as_running(units: Units) -> None:
    units.begin(f"Type=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/touch {RAN}", done=False)
    units.wait_line("start", GroupState.DONE)
    assert units.node.state(UNIT) == "active"
    units.machine.get("systemctl", "stop", UNIT)
    wait_until(lambda: "web.service has ended: Result=success" in units.said(), LIMIT_S)
    wait_until(lambda: units.node.state(UNIT) == "active", LIMIT_S)


def test_a_unit_that_hangs_when_it_is_stopped_is_killed_in_time(units: Units) -> None:
    units.begin(f"ExecStart={STUBBORN}\nTimeoutStopSec=infinity", options="stop=TERM/1s")
    units.machine.get("mosha", "set", "web", "stop")
    units.wait_line("stop", GroupState.DONE, GroupState.PASSED)
    assert units.processes() == []
    wait_until(lambda: units.node.state(UNIT) == "failed", LIMIT_S)


def test_at_kill_at_a_unit_is_killed_and_stays_dead(units: Units) -> None:
    units.begin(f"ExecStart={STUBBORN}\nRestart=always\nRestartSec=0\nTimeoutStopSec=infinity")
    units.node.signal(MONITOR, "STOP")
    wait_until(lambda: '"kill_at"' in units.said(), LIMIT_S)
    wait_until(lambda: units.processes() == [], LIMIT_S)
    wait_until(lambda: units.node.state(UNIT) == "failed", LIMIT_S)
    assert units.machine.show(UNIT, "NRestarts") == "0"
    units.node.signal(MONITOR, "CONT")
    units.wait_done()


def test_at_kill_at_a_unit_is_dead_also_while_systemd_hangs(units: Units) -> None:
    units.begin(f"ExecStart={PROGRAM}\nRestart=always\nRestartSec=0")
    procs = units.processes()
    monitor = units.node.pid(MONITOR)
    os.kill(units.machine.leader, signal.SIGSTOP)
    try:
        units.machine.get("kill", "-STOP", str(monitor))
        wait_until(lambda: units.processes() == [], LIMIT_S)
    finally:
        os.kill(units.machine.leader, signal.SIGCONT)
    assert procs
    wait_until(lambda: units.node.state(UNIT) == "failed", LIMIT_S)
    assert units.processes() == []
    units.machine.get("kill", "-CONT", str(monitor))
    units.wait_done()


def test_what_systemd_starts_after_a_kill_does_not_run(units: Units) -> None:
    units.begin(f"ExecStartPre=-{STUBBORN}\nExecStart=/usr/bin/touch {RAN}", done=False)
    wait_until(units.processes, LIMIT_S)
    monitor = units.node.pid(MONITOR)
    os.kill(units.machine.leader, signal.SIGSTOP)
    try:
        units.machine.get("kill", "-STOP", str(monitor))
        wait_until(lambda: units.processes() == [], LIMIT_S)
    finally:
        os.kill(units.machine.leader, signal.SIGCONT)
    # Only its first command has failed, which systemd is told to ignore: it goes on with the next.
    wait_until(lambda: units.machine.show(UNIT, "SubState") != "start-pre", LIMIT_S)
    wait_until(lambda: units.machine.show(UNIT, "ExecMainStartTimestampMonotonic") != "0", LIMIT_S)
    assert units.machine.read(RAN) == ""
    frozen = units.machine.get("sh", "-c", f"cat {FREEZERS}").split()
    assert "1" in frozen


def test_an_enabled_unit_is_refused_with_the_command_that_mends_it(units: Units) -> None:
    wanted = f"ExecStart={PROGRAM}\n[Install]\nWantedBy=multi-user.target"
    units.begin(wanted, done=False)
    units.machine.get("systemctl", "enable", UNIT)
    told = (
        f"{UNIT} is enabled: systemd starts it by itself, on every node; systemctl disable {UNIT}"
    )
    units.machine.do("mosha", "restart", "web", "u")
    wait_until(lambda: f"refused: {told}" in units.said(), LIMIT_S)
    checked = units.machine.do("mosha", "check").stdout
    assert f"u could not run on this machine: {told}" in checked
    units.machine.get("systemctl", "disable", UNIT)
    units.machine.get("mosha", "cleanup", "web")
    units.wait_done()
    assert UNIT not in units.machine.do("mosha", "check").stdout
    nowhere = "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/nowhere"
    checked = units.machine.do("env", nowhere, "mosha", "check").stdout
    assert "systemd cannot be asked about u: no connection to the system bus: " in checked
    assert "; see whether the system bus runs: systemctl status dbus.socket\n" in checked


def test_a_unit_outlives_the_monitor_and_not_clinit(units: Units) -> None:
    units.begin(f"ExecStart={PROGRAM}\nRestart=always\nRestartSec=0")
    old = units.pid()
    units.machine.get("systemctl", "restart", MONITOR)
    units.wait_done()
    assert units.pid() == old
    units.node.wait_new_pid(CLINIT, units.node.signal(CLINIT, "KILL"))
    wait_until(lambda: units.pid() not in {0, old}, LIMIT_S)
    units.wait_done()
    assert units.processes() == [str(units.pid())]


def test_what_runs_already_is_stopped_first(units: Units) -> None:
    units.begin(f"ExecStart={PROGRAM}")
    units.machine.get("mosha", "set", "web", "stop")
    units.wait_line("stop", GroupState.DONE, GroupState.PASSED)
    units.machine.do("rm", "-r", f"/run/systemd/system/{UNIT}.d")
    units.machine.get("systemctl", "daemon-reload")
    units.machine.get("systemctl", "start", UNIT)
    strange = units.pid()
    units.machine.get("mosha", "set", "web", "start")
    units.wait_done()
    assert units.pid() != strange
    assert units.processes() == [str(units.pid())]


def test_a_wrapper_that_is_killed_leaves_a_unit_that_the_next_one_replaces(units: Units) -> None:
    units.begin(f"ExecStart={PROGRAM}\nKillMode=process")
    old, wrapper = units.pid(), units.wrapper()
    units.machine.get("kill", "-9", str(wrapper))
    wait_until(lambda: units.pid() not in {0, old}, LIMIT_S)
    units.wait_done()
    assert units.processes() == [str(units.pid())]


def test_a_restart_by_hand_is_seen_through(units: Units) -> None:
    units.begin(f"ExecStart={PROGRAM}")
    old, wrapper = units.pid(), units.wrapper()
    units.machine.get("systemctl", "restart", UNIT)
    assert units.pid() not in {0, old}
    units.machine.get("systemctl", "daemon-reexec")
    assert units.machine.get("mosha", "status", "web")
    assert units.wrapper() == wrapper
    units.machine.get("kill", "-9", str(units.pid()))
    wait_until(lambda: "web.service has ended: Result=signal" in units.said(), LIMIT_S)
    units.wait_done()


def test_a_unit_that_was_restarted_outside_of_its_slice_is_put_back_into_it(units: Units) -> None:
    units.begin(f"ExecStart={PROGRAM}")
    units.machine.get("systemctl", "revert", UNIT)
    units.machine.get("systemctl", "restart", UNIT)
    told = f"{UNIT} was started without the drop-in of mosha, in /system.slice/{UNIT}"
    wait_until(lambda: told in units.said(), LIMIT_S)
    wait_until(lambda: units.pid() and units.processes() == [str(units.pid())], LIMIT_S)
    units.wait_done()
    assert units.machine.show(UNIT, "Slice").endswith("-web-u.slice")


def test_a_unit_whose_process_was_moved_out_of_its_slice_is_put_back_into_it(units: Units) -> None:
    units.begin(f"ExecStart={PROGRAM}")
    old, elsewhere = units.pid(), "/sys/fs/cgroup/system.slice/elsewhere"
    script = f"mkdir -p {elsewhere} && echo {old} > {elsewhere}/cgroup.procs"
    units.machine.get("sh", "-c", script)
    told = f"the main process of {UNIT} was moved to /system.slice/elsewhere"
    wait_until(lambda: told in units.said(), LIMIT_S)
    wait_until(lambda: units.pid() not in {0, old}, LIMIT_S)
    units.wait_done()
    assert units.processes() == [str(units.pid())]
    assert units.machine.do("kill", "-0", str(old)).returncode != 0


def test_a_system_bus_that_is_restarted_is_connected_to_again(units: Units) -> None:
    units.begin(f"ExecStart={PROGRAM}")
    old, wrapper = units.pid(), units.wrapper()
    units.machine.get("systemctl", "restart", "dbus.service")
    wait_until(lambda: "connection to the system bus is lost" in units.said(), LIMIT_S)
    assert (units.pid(), units.wrapper()) == (old, wrapper)
    units.machine.get("kill", "-9", str(old))
    wait_until(lambda: "web.service has ended: Result=signal" in units.said(), LIMIT_S)
    units.wait_done()


def test_at_a_shutdown_of_the_machine_the_unit_is_stopped_by_mosha(units: Units) -> None:
    log = "/var/lib/stops"
    units.machine.do("rm", "-f", log)
    state = f"systemctl show --value --property=ActiveState {CLINIT} >> {log}"
    units.begin(f"ExecStart={PROGRAM}\nExecStop=/bin/sh -c '{state}'")
    units.machine.get("systemctl", "enable", MONITOR)
    units.machine.power_off()
    assert Path(units.machine.root / log[1:]).read_text() == "active\n"
    units.machine.boot()
    units.wait_done()
