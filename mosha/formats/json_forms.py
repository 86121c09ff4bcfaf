"""The smaller JSON forms of the command line, as types: what their schemas are made from.

Each is printed by a command with `--json`; a test holds what they print against the type. The
bigger forms have modules of their own: `hastat`, `explanation`, `views`, `happenings`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the monitor answered to `set`, `confirm` and `shutdown`."""

    ok: bool
    text: str


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log. Other fields depend on the event; `from`, `to`, `cause` are usual."""

    timestamp: str
    level: Literal["debug", "info", "warning", "error", "critical"]
    event: str
    node: int | msgspec.UnsetType = msgspec.UNSET
    group: str | msgspec.UnsetType = msgspec.UNSET


class CheckedMistake(msgspec.Struct, frozen=True, kw_only=True):
    """A mistake in a file; lines and columns count from 1, line 0 is the whole file."""

    line: int
    column: int
    text: str
    problem: str
    remedy: str


class CheckedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file; `total` counts also the mistakes that are not listed."""

    file: str
    kind: Literal["mosha.toml", "cltab", "hactl"]
    ok: bool
    total: int
    mistakes: list[CheckedMistake]
    warnings: list[CheckedMistake]


class CheckFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not the matter of one file's text."""

    level: Literal["mistake", "warning", "ok"]
    where: str
    text: str
    remedy: str


class CheckedTime(msgspec.Struct, frozen=True, kw_only=True):
    """A time in seconds, or a factor, and how it comes about."""

    name: str
    formula: str
    value: float
    verdict: str


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What `mosha check` found."""

    format: int
    ok: bool
    mistakes: int
    warnings: int
    files: list[CheckedFile]
    findings: list[CheckFinding]
    times: list[CheckedTime]


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """What `mosha demo` measured; seconds, null for what was not reached.

    `overlaps` counts pairs of processes of one group that ran at the same time on two nodes,
    `together` tells of them; `directory` is there with `--keep`.
    """

    format: int
    nodes: int
    groups: int
    timeout_s: float
    all_running_s: float | None
    moved: int
    failover_s: float | None
    rejoin_s: float | None
    leave_s: float | None
    stop_s: float | None
    instances: int
    overlaps: int | None
    together: list[str]
    total_s: float
    ok: bool
    error: str
    directory: str | msgspec.UnsetType = msgspec.UNSET


def schema_of(form: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON schema of one of the forms."""
    return msgspec.json.schema(form)
