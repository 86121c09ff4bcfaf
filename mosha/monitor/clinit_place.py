"""Where a node's clinit is: its files, how it is started, and whether one lives there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

from msgspec import Struct

from mosha.core.self_fencing import HOLD, OFF, fence_after_s
from mosha.errors import HostError
from mosha.formats.settings import Settings
from mosha.formats.spawn import SPAWN_WAYS
from mosha.host import logs
from mosha.host.lock_file import CLINIT_LOCK, holder_of
from mosha.host.programs import command_of
from mosha.monitor.files.cluster_fs import CLTAB


class ClinitPlace(Struct, frozen=True):
    """Where clinit runs: its socket, the cltab in force, its state directory; and how it runs.

    `watchdog` is the watchdog device to arm, "" for none; `watchdog_s` its longest time-out. The
    last three say what this node does about a group that it cannot end (`core.self_fencing`).
    """

    socket: Path
    cltab: Path
    state_dir: Path
    node: int
    spawn: str = SPAWN_WAYS[0]
    debug: bool = False
    watchdog: str = ""
    watchdog_s: int = 0
    self_fence: str = OFF
    self_fence_after_s: float = 0.0
    on_stop_failure: str = HOLD

    @classmethod
    def of(cls, settings: Settings, node: int) -> Self:
        """Return the place of a node's clinit."""
        state = settings.state_path
        places = (settings.socket_path, state / CLTAB, state, node)
        return cls(
            *places,
            spawn=settings.spawn,
            debug=settings.log_level == "debug",
            watchdog=settings.watchdog,
            watchdog_s=settings.watchdog_s,
            self_fence=settings.self_fence,
            self_fence_after_s=fence_after_s(settings.timing),
            on_stop_failure=settings.on_stop_failure,
        )

    def command(self) -> list[str]:
        """Return the command line of the clinit there; it logs as this process does."""
        log_file = logs.file_in_force()
        return [
            *command_of("mosha.cli.clinit"),
            *("-d", "--managed"),
            *("-c", str(self.cltab), "-s", str(self.socket)),
            *("--state-dir", str(self.state_dir), "--node", str(self.node)),
            *(("--spawn", self.spawn) if self.spawn != SPAWN_WAYS[0] else ()),
            *self._watchdog_words(),
            *self._self_fence_words(),
            *(log_file.words() if log_file else ()),
            *logs.words(debug=self.debug),
        ]

    def _watchdog_words(self) -> tuple[str, ...]:
        if not self.watchdog:
            return ()
        return ("--watchdog", self.watchdog, "--watchdog-timeout", str(self.watchdog_s))

    def _self_fence_words(self) -> tuple[str, ...]:
        if self.self_fence == OFF:
            return ()
        return (
            *("--self-fence", self.self_fence),
            *("--self-fence-after", f"{self.self_fence_after_s:.3f}"),
            *("--on-stop-failure", self.on_stop_failure),
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Start clinit. Not with asyncio, whose subprocesses are killed when the loop ends.

        Raises:
            HostError: the host starts no process now (no memory, pids.max, no descriptor).
        """
        try:
            return subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise HostError(f"cannot start clinit: {error.strerror}") from error


def living_clinit(state_dir: Path) -> int:
    """Return the clinit that has locked its state directory, 0 if there is none.

    Raises:
        HostError: it cannot be determined.
    """
    try:
        return holder_of(state_dir / CLINIT_LOCK)
    except OSError as error:
        raise HostError(f"cannot look for clinit in {state_dir}: {error.strerror}") from error
