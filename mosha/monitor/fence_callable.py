"""The fencing method of the Python API: a function that is called with the node number."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from mosha.core.status import Grade
from mosha.host.workers import HungError, NoThreadError, Worker
from mosha.monitor.fence_outcome import ShotOutcome

Stomith = Callable[[int], "object | Awaitable[object]"]

CALLABLE_LIMIT_S = 60.0


async def shoot_by_callable(node: int, stomith: Stomith, limit_s: float) -> ShotOutcome:
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
    if value is True:
        return ShotOutcome("receipt", name, "", Grade.COMMAND_SAID_SO)
    return ShotOutcome("no receipt", name)
