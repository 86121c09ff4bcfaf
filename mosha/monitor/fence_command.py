"""The fencing method `command`: a command with the node number as its last argument."""

from __future__ import annotations

from mosha.core.status import Grade
from mosha.formats.fencing_methods import FencingMethod
from mosha.host import killable
from mosha.monitor.fence_outcome import (
    ShotOutcome,
    how_ended,
    is_unknown,
    one_line,
    why_not_started,
)


async def shoot_by_command(node: int, method: FencingMethod) -> ShotOutcome:
    """Run a command: exit status 0 is a receipt; if it cannot be run, that is a failed shot."""
    if not method.command:
        return ShotOutcome("failed", "command", "no command is set")
    name = method.command[0]
    try:
        ended = await killable.run((*method.command, str(node)), limit_s=method.limit)
    except (OSError, ValueError) as error:
        return ShotOutcome("failed", name, why_not_started(error))
    if ended.status is None:
        return ShotOutcome("failed", name, how_ended(None, method.limit), may_be_off=True)
    detail = one_line(ended.output)
    if ended.status == 0:
        return ShotOutcome("receipt", name, detail, Grade.COMMAND_SAID_SO)
    how = how_ended(ended.status, method.limit)
    text, unknown = f"{how}: {detail}".rstrip(": "), is_unknown(ended.status)
    return ShotOutcome("failed", name, text, may_be_off=unknown)
