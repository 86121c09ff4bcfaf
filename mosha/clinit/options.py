"""The options that clinit is started with."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field

from mosha.core.escalation import Limits
from mosha.core.self_fencing import HOLD, OFF
from mosha.formats.spawn import SPAWN_WAYS

DEFAULT_CLTAB = Path("/etc/cltab")
DEFAULT_SOCKET = Path("/var/run/clinit/clinit.s")
DEFAULT_STATE_DIR = Path("/var/run/clinit/state")
SYSRQ_TRIGGER = Path("/proc/sysrq-trigger")
WATCHDOG_TIMEOUT_DEFAULT_S = 10
"""Of a clinit alone, which has no leases; under mosha it follows from `timeout`."""


class ClinitOptions(Struct, frozen=True):
    """The files of a clinit and its settings.

    `cgroup` is the directory in which it makes its cgroups; by default the cgroup it was started
    in; `none` disables cgroups. `managed` means that a monitor started it: then only the monitor
    ends it (H6.3), and a mistake in cltab keeps the last good entries in force instead of refusing
    every tell (docs/explanation/architecture.md). `spawn` is the way to start processes that is
    tried first, of `SPAWN_WAYS`. `watchdog` is the watchdog device to arm, None for none, and
    `watchdog_timeout_s` the longest time-out that it may have. `self_fence` is what a
    node does that cannot end a group (`self_fence.py`), `self_fence_after_s` how long after
    `kill_at` at least, `sysrq_trigger` the file that reboots.
    """

    cltab: Path = DEFAULT_CLTAB
    socket: Path = DEFAULT_SOCKET
    clstat: Path | None = None
    state_dir: Path = DEFAULT_STATE_DIR
    cgroup: str | None = None
    managed: bool = False
    node: str = ""
    spawn: str = SPAWN_WAYS[0]
    watchdog: Path | None = None
    watchdog_timeout_s: int = WATCHDOG_TIMEOUT_DEFAULT_S
    self_fence: str = OFF
    self_fence_after_s: float = 0.0
    on_stop_failure: str = HOLD
    sysrq_trigger: Path = SYSRQ_TRIGGER
    limits: Limits = field(default_factory=Limits)
    # Nodes of the original consider a clstat older than 60 s stale (C7.6).
    heartbeat_s: float = 30.0
    # A file system that does not answer within this time counts as hung.
    file_limit_s: float = 2.0
    # How often an idle managed clinit checks whether it can still be found.
    place_look_s: float = 10.0
    # What an earlier clinit left is SIGKILLed; only a hung kernel makes that take longer.
    orphan_limit_s: float = 10.0
