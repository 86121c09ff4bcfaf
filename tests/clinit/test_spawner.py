"""How clinit has children, in every way there is: what they execute, and what they inherit."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosha.clinit import cgroups, child, clone, proc
from mosha.clinit.clone import NATIVE, WAYS, Way
from mosha.clinit.oom import OomProtection
from mosha.clinit.spawner import Spawner, best_way
from mosha.core.process import Exit
from tests.clinit.conftest import can_make_cgroups
from tests.waiting import wait_until

C_LIBRARYS = 1 << 31 | 1 << 32
"""The signals 32 and 33, which nobody can ignore or not but the C library."""

NAMES = {way: f"{'shared' if way.shared else 'copied'}-{way.inside}" for way in WAYS}


@pytest.fixture(params=WAYS, ids=NAMES.get)
def spawner(request: pytest.FixtureRequest) -> Iterator[Spawner]:
    made = Spawner(os.environ, None)
    made.way = request.param
    if made.way.shared and not clone.native():
        pytest.skip("no code for this processor")
    yield made
    made.close()


async def spawned(spawner: Spawner, *argv: str, **extra: str) -> tuple[int, Exit, str]:
    """Execute a command and return the error number, its exit and its stdout."""
    made = child.spawn(spawner, list(argv), extra, None)
    ended = await made.ended
    output = os.read(made.stdout, 1 << 16).decode()
    os.close(made.stdout)
    os.close(made.stderr)
    return await made.executed, ended, output


async def test_commands_are_found_as_execvp_finds_them(spawner: Spawner, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo $0 $1\n")
    script.chmod(0o755)
    plain = tmp_path / "plain"
    plain.write_text("x")
    assert await spawned(spawner, "echo", "ä") == (0, Exit(0), "ä\n")
    assert await spawned(spawner, "/bin/sh", "-c", "kill -9 $$") == (0, Exit(-9), "")
    assert await spawned(spawner, str(script), "x") == (0, Exit(0), f"{script} x\n")
    assert (await spawned(spawner, "/no/such"))[0] == errno.ENOENT
    assert (await spawned(spawner, "no-such-command"))[0] == errno.ENOENT
    assert (await spawned(spawner, str(plain)))[0] == errno.EACCES
    assert (await spawned(spawner, "/bin/echo/x"))[0] == errno.ENOENT
    assert (await spawned(spawner, "echo", "x" * (1 << 20)))[0] == errno.E2BIG


@pytest.mark.parametrize("way", WAYS, ids=NAMES.get)
async def test_all_of_path_is_tried(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for directory in (first, second, third):
        directory.mkdir()
    (first / "forbidden").write_text("x")
    for directory in (second, third):
        (directory / "word").write_text("echo $0\n")
        (directory / "word").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/none:{first}:{second}:{third}")
    spawner = Spawner(os.environ, None)
    spawner.way = way
    try:
        assert await spawned(spawner, "word") == (0, Exit(0), f"{second}/word\n")
        assert (await spawned(spawner, "forbidden"))[0] == errno.EACCES
        assert (await spawned(spawner, "missing"))[0] == errno.ENOENT
    finally:
        spawner.close()


async def test_variables_are_added_or_replaced_for_one_child_alone(spawner: Spawner) -> None:
    spawner._environment["X"] = b"X=base"
    said = "echo $X$Y; env | grep -c ^X="
    assert (await spawned(spawner, "sh", "-c", said, X="1", Y="2"))[2] == "12\n1\n"
    assert (await spawned(spawner, "sh", "-c", said))[2] == "base\n1\n"


async def test_a_child_has_three_files_and_the_signals_of_a_login(
    spawner: Spawner, tmp_path: Path
) -> None:
    with (tmp_path / "inherited").open("wb") as file:
        os.set_inheritable(file.fileno(), True)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        try:
            # The one that is 3 is the directory itself.
            assert await spawned(spawner, "ls", "/proc/self/fd") == (0, Exit(0), "0\n1\n2\n3\n")
            said = await spawned(spawner, "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
            masks = dict(line.split(":\t") for line in said[2].splitlines())
            assert int(masks["SigBlk"], 16) == 0
            assert int(masks["SigIgn"], 16) & ~C_LIBRARYS == 0
            assert await spawned(spawner, "cat") == (0, Exit(0), "")
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


async def test_a_child_leads_a_session_and_no_handler_of_its_parent_runs_in_it(
    spawner: Spawner,
) -> None:
    made = child.spawn(spawner, ["sleep", "7605"], {}, None)
    try:
        assert await made.executed == 0
        assert proc.session_of(made.pid) == made.pid
        os.kill(made.pid, signal.SIGINT)
        assert await made.ended == Exit(-signal.SIGINT)
    finally:
        os.close(made.stdout)
        os.close(made.stderr)


async def test_what_cannot_be_started_leaves_no_descriptors(spawner: Spawner) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(OSError, match="the command is empty"):
        child.spawn(spawner, [], {}, None)
    with pytest.raises(FileNotFoundError):
        child.spawn(spawner, ["echo"], {}, Path("/no/such/cgroup"))
    await spawned(spawner, "true")
    await spawned(spawner, "no-such-command")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.skipif(not can_make_cgroups(), reason="needs a writable cgroup v2")
@pytest.mark.parametrize("way", [way for way in WAYS if way.inside], ids=NAMES.get)
async def test_a_child_that_stands_still_before_its_command_holds_up_nobody(way: Way) -> None:
    # In a frozen cgroup it does what it would on a file system that hangs.
    own = cgroups.own_cgroup()
    assert own is not None
    frozen = own / f"frozen.{secrets.token_hex(4)}"
    frozen.mkdir()
    (frozen / "cgroup.freeze").write_text("1", encoding="ascii")
    spawner = Spawner(os.environ, None)
    spawner.way = way
    try:
        made = child.spawn(spawner, ["echo", "y"], {}, frozen)
        assert await spawned(spawner, "echo", "x") == (0, Exit(0), "x\n")
        assert not made.executed.done()
        (frozen / "cgroup.freeze").write_text("0", encoding="ascii")
        assert await made.ended == Exit(0)
        assert os.read(made.stdout, 16) == b"y\n"
        os.close(made.stdout)
        os.close(made.stderr)
    finally:
        cgroups.kill(frozen)
        wait_until(lambda: cgroups.remove(frozen))
        spawner.close()


@pytest.mark.parametrize("way", WAYS, ids=NAMES.get)
def test_a_child_dies_with_its_parent_even_without_a_guard(way: Way, tmp_path: Path) -> None:
    program = f"""
import asyncio, os, sys
sys.path.insert(0, {str(Path.cwd())!r})
from mosha.clinit import child
from mosha.clinit.clone import Way
from mosha.clinit.spawner import Spawner
async def main():
    spawner = Spawner(os.environ, None)
    spawner.way = Way{tuple(way)}
    made = child.spawn(spawner, ["sleep", "7602"], {{}}, None)
    await made.executed
    print(made.pid, flush=True)
    await asyncio.get_running_loop().create_future()
asyncio.run(main())
"""
    path = tmp_path / "parent.py"
    path.write_text(program)
    parent = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert proc.command_line(pid) == "sleep 7602"
        parent.kill()
    wait_until(lambda: proc.see(pid) is None)


# --- which way -------------------------------------------------------------------------


def test_shared_memory_is_used_where_there_is_code_for_the_processor() -> None:
    assert best_way(None).shared == bool(clone.native())


def test_without_clone3_or_code_everything_works_as_it_always_could(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clone, "CLONE3", 4350)  # as under a filter that does not know it
    monkeypatch.setattr(clone, "_BIRTH", 0)
    assert best_way(None) == WAYS[-1]


@pytest.mark.skipif(shutil.which("as") is None, reason="needs as and objcopy of binutils")
def test_the_code_is_what_the_assembler_makes_of_it(tmp_path: Path) -> None:
    source, made, raw = (tmp_path / name for name in ("birth.s", "birth.o", "birth.bin"))
    lines = [".intel_syntax noprefix", *(text for _, text in NATIVE), ""]
    source.write_text("\n".join(lines), encoding="ascii")
    subprocess.run([shutil.which("as") or "", "--64", "-o", made, source], check=True)
    subprocess.run(
        [shutil.which("objcopy") or "", "-O", "binary", "-j", ".text", made, raw], check=True
    )
    assert raw.read_bytes() == b"".join(bytes.fromhex(code) for code, _ in NATIVE)


# --- the protection from the kernel's choice ---------------------------------------------


def test_a_protection_is_laid_down_until_the_last_child_is_its_command(tmp_path: Path) -> None:
    path = tmp_path / "oom_score_adj"
    path.write_text("-950\n", encoding="ascii")

    def score() -> int:
        return int(path.read_text(encoding="ascii").splitlines()[0])

    protection = OomProtection(path)
    protection.lay_down()
    assert score() == 0
    protection.lay_down()
    protection.take_up()
    assert score() == 0
    protection.take_up()
    assert score() == -950
    protection.close()


def test_who_has_no_protection_lays_none_down(tmp_path: Path) -> None:
    path = tmp_path / "oom_score_adj"
    path.write_text("100\n", encoding="ascii")
    protection = OomProtection(path)
    protection.lay_down()
    protection.take_up()
    assert path.read_text(encoding="ascii") == "100\n"
