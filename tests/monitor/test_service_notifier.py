"""What a monitor tells its service manager: when it is ready, and how its node is."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mosha.core.cluster.quorum import QuorumState
from mosha.host.notify import Notifier
from mosha.monitor.daemon import Monitor
from mosha.monitor.service_notifier import ServiceNotifier, summary
from tests.core.story import status
from tests.monitor.house import prepared


@pytest.fixture
async def monitor(short_dir: Path) -> AsyncIterator[Monitor]:
    async with prepared(short_dir) as made:
        yield made


@pytest.fixture
def manager(short_dir: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(short_dir / "notify"))
        listener.setblocking(False)
        yield listener


def notifier_of(monitor: Monitor, manager: socket.socket, watchdog_s: float) -> ServiceNotifier:
    return ServiceNotifier(monitor, Notifier(str(manager.getsockname()), watchdog_s))


def heard(manager: socket.socket) -> list[str]:
    """Return the first line of each datagram that has come, without the words of a status."""
    found: list[str] = []
    while True:
        try:
            line = manager.recv(4096).decode().split("\n")[0]
        except BlockingIOError:
            return found
        found.append("STATUS" if line.startswith("STATUS=") else line)


def test_a_monitor_is_ready_when_its_first_status_is_written(
    monitor: Monitor, manager: socket.socket
) -> None:
    notifier = notifier_of(monitor, manager, 60.0)
    notifier.published()  # the attempt to write has failed
    assert heard(manager) == ["STATUS", "WATCHDOG=1"]
    monitor.node.state.published = status(1)
    notifier.published()
    notifier.published()
    assert heard(manager) == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]


def test_a_monitor_that_may_not_publish_yet_is_ready_too(  # N1
    monitor: Monitor, manager: socket.socket
) -> None:
    monitor.node.state.mute_until = float("inf")
    notifier_of(monitor, manager, 60.0).published()
    assert heard(manager)[0] == "READY=1"


def test_no_watchdog_bites_before_the_timeout(monitor: Monitor, manager: socket.socket) -> None:
    monitor.node.state.published = status(1)
    timeout_s = monitor.node.state.timing.timeout_s
    notifier_of(monitor, manager, timeout_s / 2).published()
    assert heard(manager) == ["READY=1", f"WATCHDOG_USEC={timeout_s * 1e6:.0f}", "WATCHDOG=1"]
    notifier_of(monitor, manager, timeout_s * 2).published()
    assert heard(manager) == ["READY=1", "WATCHDOG=1"]


def test_a_reload_is_over_when_it_is_told_so(monitor: Monitor, manager: socket.socket) -> None:
    notifier = notifier_of(monitor, manager, 60.0)
    notifier.reloading()
    notifier.reloaded()
    assert heard(manager) == ["RELOADING=1", "READY=1"]


@pytest.mark.parametrize(
    ("seen", "word"),
    [(QuorumState.YES, "yes"), (QuorumState.NO, "NO"), (QuorumState.UNKNOWN, "not known yet")],
)
def test_the_summary_says_whether_there_is_a_quorum(
    monitor: Monitor, seen: QuorumState, word: str
) -> None:
    monitor.node.state.view.quorum_state = seen
    assert summary(monitor.node.state) == f"1 of 1 nodes fresh, 0 groups here, quorum {word}"
