"""Carrying out a shot: the print line, commands, callables, their limits, their order (H3.6)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from mosha.core.status import Grade
from mosha.formats.fencing_methods import FencingMethod
from mosha.formats.settings import settings_from
from mosha.host.killable import OUTPUT_MAX_BYTES
from mosha.host.log_stream import of_stderr
from mosha.monitor import fence_callable
from mosha.monitor.fence_callable import Stomith
from mosha.monitor.fence_outcome import ShotOutcome, one_line
from mosha.monitor.fencing import shoot
from tests.leftovers import all_pids
from tests.monitor.trouble import no_descriptor_to_be_had, no_thread_to_be_had
from tests.waiting import until

LONG_S = 30.0
SHORT_S = 0.3
PRINT = FencingMethod(type="print")

Script = Callable[[str], Path]


def receipt(method: str, detail: str = "", grade: Grade = Grade.COMMAND_SAID_SO) -> ShotOutcome:
    return ShotOutcome("receipt", method, detail, grade)


@pytest.fixture
async def no_descriptors() -> AsyncIterator[None]:
    with no_descriptor_to_be_had():
        yield


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Make an executable shell script of this text; its directory is its home."""

    def make(text: str) -> Path:
        path = tmp_path / f"shoot{len(list(tmp_path.glob('shoot*')))}"
        path.write_text(f"#!/bin/sh\ncd {tmp_path}\n{text}\n")
        path.chmod(0o755)
        return path

    return make


def command(*words: object, limit: float = LONG_S) -> FencingMethod:
    return FencingMethod(type="command", command=tuple(map(str, words)), limit=limit)


def gone(pid: int) -> bool:
    """Say whether a process is not there any more, or only as a zombie of somebody else's."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] in "ZX"


def is_there(pid: int) -> bool:
    """Say whether a process is there, be it as a zombie."""
    return Path(f"/proc/{pid}").exists()


def pids_in(path: Path, count: int) -> list[int]:
    """Return the process ids that a script has written, once there are so many."""
    words = path.read_text().split() if path.exists() else []
    return [int(word) for word in words] if len(words) == count else []


# --- print --------------------------------------------------------------------------------


async def test_print_writes_the_originals_line_to_stderr_and_proves_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert await shoot(7, [PRINT]) == ShotOutcome("no receipt", "print")
    await until(lambda: of_stderr().lines.idle)
    assert capfd.readouterr() == ("", "STOMITH node 7\n")


# --- command ------------------------------------------------------------------------------


async def test_a_command_gets_the_node_as_its_last_argument_and_exit_0_is_a_receipt(
    script: Script,
) -> None:
    path = script('echo "$@"; echo "   powered   off" >&2')
    outcome = await shoot(7, [command(path, "--off")])
    assert outcome == receipt(str(path), "--off 7 powered off")


async def test_the_methods_go_on_until_one_proves_what_is_required(script: Script) -> None:
    sure = Grade.OFF_CONFIRMED
    weak, fails = command(script("echo done")), command(script("echo no route; exit 1"))
    assert (await shoot(7, [weak, fails])).grade is Grade.COMMAND_SAID_SO
    outcome = await shoot(7, [weak, fails], required=sure)
    assert (outcome.outcome, outcome.grade) == ("failed", Grade.COMMAND_SAID_SO)
    assert outcome.detail == (
        f"{weak.command[0]}: command-said-so; done; not off-confirmed:"
        f" {fails.command[0]}: exit 1: no route"
    )
    outcome = await shoot(7, [weak, PRINT], required=sure)
    assert (outcome.outcome, outcome.grade) == ("receipt", Grade.COMMAND_SAID_SO)
    assert outcome.detail.endswith("; done; not off-confirmed: no method gives that")


async def test_a_command_may_be_one_line_of_text(script: Script) -> None:
    path = script('echo "$1|$2|$3"')
    settings = settings_from({"stomith": f"{path} 'a b' c"}, "test")
    assert (await shoot(7, settings.fencing.methods)).detail == "a b|c|7"


@pytest.mark.parametrize("words", [(), ("",), ("/bin/echo", "a\0b"), ("/bin/echo", "\ud800")])
async def test_a_command_that_nothing_can_run_is_a_failed_shot(words: tuple[str, ...]) -> None:
    outcome = await shoot(7, [FencingMethod(type="command", command=words)])
    assert outcome.outcome == "failed"


async def test_a_shot_without_descriptors_has_failed(no_descriptors: None) -> None:
    del no_descriptors
    outcome = await shoot(7, [command("/bin/true")])
    assert (outcome.outcome, outcome.detail) == ("failed", "cannot run it: Too many open files")


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("exit 3", "exit 3"),
        ("echo no such plug; exit 1", "exit 1: no such plug"),
        ("kill -9 $$", "signal 9"),
    ],
)
async def test_any_other_end_of_a_command_is_a_failure_with_its_words(
    script: Script, text: str, detail: str
) -> None:
    outcome = await shoot(7, [command(script(text))])
    assert (outcome.outcome, outcome.detail) == ("failed", detail)


async def test_a_command_that_is_not_there_or_not_executable_is_a_failure(tmp_path: Path) -> None:
    missing = await shoot(7, [command(tmp_path / "none")])
    assert missing.detail == "cannot run it: No such file or directory"
    (tmp_path / "plain").write_text("exit 0")
    plain = await shoot(7, [command(tmp_path / "plain")])
    assert plain == ShotOutcome(
        "failed", str(tmp_path / "plain"), "cannot run it: Permission denied"
    )


async def test_a_command_has_no_input(script: Script) -> None:
    assert (await shoot(7, [command(script("cat"))])).outcome == "receipt"


HANGS = {
    "itself": "echo $$ > pids; sleep 1000",
    "with children": "sleep 1000 & echo $$ $! > pids; wait",
    # The shell's job control puts each job into a process group of its own.
    "with children in groups of their own": (
        "set -m; sh -c 'sleep 1000 & wait' & echo $$ $! > pids; wait"
    ),
    "and ignores signals": "trap '' INT TERM HUP; echo $$ > pids; while :; do sleep 1000; done",
}


@pytest.mark.parametrize("text", HANGS.values(), ids=HANGS.keys())
async def test_a_command_that_hangs_is_killed_with_its_whole_session(
    script: Script, tmp_path: Path, text: str
) -> None:
    outcome = await shoot(7, [command(script(text), limit=SHORT_S)])
    assert (outcome.outcome, outcome.detail) == ("failed", "no answer in 0.3 s")
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert pids
    for pid in pids:
        await until(partial(gone, pid))
    await until(lambda: not sleepers(tmp_path))


def sleepers(directory: Path) -> list[int]:
    """Return the processes that have a directory as their home."""
    found = []
    for pid in all_pids():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cwd").readlink() == directory.resolve():
                found.append(pid)
    return found


async def test_the_exit_decides_although_something_in_the_background_holds_the_output(
    script: Script, tmp_path: Path
) -> None:
    path = script("echo off; sleep 1000 & echo $! > pids; exit 0")
    try:
        outcome = await shoot(7, [command(path)])
        assert outcome == receipt(str(path), "off")
    finally:
        os.kill(int((tmp_path / "pids").read_text()), 9)


def test_of_a_letter_that_was_cut_nothing_is_shown() -> None:
    text = "ü ausgeschaltet ü".encode()
    assert one_line(text[1:-1]) == "ausgeschaltet"


async def test_a_command_that_floods_is_cut_and_not_kept_in_memory(script: Script) -> None:
    # Far more than a pipe holds: it has to be read while the command runs.
    path = script("head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo the end; exit 1")
    outcome = await shoot(7, [command(path)])
    assert outcome.detail.endswith("x the end")
    assert len(outcome.detail) <= OUTPUT_MAX_BYTES + len("exit 1: ")


async def test_a_shot_that_is_cancelled_leaves_no_process(script: Script, tmp_path: Path) -> None:
    path = script("sleep 1000 & echo $$ $! > pids; wait")
    task = asyncio.ensure_future(shoot(7, [command(path)]))
    pids = await until(lambda: pids_in(tmp_path / "pids", 2))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for pid in pids:
        await until(partial(gone, pid))


# --- the callable of the Python API -------------------------------------------------------


async def told_off(node: int) -> bool:
    await asyncio.sleep(0)
    return node == 7


class Switch:
    """A callable that is no function, and says so by having no name."""

    async def __call__(self, node: int) -> bool:
        return await told_off(node)


def refuses(_node: int) -> object:
    raise OSError(113, "no route to host")


def leaves(_node: int) -> object:
    sys.exit("cannot go on")


def is_late(_node: int) -> object:
    raise TimeoutError


def is_cancelled(_node: int) -> object:
    raise asyncio.CancelledError


def is_interrupted(_node: int) -> object:
    raise KeyboardInterrupt


async def awaits_what_was_cancelled(_node: int) -> None:
    task = asyncio.ensure_future(asyncio.Event().wait())
    task.cancel()
    await task


async def cancels_itself(_node: int) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def is_interrupted_later(_node: int) -> None:
    raise KeyboardInterrupt


CALLABLES: list[tuple[str, Stomith, ShotOutcome]] = [
    ("True", lambda _: True, receipt("<lambda>")),
    ("False", lambda _: False, ShotOutcome("failed", "<lambda>", "it returned False")),
    ("None: the original's callback", lambda _: None, ShotOutcome("no receipt", "<lambda>")),
    ("something true is no proof", lambda _: 1, ShotOutcome("no receipt", "<lambda>")),
    ("raising", refuses, ShotOutcome("failed", "refuses", "OSError: [Errno 113] no route to host")),
    ("leaving", leaves, ShotOutcome("failed", "leaves", "SystemExit: cannot go on")),
    ("its own time-out", is_late, ShotOutcome("failed", "is_late", "TimeoutError")),
    *(
        (f"{it.__name__}: nobody else is", it, ShotOutcome("failed", it.__name__, error))
        for it, error in (
            (is_cancelled, "CancelledError"),
            (is_interrupted, "KeyboardInterrupt"),
            (awaits_what_was_cancelled, "CancelledError"),
            (cancels_itself, "CancelledError"),
            (is_interrupted_later, "KeyboardInterrupt"),
        )
    ),
    ("a coroutine function", told_off, receipt("told_off")),
    ("one with an argument", partial(told_off), receipt("callable")),
    ("a callable object", Switch(), receipt("callable")),
]


@pytest.mark.parametrize(
    ("stomith", "expected"), [row[1:] for row in CALLABLES], ids=[row[0] for row in CALLABLES]
)
async def test_only_true_of_a_callable_is_a_receipt(
    stomith: Stomith, expected: ShotOutcome
) -> None:
    assert await shoot(7, [], stomith) == expected


async def test_a_callable_may_block_without_stopping_the_loop() -> None:
    answer = threading.Event()
    task = asyncio.ensure_future(shoot(7, [], lambda _: answer.wait(LONG_S)))
    await until(lambda: [t for t in threading.enumerate() if t.name == "stomith of node 7"])
    answer.set()
    assert (await task).outcome == "receipt"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def test_a_callable_that_hangs_is_given_up(gate: threading.Event) -> None:
    outcome = await shoot(7, [], lambda _: gate.wait(), callable_limit_s=SHORT_S)
    told = "no answer in 0.3 s; its call goes on: a thread cannot be ended"
    assert outcome == ShotOutcome("failed", "<lambda>", told, may_be_off=True)


async def test_no_call_begins_before_the_one_before_has_returned(gate: threading.Event) -> None:
    calls: list[int] = []

    def hangs(node: int) -> bool:
        calls.append(node)
        return gate.wait()

    await shoot(7, [], hangs, callable_limit_s=SHORT_S)
    assert fence_callable.goes_on(hangs)
    again = await shoot(8, [], hangs, callable_limit_s=SHORT_S)
    assert again == ShotOutcome("failed", "hangs", "an earlier call has not returned")
    gate.set()
    await until(lambda: not fence_callable.goes_on(hangs))
    assert (await shoot(9, [], hangs)).outcome == "receipt"
    assert calls == [7, 9]


async def test_a_coroutine_that_hangs_is_cancelled() -> None:
    cancelled = []

    async def hangs(node: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(node)

    outcome = await shoot(7, [], hangs, callable_limit_s=SHORT_S)
    assert outcome == ShotOutcome("failed", "hangs", "no answer in 0.3 s", may_be_off=True)
    assert cancelled == [7]


async def test_a_callable_for_which_there_is_no_thread_has_failed_for_that_reason() -> None:
    with no_thread_to_be_had():
        outcome = await shoot(7, [], lambda _: True)
    told = "stomith of node 7: can't start new thread"
    assert outcome == ShotOutcome("failed", "<lambda>", told)


async def test_no_thread_is_left_after_a_shot() -> None:
    await shoot(7, [], lambda _: True)
    await until(lambda: not [t for t in threading.enumerate() if "stomith" in t.name])


# --- several methods ----------------------------------------------------------------------


async def test_methods_are_tried_in_their_order_until_one_gives_a_receipt(
    script: Script, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fails = command(script("echo a >> order; exit 1"))
    works = command(script("echo b >> order"))
    outcome = await shoot(7, [PRINT, fails, works, PRINT])
    assert outcome == receipt(works.command[0])
    assert (tmp_path / "order").read_text() == "a\nb\n"
    await until(lambda: of_stderr().lines.idle)
    assert capfd.readouterr().err == "STOMITH node 7\n"


async def test_a_callable_comes_before_the_methods(capfd: pytest.CaptureFixture[str]) -> None:
    assert (await shoot(7, [PRINT], lambda _: True)).method == "<lambda>"
    assert capfd.readouterr().err == ""
    assert (await shoot(7, [PRINT], lambda _: None)).outcome == "no receipt"
    await until(lambda: of_stderr().lines.idle)
    assert capfd.readouterr().err == "STOMITH node 7\n"


async def test_a_failure_outweighs_a_mere_message(script: Script) -> None:
    path = script("exit 1")
    assert await shoot(7, [command(path), PRINT]) == ShotOutcome("failed", str(path), "exit 1")


async def test_all_failures_are_told(script: Script) -> None:
    one, two = script("exit 1"), script("exit 2")
    outcome = await shoot(7, [command(one), command(two)])
    assert outcome == ShotOutcome("failed", "all", f"{one}: exit 1; {two}: exit 2")


@pytest.mark.parametrize(
    ("lines", "limit_s", "may_be_off"),
    [
        (["exit 1"], LONG_S, False),
        (["kill -9 $$"], LONG_S, True),
        (["exec sleep 1000"], SHORT_S, True),
        (["exit 1", "kill -9 $$"], LONG_S, True),
    ],
)
async def test_a_failed_command_that_has_not_ended_itself_may_have_switched_something_off(
    script: Script, lines: list[str], limit_s: float, *, may_be_off: bool
) -> None:
    methods = [command(script(line), limit=limit_s) for line in lines]
    outcome = await shoot(7, methods)
    assert (outcome.outcome, outcome.may_be_off) == ("failed", may_be_off)


async def test_without_any_method_a_shot_fails() -> None:
    assert (await shoot(7, [])).outcome == "failed"


async def test_a_failure_is_told_though_a_line_was_printed_before_it(script: Script) -> None:
    path = script("echo no power; exit 3")
    outcome = await shoot(7, [PRINT, command(path)])
    assert outcome == ShotOutcome("failed", str(path), "exit 3: no power")


async def test_a_process_that_may_not_be_killed_spares_no_other_of_a_command(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = script("echo $$ >> pids; sleep 7771 & echo $! >> pids; wait")
    pids: list[int] = []
    kill = os.kill

    def refuse(pid: int, number: int) -> None:
        pids.append(pid)
        if pid == pids[0] and pids.count(pid) < 20:  # as one that sudo has made root's
            raise PermissionError
        kill(pid, number)

    monkeypatch.setattr(os, "kill", refuse)
    outcome = await shoot(7, [command(path, limit=SHORT_S)])
    assert outcome.detail == f"no answer in {SHORT_S:g} s"
    for pid in pids_in(tmp_path / "pids", 2):
        await until(partial(gone, pid))


async def test_what_could_not_be_killed_at_first_is_killed_in_another_round(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = script("echo $$ > pids; exec sleep 7772")
    refused: list[int] = []
    kill = os.kill

    def refuse(pid: int, number: int) -> None:
        if not refused:
            refused.append(pid)
            raise PermissionError
        kill(pid, number)

    monkeypatch.setattr(os, "kill", refuse)
    outcome = await shoot(7, [command(path, limit=SHORT_S)])
    assert outcome.detail == f"no answer in {SHORT_S:g} s"
    assert refused == pids_in(tmp_path / "pids", 1)
    assert gone(refused[0])


async def test_a_monitor_that_ends_waits_for_the_command_of_its_shot(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = script("echo $$ > pids; read -r _ < gate")
    os.mkfifo(tmp_path / "gate")

    def refuse(pid: int, _number: int) -> None:
        if not refused:
            loop.call_soon((tmp_path / "gate").write_text, "\n")  # it ends by itself
        refused.append(pid)
        raise PermissionError  # as for one that sudo has made root's

    refused: list[int] = []
    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shoot, 7, [command(path)])
            (pid,) = await until(lambda: pids_in(tmp_path / "pids", 1))
            monkeypatch.setattr(os, "kill", refuse)
            scope.cancel()
    assert set(refused) == {pid}
    assert not is_there(pid)


async def test_each_method_is_told_of_before_it_begins_with_what_failed_so_far() -> None:
    told: list[tuple[str, str]] = []
    methods = [command("false"), command("true")]
    await shoot(3, methods, lambda _: False, begun=lambda *it: told.append(it))
    assert told == [
        ("<lambda>", ""),
        (methods[0].name, "<lambda>: it returned False"),
        (methods[1].name, "<lambda>: it returned False; false: exit 1"),
    ]
