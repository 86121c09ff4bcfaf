"""What a small process under clinit says: lines for its log, and how its service is, sd_notify(3).

There is such a process for each entry with a resource agent or a unit: it imports next to nothing.
"""

from __future__ import annotations

import _socket
import os

STATUS_MAX_CHARS = 500


def say(line: str) -> None:
    """Print a line for the log, if anybody reads it."""
    try:  # noqa: SIM105 - contextlib would be imported for this alone
        os.write(2, line.encode("utf-8", "replace") + b"\n")
    except OSError:  # nobody does: the service goes on
        pass


def notify(*lines: str) -> bool:
    """Tell who runs this process how the service is, as sd_notify(3) does; say whether he hears."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"}:
        return False
    text = "\n".join(line[:STATUS_MAX_CHARS] for line in lines)
    place = f"\0{address[1:]}" if address[0] == "@" else address
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        socket.setblocking(False)
        socket.sendto(text.encode("utf-8", "replace"), place)
    except OSError as error:
        say(f"cannot tell {address} that the service is ready: {error.strerror}")
        return False
    finally:
        socket.close()
    return True
