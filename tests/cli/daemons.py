"""`mosha run` and `clinit -d` as they are started by all kinds of parents: in any directory, on a
terminal of their own or none, with signals blocked or ignored; ended with all that they have."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from mosha.control.calls import call
from mosha.control.protocol import Hello, Shutdown
from mosha.errors import HostError
from tests.cli.conftest import Home
from tests.waiting import wait_until

LIMIT_S = 30.0
TABLE = "web:w:start:respawn:exec sleep 1000\n"
MONITOR = [sys.executable, "-P", "-m", "mosha.cli.main", "run"]
CLINIT = [sys.executable, "-P", "-m", "mosha.cli.clinit", "-d"]


class Started:
    """A daemon of a cluster of one; its log is a file, its parent is `by`, a shell's words.

    In `by` the words of the daemon are `"$@"`. With `terminal` it leads a session on one.
    """

    def __init__(self, home: Home, *, by: str = 'exec "$@"', terminal: bool = False) -> None:
        self.home = home
        self.log = home.base / "log"
        self.master = -1
        home.config.write_text(home.config.read_text().replace("[1, 2, 3]", "[1]"))
        (home.tables / "cltab").write_text(TABLE)
        (home.tables / "hactl").write_text("web start\n")
        self._by, self._terminal = by, terminal
        self.process: subprocess.Popen[bytes]

    @property
    def clinit(self) -> Path:
        """The socket of the clinit that belongs to it, or that it is."""
        return self.home.rundir / "clinit.s"

    def monitor(self, directory: Path | None = None) -> None:
        """Be a monitor that runs its group."""
        self._start([*MONITOR, "--config", str(self.home.config)], directory)
        wait_until(self._runs_its_group, LIMIT_S)

    def alone(self) -> None:
        """Be a clinit without a monitor."""
        cltab = str(self.home.tables / "cltab")
        self._start([*CLINIT, "-c", cltab, "-s", str(self.clinit)], None)
        wait_until(lambda: self.said("clinit_started"), LIMIT_S)

    def _start(self, words: list[str], directory: Path | None) -> None:
        stdin = subprocess.DEVNULL
        before = ["/bin/sh", "-c", self._by, "sh"]
        if self._terminal:
            self.master, stdin = pty.openpty()
            before = ["setsid", "--ctty", *before]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                # As a terminal gives it, also if these tests run under nohup.
                ["/usr/bin/env", "--default-signal=HUP", *before, *words],
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd=directory,
            )
        if self._terminal:
            os.close(stdin)

    def said(self, text: str) -> bool:
        """Say whether the log has a text."""
        return self.log.exists() and text in self.log.read_text()

    def close_terminal(self) -> None:
        """Do what the end of an ssh session does."""
        os.close(self.master)
        self.master = -1

    def signal(self, number: signal.Signals) -> None:
        """Signal the daemon."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Have it end in good order, if it has not; return its exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        status = self.process.wait(LIMIT_S)
        if self.master >= 0:
            self.close_terminal()
        with contextlib.suppress(HostError):  # a monitor that failed may have left it
            call(self.clinit, Shutdown(), LIMIT_S)
        return status

    def answers(self) -> bool:
        """Say whether a clinit answers."""
        try:
            return call(self.clinit, Hello(), LIMIT_S).ok
        except HostError:
            return False

    def _runs_its_group(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        hastat = self.home.tables / "hastat"
        if not hastat.exists():
            return False
        report = msgspec.json.decode(hastat.read_bytes())
        return any(group["where"] == [1] and group["ok"] for group in report["groups"])
