"""A node that cannot end a group fences itself: when, how, and when not. Nothing is rebooted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
from structlog.testing import capture_logs

from mosha.clinit import self_fence
from mosha.clinit.engine import Engine
from mosha.clinit.options import ClinitOptions
from mosha.clinit.reset_note import ResetNote, reset_note_of
from mosha.clinit.self_fence import SelfFence, self_fence_of
from mosha.core.cluster.timing import kill_s
from mosha.core.supervision.group import Deadlines
from mosha.core.supervision.overdue import StuckGroup
from mosha.core.supervision.supervisor import Leased
from mosha.core.tell import Tell
from mosha.formats.self_reset import (
    SELF_RESET_FILE,
    SelfReset,
    parse_self_reset,
    render_self_reset,
)
from mosha.host.clock import boot_id, boottime
from tests.clinit.conftest import Start
from tests.clinit.daemon import is_alive
from tests.clinit.test_monitors import CountingTracker, engine_of
from tests.waiting import until, wait_until


class Place(NamedTuple):
    """An engine of one group, its boxes, what fences, and the file that would reboot."""

    engine: Engine
    tracker: CountingTracker
    fence: SelfFence
    trigger: Path

    def pressed(self) -> str:
        return self.trigger.read_text(encoding="ascii")

    def lose(self, kill_at: float) -> None:
        """Have the lease of the group end so that it is killed at this time."""
        self.engine.happen(Leased({"g0": (1, Deadlines(kill_at - 0.1, kill_at))}))


@contextlib.asynccontextmanager
async def place(tmp_path: Path, again_s: float = 30.0, **options: Any) -> AsyncIterator[Place]:
    """Yield a group whose process does not die, under a lease that holds."""
    trigger = tmp_path / "sysrq"
    trigger.touch()
    given: dict[str, Any] = {
        "self_fence": "sysrq",
        "sysrq_trigger": trigger,
        "self_fence_after_s": 0.3,
    }
    async with engine_of(tmp_path / "s", 1, managed=False) as (engine, tracker, _):
        note = ResetNote(tmp_path)
        fence = SelfFence(engine, ClinitOptions(**(given | options)), set(), note, again_s)
        engine.on_danger = fence.look
        now = boottime()
        engine.happen(Tell("g0", "start", 1, "", now + 60, now + 90))
        tracker.stuck = {"g0"}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fence.run)
            yield Place(engine, tracker, fence, trigger)
            tasks.cancel_scope.cancel()


async def test_a_node_reboots_some_time_after_a_kill_that_did_not_work(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with place(tmp_path) as here:
            kill_at = boottime() + 0.2
            here.lose(kill_at)
            await until(here.pressed)
            assert boottime() >= kill_at + 0.3
            assert here.pressed() == "b"
            await until(lambda: any(line["event"] == "self_fence_ended" for line in lines))
    (told,) = [line for line in lines if line["event"] == "self_fence"]
    assert told["log_level"] == "critical"
    assert told["reason"] == "processes of g0 have outlived kill_at"


async def test_before_the_reboot_it_is_on_the_disk_who_why_and_when(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        here.lose(boottime() - 0.1)
        await until(here.pressed)
        note = parse_self_reset((tmp_path / SELF_RESET_FILE).read_bytes())
    assert (note.boot, note.how, note.groups) == (boot_id(), "sysrq", ("g0",))
    assert note.reason == "processes of g0 have outlived kill_at"
    assert datetime.fromisoformat(note.time) <= datetime.now(UTC)


async def test_a_disk_that_does_not_answer_delays_no_reboot(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    async with place(tmp_path) as here:
        note = here.fence._note
        held = asyncio.ensure_future(note._file.run((tmp_path / "gate").read_bytes, 60.0))
        try:
            await until(lambda: note._file.busy)
            here.lose(boottime() - 0.1)
            await until(here.pressed)
            assert not (tmp_path / SELF_RESET_FILE).exists()
        finally:
            (tmp_path / "gate").write_bytes(b"")
            await held
        await until((tmp_path / SELF_RESET_FILE).exists)


async def test_what_has_ended_after_all_is_not_told_of(tmp_path: Path) -> None:
    async with place(tmp_path, again_s=0.01) as here:
        here.lose(boottime() - 0.1)
        await until((tmp_path / SELF_RESET_FILE).exists)
        here.tracker.stuck.clear()
        await until(lambda: not (tmp_path / SELF_RESET_FILE).exists())


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        (render_self_reset(SelfReset(boot=boot_id(), time="t", how="h", reason="r")), False),
        (render_self_reset(SelfReset(boot="other", time="t", how="h", reason="r")), True),
        (b"{", False),
    ],
)
async def test_a_note_of_this_boot_was_followed_by_no_reset(
    tmp_path: Path, text: bytes, *, stays: bool
) -> None:
    path = tmp_path / SELF_RESET_FILE
    path.write_bytes(text)
    note = reset_note_of(ClinitOptions(state_dir=tmp_path, self_fence="sysrq"))
    assert note is not None
    assert await note.settle(30.0) is not stays
    assert path.exists() is stays
    assert reset_note_of(ClinitOptions(state_dir=tmp_path)) is None


async def test_a_note_that_cannot_be_written_is_logged_once(tmp_path: Path) -> None:
    note = ResetNote(tmp_path / "missing")
    with capture_logs() as lines:
        note.put("sysrq", "why", ["g"])
        assert not await note.settle(30.0)
    (line,) = lines
    assert (line["event"], line["reason"]) == ("memory_failed", "No such file or directory")


async def test_a_process_that_dies_in_its_time_costs_no_machine(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        here.lose(boottime() - 0.1)
        here.tracker.stuck.clear()
        await until(lambda: here.engine.supervisor.units["g0"].group.resting)
        await until(lambda: not here.fence._danger.is_set())  # it has looked, and waits again
        assert not here.fence._reason()
        assert not here.pressed()


async def test_what_is_known_to_be_gone_is_no_reason(tmp_path: Path) -> None:
    async with place(tmp_path, self_fence_after_s=0.0) as here:
        here.lose(boottime() - 0.1)
        await until(here.fence._reason)
        here.tracker.stuck.clear()  # its emptiness was not reported yet
        assert not here.fence._reason()


async def test_a_late_kill_has_its_time_before_the_machine_is_given_up(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        before = boottime()
        here.fence.look()
        long_ago = StuckGroup("g0", before - 60, outlives=True)
        assert here.fence._since(long_ago) >= before + kill_s(1)
        failed = StuckGroup("g0", before - 60, outlives=False)
        assert here.fence._since(failed) == before - 60


async def test_a_second_danger_shortens_no_time_of_the_first(tmp_path: Path) -> None:
    """It ends the wait of the first one, which has to be begun again."""
    async with place(tmp_path, self_fence_after_s=3600.0) as here:
        here.lose(boottime() - 0.1)
        await until(here.fence._stuck)
        here.fence.look()
        await until(lambda: not here.fence._danger.is_set())  # it has looked, and waits again
        assert here.engine.alive("g0")
        assert not here.fence._reason()
        assert not here.pressed()


async def test_new_deadlines_of_the_own_claim_are_no_reason(tmp_path: Path) -> None:
    async with place(tmp_path, self_fence_after_s=0.0) as here:
        here.lose(boottime() - 0.1)
        now = boottime()
        here.engine.happen(Tell("g0", "start", 1, "", now + 60, now + 90))
        await until(lambda: not here.fence._danger.is_set())
        assert not here.fence._stuck()
        assert not here.pressed()


async def test_a_machine_that_is_still_there_is_fenced_again(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with place(tmp_path, again_s=0.1, self_fence_after_s=0.0) as here:
            here.lose(boottime() - 0.1)
            await until(lambda: sum(line["event"] == "self_fence" for line in lines) >= 3)


async def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with place(tmp_path, sysrq_trigger=tmp_path / "none") as here:
            here.lose(boottime() - 0.5)
            await until(lambda: any(line["event"] == "self_fence_ended" for line in lines))
    (told,) = [line for line in lines if line["event"] == "self_fence_ended"]
    assert "No such file or directory" in told["result"]
    assert not (tmp_path / "none").exists()


async def test_a_command_is_run_and_its_result_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = shlex.join(["/bin/sh", "-c", f"echo fenced > {out}; echo said; exit 3"])
    with capture_logs() as lines:
        async with place(tmp_path, self_fence=line) as here:
            here.lose(boottime() - 0.5)
            await until(lambda: any(line["event"] == "self_fence_ended" for line in lines))
            assert not here.pressed()
            assert not here.fence._leaders
    assert out.read_text(encoding="utf-8") == "fenced\n"
    (told,) = [line for line in lines if line["event"] == "self_fence_ended"]
    assert (told["result"], told["log_level"]) == ("exit 3: said", "error")


async def test_the_process_of_a_command_is_reaped_by_nobody_else(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    line = shlex.join(["/bin/sh", "-c", f"read x < {fifo}"])
    async with place(tmp_path, self_fence=line) as here:
        here.lose(boottime() - 0.5)
        await until(lambda: here.fence._leaders)
        (pid,) = here.fence._leaders
        assert is_alive(pid)


async def test_a_command_that_hangs_is_killed_and_it_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_fence, "COMMAND_LIMIT_S", 0.2)
    fifo, out = tmp_path / "fifo", tmp_path / "out"
    os.mkfifo(fifo)
    line = shlex.join(["/bin/sh", "-c", f"echo $$ >> {out}; read x < {fifo}"])
    with capture_logs() as lines:
        async with place(tmp_path, again_s=0.1, self_fence=line) as here:
            here.lose(boottime() - 0.5)
            await until(lambda: len(out.read_text().split()) > 1 if out.exists() else False)
    told = [line for line in lines if line["event"] == "self_fence_ended"]
    assert told[0]["result"] == "it was killed after 0.2 s"
    assert not is_alive(int(out.read_text().split()[0]))


async def test_off_hears_of_no_danger(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        note = ResetNote(tmp_path)
        assert self_fence_of(ClinitOptions(), here.engine, set(), note) is None
        fences = ClinitOptions(self_fence="/bin/true")
        assert self_fence_of(fences, here.engine, set(), note) is not None


def test_a_living_clinit_fences_its_node_for_a_failed_stop_if_told_to(
    start: Start, tmp_path: Path
) -> None:
    fenced = tmp_path / "fenced"
    d = start(
        "g:a:start:respawn:sleep 7731\ng:s:stop:test:false\n",
        self_fence=shlex.join(["/bin/sh", "-c", f"echo x >> {fenced}"]),
        on_stop_failure="fence",
    )
    d.tell("g", "start")
    d.pid_of("a")
    d.tell("g", "stop")
    d.wait_for("stop FAILED")
    (told,) = wait_until(lambda: d.log("self_fence_ended"))
    assert told["result"] == "exit 0"
    assert fenced.read_text(encoding="utf-8") == "x\n"
    assert d.log("self_fence")[0]["reason"] == "the stop of g has failed"
    assert d.status is None
