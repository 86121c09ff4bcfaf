"""One option of an entry of cltab: how it is written, and what it means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mosha.core.tables import Mode

ENDING = (Mode.WAIT, Mode.ONCE, Mode.TEST)
ALL = (*ENDING, Mode.RESPAWN)
COMMANDS = (*ALL, Mode.MONITOR)
PROCESSES = (*COMMANDS, Mode.OCF)
"""What has a process of its own: what an agent starts inherits what its process has."""


class Option(NamedTuple):
    """One option; `read` raises ValueError with the problem, `rule` says what would be right.

    `needs` is the field of another option without which it would do nothing.
    """

    name: str
    form: str
    modes: tuple[Mode, ...]
    read: Callable[[str], object]
    write: Callable[[Any], str]
    rule: str
    default: str
    meaning: str
    needs: str = ""
