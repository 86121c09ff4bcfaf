"""A command in a pseudo-terminal, for what is different there: colours, questions, repainting."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

from tests.waiting import wait_until


class Terminal:
    """A command in a terminal of 80 columns; `seen` is everything it wrote."""

    def __init__(self, *words: str, variables: Mapping[str, str] | None = None) -> None:
        self.seen = ""
        own, its = pty.openpty()
        usual = {"TERM": "xterm", "COLUMNS": "80", "LINES": "30"}
        self._own = own
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mosha.cli.main", *words],
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
            env={**os.environ, **usual, **(variables or {})},
        )
        os.close(its)

    def shows(self, text: str) -> bool:
        """Read what is there and say whether the text was written."""
        if select.select([self._own], [], [], 0)[0]:
            try:
                self.seen += os.read(self._own, 1 << 16).decode(errors="replace")
            except OSError:  # the other end is closed
                return text in self.seen
        return text in self.seen

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._own, text.encode())

    def exit_status(self) -> int:
        """Read until the command ends."""
        wait_until(lambda: self.shows("") and self.process.poll() is not None)
        return self.end()

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        deadline = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < deadline:
            self.shows("")
        self.process.kill()
        status = self.process.wait()
        os.close(self._own)
        return status
