"""Judges this node's tables for `mosha check`, as its monitor does.

A monitor refuses a table also for what is no mistake of its text: a symbolic link, a stranger's
file, a time in the future.
"""

from __future__ import annotations

import time
from pathlib import Path

from msgspec.structs import replace

from mosha.cli.check.files import FileVerdict, Finding, Kind, judge
from mosha.core.replication.judging import Found, TableAction, judge_local
from mosha.core.status import TableVersion
from mosha.formats.mistakes import Mistake
from mosha.formats.settings import Settings
from mosha.host.abandonable import ANSWER_LIMIT_S, within
from mosha.monitor.tables.files import read_table
from mosha.monitor.tables.store import TableStore

_TOLD = frozenset({TableAction.REFUSE, TableAction.NOTHING})
"""What a monitor reports as a problem; an edit that is too late is put aside, and is no mistake."""


def own_table(settings: Settings, node: int, kind: Kind) -> FileVerdict | Finding:
    """Judge the table in this node's directory, or say that there is none."""
    path = settings.node_path(node) / kind.value
    hung: FileVerdict | Finding = _unread(
        path, f"no answer in {ANSWER_LIMIT_S:g} s", "is its mount alive?"
    )
    return within(lambda: _judged(path, kind, settings.state_path), hung)


def _judged(path: Path, kind: Kind, state: Path) -> FileVerdict | Finding:
    absent = Finding("warning", str(path), "is not there yet", "")
    try:
        seen = read_table(path, kind.value)
    except FileNotFoundError:
        return absent
    except OSError as error:
        return _unread(path, f"it cannot be read: {error.strerror}", "check its mount")
    if seen.version is None and not seen.distrust:
        return absent
    file = str(path)
    of_text = (
        FileVerdict(file, kind, None) if seen.version is None else judge(file, seen.data, kind)
    )
    found = Found(seen.version, seen.distrust)  # mistakes of the text are judged one by one
    verdict = judge_local(_in_force(state, kind), found, time.time_ns())
    if not verdict.why or verdict.do not in _TOLD:
        return of_text
    problem, _, remedy = verdict.why.removeprefix(f"{path}: ").partition("; ")
    refused = Mistake(file, 0, 0, "", problem, remedy)
    return replace(of_text, mistakes=(refused, *of_text.mistakes), total=of_text.total + 1)


def _unread(path: Path, text: str, remedy: str) -> FileVerdict | Finding:
    return Finding("mistake", str(path), text, remedy)


def _in_force(state: Path, kind: Kind) -> TableVersion | None:
    """Return the version in force here; None too if this user may not know."""
    try:
        text = TableStore(state).load(kind.value)
    except OSError:
        return None
    return text.version if text is not None else None
