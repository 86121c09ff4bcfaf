"""A process that SIGKILL does not end, because its disk is frozen: state D, as with a dead one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosha.host.clock import boottime
from tests.chaos.sinks import Disk, missing_disks
from tests.clinit.conftest import Start
from tests.clinit.daemon import is_alive
from tests.waiting import wait_until


@pytest.fixture
def disk(short_dir: Path) -> Iterator[Disk]:
    """A disk that can be frozen; it is thawed before clinit is ended."""
    if why := missing_disks():
        pytest.skip(why)
    made = Disk(short_dir, 1)
    try:
        yield made
    finally:
        made.close()


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def test_a_process_that_does_not_die_costs_the_machine_its_watchdog_and_its_life(
    start_in: Start, disk: Disk, tmp_path: Path
) -> None:
    device, fenced = tmp_path / "watchdog", tmp_path / "fenced"
    device.touch()
    d = start_in(
        f"g:a:start:respawn:while :; do echo x > {disk.point}/x; done\n",
        watchdog=str(device),
        watchdog_timeout_s=1,
        self_fence=shlex.join(["/bin/sh", "-c", f"echo x >> {fenced}"]),
        self_fence_after_s=0.3,
    )
    d.tell("g", "start", term=1, stop_at=boottime() + 60, kill_at=boottime() + 90)
    pid = d.pid_of("a")
    disk.freeze()
    disk.wait_frozen()
    wait_until(lambda: state_of(pid) == "D")
    kill_at = boottime() + 0.3
    d.tell("g", "stop", term=1, stop_at=kill_at - 0.2, kill_at=kill_at)
    (told,) = wait_until(lambda: d.log("watchdog_not_fed"))
    assert told["reason"] == "processes of g have outlived kill_at"
    before = device.read_text(encoding="ascii")
    (ended,) = wait_until(lambda: d.log("self_fence_ended"))
    assert ended["result"] == "exit 0"
    assert boottime() >= kill_at + 0.3
    assert fenced.read_text(encoding="utf-8") == "x\n"
    assert is_alive(pid)
    assert d.group().alive
    assert device.read_text(encoding="ascii") == before
    disk.thaw()
    d.wait_for("stop DONE")
    assert not is_alive(pid)
    wait_until(lambda: d.log("watchdog_fed_again"))
    assert d.shut_down().ok
    assert d.wait() == 0
    assert device.read_text(encoding="ascii").endswith("V")
