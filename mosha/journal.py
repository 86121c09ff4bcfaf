"""The log into systemd's journal, with the fields that matter as fields of their own.

`journalctl MOSHA_GROUP=web -p warning` then finds what it says. Each line is a datagram of
journald's native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL); the message is the
JSON line as everywhere else. What journald does not take at once goes to stderr, which leads
to the journal too, so nothing is lost and nothing waits.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Self

SOCKET = "/run/systemd/journal/socket"
FIELDS = ("event", "node", "group", "tag", "stream")
"""What becomes MOSHA_EVENT, MOSHA_NODE and so on."""

PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""The levels of syslog(3)."""


class Journal:
    """A way into the journal for one program, called `name` there."""

    def __init__(self, name: str, path: str = SOCKET) -> None:
        self._name = name
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    @classmethod
    def behind(cls, fd: int, name: str) -> Self | None:
        """Return the journal if that is where a descriptor leads (systemd.exec(5)), else None."""
        told = os.environ.get("JOURNAL_STREAM", "")
        facts = os.fstat(fd)
        if told != f"{facts.st_dev}:{facts.st_ino}":
            return None
        return cls(name)

    def send(self, line: str, event: Mapping[str, object]) -> bool:
        """Hand a line over, with the fields of its event; say whether journald has taken it."""
        priority = PRIORITIES.get(str(event.get("level")), PRIORITIES["info"])
        words = [f"MESSAGE={line}", f"PRIORITY={priority}", f"SYSLOG_IDENTIFIER={self._name}"]
        words += [f"MOSHA_{key.upper()}={event[key]}" for key in FIELDS if key in event]
        if any("\n" in word for word in words):
            return False
        try:
            self._socket.sendto(
                ("\n".join(words) + "\n").encode("utf-8", "backslashreplace"), self._path
            )
        except OSError:  # it is restarting, its queue is full, or the line is too long for it
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
