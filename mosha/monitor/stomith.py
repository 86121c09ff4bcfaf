"""Fencing: carries out an order to shoot a node, method after method (design section 6).

`print` writes the original's line `STOMITH node N` to stderr and proves nothing. `command`
gets the node number as its last argument and proves the death by exit status 0. A callable
(Python API) gets the number too; only the value True proves it. Each has its time limit.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from subprocess import DEVNULL

import anyio

from mosha.clock import boottime
from mosha.core.node import FenceOrder, Node
from mosha.errors import HostError
from mosha.formats.settings import FencingMethod
from mosha.monitor.workers import Worker

Stomith = Callable[[int], "object | Awaitable[object]"]

CALLABLE_LIMIT_S = 60.0
OUTPUT_MAX_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a shot ended: `receipt`, `no receipt` or `failed`, by which method, what it said."""

    outcome: str
    method: str
    detail: str = ""


class Duty:
    """Carries out what the brain orders, one task for each victim.

    `settle` is called after each fact, so that its consequences leave the brain.
    """

    def __init__(
        self,
        node: Node,
        methods: Sequence[FencingMethod],
        stomith: Stomith | None,
        settle: Callable[[], None],
    ) -> None:
        self.methods = methods
        self._node = node
        self._stomith = stomith
        self._settle = settle
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Let the brain be asked again: something has changed."""
        self._wanted.set()

    async def run(self) -> None:
        """Ask for orders whenever something changed or a delay has passed."""
        async with anyio.create_task_group() as tasks:
            while True:
                self._wanted.clear()
                orders, again = self._node.fence_orders(boottime())
                for order in orders:
                    tasks.start_soon(self._carry_out, order, name=f"fence {order.node}")
                if orders:
                    self._settle()
                with anyio.move_on_after(max(0.0, again - boottime())):
                    await self._wanted.wait()

    async def _carry_out(self, order: FenceOrder) -> None:
        outcome = await shoot(order.node, self.methods, self._stomith)
        self._node.shot(
            order,
            outcome=outcome.outcome,
            method=outcome.method,
            detail=outcome.detail,
            now=boottime(),
        )
        self._settle()


async def shoot(
    node: int, methods: Sequence[FencingMethod], stomith: Stomith | None = None
) -> Outcome:
    """Try the methods in order until one gives a receipt; a callable comes first.

    Returns the receipt, or else the last outcome; a failure outweighs a mere message.
    """
    outcomes = []
    if stomith is not None:
        outcomes.append(await _call(node, stomith))
    for method in methods:
        if outcomes and outcomes[-1].outcome == "receipt":
            break
        if method.type == "command":
            outcomes.append(await _command(node, method))
        else:
            outcomes.append(_print(node))
    receipt = [o for o in outcomes if o.outcome == "receipt"]
    failed = [o for o in outcomes if o.outcome == "failed"]
    return [*receipt, *failed, *outcomes][0] if outcomes else Outcome("failed", "none")


def _print(node: int) -> Outcome:
    sys.stderr.write(f"STOMITH node {node}\n")
    sys.stderr.flush()
    return Outcome("no receipt", "print")


async def _command(node: int, method: FencingMethod) -> Outcome:
    words = shlex.split(method.command) if isinstance(method.command, str) else method.command
    name = words[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            str(node),
            stdin=DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return Outcome("failed", name, f"cannot run it: {error.strerror}")
    try:
        async with asyncio.timeout(method.limit):
            output, _ = await process.communicate()
    except TimeoutError:
        _kill_session(process.pid)
        await process.wait()
        return Outcome("failed", name, f"no answer in {method.limit:g} s")
    detail = " ".join(output[-OUTPUT_MAX_BYTES:].decode("utf-8", "replace").split())
    if process.returncode == 0:
        return Outcome("receipt", name, detail)
    return Outcome("failed", name, f"exit {process.returncode}: {detail}".rstrip(": "))


def _kill_session(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


async def _call(node: int, stomith: Stomith) -> Outcome:
    """Call the user's function in a thread of its own; an async one runs in the loop."""
    name = getattr(stomith, "__name__", "callable")
    try:
        if inspect.iscoroutinefunction(stomith):
            async with asyncio.timeout(CALLABLE_LIMIT_S):
                value = await stomith(node)
        else:
            worker = Worker(f"stomith-{node}")
            value = await worker.call(stomith, node, limit_s=CALLABLE_LIMIT_S)
    except (TimeoutError, HostError) as error:
        return Outcome("failed", name, str(error) or f"no answer in {CALLABLE_LIMIT_S:g} s")
    except Exception as error:  # noqa: BLE001 - the user's code: its failure is the outcome
        return Outcome("failed", name, f"{type(error).__name__}: {error}")
    return Outcome("receipt" if value is True else "no receipt", name)
