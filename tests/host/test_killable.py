"""Programs that may hang: what is read of them, and what is left of them: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mosha.host import killable, marks, proc
from mosha.host.abandonable import NotRespondingError
from mosha.host.killable import inherit
from tests.clinit.descriptors import open_files
from tests.monitor.test_fencing import gone, pids_in
from tests.waiting import until, wait_until

LONG_S = 60.0
SHORT_S = 0.3

STARTER = """
import asyncio, sys
from pathlib import Path
from mosha.host import killable
killable.inherit(Path(sys.argv[1]))
asyncio.run(killable.run(["/bin/sh", "-c", sys.argv[2]], limit_s=600))
"""
LEAVES_ONE_THAT_CUT_ALL_TIES = """
until grep -q 'Max file locks *[0-9]' /proc/$$/limits; do :; done
env -i setsid sleep 600 & echo $! > {path}
exec sleep 600
"""


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[int]:
    """A process of a program whose starter was killed."""
    path = tmp_path / "pid"
    script = LEAVES_ONE_THAT_CUT_ALL_TIES.format(path=path)
    words = [sys.executable, "-c", STARTER, str(tmp_path), script]
    try:
        with subprocess.Popen(words) as starter:
            try:
                pid = int(wait_until(lambda: path.read_text().strip() if path.exists() else ""))
                wait_until(lambda: _is_marked(pid, tmp_path))
            finally:
                starter.kill()
        yield pid
    finally:
        _inherited(tmp_path)


async def test_a_program_on_a_file_system_that_does_not_answer_stops_no_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(killable, "_first_line", lambda _: answers.wait() and b"")
    path = tmp_path / "program"
    for reason in ("within 0.3 s", "does not answer"):
        with pytest.raises(NotRespondingError, match=reason):
            await killable.run([str(path)], limit_s=SHORT_S)
    answers.set()
    assert (await killable.run(["true"], limit_s=LONG_S)).status == 0


async def test_of_a_program_what_only_the_kernel_may_judge_is_left_to_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for program, error in (
        (pipe, PermissionError),
        (tmp_path, PermissionError),
        (tmp_path / "none", FileNotFoundError),
        (Path("no-such-program"), FileNotFoundError),
    ):
        with pytest.raises(error):
            await killable.run([str(program)], limit_s=LONG_S)
    lost = tmp_path / "lost"
    lost.write_text("#!/no/such/shell\n")
    lost.chmod(0o755)
    with pytest.raises(FileNotFoundError):
        await killable.run([str(lost)], limit_s=LONG_S)


def _inherited(directory: Path) -> int:
    """Do so in a context of its own: the mark must not stay with the other tests."""
    return contextvars.copy_context().run(inherit, directory)


def _is_marked(pid: int, directory: Path) -> bool:
    return killable.is_kin(pid, killable.kin_of_directory(directory))


def _runs(pid: int) -> bool:
    one = proc.see_all().get(pid)
    return one is not None and not proc.is_dying(pid)


def test_what_a_killed_process_had_started_is_killed_by_its_successor(
    orphan: int, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    assert _inherited(other) == 0
    assert _runs(orphan)
    assert _inherited(tmp_path) == 2
    wait_until(lambda: not Path(f"/proc/{orphan}").exists() or not _runs(orphan))
    wait_until(lambda: not _inherited(tmp_path))  # who is killed may need a moment


async def test_its_last_words_are_read_though_nobody_has_read_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "add_reader", lambda *_: None)  # as if the loop were busy meanwhile
    text = "print('x' * 60_000, end='the end')"
    ended = await killable.run([sys.executable, "-c", text], limit_s=LONG_S)
    assert ended.output == b"x" * (killable.OUTPUT_MAX_BYTES - len("the end")) + b"the end"
    assert ended.cut == 60_000 + len("the end") - killable.OUTPUT_MAX_BYTES


async def test_what_it_writes_to_stderr_can_be_left_out() -> None:
    words = ["/bin/sh", "-c", "echo of no use >&2; echo an answer"]
    assert (await killable.run(words, limit_s=LONG_S, with_stderr=False)).output == b"an answer\n"


async def test_no_descriptor_is_kept_of_it() -> None:
    async def run(limit_s: float, *words: str) -> None:
        await killable.run(words, limit_s=limit_s, given=b"text", kills_rest=True)

    await run(LONG_S, "/bin/true")  # what the loop itself opens, it keeps
    before = open_files()
    await run(LONG_S, "/bin/true")
    await run(SHORT_S, "/bin/sleep", "1000")
    with pytest.raises(FileNotFoundError):
        await run(LONG_S, "/nothing")
    assert open_files() == before


async def test_it_has_a_session_of_its_own() -> None:
    text = "import os; print(os.getsid(0) == os.getpid())"
    ended = await killable.run([sys.executable, "-c", text], limit_s=LONG_S)
    assert ended.output == b"True\n"


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Path]:
    """Where a program writes the number of the process that it has started."""
    path = tmp_path / "pids"
    yield path
    for pid in pids_in(path, 1):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("text", "of_its_session"),
    [
        ("(sleep 1000 & echo $! > {}); sleep 1000", True),
        ("setsid sleep 1000 & echo $! > {}", False),
    ],
    ids=["an orphan of its session", "a child with another session"],
)
async def test_where_no_mark_can_be_set_its_session_and_its_descendants_end_with_it(
    pids: Path, monkeypatch: pytest.MonkeyPatch, text: str, *, of_its_session: bool
) -> None:
    monkeypatch.setattr(marks, "limit_of", lambda _: None)
    words = ["/bin/sh", "-c", f"{text.format(pids)}; wait"]
    task = asyncio.ensure_future(killable.run(words, limit_s=LONG_S))
    (pid,) = await until(lambda: pids_in(pids, 1))
    await until(lambda: (os.getsid(pid) != pid) is of_its_session)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(partial(gone, pid))


async def test_one_look_that_finds_nothing_is_no_end(
    pids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    see_all, looks = proc.see_all, list[int]()

    def see_nobody_at_first() -> dict[int, proc.LiveProcess]:
        looks.append(1)
        return {} if len(looks) == 1 else see_all()

    monkeypatch.setattr(proc, "see_all", see_nobody_at_first)
    marked = "while grep -q 'file locks *unlimited' /proc/$$/limits; do sleep 0.01; done"
    text = f"{marked}; setsid sleep 1000 & echo $! > {pids}"
    await killable.run(["/bin/sh", "-c", text], limit_s=LONG_S, kills_rest=True)
    (pid,) = pids_in(pids, 1)
    await until(partial(gone, pid))
