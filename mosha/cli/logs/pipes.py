"""Lines from a pipe: stdin, or journalctl as a child process."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime

from mosha.cli.logs.files import CHUNK_BYTES, Splitter
from mosha.cli.logs.journal import journal_line
from mosha.errors import HostError

UNITS = ("mosha.service", "mosha-clinit.service")
"""The units whose lines `mosha logs --journal` reads."""

LOOK_LIMIT_S = 5.0
"""journalctl answers within milliseconds; a damaged journal must not hold up the command."""

FIRST_LINES = 1000
"""How many earlier lines are printed when following without --since."""


class PipeSource:
    """The lines of a descriptor that can be polled."""

    def __init__(self, fd: int) -> None:
        self.ended = False
        self.at_end = False
        self._fd = fd
        self._splitter = Splitter()
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def fileno(self) -> int | None:
        """Return the descriptor to wait for, None at the end."""
        return None if self.ended else self._fd

    def read(self) -> list[bytes]:
        """Return the next lines, none if there is nothing new."""
        if not self._poll.poll(0):
            self.at_end = True
            return []
        chunk = os.read(self._fd, CHUNK_BYTES)
        if not chunk:
            self.ended = self.at_end = True
            return self._lines(self._splitter.last())
        self.at_end = False
        return self._lines(self._splitter.lines(chunk))

    def _lines(self, lines: list[bytes]) -> list[bytes]:
        return lines

    def close(self) -> None:
        """Do nothing: stdin is not ours to close."""


class JournalSource(PipeSource):
    """The journal's entries of our units, as the lines that mosha wrote.

    Lines that systemd or another program wrote have `timestamp`, `level`, `unit` and `text`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if self._process.stdout is None:
            raise HostError("journalctl has no output")
        super().__init__(self._process.stdout.fileno())

    def _lines(self, lines: list[bytes]) -> list[bytes]:
        return [line for raw in lines if (line := journal_line(raw))]

    def read(self) -> list[bytes]:
        """Return the next lines.

        Raises:
            HostError: journalctl failed; with its message.
        """
        found = super().read()
        if self.ended:
            text = self._process.stderr.read() if self._process.stderr else b""
            if self._process.wait():
                raise HostError(f"journalctl: {text.decode(errors='replace').strip()}")
        return found

    def close(self) -> None:
        """End journalctl."""
        self._process.terminate()
        self._process.communicate()


def journal_command(
    units: Sequence[str], *, follow: bool, since: datetime | None = None, lines: int | None = None
) -> list[str]:
    """Return the command line of journalctl."""
    words = ["journalctl", "--quiet", "--output=json", "--all", *(f"--unit={u}" for u in units)]
    if since is not None:
        words.append(f"--since=@{since.timestamp():.6f}")
    if follow:
        words += ["--follow", f"--lines={'all' if since else FIRST_LINES}"]
    if lines is not None:
        words.append(f"--lines={lines}")
    return words


def journal_knows(units: Sequence[str]) -> bool:
    """Say whether the journal has an entry of one of these units."""
    if shutil.which("journalctl") is None:
        return False
    command = journal_command(units, follow=False, lines=1)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            timeout=LOOK_LIMIT_S,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return bool(done.stdout.strip())


def standard_input() -> PipeSource:
    """Return stdin as a source."""
    return PipeSource(sys.stdin.fileno())
