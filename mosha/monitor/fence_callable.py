"""The fencing method of the Python API: a function that is called with the node number."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from mosha.core.status import Grade
from mosha.host.workers import HungError, NoThreadError, Worker
from mosha.monitor.fence_outcome import ShotOutcome

Stomith = Callable[[int], "object | Awaitable[object]"]

CALLABLE_LIMIT_S = 60.0
CLEANUP_S = 1.0
GOES_ON = "its call goes on: a thread cannot be ended"

_CALLS: dict[int, tuple[Stomith, Worker]] = {}
"""The last call of each function, by its id; the function is kept, so that the id is its own."""


class _Raised(NamedTuple):
    """What the user's code raised: the outcome of the shot, never the end of the monitor."""

    error: BaseException


def name_of(stomith: Stomith) -> str:
    """Return what a callable is called where methods are named."""
    return str(getattr(stomith, "__name__", "callable"))


async def shoot_by_callable(node: int, stomith: Stomith, limit_s: float) -> ShotOutcome:
    """Call the user's function in its own thread; an awaitable result is awaited here."""
    name = name_of(stomith)
    if goes_on(stomith):
        return ShotOutcome("failed", name, "an earlier call has not returned")
    worker = Worker(f"stomith of node {node}")
    _CALLS[id(stomith)] = stomith, worker
    try:
        async with asyncio.timeout(limit_s):
            value = await worker.call(_called, stomith, node, limit_s=limit_s)
            if inspect.isawaitable(value):
                value = await _awaited(value)
    except NoThreadError as error:
        return ShotOutcome("failed", name, str(error))
    except (HungError, TimeoutError):
        more = f"; {GOES_ON}" if worker.busy is not None else ""
        return ShotOutcome("failed", name, f"no answer in {limit_s:g} s{more}", may_be_off=True)
    finally:
        worker.close()
    if isinstance(value, _Raised):
        said = f"{type(value.error).__name__}: {value.error}"
        return ShotOutcome("failed", name, said.rstrip(": "))
    if value is False:
        return ShotOutcome("failed", name, "it returned False")
    if value is True:
        return ShotOutcome("receipt", name, "", Grade.COMMAND_SAID_SO)
    return ShotOutcome("no receipt", name)


def goes_on(stomith: Stomith | None) -> bool:
    """Say whether a call of a function has not returned: its thread cannot be ended."""
    _, worker = _CALLS.get(id(stomith), (None, None))
    if worker is not None and worker.busy is None:
        del _CALLS[id(stomith)]
        return False
    return worker is not None


def _called(stomith: Stomith, node: int) -> object:
    try:
        return stomith(node)
    except BaseException as error:  # noqa: BLE001  # also CancelledError, KeyboardInterrupt
        return _Raised(error)


async def _awaited(value: Awaitable[object]) -> object:
    """Await the user's awaitable in a task of its own: what cancels that cancels no other."""

    async def settled() -> object:
        try:
            return await value
        except BaseException as error:  # noqa: BLE001  # also CancelledError, KeyboardInterrupt
            return _Raised(error)

    task = asyncio.create_task(settled())
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task}, timeout=CLEANUP_S)
        raise
    return task.result()
