"""Neighbour advertisements of IPv6: RFC 4861, section 4.4.

The kernel looks for a duplicate by itself (RFC 4862), and does not say whose it is; what the other
host answers does.
"""

from __future__ import annotations

import socket
import struct
from typing import Self

from mosha.address.link import Link

ALL_NODES = "ff02::1"
ADVERTISEMENT = 136
OVERRIDE = 0x20000000
TARGET_MAC = 2
"""The option with the hardware address; its length is counted in eight bytes."""

ICMP6_FILTER = 1  # of Linux; not in the module socket
HOPS = 255
_ADVERTISEMENT = struct.Struct("!BBHI16s")
_OPTION = struct.Struct("!BB6s")
RECEIVE_BYTES = 2048


class Advertisements:
    """Neighbour advertisements on one interface, about one address. A context."""

    def __init__(self, interface: str, link: Link, address: str) -> None:
        """Begin to listen.

        Raises:
            OSError: the interface is gone, or this process may not (CAP_NET_RAW).
        """
        self._link = link
        self._address = address
        self._target = socket.inet_pton(socket.AF_INET6, address)
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_INET6, kind, socket.IPPROTO_ICMPV6)
        try:
            blocked = [0xFFFFFFFF] * 8
            blocked[ADVERTISEMENT >> 5] &= ~(1 << (ADVERTISEMENT & 31)) & 0xFFFFFFFF
            level = socket.IPPROTO_ICMPV6
            self._socket.setsockopt(level, ICMP6_FILTER, struct.pack("=8I", *blocked))
            name = interface.encode()
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
            level = socket.IPPROTO_IPV6
            self._socket.setsockopt(level, socket.IPV6_MULTICAST_HOPS, HOPS)
            self._socket.setsockopt(level, socket.IPV6_MULTICAST_LOOP, 0)
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor that is readable when there is something for `owner`."""
        return self._socket.fileno()

    def announce(self) -> None:
        """Tell all neighbours that this interface has the address.

        Raises:
            OSError: it cannot be sent now.
        """
        here = (self._address, 0, 0, self._link.ifindex)
        packet = _ADVERTISEMENT.pack(ADVERTISEMENT, 0, 0, OVERRIDE, self._target)
        packet += _OPTION.pack(TARGET_MAC, 1, self._link.mac)
        self._socket.bind(here)
        self._socket.sendto(packet, (ALL_NODES, 0, 0, self._link.ifindex))

    def owner(self) -> bytes:
        """Return the hardware address of who has said that it has the address, b"" if nobody.

        Raises:
            OSError: the interface is down.
        """
        while True:
            try:
                packet = self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return b""
            if len(packet) < _ADVERTISEMENT.size + _OPTION.size:
                continue
            target = _ADVERTISEMENT.unpack_from(packet)[-1]
            kind, length, mac = _OPTION.unpack_from(packet, _ADVERTISEMENT.size)
            if (target, kind, length) == (self._target, TARGET_MAC, 1) and mac != self._link.mac:
                return bytes(mac)
