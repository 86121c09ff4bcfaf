"""Checks whether this machine could fence itself, without doing it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from mosha.cli.check.commands import why_not_run
from mosha.cli.check.files import Finding
from mosha.clinit.options import SYSRQ_TRIGGER
from mosha.core.self_fencing import FENCE, OFF, SYSRQ
from mosha.formats.settings import Settings

WHERE = "self_fence"


def self_fence_findings(settings: Settings, trigger: Path = SYSRQ_TRIGGER) -> Iterator[Finding]:
    """Judge how a node fences itself; `trigger` is the file that reboots it."""
    how, fences_stops = settings.self_fence, settings.on_stop_failure == FENCE
    if how == OFF:
        if fences_stops:
            yield _asking(settings)
        return
    problem = _why_not(trigger) if how == SYSRQ else why_not_run(shlex.split(how)[0])
    if problem:
        text = f"this machine could not fence itself: {problem}"
        yield Finding("mistake", WHERE, text, "mend that, or write another command")
        return
    text = f"a group that cannot be ended{' or stopped' * fences_stops} ends this machine: {how}"
    yield Finding("ok", WHERE, text, "")


def _asking(settings: Settings) -> Finding:
    """Judge a node that asks others to shoot it, and does nothing itself."""
    where = "on_stop_failure"
    methods = [method for method in settings.fencing.methods if method.gives_receipts]
    if methods and all(method.unfence for method in methods):
        text = "a node that asks to be shot is only cut off from its storage, and is still heard"
        return Finding("warning", where, text, 'write self_fence = "sysrq", or a command')
    if methods:
        text = "with a group that cannot be ended, this node asks to be shot"
        return Finding("ok", where, text, "")
    text = '"fence" does nothing while self_fence is "off" and no fencing method gives receipts'
    remedy = 'write self_fence = "sysrq", or a command, or a fencing method'
    return Finding("warning", where, text, remedy)


def _why_not(trigger: Path) -> str:
    try:
        trigger.stat()
    except OSError as error:
        return f"{trigger}: {error.strerror}"
    return "" if os.access(trigger, os.W_OK) else f"{trigger} may not be written by this user"
