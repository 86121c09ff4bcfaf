"""The identity of this node across starts: incarnation, run, what is remembered on disk.

`STATE/node.json` has the last incarnation and run, and for the adaptive quorum the last
electorate (H2.4: the original forgot it at each start). `STATE/mount.json`, the publisher's,
says where the node's directory was mounted. A lock file ensures that at most one monitor uses
them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from mosha.core.cluster.memory import Memory
from mosha.core.status import Status
from mosha.errors import HostError, UsageError
from mosha.host import logs
from mosha.host.files import write_atomically
from mosha.host.lock_file import HeldError, LockFile

NODE_FILE = "node.json"
LOCK_FILE = "monitor.lock"
MOUNT_FILE = "mount.json"


def new_run() -> str:
    """Return a random name for this run of the monitor (`Mosha::Node … run=`)."""
    return os.urandom(4).hex()


def next_inc(memory: Memory, former: Status | None) -> int:
    """Return an incarnation greater than all known here: disk, clstat, wall clock."""
    known = [memory.inc + 1, int(time.time())]
    if former is not None:
        known.append(former.inc + 1)
    return max(known)


def machine() -> str:
    """Return the id of this machine: machine-id(5), "" if there is none.

    Raises:
        HostError: it exists but cannot be read.
    """
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise HostError(f"cannot read /etc/machine-id: {error.strerror}") from error


def load(state_dir: Path) -> Memory:
    """Return what is remembered; nothing if the file is missing or invalid.

    A corrupt file does not affect safety: this node's clstat and the peers' echoes have the
    incarnation.
    """
    path = state_dir / NODE_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            logs.get().warning("memory_failed", path=str(path), reason=str(error.strerror))
    # A recursion error comes from brackets nested thousands deep.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        logs.get().warning("memory_failed", path=str(path), reason=str(error))
    return Memory()


def save(state_dir: Path, memory: Memory) -> None:
    """Write the memory atomically, synced to disk."""
    write_atomically(state_dir / NODE_FILE, msgspec.json.encode(memory), sync=True)


def prepare(directory: Path, what: str) -> None:
    """Make a directory with its parents (H1.4: the original made the last part only).

    Raises:
        HostError: it cannot be made or written; with the reason.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"cannot make {what} {directory}: {error.strerror}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise HostError(f"{what} {directory} is not writable for uid {os.geteuid()}")


def lock(state_dir: Path) -> LockFile:
    """Take the lock of the state directory, to be held until this process ends.

    Raises:
        UsageError: another monitor holds it.
        HostError: the system refuses.
    """
    path = state_dir / LOCK_FILE
    try:
        taken = LockFile(path)
    except HeldError as error:
        named = f" (process {error.holder})" if error.holder else ""
        raise UsageError(
            f"another mosha monitor uses {state_dir}{named}: stop it first, or give this one "
            "its own `rundir`"
        ) from None
    except OSError as error:
        raise HostError(f"cannot lock {path}: {error.strerror}") from error
    if taken.passed_over:
        logs.get().warning("lock_passed_over", path=str(path), pid=taken.passed_over)
    return taken
