"""Notifies the service manager of clinit's state, and feeds its watchdog.

clinit has no periodic work, so the watchdog needs a tick. Each tick takes the path of all events:
to the engine, which asks the core and carries out its effects. Only then is the watchdog fed.
"""

from __future__ import annotations

import anyio

from mosha.clinit.engine import Engine
from mosha.core.supervision.group import GroupTimePassed
from mosha.host.notify import FEEDS_PER_WATCHDOG, Notifier

STATUS_EVERY_S = 5.0


async def service_notifier(engine: Engine, notifier: Notifier) -> None:
    """Report that clinit is ready, then its status, for as long as the engine works."""
    if not notifier.heard:
        return
    notifier.ready(summary(engine))
    while True:
        watchdog_s = notifier.watchdog_s
        await anyio.sleep(STATUS_EVERY_S if watchdog_s is None else watchdog_s / FEEDS_PER_WATCHDOG)
        engine.happen(GroupTimePassed())
        notifier.status(summary(engine))
        notifier.alive()


def summary(engine: Engine) -> str:
    """Return one line for `systemctl status`."""
    active = sum(1 for line in engine.lines().values() if line.active)
    groups = "1 group" if active == 1 else f"{active} groups"
    halting = ", halting" if engine.supervisor.halting else ""
    return f"{groups} active, {len(engine.leaders)} entries running{halting}"
