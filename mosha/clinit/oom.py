"""clinit's own protection from the kernel's choice when memory is short (proc(5), oom_score_adj).

A service manager may give it to clinit; its services shall not inherit it. A child has the
score of the moment in which it is born, and as long as it shares clinit's memory the kernel
keeps both scores the same. So clinit lays its protection down while any child is like that,
for less than a millisecond each time, unless a file system hangs.
"""

from __future__ import annotations

import os
from pathlib import Path

_SCORE = Path("/proc/self/oom_score_adj")


class OomProtection:
    """A negative score that can be laid down for a while; nothing at all if there is none."""

    def __init__(self, path: Path = _SCORE) -> None:
        self._laid_down = 0
        self._fd = -1
        self._score = 0
        if path.exists():
            self._score = int(path.read_bytes())
        if self._score < 0:
            self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def lay_down(self) -> None:
        """Be like everybody else, until `take_up` was called as often as this."""
        self._laid_down += 1
        if self._laid_down == 1:
            self._write(0)

    def take_up(self) -> None:
        """Be protected again, unless somebody else still must not be."""
        self._laid_down -= 1
        if self._laid_down == 0:
            self._write(self._score)

    def close(self) -> None:
        """Give back the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, score: int) -> None:
        # Whoever has had a score may return to it, without any privilege.
        if self._fd >= 0:
            os.pwrite(self._fd, b"%d\n" % score, 0)
