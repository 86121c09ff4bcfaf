"""Checks this machine for `mosha check`, without changing anything on it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from mosha.cli.check.files import Finding
from mosha.errors import UsageError
from mosha.formats.settings import SOCKET_PATH_MAX_BYTES, Settings
from mosha.host.abandonable import ANSWER_LIMIT_S, within
from mosha.host.logfile import beside
from mosha.host.mounts import file_system_at, read_mounts
from mosha.monitor.files.membership import number_command, own_number

NODE_DIRECTORY = "node directory"

IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})
"""Types of file systems that a reboot empties."""


def own_node(settings: Settings) -> tuple[int | None, str]:
    """Return this node's number, or None and why it cannot be determined (H1.1)."""
    try:
        return own_number(settings), ""
    except UsageError as error:
        return None, str(error)


def host_findings(settings: Settings, node: int | None, why_not: str) -> list[Finding]:
    """Judge node number, membership, directories and sockets."""
    found = [_number(settings, node, why_not), _nodes(settings)]
    found += _even(settings)
    found += _unknown_delays(settings)
    if node is not None:
        found.append(_node_directory(settings, node))
    found.append(_rundir(settings.rundir_path, Path(settings.mfsbase)))
    if settings.log_path is not None:
        found.append(_log_directory(settings.log_path.parent, settings.rundir_path))
        logs = (settings.log_path, beside(settings.log_path, "clinit"))
        found += [finding for path in logs for finding in _log(path)]
    found += [_socket(path) for path in (settings.socket_path, settings.monitor_socket_path)]
    return found


def _even(settings: Settings) -> Iterator[Finding]:
    """Warn of what an even number of nodes costs (docs/reference/fencing.md)."""
    count, fencing = len(settings.nodes), settings.fencing
    if count == 0 or count % 2:
        return
    proves = fencing.is_required() and any(method.gives_receipts for method in fencing.methods)
    witness = "add a node that only votes"
    if count == 2:
        text = "two nodes: without the other one, neither has a quorum and both stop everything"
        if proves:
            text = (
                "two nodes: when one dies the other stops everything until its shot has succeeded"
            )
        yield Finding("warning", "nodes", text, f'{witness} (role = "witness")')
    if proves and fencing.tie_break < fencing.shot_limit_s:
        text = (
            f"tie_break is {fencing.tie_break:g} s, and a shot may take {fencing.shot_limit_s:g} s:"
            " halves that lose each other may both be shot"
        )
        yield Finding("warning", "fencing", text, f"lengthen it, or {witness}")
    yield from _delays(settings)


def _delays(settings: Settings) -> Iterator[Finding]:
    """Warn of delays that decide nothing between the halves, or cost more than they decide."""
    delays, tie_break = settings.fencing.delays, settings.fencing.tie_break
    if len({delays.get(node, 0.0) for node in settings.nodes}) == 1 and any(delays.values()):
        text = "delays are the same for all nodes: every shot is late, and no node wins by it"
        yield Finding("warning", "fencing", text, "give a delay to the node that is to win alone")
    for node, delay_s in sorted(delays.items()):
        if delay_s > tie_break:
            text = (
                f"delays spare node {node} for {delay_s:g} s, longer than tie_break ({tie_break:g}"
                " s): when it dies its groups wait for that, and it wins by less too"
            )
            yield Finding("warning", "fencing", text, "shorten it")


def _unknown_delays(settings: Settings) -> Iterator[Finding]:
    for node in sorted(settings.fencing.delays.keys() - set(settings.nodes)):
        if settings.nodes:
            text = f"delays has node {node}, which is not in nodes"
            yield Finding("mistake", "fencing", text, "correct the number, or remove it")


def _number(settings: Settings, node: int | None, why_not: str) -> Finding:
    if node is None:
        return Finding("mistake", "this node", why_not, "")
    text = "mynode" if settings.mynode is not None else number_command(settings)
    return Finding("ok", "this node", f"number {node}, from {text}", "")


def _nodes(settings: Settings) -> Finding:
    if settings.nodes:
        return Finding("ok", "nodes", ", ".join(map(str, settings.nodes)), "")
    text = (
        "not set, so they are looked for: at a first boot a file system that is not"
        " mounted yet looks like a cluster of one node"
    )
    return Finding("warning", "nodes", text, "set nodes = [1, 2, 3], the same on all")


def _node_directory(settings: Settings, node: int) -> Finding:
    """Judge the directory to publish in, and whether the cluster file system is there at all."""
    base = Path(settings.mfsbase)
    found = _directory(NODE_DIRECTORY, settings.node_path(node), base)
    # A cluster on one machine, as in the tutorial, has its rundirs beside MFSBASE.
    local = settings.rundir_path.parent == base.parent != Path("/")
    others = [other for other in settings.nodes if other != node and not local]
    if found.level == "ok" and others and within(lambda: _lonely(base, node, others), False):
        text = (
            f"{base} is a directory of this machine's root, and no other node has one in it: if a"
            " file system belongs there, it is not mounted"
        )
        return Finding("warning", NODE_DIRECTORY, text, f"mount {base}")
    return found


def _lonely(base: Path, node: int, others: list[int]) -> bool:
    """Say whether the node's directory is on the root and no other node has one beside it."""
    root = read_mounts().of("/").identity
    here = file_system_at(base / str(node), fresh=True).identity
    return here == root and not any((base / str(other)).exists() for other in others)


def _rundir(path: Path, mfsbase: Path) -> Finding:
    """Judge the run directory, which is of this machine alone and must outlive a reboot."""
    found = _directory("rundir", path, Path("/"))
    where = within(lambda: _wrong_file_system(path, mfsbase), "") if found.level == "ok" else ""
    if not where:
        return found
    text = f"{path} is {where}: it must be local, and survive a reboot"
    return Finding("warning", "rundir", text, "put it on a local disk")


def _wrong_file_system(path: Path, mfsbase: Path) -> str:
    """Return where a path is that is no place on a local disk, "" if it may be on one."""
    if path.resolve().is_relative_to(mfsbase.resolve()):
        return f"below mfsbase ({mfsbase}), on the cluster file system"
    facts = file_system_at(path, fresh=True)
    # A cluster on one machine that is all in memory is one to try things out.
    if facts.fstype in IN_MEMORY and facts.identity != file_system_at(mfsbase).identity:
        return f"on a {facts.fstype}, which a reboot empties"
    return f"on {facts.mountpoint} ({facts.fstype}), which is not local" if facts.remote else ""


def _log_directory(path: Path, rundir: Path) -> Finding:
    """Judge the directory of the log, which nobody makes unless the run directory is in it."""
    found = _directory("log_file", path, Path("/"))
    if found.level != "ok" or rundir.is_relative_to(path):
        return found
    if within(path.is_dir, True):
        return found
    text = f"{path} does not exist: there would be no log"
    return Finding("mistake", "log_file", text, f"mkdir -p {path}")


def _log(path: Path) -> list[Finding]:
    """Find a log file that cannot be written; its directory is judged separately."""
    facts = within(lambda: _stat(path), None)
    if facts is None:
        return []
    if not stat.S_ISREG(facts.st_mode):
        return [Finding("mistake", "log_file", f"{path} is not a file", "remove what is there")]
    if not os.access(path, os.W_OK):
        text = f"{path} is not writable for uid {os.geteuid()}"
        return [Finding("mistake", "log_file", text, "change its owner, or check as that user")]
    return []


def _directory(what: str, path: Path, base: Path) -> Finding:
    hung = Finding(
        "mistake", what, f"{path}: no answer in {ANSWER_LIMIT_S:g} s", "is its mount alive?"
    )
    return within(lambda: _judge_directory(what, path, base), hung)


def _judge_directory(what: str, path: Path, base: Path) -> Finding:
    if not base.is_dir():
        return Finding("mistake", what, f"{base} is not a directory", "mount it, or make it")
    there = path
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        return Finding("mistake", what, f"{there} is not a directory", "remove what is there")
    if not os.access(there, os.W_OK | os.X_OK):
        text = f"{there} is not writable for uid {os.geteuid()}"
        return Finding("mistake", what, text, "change its owner, or check as the right user")
    room = os.statvfs(there)
    if room.f_blocks and not room.f_bavail:
        return Finding("mistake", what, f"the file system of {there} is full", "make room there")
    made = "" if there == path else " (will be made)"
    return Finding("ok", what, f"{path}{made}", "")


def _socket(path: Path) -> Finding:
    size = len(os.fsencode(path))
    text = f"{path} has {size} of at most {SOCKET_PATH_MAX_BYTES} bytes"
    if size > SOCKET_PATH_MAX_BYTES:
        return Finding("mistake", "socket", text, "set rundir to a shorter path")
    return Finding("ok", "socket", text, "")


def owner_findings(path: Path) -> list[Finding]:
    """Find a file that others can write: its commands run as mosha's user."""
    found = within(lambda: _stat(path), None)
    if found is None:
        return []
    if found.st_mode & (stat.S_IWOTH | stat.S_IWGRP):
        text = f"group or others can write it (mode {stat.S_IMODE(found.st_mode):04o})"
        return [Finding("warning", str(path), text, f"chmod go-w {path}")]
    if found.st_uid not in (0, os.geteuid()):
        text = f"it belongs to uid {found.st_uid}, which is neither root nor mosha's user"
        return [Finding("warning", str(path), text, f"chown it to root or uid {os.geteuid()}")]
    return []


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
