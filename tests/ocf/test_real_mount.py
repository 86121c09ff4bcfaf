"""A service on a file system that the agent Filesystem mounts, when the mount fails at its level.

The service takes a while to end in good order. It is to be gone before the agent's stop, which
kills what uses the mount, and is never to be started on the bare directory.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ocf.real_agents import MOUNT
from tests.ocf.rooms import Room
from tests.ocf.supervised import Supervised
from tests.ocf.test_real_agents import room, skip_without
from tests.waiting import wait_until

pytestmark = pytest.mark.root("the agent mounts file systems")
__all__ = ["room"]

# `where` gets the device that it is started on; `pid` is there from its start to its orderly end.
SERVICE = (
    "trap 'sleep 1; rm -f /srv/pid; exit' INT && cd /srv/mount && echo $$ >/srv/pid && "
    "stat -c %d . >>/srv/where && while :; do sleep 0.1; done"
)
WITNESS = "test -e /srv/pid && touch /srv/busy"


class Mounted(Supervised):
    """A group with the mount `disk`, and after it the service `svc`."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.loop = room.loop()
        options = "interval=1s,timeout=2s,stop=TERM/4s"
        words = MOUNT.parameters.format(loop=self.loop)
        super().__init__(
            room, f"g:disk:start:ocf({options}):Filesystem {words}\ng:svc:start:respawn:{SERVICE}\n"
        )

    def started_on(self) -> list[int]:
        """Return the device of each start of the service."""
        path = self.room.directory / "where"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def start_all(self) -> None:
        """Have the service at work."""
        self.tell("start", "DONE")
        wait_until(self.started_on)

    def was_used_at_stop(self) -> bool:
        return (self.room.directory / "busy").exists()

    @property
    def device(self) -> int:
        return Path(self.loop).stat().st_rdev


@pytest.fixture
def mounted(room: Room) -> Iterator[Mounted]:
    skip_without(MOUNT)
    room.shell(f"{MOUNT.prepare}\nreplace umount stop '{{ {WITNESS}; true; }}'")
    made = Mounted(room)
    yield made
    made.end()


def fail_a_monitor(it: Mounted) -> None:
    """Let one monitor hang, as on a slow disk."""
    it.room.shell(
        "replace cut monitor '{ test -e /srv/once || { touch /srv/once; exec /bin/sleep 1000; }; }'"
    )


def kill_the_wrapper(it: Mounted) -> None:
    os.kill(it.entry("disk").pid, signal.SIGKILL)


FAILURES = [fail_a_monitor, kill_the_wrapper]


@pytest.mark.parametrize("fail", FAILURES)
def test_a_service_ends_before_its_mount_is_undone_and_starts_on_it_again(
    mounted: Mounted, fail: Callable[[Mounted], None]
) -> None:
    it = mounted
    it.start_all()
    fail(it)
    wait_until(lambda: len(it.started_on()) > 1)
    it.wait_for("start", "DONE")
    assert it.started_on() == [it.device] * 2
    assert Path(f"/proc/{it.entry('svc').pid}/cwd").stat().st_dev == it.device
    it.tell("stop", "PASSED")
    assert not it.was_used_at_stop()


@pytest.mark.parametrize("fail", FAILURES)
def test_a_service_stays_stopped_as_long_as_its_mount_cannot_be_undone(
    mounted: Mounted, fail: Callable[[Mounted], None]
) -> None:
    it = mounted
    it.start_all()
    it.room.shell(f"replace umount stop '{{ {WITNESS}; exit 1; }}'")
    fail(it)
    wait_until(lambda: len(it.said("stop: ")) > 1)  # of two wrappers
    assert (it.group().state, it.entry("svc").pid) == ("STARTING", 0)
    it.tell("stop", "FAILED")
    assert it.group().cause.startswith("test entry disk.stop: exit 3: ")
    assert it.group().present, "whoever has claimed the group keeps it"
    it.room.mend()
    it.tell("plan", "DONE")
    it.tell("stop", "PASSED")
    assert it.started_on() == [it.device]
    assert not it.was_used_at_stop()
