"""A command in a pseudo-terminal, for what is different there: colours, questions, a screen."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping

from tests.cli.emulator import Emulator
from tests.waiting import wait_until


class Terminal:
    """A command in a terminal of its own; `seen` is all that it wrote, `screen` what it shows.

    With `script` a shell runs that, in which `"$@"` is the command.
    """

    def __init__(
        self,
        *words: str,
        variables: Mapping[str, str] | None = None,
        size: tuple[int, int] = (80, 30),
        script: str = "",
    ) -> None:
        self.seen = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.screen = Emulator(*size)
        self.own, its = pty.openpty()
        self.resize(*size)
        self.modes = termios.tcgetattr(its)
        usual = {"TERM": "xterm", "COLUMNS": str(size[0]), "LINES": str(size[1])}
        command = [sys.executable, "-m", "mosha.cli.main", *words]
        if script:
            command = ["sh", "-c", script, "sh", *command]
        # Not a leader when it begins, so that setsid goes on in the same process.
        # A shell has what it runs in the background ignore SIGINT and SIGQUIT.
        before = ["env", "--default-signal=INT,QUIT,HUP", "setsid", "--ctty"]
        self.process = subprocess.Popen(
            [*before, *command],
            stdin=its,
            stdout=its,
            stderr=its,
            env={**os.environ, **usual, **(variables or {})},
        )
        os.close(its)

    def resize(self, columns: int, lines: int) -> None:
        """Have another size, and let the kernel tell the command."""
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.own, termios.TIOCSWINSZ, size)
        self.screen.resize(columns, lines)

    def reads(self) -> bool:
        """Read what there is; return False if the other end is closed."""
        if select.select([self.own], [], [], 0)[0]:
            try:
                told = self._decoder.decode(os.read(self.own, 1 << 16))
            except OSError:
                return False
            self.seen += told
            self.screen.write(told)
        return True

    def shows(self, text: str) -> bool:
        """Read what is there and say whether the text was written, at any time."""
        self.reads()
        return text in self.seen

    def has(self, *texts: str) -> bool:
        """Read what is there and say whether all texts stand on the screen, folded or not."""
        self.reads()
        page = " ".join(" ".join(self.screen.text()).split())
        return all(text in page for text in texts)

    def restored(self) -> bool:
        """Say whether the terminal is as it was before the command."""
        self.reads()
        same = termios.tcgetattr(self.own) == self.modes
        return same and not self.screen.other and self.screen.cursor_shown

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self.own, text.encode())

    def exit_status(self) -> int:
        """Read until the command ends."""
        wait_until(lambda: self.shows("") and self.process.poll() is not None)
        return self.end()

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        deadline = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < deadline:
            self.reads()
        while select.select([self.own], [], [], 0)[0] and self.reads():
            pass
        self.process.kill()
        status = self.process.wait()
        os.close(self.own)
        return status
