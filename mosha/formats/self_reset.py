"""The note of a node that resets itself, for the monitor that starts after the reset."""

from __future__ import annotations

import msgspec

SELF_RESET_FILE = "self_reset.json"
"""In the state directory, which clinit and the monitor share."""

MAX_BYTES = 1 << 20
"""A thousand groups with long names take a fifth of that."""

WATCHDOG = "watchdog"
"""`how` of a node that no longer feeds its watchdog; else it is `self_fence` of mosha.toml."""


class SelfReset(msgspec.Struct, frozen=True, kw_only=True):
    """A reset that was about to come on boot `boot`, at `time` (UTC, ISO 8601).

    `groups` are those that could not be ended.
    """

    boot: str
    time: str
    how: str
    reason: str
    groups: tuple[str, ...] = ()


def render_self_reset(note: SelfReset) -> bytes:
    """Return the JSON of a note."""
    return msgspec.json.encode(note)


def parse_self_reset(data: bytes) -> SelfReset:
    """Parse a note.

    Raises:
        ValueError: it is none.
    """
    try:
        return msgspec.json.decode(data, type=SelfReset)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
