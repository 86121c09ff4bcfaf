"""Fencing: carries out an order to shoot a node, method after method (docs/reference/fencing.md).

`print` writes the original's line `STOMITH node N` to stderr and proves nothing. `command`
gets the node number as its last argument and proves the death by exit status 0. A callable
(Python API) gets the number too: True proves the death, False and exceptions are failures,
anything else means that a message was sent. Each has its time limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from subprocess import DEVNULL
from typing import Self

import anyio
from msgspec import Struct

from mosha.formats.letters import whole
from mosha.formats.settings import FencingMethod
from mosha.host.log_stream import of_stderr
from mosha.host.workers import HungError, NoThreadError, Worker

Stomith = Callable[[int], "object | Awaitable[object]"]

CALLABLE_LIMIT_S = 60.0
OUTPUT_MAX_BYTES = 2000
PIPE_BYTES = 1 << 16
# Processes may fork while they are being killed; nothing outruns this many rounds.
KILL_ROUNDS_MAX = 20
# A process that hangs in the kernel does not die; do not wait for it.
DEATH_LIMIT_S = 2.0


class ShotOutcome(Struct, frozen=True):
    """How a shot ended: `receipt`, `no receipt` or `failed`, by which method, its output."""

    outcome: str
    method: str
    detail: str = ""


async def shoot(
    node: int,
    methods: Sequence[FencingMethod],
    stomith: Stomith | None = None,
    *,
    callable_limit_s: float = CALLABLE_LIMIT_S,
) -> ShotOutcome:
    """Try the methods in order until one gives a receipt; a callable comes first.

    Returns the receipt, else all failures as one, else the message that was sent.
    """
    outcomes: list[ShotOutcome] = []
    if stomith is not None:
        outcomes.append(await _call(node, stomith, callable_limit_s))
    for method in methods:
        if outcomes and outcomes[-1].outcome == "receipt":
            break
        if method.type == "command":
            outcomes.append(await _command(node, method))
        else:
            outcomes.append(_print(node))
    if outcomes and outcomes[-1].outcome == "receipt":
        return outcomes[-1]
    failed = [outcome for outcome in outcomes if outcome.outcome == "failed"]
    if len(failed) > 1:
        text = "; ".join(f"{outcome.method}: {outcome.detail}" for outcome in failed)
        return ShotOutcome("failed", "all", text)
    none = ShotOutcome("failed", "none", "no method is set")
    return [*failed, *outcomes][0] if outcomes else none


def _print(node: int) -> ShotOutcome:
    of_stderr().write(f"STOMITH node {node}\n")
    return ShotOutcome("no receipt", "print")


# --- commands ----------------------------------------------------------------------------


async def _command(node: int, method: FencingMethod) -> ShotOutcome:
    """Run a command; if it cannot be run, that is just a failed shot."""
    if not method.command:
        return ShotOutcome("failed", "command", "no command is set")
    name = method.command[0]
    try:
        with _Tail() as tail:
            return await _run((*method.command, str(node)), method.limit, tail)
    # ValueError: an invalid argument, such as one with a NUL byte.
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return ShotOutcome("failed", name, f"cannot run it: {reason}")


async def _run(words: Sequence[str], limit_s: float, tail: _Tail) -> ShotOutcome:
    name = words[0]
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=DEVNULL,
        stdout=tail.writer,
        stderr=tail.writer,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limit_s):
            status = await process.wait()
    except TimeoutError:
        return ShotOutcome("failed", name, f"no answer in {limit_s:g} s")
    finally:
        if process.returncode is None:  # it hangs, or this monitor is leaving
            _kill_session(process.pid)
            with anyio.move_on_after(DEATH_LIMIT_S, shield=True):
                await process.wait()
    detail = tail.text()
    if status == 0:
        return ShotOutcome("receipt", name, detail)
    ended = f"signal {-status}" if status < 0 else f"exit {status}"
    return ShotOutcome("failed", name, f"{ended}: {detail}".rstrip(": "))


class _Tail:
    """A pipe that is drained as it fills, and the last of what was read.

    The end of a command is not the end of this pipe: what it left running in the background may
    hold it open for ever. So it is not asyncio's pipe.
    """

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._read = bytearray()
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        self._loop.add_reader(self._reader, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._reader)
        os.close(self._reader)
        os.close(self.writer)

    def text(self) -> str:
        """Return in one line the last of what has been written so far."""
        self._take()
        return " ".join(whole(bytes(self._read)).decode("utf-8", "replace").split())

    def _take(self) -> None:
        # One read of a pipe's full capacity empties it.
        with contextlib.suppress(BlockingIOError):
            self._read += os.read(self._reader, PIPE_BYTES)
            del self._read[:-OUTPUT_MAX_BYTES]


def _kill_session(session: int) -> None:
    """Kill all processes of a session whose leader has not been waited for yet."""
    for _ in range(KILL_ROUNDS_MAX):
        pids = list(_processes_of(session))
        if not pids:
            return
        for pid in pids:
            # Gone already, or another user's: go on with the others.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _processes_of(session: int) -> Iterator[int]:
    """Yield the processes of a session that are not zombies (proc_pid_stat(5))."""
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        try:
            text = Path(entry.path, "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has gone in between
            continue
        state, _parent, _group, found = text.rpartition(")")[2].split()[:4]
        if int(found) == session and state not in "ZX":
            yield int(entry.name)


# --- the callable of the Python API --------------------------------------------------------


async def _call(node: int, stomith: Stomith, limit_s: float) -> ShotOutcome:
    """Call the user's function in its own thread; an awaitable result is awaited here."""
    name = getattr(stomith, "__name__", "callable")
    worker = Worker(f"stomith of node {node}")
    try:
        async with asyncio.timeout(limit_s) as limit:
            value = await worker.call(stomith, node, limit_s=limit_s)
            if inspect.isawaitable(value):
                value = await value
    except NoThreadError as error:
        return ShotOutcome("failed", name, str(error))
    except HungError:
        return ShotOutcome("failed", name, f"no answer in {limit_s:g} s")
    # The user's code: whatever it raises is the outcome, not the end of the monitor.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        hung = f"no answer in {limit_s:g} s" if limit.expired() else ""
        return ShotOutcome("failed", name, hung or f"{type(error).__name__}: {error}".rstrip(": "))
    finally:
        worker.close()
    if value is False:
        return ShotOutcome("failed", name, "it returned False")
    return ShotOutcome("receipt" if value is True else "no receipt", name)
