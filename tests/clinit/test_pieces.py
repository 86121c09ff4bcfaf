"""The parts of the daemon by themselves: clocks, threads, cgroups, records."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mosha.clinit import cgroups
from mosha.clinit.alarm import Alarm
from mosha.clinit.clstat import ClstatFile
from mosha.clinit.descendants import Descendants
from mosha.clinit.options import ClinitOptions
from mosha.clinit.state_dir import StateDir
from mosha.clinit.table import TableFile, TableReading
from mosha.core.status import GroupLine, GroupState
from mosha.errors import HostError
from mosha.host import logs, proc
from mosha.host.abandonable import Abandonable, NotRespondingError
from mosha.host.clock import boottime
from mosha.host.mounts import Mounts
from tests.waiting import pass_until, until, wait_until


def test_the_default_heartbeat_is_30_seconds_c7_6() -> None:
    assert ClinitOptions().heartbeat_s == 30.0


# --- the alarm -------------------------------------------------------------------------


async def test_an_alarm_rings_once_and_not_before_its_time() -> None:
    rang: list[float] = []
    alarm = Alarm(lambda: rang.append(boottime()))
    try:
        when = boottime() + 0.05
        alarm.set(when)
        await until(lambda: rang)
        assert when <= rang[0] < when + 1
        alarm.set(boottime() - 100)
        await until(lambda: len(rang) == 2)
        alarm.set(boottime() + 0.05)
        alarm.set(None)
        alarm.set(boottime() + 0.1)
        await until(lambda: len(rang) == 3)
    finally:
        alarm.close()
    assert len(rang) == 3


def _fd_facts(fd: int) -> list[str]:
    return Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii").splitlines()


async def test_an_alarm_is_of_the_clock_that_goes_on_while_the_machine_sleeps() -> None:
    """Only the kernel can tell the two clocks apart on a machine that never slept (proc(5))."""
    alarm = Alarm(lambda: None)
    try:
        facts = _fd_facts(alarm._fd)
    finally:
        alarm.close()
    assert f"clockid: {time.CLOCK_BOOTTIME}" in facts


async def test_an_alarm_can_be_set_anew_from_its_ring() -> None:
    rang: list[float] = []

    def ring() -> None:
        rang.append(boottime())
        alarm.set(boottime() if len(rang) < 5 else None)

    alarm = Alarm(ring)
    try:
        alarm.set(0.0)
        await until(lambda: len(rang) == 5)
    finally:
        alarm.close()
    assert len(rang) == 5


async def test_an_alarm_that_rang_can_be_set_to_the_same_time_again() -> None:
    rang: list[float] = []
    when = boottime()

    def ring() -> None:
        rang.append(when)
        alarm.set(when if len(rang) < 3 else None)

    alarm = Alarm(ring)
    try:
        alarm.set(when)
        await until(lambda: len(rang) == 3)
    finally:
        alarm.close()


# --- files that hang ---------------------------------------------------------------------


async def test_a_file_that_hangs_is_given_up_and_is_free_again_when_it_comes_back() -> None:
    files, hang = Abandonable("x"), threading.Event()
    with pytest.raises(NotRespondingError, match=r"does not answer within 0.05 s: x"):
        await files.run(hang.wait, 0.05)
    with pytest.raises(NotRespondingError, match="does not answer: x"):
        await files.run(lambda: 1, 10)
    hang.set()
    await until(lambda: not files.busy)
    assert await files.run(lambda: 1, 10) == 1


async def test_a_file_that_comes_back_at_the_last_moment_is_free() -> None:
    files, hang = Abandonable("at the last moment"), threading.Event()
    call = asyncio.create_task(files.run(hang.wait, 0.2))
    await until(lambda: files.busy)
    (thread,) = [each for each in threading.enumerate() if each.name == "at the last moment"]
    # Its answer and the end of its time come in the same turn of the loop.
    hang.set()
    pass_until(boottime() + 0.3)
    assert await call
    thread.join()
    assert await files.run(lambda: 1, 10) == 1


async def test_what_was_cancelled_is_waited_for() -> None:
    files, hang, order = Abandonable("x"), threading.Event(), []
    begun = threading.Event()  # what has not begun is not done any more

    def first() -> None:
        begun.set()
        hang.wait()
        order.append(1)

    task = asyncio.create_task(files.run(first, 10))
    await until(begun.is_set)
    task.cancel()
    second = asyncio.create_task(files.run(lambda: order.append(2), 10))
    hang.set()
    await second
    assert order == [1, 2]


async def test_errors_of_files_are_passed_on() -> None:
    with pytest.raises(FileNotFoundError):
        await Abandonable("x").run(lambda: os.stat("/no/such"), 10)  # noqa: PTH116


async def test_of_tells_that_come_together_one_look_will_do(tmp_path: Path) -> None:
    path = tmp_path / "cltab"
    table, loop = TableFile(path, 10), asyncio.get_running_loop()
    heard_at = loop.time()
    missing = await table.look(heard_at)
    assert "file not found" in missing.warning
    path.write_text("g:a:1:wait:true\n")
    assert await table.look(heard_at) == missing
    assert (await table.look(loop.time())).cltab is not None
    path.write_text("g:a:1:wait:true\nh:b:1:wait:true\n")
    assert await table.look(heard_at) == TableReading()
    found = await table.look(loop.time())
    assert found.cltab is not None
    assert len(found.cltab.entries) == 2


async def test_a_look_answers_no_tell_that_came_after_it_had_begun(tmp_path: Path) -> None:
    path, hang = tmp_path / "cltab", threading.Event()
    path.write_text("g:a:1:wait:true\n")
    table, loop = TableFile(path, 10), asyncio.get_running_loop()
    stalled = asyncio.create_task(table._files.run(hang.wait, 10))
    await until(lambda: table._files.busy)
    look = asyncio.create_task(table.look())
    await asyncio.sleep(0)
    heard_at = math.nextafter(loop.time(), math.inf)
    hang.set()
    await stalled
    assert (await look).cltab is not None
    path.write_text("g:a:1:wait:true\nh:b:1:wait:true\n")
    found = await table.look(heard_at)
    assert found.cltab is not None
    assert len(found.cltab.entries) == 2


@pytest.mark.parametrize("moved", [True, False], ids=["another file", "written in place"])
async def test_a_file_of_the_same_size_and_time_is_read_if_it_is_another_one(
    tmp_path: Path, *, moved: bool
) -> None:
    path, draft = tmp_path / "cltab", tmp_path / "cltab.new"
    path.write_text("g:a:1:wait:true\n")
    table = TableFile(path, 10)
    assert (await table.look()).cltab is not None
    time_ns = path.stat().st_mtime_ns
    draft.write_text("h:a:1:wait:true\n")
    os.utime(draft, ns=(time_ns, time_ns))  # as cp -p and rsync leave it
    if moved:
        draft.rename(path)
    else:
        path.write_bytes(draft.read_bytes())
        os.utime(path, ns=(time_ns, time_ns))
    found = (await table.look()).cltab
    assert (found.groups() if found else None) == (("h",) if moved else None)


async def test_a_look_that_failed_is_not_shared(tmp_path: Path) -> None:
    path = tmp_path / "cltab"
    path.write_text("g:a:1:wait:true\n")
    table, heard_at = TableFile(path, 10), asyncio.get_running_loop().time()
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(table._files, "run", fail)
        assert "cannot read" in (await table.look(heard_at)).warning
    found = await table.look(heard_at)
    assert found.cltab is not None
    assert found.warning == ""


async def fail(*_: object) -> None:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


async def test_a_hung_cltab_leaves_the_last_entries_in_force(tmp_path: Path) -> None:
    path = tmp_path / "cltab"
    path.write_text("g:a:1:wait:true\n")
    table, hang = TableFile(path, 0.05), threading.Event()
    assert (await table.look()).cltab is not None
    with pytest.raises(NotRespondingError):
        await table._files.run(hang.wait, 0.05)
    reading = await table.look()
    assert reading.cltab is None
    assert "the file system does not answer" in reading.warning
    hang.set()
    await until(lambda: not table._files.busy)


async def test_a_clstat_is_gone_after_its_removal_whatever_was_under_way(tmp_path: Path) -> None:
    path = tmp_path / "clstat"
    line = GroupLine("1", GroupState.DONE)
    file = ClstatFile(path, lambda: {"g": line}, 0.0, 10)
    task = asyncio.create_task(file.run())
    await until(path.exists)
    task.cancel()
    await file.remove()
    assert os.listdir(tmp_path) == []  # noqa: PTH208


async def test_a_clstat_that_cannot_be_written_again_is_logged_again(tmp_path: Path) -> None:
    path = tmp_path / "made" / "clstat"
    file = ClstatFile(path, dict, 30.0, 10)
    with capture_logs() as log:
        await file._write()
        await file._write()
        assert [line["event"] for line in log] == ["status_failed"]
        path.parent.mkdir()
        await file._write()
        path.unlink()
        path.parent.rmdir()
        await file._write()
    assert [line["event"] for line in log] == ["status_failed"] * 2


# --- cgroups and /proc ---------------------------------------------------------------------

MOUNTINFO = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
41 31 0:38 {root} {mount} rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
"""


@pytest.mark.parametrize(
    ("own", "mounted", "directory"),
    [
        ("0::/", ("/", "/sys/fs/cgroup/unified"), "/sys/fs/cgroup/unified"),
        ("0::/system.slice/mosha.service", ("/", "/c"), "/c/system.slice/mosha.service"),
        ("0::/docker/ab/x", ("/docker/ab", "/c"), "/c/x"),
        ("0::/docker/ab", ("/docker/ab", "/c"), "/c"),
        ("0::/docker/abc", ("/docker/ab", "/c"), None),
        ("0::/a b", ("/", r"/c\040d"), "/c d/a b"),
        ("12:memory:/x", ("/", "/c"), None),
    ],
)
def test_the_own_cgroup_is_found_wherever_it_is_mounted(
    own: str, mounted: tuple[str, str], directory: str | None
) -> None:
    root, mount = mounted
    found = cgroups.cgroup_in(
        f"1:name=systemd:/\n{own}\n", Mounts(MOUNTINFO.format(root=root, mount=mount))
    )
    assert found == (None if directory is None else Path(directory))


def test_a_cgroup_that_is_gone_is_empty(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert cgroups.pids(gone) == []
    assert not cgroups.populated(gone)
    assert cgroups.send(gone, signal.SIGTERM, 0) == ([], {})
    cgroups.kill(gone)
    assert cgroups.remove(gone)


def test_what_cannot_be_looked_into_does_not_count_as_empty(tmp_path: Path) -> None:
    """Only ENOENT and ENODEV mean that a cgroup is gone; here it is ENOTDIR (finding 1.2)."""
    path = tmp_path / "file"
    path.touch()
    assert cgroups.populated(path)
    for ask in (cgroups.pids, cgroups.below):
        with pytest.raises(NotADirectoryError):
            ask(path)


def test_a_process_is_seen_with_its_parent_and_session() -> None:
    with subprocess.Popen(["/bin/sleep", "7601"], start_new_session=True) as process:
        try:
            seen = proc.see(process.pid)
            assert seen is not None
            assert (seen.parent, seen.session) == (os.getpid(), process.pid)
            assert process.pid in Descendants().children()
            below = proc.descendants(os.getpid(), proc.see_all())
            assert process.pid in {seen.pid for seen in below}
            # In the middle of an exec the kernel shows no environment, or not all of it.
            path = os.environ["PATH"]
            wait_until(lambda: proc.environment(process.pid).get("PATH") == path)
        finally:
            process.kill()
        wait_until(lambda: proc.see(process.pid) is None)  # a zombie is no process
    assert proc.environment(process.pid) == {}
    assert proc.command_line(process.pid) == ""
    assert proc.session_of(process.pid) is None


# --- the state directory -------------------------------------------------------------------


def test_a_state_directory_has_one_clinit_at_a_time(tmp_path: Path) -> None:
    first = StateDir(tmp_path / "state")
    with pytest.raises(HostError, match="another clinit uses"):
        StateDir(tmp_path / "state")
    first.close()
    StateDir(tmp_path / "state").close()


def test_a_state_directory_that_cannot_be_made_is_the_hosts_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot use the state directory"):
        StateDir(tmp_path / "file" / "state")


def test_nothing_is_ended_where_nobody_was_before(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    assert state.end_orphans(1.0) == []
    state.write("mark", None)
    assert state.end_orphans(1.0) == []
    state.close()


async def test_what_a_clinit_leaves_is_for_nobody_else_and_never_written_through_a_link(
    tmp_path: Path,
) -> None:
    directory, victim = tmp_path / "state", tmp_path / "victim"
    victim.write_text("precious")
    state = StateDir(directory)
    (directory / "sessions").symlink_to(victim)
    (directory / f"children.json.{os.getpid()}").symlink_to(victim)
    state.write("mark", None)
    for name in ("children.json", "sessions"):
        assert (directory / name).stat().st_mode & 0o777 == 0o600
        assert not (directory / name).is_symlink()
    for _ in range(3):
        state.note_session(os.getpid())
    await until(lambda: (directory / "sessions").read_text().count(f"{os.getpid()} ") == 3)
    assert victim.read_text() == "precious"
    state.close()


async def test_a_state_directory_that_stands_still_holds_nobody_up(tmp_path: Path) -> None:
    reader, writer = os.pipe()  # nobody reads: a write of more than it holds never comes back
    state = StateDir(tmp_path / "state")
    state.write("mark", None)
    assert state._sessions is not None
    os.dup2(writer, state._sessions)
    for _ in range(20_000):
        state.note_session(os.getpid())
    assert len(state._unwritten) == 10_000  # bounded, and none of them was waited for
    os.close(reader)
    os.close(writer)
    writing = state._writing
    assert writing is not None
    await until(writing.done)
    state.close()


def test_the_log_names_of_clinit_are_listed() -> None:
    assert {"orphan_ended", "output_dropped", "lease_ended"} <= set(logs.EVENTS)
