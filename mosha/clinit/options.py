"""The options that clinit is started with."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field

from mosha.core.escalation import Limits
from mosha.formats.spawn import SPAWN_WAYS

DEFAULT_CLTAB = Path("/etc/cltab")
DEFAULT_SOCKET = Path("/var/run/clinit/clinit.s")
DEFAULT_STATE_DIR = Path("/var/run/clinit/state")


class ClinitOptions(Struct, frozen=True):
    """The files of a clinit and its settings.

    `cgroup` is the directory in which it makes its cgroups; by default the cgroup it was started
    in; `none` disables cgroups. `managed` means that a monitor started it: then only the monitor
    ends it (H6.3), and a mistake in cltab keeps the last good entries in force instead of refusing
    every tell (docs/explanation/architecture.md). `spawn` is the way to start processes that is
    tried first, of `SPAWN_WAYS`.
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
    # Nodes of the original consider a clstat older than 60 s stale (C7.6).
    heartbeat_s: float = 30.0
    # A file system that does not answer within this time counts as hung.
    file_limit_s: float = 2.0
    # How often an idle managed clinit checks whether it can still be found.
    place_look_s: float = 10.0
    # What an earlier clinit left is SIGKILLed; only a hung kernel makes that take longer.
    orphan_limit_s: float = 10.0
