"""The fork server: what it executes, how it fails, and who dies with whom."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mosha.clinit import cgroups, child, child_steps, forkserver
from mosha.clinit.attributes import Resolved
from mosha.clinit.forker import PROGRAM, Forker, LostError
from mosha.core.supervision.process_events import Exit
from mosha.formats.spawn import SHARED, SPAWN_WAYS
from mosha.host import proc
from mosha.host.clock import boottime
from tests.clinit.conftest import can_make_cgroups
from tests.waiting import until, wait_until

C_LIBRARYS = 1 << 31 | 1 << 32
"""The signals 32 and 33, which nobody can ignore or not but the C library."""


@pytest.fixture(params=SPAWN_WAYS)
async def forker(request: pytest.FixtureRequest) -> AsyncIterator[Forker]:
    """A fork server that has to go one of the ways there are."""
    if request.param == SHARED and not child_steps.has_native():
        pytest.skip("no code for this processor")
    made = Forker(dict(os.environ) | {"X": "base"}, "mark", None, first_way=request.param)
    await made.ready.wait()
    assert (made.way, made.refused) == (request.param, "")
    yield made
    dismiss(made)


def dismiss(forker: Forker) -> None:
    forker.dismiss()
    status_of(forker.pid)


def status_of(pid: int) -> int:
    """Wait for a child and return its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def program(change: str) -> str:
    """Return the program of a fork server with a change in its module, s."""
    path, _, begin = PROGRAM.rpartition(" from ")
    return f"{path} import mosha.clinit.forkserver as s; {change or 'pass'}; from {begin}"


async def forked(
    forker: Forker, *argv: str, who: Resolved = child.AS_CLINIT, **extra: str
) -> tuple[int, Exit, str]:
    """Execute a command and return the error number, its exit and its stdout."""
    made = await child.spawn(forker, list(argv), extra, None, who)
    await made.died
    ended = made.reap()
    output = os.read(made.stdout, 1 << 16).decode()
    os.close(made.stdout)
    os.close(made.stderr)
    return await made.executed, ended, output


async def test_commands_are_found_as_execvp_finds_them(forker: Forker, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo $0 $1\n")
    script.chmod(0o755)
    plain = tmp_path / "plain"
    plain.write_text("x")
    assert await forked(forker, "echo", "ä") == (0, Exit(0), "ä\n")
    assert await forked(forker, "/bin/sh", "-c", "kill -9 $$") == (0, Exit(-9), "")
    assert await forked(forker, str(script), "x") == (0, Exit(0), f"{script} x\n")
    assert (await forked(forker, "/no/such"))[:2] == (errno.ENOENT, Exit(127))
    assert (await forked(forker, "no-such-command"))[0] == errno.ENOENT
    assert (await forked(forker, str(plain)))[0] == errno.EACCES
    assert (await forked(forker, "/bin/echo/x"))[0] == errno.ENOENT


async def test_all_of_path_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for directory in (first, second, third):
        directory.mkdir()
    (first / "forbidden").write_text("x")
    for directory in (second, third):
        (directory / "word").write_text("echo $0\n")
        (directory / "word").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/none:{first}:{second}:{third}")
    for way in SPAWN_WAYS:
        forker = Forker(dict(os.environ), "mark", None, first_way=way)
        try:
            assert await forked(forker, "word") == (0, Exit(0), f"{second}/word\n")
            assert (await forked(forker, "forbidden"))[0] == errno.EACCES
            assert (await forked(forker, "missing"))[0] == errno.ENOENT
        finally:
            dismiss(forker)


async def test_variables_are_added_or_replaced_for_one_child_alone(forker: Forker) -> None:
    said = "echo $X$Y; env | grep -c ^X="
    assert (await forked(forker, "sh", "-c", said, X="1", Y="2"))[2] == "12\n1\n"
    assert (await forked(forker, "sh", "-c", said))[2] == "base\n1\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize("groups", [(), (54323, 54324)])
async def test_a_child_is_who_it_is_to_be_and_has_those_groups_alone(
    forker: Forker, groups: tuple[int, ...]
) -> None:
    who = Resolved({"uid": 54321, "gid": 54322, "groups": groups})
    said = await forked(forker, "grep", "-E", "^(Uid|Gid|Groups)", "/proc/self/status", who=who)
    words = [line.split()[1:] for line in said[2].splitlines()]
    assert words == [["54321"] * 4, ["54322"] * 4, [*map(str, groups)]]


async def test_a_child_has_three_files_and_the_signals_of_a_login(
    forker: Forker, tmp_path: Path
) -> None:
    with (tmp_path / "inherited").open("wb") as file:
        os.set_inheritable(file.fileno(), True)
        # The one that is 3 is the directory itself.
        assert await forked(forker, "ls", "/proc/self/fd") == (0, Exit(0), "0\n1\n2\n3\n")
    said = await forked(forker, "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    masks = dict(line.split(":\t") for line in said[2].splitlines())
    assert int(masks["SigBlk"], 16) == 0
    assert int(masks["SigIgn"], 16) & ~C_LIBRARYS == 0
    assert await forked(forker, "cat") == (0, Exit(0), "")


async def test_nothing_is_started_whose_kill_at_has_passed(forker: Forker, tmp_path: Path) -> None:
    """The server was stopped, clinit killed the group, and another node may run it by now."""
    words = ["touch", str(tmp_path / "began")]
    with pytest.raises(OSError, match="kill_at had passed before it was started"):
        await child.spawn(forker, words, {}, None, until=boottime())
    made = await child.spawn(forker, ["test", "!", "-e", words[1]], {}, None, until=boottime() + 60)
    await made.died
    assert made.reap() == Exit(0)
    os.close(made.stdout)
    os.close(made.stderr)


async def test_a_child_leads_a_session_and_dies_of_the_first_signal(forker: Forker) -> None:
    made = await child.spawn(forker, ["sleep", "7605"], {}, None)
    os.kill(made.pid, signal.SIGINT)
    await made.died
    assert made.reap() == Exit(-signal.SIGINT)
    os.close(made.stdout)
    os.close(made.stderr)
    leader = await forked(forker, "sh", "-c", "cut -d' ' -f6 /proc/$$/stat; echo $$")
    assert len(set(leader[2].split())) == 1


@pytest.mark.skipif(not can_make_cgroups(), reason="needs a writable cgroup v2")
async def test_children_that_stand_still_before_their_command_hold_up_nobody(
    forker: Forker,
) -> None:
    # In a frozen cgroup they do what they would on a file system that hangs.
    own = cgroups.own_cgroup()
    assert own is not None
    frozen = own / f"frozen.{secrets.token_hex(4)}"
    frozen.mkdir()
    # A server without a tree puts each child into its cgroup by a write, which freezes it there.
    (frozen / "cgroup.freeze").write_text("1", encoding="ascii")
    try:
        still = [await child.spawn(forker, ["echo", str(n)], {}, frozen) for n in range(3)]
        for _ in range(20):
            assert await forked(forker, "echo", "x") == (0, Exit(0), "x\n")
        assert not any(made.executed.done() for made in still)
        (frozen / "cgroup.freeze").write_text("0", encoding="ascii")
        for n, made in enumerate(still):
            await made.died
            assert made.reap() == Exit(0)
            assert os.read(made.stdout, 16) == b"%d\n" % n
            os.close(made.stdout)
            os.close(made.stderr)
    finally:
        cgroups.kill(frozen)
        wait_until(lambda: cgroups.remove(frozen))


@pytest.mark.skipif(not can_make_cgroups(), reason="needs a writable cgroup v2")
async def test_what_dies_before_its_command_is_told_from_what_ran(forker: Forker) -> None:
    own = cgroups.own_cgroup()
    assert own is not None
    frozen = own / f"frozen.{secrets.token_hex(4)}"
    frozen.mkdir()
    (frozen / "cgroup.freeze").write_text("1", encoding="ascii")
    try:
        made = await child.spawn(forker, ["echo", "x"], {}, frozen)
        os.kill(made.pid, signal.SIGKILL)  # as the kernel does for want of memory
        await made.died
        assert (made.reap(), made.unborn) == (Exit(-signal.SIGKILL), True)
        os.close(made.stdout)
        os.close(made.stderr)
    finally:
        wait_until(lambda: cgroups.remove(frozen))
    ran = await child.spawn(forker, ["/bin/sh", "-c", "kill -9 $$"], {}, None)
    await ran.died
    assert (ran.reap(), ran.unborn) == (Exit(-signal.SIGKILL), False)
    os.close(ran.stdout)
    os.close(ran.stderr)


async def test_a_child_that_gives_up_is_told_from_a_command_that_ends_like_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A child whose parent is another than it was made for ends before its command: 127.
    change = "of = s.first_steps; s.first_steps = lambda parent, *rest: of(1, *rest)"
    for broken in (change, ""):
        monkeypatch.setattr("mosha.clinit.forker.PROGRAM", program(broken))
        forker = Forker(dict(os.environ), "mark", None)
        try:
            made = await child.spawn(forker, ["/bin/sh", "-c", "exit 127"], {}, None)
            await made.died
            assert (made.reap(), made.unborn) == (Exit(127), bool(broken))
            assert not made.send_signal(signal.SIGTERM)  # its number may be a stranger's
            os.close(made.stdout)
            os.close(made.stderr)
        finally:
            dismiss(forker)


async def test_nothing_to_execute_and_too_much_are_errors(forker: Forker) -> None:
    await forker.ready.wait()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(OSError, match="the command is empty"):
        await child.spawn(forker, [], {}, None)
    with pytest.raises(OSError, match="Argument list too long"):
        await child.spawn(forker, ["echo", "x" * forkserver.REQUEST_MAX_BYTES], {}, None)
    with pytest.raises(FileNotFoundError):
        await child.spawn(forker, ["echo"], {}, Path("/no/such/cgroup"))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


async def test_a_child_that_nobody_could_wait_for_is_ended(
    forker: Forker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def refuse(pid: int) -> int:
        asked.append(pid)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(LostError, match="Too many open files"):
        await child.spawn(forker, ["sleep", "7607"], {}, None)
    assert status_of(asked[0]) == -signal.SIGKILL


async def test_the_server_is_busy_until_the_caller_knows_the_pid(forker: Forker) -> None:
    # Else the child, dead already, is buried as an orphan in between: 10 of 100 test entries
    # that were started at once ended so.
    await forker.ready.wait()
    loop = asyncio.get_running_loop()
    busy: list[bool] = []

    def hear() -> None:
        forker._hear()
        busy.append(forker.busy)

    loop.add_reader(forker._connection, hear)
    await forked(forker, "true")
    assert busy == [True]
    assert not forker.busy


@pytest.mark.parametrize("locale", ["C", "en_US.ISO-8859-1"])
def test_commands_and_names_are_utf_8_whatever_the_locale_is(tmp_path: Path, locale: str) -> None:
    program = f"""
import asyncio, os, sys
sys.path.insert(0, {str(Path.cwd())!r})
if {locale!r} != "C":
    # As under a locale of Latin-1, which few machines have.
    os.fsencode = lambda word: word.encode("latin-1") if isinstance(word, str) else bytes(word)
from mosha.clinit import child
from mosha.clinit.forker import Forker
async def main():
    forker = Forker(dict(os.environ), "mark-{os.getpid()}", None)
    made = await child.spawn(forker, ["sh", "-c", "echo Größe $X"], {{"X": "€ \\udcff"}}, None)
    await made.died
    sys.stdout.buffer.write(os.read(made.stdout, 1000))
    forker.dismiss()
asyncio.run(main())
"""
    path = tmp_path / "parent.py"
    path.write_text(program, encoding="utf-8")
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    said = subprocess.run(
        [sys.executable, path], env=environment, stdout=subprocess.PIPE, check=True
    )
    assert said.stdout == "Größe € \udcff\n".encode("utf-8", "surrogateescape")


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
    await asyncio.get_running_loop().create_future()
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


async def test_a_server_that_cannot_begin_is_not_started_as_often_as_the_machine_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mosha.clinit.forker.PROGRAM", "raise SystemExit")
    forker = Forker(dict(os.environ), "mark", None)
    first = forker.pid
    await until(lambda: forker._closed)
    with pytest.raises(OSError, match="the fork server does not start"):
        await child.spawn(forker, ["true"], {}, None)
    assert forker.pid == first
    monkeypatch.setattr("mosha.clinit.forker.PROGRAM", PROGRAM)
    await forker.ready.wait()  # tried again, a second later
    assert await forked(forker, "echo", "x") == (0, Exit(0), "x\n")
    dismiss(forker)
    assert status_of(first) == 0


async def test_a_lost_server_that_cannot_be_replaced_at_once_is_replaced_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forker = Forker(dict(os.environ), "mark", None)
    await forker.ready.wait()
    first = forker.pid

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as without:
        without.setattr(subprocess, "Popen", refuse)
        os.kill(first, signal.SIGKILL)
        await until(lambda: forker._closed)
        with pytest.raises(OSError, match="the fork server does not start"):
            await child.spawn(forker, ["true"], {}, None)
    await forker.ready.wait()
    assert await forked(forker, "echo", "x") == (0, Exit(0), "x\n")
    dismiss(forker)
    assert status_of(first) == -signal.SIGKILL


@pytest.mark.skipif(shutil.which("as") is None, reason="needs as and objcopy of binutils")
def test_the_native_code_is_what_the_assembler_makes_of_it(tmp_path: Path) -> None:
    source, made, raw = (tmp_path / name for name in ("code.s", "code.o", "code.bin"))
    lines = [".intel_syntax noprefix", *(text for _, text in child_steps.NATIVE), ""]
    source.write_text("\n".join(lines), encoding="ascii")
    subprocess.run([shutil.which("as") or "", "--64", "-o", made, source], check=True)
    copy = [shutil.which("objcopy") or "", "-O", "binary", "-j", ".text", str(made), str(raw)]
    subprocess.run(copy, check=True)
    assert raw.read_bytes() == b"".join(bytes.fromhex(code) for code, _ in child_steps.NATIVE)
