"""The log in systemd's journal: the sentence that `mosha logs` prints, and all fields.

MESSAGE is what people read in `journalctl -u mosha` and `systemctl status mosha`; PRIORITY is the
level; each field of the line is a journal field, `MOSHA_GROUP` for `group`; and `MOSHA_JSON` is the
whole line as elsewhere, which `mosha logs` reads. So `journalctl MOSHA_GROUP=web -p warning` works.
Each line is a datagram of journald's native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).
What journald does not accept at once goes as JSON to stderr, which leads to the journal too, so
nothing is lost and nothing waits.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
from typing import Self

from mosha.host.log_printer import sentence

SOCKET = "/run/systemd/journal/socket"
JSON_FIELD = "MOSHA_JSON"
_NAME = re.compile(r"[A-Z][A-Z0-9_]*", re.ASCII)
NAME_MAX_CHARS = 64
"""journald accepts no field with a longer name."""

PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""The levels of syslog(3)."""


class Journal:
    """A connection to the journal for one program, which is called `name` there."""

    def __init__(self, name: str, path: str = SOCKET) -> None:
        self._name = name
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    @classmethod
    def behind(cls, fd: int, name: str) -> Self | None:
        """Return the journal if a descriptor leads to it (systemd.exec(5)), else None."""
        text = os.environ.get("JOURNAL_STREAM", "")
        facts = os.fstat(fd)
        if text != f"{facts.st_dev}:{facts.st_ino}":
            return None
        return cls(name)

    def send(self, line: str) -> bool:
        """Send a line, a JSON object of its fields; return whether journald accepted it."""
        text = json.loads(line)
        priority = PRIORITIES.get(str(text.get("level")), PRIORITIES["info"])
        fields = {_name(key): _value(value) for key, value in text.items()}
        fields |= {"MESSAGE": sentence(text), "PRIORITY": str(priority)}
        fields |= {"SYSLOG_IDENTIFIER": self._name, JSON_FIELD: line}
        data = b"".join(_entry(name, value) for name, value in fields.items() if name)
        try:
            self._socket.sendto(data, self._path)
        except OSError:  # it is restarting, its queue is full, or the line is too long
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _name(key: str) -> str:
    """Return the journal's name for a field, "" if it cannot have one."""
    name = f"MOSHA_{key.upper()}"
    return name if len(name) <= NAME_MAX_CHARS and _NAME.fullmatch(name) else ""


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _entry(name: str, value: str) -> bytes:
    """Return a field in the native protocol; with its length if it contains line ends."""
    data = value.encode("utf-8", "backslashreplace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
