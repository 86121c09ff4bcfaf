"""A daemon's listening socket for its whole run: made again if its file is removed.

If a cleaner or a person removes the file or its directory, the daemon does not notice by itself,
and no client finds it any more. A check costs a system call. Another file at the path is removed
only if it is a socket at which no daemon answers.
"""

from __future__ import annotations

import os
from pathlib import Path

from mosha.control.address import listen

LOOK_S = 1.0
"""Between two checks; clients wait longer than this for the socket."""


class Listener:
    """A listening, non-blocking socket at a path; raises what `listen` raises."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket, self._file = listen(path)

    def restore(self) -> bool:
        """Make the socket again if its file is gone or replaced; return whether it did.

        Does not block. The caller closes the former socket.

        Raises:
            HostError, UsageError: as `listen`; the former socket stays.
        """
        if self._is_there():
            return False
        self.socket, self._file = listen(self.path, wait=False)
        return True

    def close(self) -> None:
        """Stop listening and remove the file, so that no client finds a daemon that has ended."""
        self.socket.close()
        if self._is_there():
            self.path.unlink(missing_ok=True)

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self.path.lstat(), self._file)
        except (FileNotFoundError, NotADirectoryError):
            return False
