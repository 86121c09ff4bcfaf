"""The fork server: what it executes, how it fails, and who dies with whom."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mosha.clinit import child, forkserver, proc
from mosha.clinit.forker import Forker
from mosha.core.process import Exit
from tests.waiting import wait_until


@pytest.fixture
async def forker() -> Forker:
    """A fork server; `forked` lets it go."""
    return Forker(dict(os.environ), "mark", None)


async def forked(forker: Forker, *argv: str, **extra: str) -> tuple[int, Exit, str]:
    """Execute a command and return the error number, its exit and its stdout."""
    made = await child.spawn(forker, list(argv), extra, None)
    ended = await made.ended
    output = os.read(made.stdout, 1 << 16).decode()
    os.close(made.stdout)
    os.close(made.stderr)
    return await made.executed, ended, output


def dismiss(forker: Forker) -> None:
    forker.dismiss()
    os.waitpid(forker.pid, 0)


async def test_commands_are_found_as_execvp_finds_them(forker: Forker, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo $0 $1\n")
    script.chmod(0o755)
    plain = tmp_path / "plain"
    plain.write_text("x")
    try:
        assert await forked(forker, "echo", "ä") == (0, Exit(0), "ä\n")
        assert await forked(forker, "/bin/sh", "-c", "kill -9 $$") == (0, Exit(-9), "")
        assert await forked(forker, str(script), "x") == (0, Exit(0), f"{script} x\n")
        assert (await forked(forker, "/no/such"))[0] == errno.ENOENT
        assert (await forked(forker, "no-such-command"))[0] == errno.ENOENT
        assert (await forked(forker, str(plain)))[0] == errno.EACCES
        assert (await forked(forker, "/bin/echo/x"))[0] == errno.ENOENT
        assert (await forked(forker, "sh", "-c", "echo $X$Y", X="1", Y="2"))[2] == "12\n"
        assert (await forked(forker, "sh", "-c", "echo $X$Y", X="3"))[2] == "3\n"
    finally:
        dismiss(forker)


async def test_nothing_to_execute_and_too_much_are_errors(forker: Forker) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    try:
        with pytest.raises(OSError, match="the command is empty"):
            await child.spawn(forker, [], {}, None)
        with pytest.raises(OSError, match="Argument list too long"):
            await child.spawn(forker, ["echo", "x" * forkserver.REQUEST_MAX_BYTES], {}, None)
        with pytest.raises(FileNotFoundError):
            await child.spawn(forker, ["echo"], {}, Path("/no/such/cgroup"))
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    finally:
        dismiss(forker)


async def test_the_server_is_busy_until_the_caller_knows_the_pid(forker: Forker) -> None:
    # Else the child, dead already, is buried as an orphan in between: 10 of 100 test entries
    # that were started at once ended so.
    loop = asyncio.get_running_loop()
    busy: list[bool] = []

    def hear() -> None:
        forker._hear()
        busy.append(forker.busy)

    loop.add_reader(forker._connection, hear)
    try:
        await forked(forker, "true")
        assert busy == [True]
        assert not forker.busy
    finally:
        dismiss(forker)


def test_a_child_dies_with_its_parent_even_without_the_server(tmp_path: Path) -> None:
    program = f"""
import asyncio, os, sys
sys.path.insert(0, {str(Path.cwd())!r})
from mosha.clinit import child
from mosha.clinit.forker import Forker
async def main():
    forker = Forker(dict(os.environ), "mark-{os.getpid()}", None)
    made = await child.spawn(forker, ["sleep", "7602"], {{}}, None)
    await made.executed
    print(made.pid, forker.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    path = tmp_path / "parent.py"
    path.write_text(program)
    parent = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        pid, server = map(int, parent.stdout.readline().split())
        assert proc.command_line(pid) == "sleep 7602"
        os.kill(server, signal.SIGKILL)
        parent.kill()
    wait_until(lambda: proc.see(pid) is None)


@pytest.fixture
def without_clone3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start fork servers as under a seccomp filter that does not know clone3."""
    program = tmp_path / "forkserver.py"
    text = Path(forkserver.__file__).read_text(encoding="utf-8")
    program.write_text(text.replace("CLONE3 = 435", "CLONE3 = 4350"), encoding="utf-8")
    monkeypatch.setattr(forkserver, "__file__", str(program))


@pytest.mark.usefixtures("without_clone3")
async def test_where_clone3_is_forbidden_clone_will_do() -> None:
    forker = Forker(dict(os.environ), "mark", None)
    try:
        assert await forked(forker, "echo", "x") == (0, Exit(0), "x\n")
    finally:
        dismiss(forker)
