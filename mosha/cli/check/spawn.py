"""Checks how clinit starts processes on this machine, or would start them."""

from __future__ import annotations

import subprocess
import sys

from mosha.cli.check.files import Finding
from mosha.control.calls import call
from mosha.control.protocol import Ask
from mosha.errors import HostError
from mosha.formats.settings import Settings
from mosha.host.abandonable import ANSWER_LIMIT_S
from mosha.host.programs import source_of

WHERE = "spawn"
WAYS = {
    "shared": "clone3 with shared memory",
    "copied": "clone3",
    "plain": "clone",
}
PROGRAM = source_of("mosha.clinit.spawn_ways")


def spawn_findings(settings: Settings) -> list[Finding]:
    """Ask this node's clinit; without one, start processes that exit at once."""
    try:
        update = call(settings.socket_path, Ask(), ANSWER_LIMIT_S).update
    except HostError:
        return [_judged("processes are started here", *_tried(settings.spawn))]
    if update is None or not update.spawn:  # an older clinit, or it does not know yet
        return [_judged("processes are started here", *_tried(settings.spawn))]
    return [_judged(f"clinit {update.pid} starts processes", update.spawn, update.spawn_refused)]


def _tried(first: str) -> tuple[str, str]:
    """Return the way that works here and the refused ones, as clinit's fork server finds them."""
    words = [sys.executable, "-I", "-S", "-c", PROGRAM, first]
    try:
        found = subprocess.run(
            words, stdout=subprocess.PIPE, check=True, encoding="utf-8", timeout=ANSWER_LIMIT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        return "", str(error)
    way, refused = found.stdout.splitlines()
    return way, refused


def _judged(who: str, way: str, refused: str) -> Finding:
    if not way:
        return Finding("mistake", WHERE, f"no process can be started: {refused}", "")
    text = f"{who} by {WAYS[way]} (spawn = {way})"
    if not refused:
        return Finding("ok", WHERE, text, "")
    remedy = 'see "How processes are started" in the reference of clinit'
    return Finding("warning", WHERE, f"{text}; {refused}", remedy)
