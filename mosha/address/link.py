"""An interface as netdevice(7) shows it."""

from __future__ import annotations

import enum
import errno
import fcntl
import socket
import struct
from typing import NamedTuple

SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFINDEX = 0x8913, 0x8927, 0x8933
IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_NOARP = 0x1, 0x8, 0x40, 0x80
ARPHRD_ETHER = 1

_REQUEST = struct.Struct("16s24x")
_INDEX = struct.Struct("16xi")
_FLAGS = struct.Struct("16xH")
_HARDWARE = struct.Struct("16xH6s")


class LinkState(enum.StrEnum):
    """Whether an interface can be used."""

    USABLE = "usable"
    DOWN = "down"
    NO_CARRIER = "without carrier"
    MISSING = "missing"


class Link(NamedTuple):
    """An interface. `mac` is empty if it has no neighbours that could be asked for an address."""

    state: LinkState
    ifindex: int = 0
    mac: bytes = b""


def look_at_link(name: str) -> Link:
    """Return an interface as it is now.

    Raises:
        OSError: the kernel does not say.
    """
    request = _REQUEST.pack(name.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        try:
            (ifindex,) = _INDEX.unpack_from(fcntl.ioctl(asking, SIOCGIFINDEX, request))
            (flags,) = _FLAGS.unpack_from(fcntl.ioctl(asking, SIOCGIFFLAGS, request))
            kind, mac = _HARDWARE.unpack_from(fcntl.ioctl(asking, SIOCGIFHWADDR, request))
        except OSError as error:
            if error.errno not in (errno.ENODEV, errno.ENXIO):
                raise
            return Link(LinkState.MISSING)
    asks = kind == ARPHRD_ETHER and not flags & (IFF_NOARP | IFF_LOOPBACK)
    return Link(_state(flags), ifindex, mac if asks else b"")


def _state(flags: int) -> LinkState:
    if not flags & IFF_UP:
        return LinkState.DOWN
    return LinkState.USABLE if flags & IFF_RUNNING else LinkState.NO_CARRIER


def mac_text(mac: bytes) -> str:
    """Return a hardware address as people write it."""
    return mac.hex(":")
