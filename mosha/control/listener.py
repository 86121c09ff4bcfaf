"""The socket that a daemon listens at, for as long as it lives: made again if it is taken away.

A cleaner, or a person, removes the file or its whole directory; the daemon does not notice by
itself, and nobody finds it any more. A look costs a system call. What has come to lie there since
is removed only if it is a socket at which nobody answers.
"""

from __future__ import annotations

import os
from pathlib import Path

from mosha.control.address import listen

LOOK_S = 1.0
"""Between two looks; whoever needs the socket waits longer than this for it."""


class Listener:
    """A listening, non-blocking socket at a path; see `listen` for what making it raises."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket, self._file = listen(path)

    def restore(self) -> bool:
        """Make the socket again if its file is gone or another's; say if so.

        Waits for nothing. The former socket is the caller's to close.

        Raises:
            HostError, UsageError: as `listen`; the former one stays.
        """
        if self._is_there():
            return False
        self.socket, self._file = listen(self.path, wait=False)
        return True

    def close(self) -> None:
        """Listen no more, and take the file away: who looks for it shall not find one that left."""
        self.socket.close()
        if self._is_there():
            self.path.unlink(missing_ok=True)

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self.path.lstat(), self._file)
        except (FileNotFoundError, NotADirectoryError):
            return False
