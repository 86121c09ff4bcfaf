"""What a clinit is started with."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field

from mosha.core.escalation import Limits
from mosha.formats.spawn import SPAWN_WAYS

DEFAULT_CLTAB = Path("/etc/cltab")
DEFAULT_SOCKET = Path("/var/run/clinit/clinit.s")
DEFAULT_STATE_DIR = Path("/var/run/clinit/state")


class ClinitOptions(Struct, frozen=True):
    """The files of a clinit and how it lives.

    `cgroup` is the directory in which it makes its own cgroup; without it, that is the
    cgroup it was started in; `none` does without. `managed` means that a monitor started
    it: then only the monitor ends it (H6.3), and a mistake in cltab keeps the last good
    entries in force instead of refusing every tell (docs/explanation/architecture.md).
    `spawn` is the way to start processes that is tried first, of `SPAWN_WAYS`.
    """

    cltab: Path = DEFAULT_CLTAB
    socket: Path = DEFAULT_SOCKET
    clstat: Path | None = None
    state_dir: Path = DEFAULT_STATE_DIR
    cgroup: str | None = None
    managed: bool = False
    node: str = ""
    spawn: str = SPAWN_WAYS[0]
    limits: Limits = field(default_factory=Limits)
    # Other nodes of the original call a clstat stale that is older than 60 s (C7.6).
    heartbeat_s: float = 30.0
    # A file system that does not answer in that time counts as hung.
    file_limit_s: float = 2.0
    # How often a managed clinit without work looks whether anybody can find it.
    place_look_s: float = 10.0
    # What a former clinit left is SIGKILLed; only a hung kernel makes that take longer.
    orphan_limit_s: float = 10.0
