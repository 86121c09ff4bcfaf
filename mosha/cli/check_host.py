"""What `mosha check` finds out about this machine, without changing anything on it."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mosha.cli.check_files import Finding
from mosha.errors import UsageError
from mosha.formats.settings import SOCKET_PATH_MAX_BYTES, Settings
from mosha.monitor.membership import own_number

NODE_DIRECTORY = "node directory"

ANSWER_LIMIT_S = 5.0
"""A healthy file system answers in milliseconds, a hung one never."""

T = TypeVar("T")


def own_node(settings: Settings) -> tuple[int | None, str]:
    """Return this node's number, or None and why it cannot be told (H1.1)."""
    try:
        return own_number(settings), ""
    except UsageError as error:
        return None, str(error)


def host_findings(settings: Settings, node: int | None, why_not: str) -> list[Finding]:
    """Judge node number, membership, directories, sockets and who may write the tables."""
    found = [_number(settings, node, why_not), _nodes(settings)]
    if settings.nodes and node is not None and node not in settings.nodes:
        found.append(Finding("mistake", "nodes", f"node {node} is not among them", "add it"))
    if node is not None:
        base = Path(settings.mfsbase)
        found.append(_directory(NODE_DIRECTORY, settings.node_path(node), base))
    found.append(_directory("rundir", settings.rundir_path, Path("/")))
    if settings.log_path is not None:
        found.append(_directory("log_file", settings.log_path.parent, Path("/")))
    found += [_socket(path) for path in (settings.socket_path, settings.monitor_socket_path)]
    if node is not None:
        tables = (settings.node_path(node) / name for name in ("cltab", "hactl"))
        found += [finding for path in tables for finding in _owner(path)]
    return found


def _number(settings: Settings, node: int | None, why_not: str) -> Finding:
    if node is None:
        return Finding("mistake", "this node", why_not, "")
    told = "mynode" if settings.mynode is not None else settings.mwhois
    return Finding("ok", "this node", f"number {node}, from {told}", "")


def _nodes(settings: Settings) -> Finding:
    if settings.nodes:
        return Finding("ok", "nodes", ", ".join(map(str, settings.nodes)), "")
    told = (
        "not set, so they are looked for: at a first boot a file system that is not"
        " mounted yet looks like a cluster of one node"
    )
    return Finding("warning", "nodes", told, "set nodes = [1, 2, 3], the same on all")


def _within(limit_s: float, question: Callable[[], T], otherwise: T) -> T:
    """Ask the file system; a thread that hangs is left behind, it holds up nobody."""
    answers: list[T] = []
    asker = threading.Thread(target=lambda: answers.append(question()), daemon=True)
    asker.start()
    asker.join(limit_s)
    return answers[0] if answers else otherwise


def _directory(what: str, path: Path, base: Path) -> Finding:
    hung = Finding(
        "mistake", what, f"{path}: no answer in {ANSWER_LIMIT_S:g} s", "is its mount alive?"
    )
    return _within(ANSWER_LIMIT_S, lambda: _judge_directory(what, path, base), hung)


def _judge_directory(what: str, path: Path, base: Path) -> Finding:
    if not base.is_dir():
        return Finding("mistake", what, f"{base} is no directory", "mount it, or make it")
    there = path
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        return Finding("mistake", what, f"{there} is no directory", "remove what is there")
    if not os.access(there, os.W_OK | os.X_OK):
        told = f"{there} is not writable for uid {os.geteuid()}"
        return Finding("mistake", what, told, "change its owner, or check as the right user")
    made = "" if there == path else " (will be made)"
    return Finding("ok", what, f"{path}{made}", "")


def _socket(path: Path) -> Finding:
    size = len(os.fsencode(path))
    told = f"{path} has {size} of at most {SOCKET_PATH_MAX_BYTES} bytes"
    if size > SOCKET_PATH_MAX_BYTES:
        return Finding("mistake", "socket", told, "set rundir to a shorter path")
    return Finding("ok", "socket", told, "")


def _owner(path: Path) -> list[Finding]:
    """Find a table that others can write: its commands run as mosha's user, so it is refused."""
    found = _within(ANSWER_LIMIT_S, lambda: _stat(path), None)
    if found is None:
        return []
    if found.st_mode & (stat.S_IWOTH | stat.S_IWGRP):
        told = f"group or others can write it (mode {stat.S_IMODE(found.st_mode):04o})"
        return [Finding("mistake", str(path), told, f"chmod go-w {path}")]
    if found.st_uid not in (0, os.geteuid()):
        told = f"it belongs to uid {found.st_uid}, who is neither root nor mosha's user"
        return [Finding("mistake", str(path), told, f"chown it to root or uid {os.geteuid()}")]
    return []


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
