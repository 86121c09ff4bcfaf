"""Who has an IPv4 address, and telling all neighbours who has it now: RFC 826, RFC 5227.

A probe asks for an address without saying that one has it. An announcement says that one has it:
neighbours correct their tables, and switches learn the port. RFC 5227 takes some six seconds for
its probes, for hosts that start all at the same time; here a cluster has agreed on who takes the
address, and the probes find a mistake of an administrator.
"""

from __future__ import annotations

import socket
import struct
from typing import Self

from mosha.address.link import Link

ETHERTYPE = 0x0806
BROADCAST = b"\xff" * 6
HARDWARE_ETHER, PROTOCOL_IPV4, REQUEST = 1, 0x0800, 1
NOBODY = bytes(4)
_PACKET = struct.Struct("!HHBBH6s4s6s4s")
RECEIVE_BYTES = 512


class Arp:
    """ARP on one interface, about one address. A context."""

    def __init__(self, interface: str, link: Link, address: str) -> None:
        """Begin to listen.

        Raises:
            OSError: the interface is gone, or this process may not (CAP_NET_RAW).
        """
        self._interface = interface
        self._mac = link.mac
        self._address = socket.inet_aton(address)
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_PACKET, kind, 0)  # 0: nothing before it is bound
        try:
            self._socket.bind((interface, ETHERTYPE))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor that is readable when there is something for `owner`."""
        return self._socket.fileno()

    def probe(self) -> None:
        """Ask who has the address.

        Raises:
            OSError: it cannot be sent now.
        """
        self._send(NOBODY)

    def announce(self) -> None:
        """Tell all neighbours that this interface has the address.

        Raises:
            OSError: it cannot be sent now.
        """
        self._send(self._address)

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
            if len(packet) < _PACKET.size:
                continue
            *kind, _, mac, address, _, _ = _PACKET.unpack_from(packet)
            if kind != [HARDWARE_ETHER, PROTOCOL_IPV4, len(mac), len(address)]:
                continue
            if address == self._address and mac != self._mac:
                return bytes(mac)

    def _send(self, sender: bytes) -> None:
        sizes = len(self._mac), len(sender)
        kind = HARDWARE_ETHER, PROTOCOL_IPV4, *sizes, REQUEST
        packet = _PACKET.pack(*kind, self._mac, sender, bytes(6), self._address)
        self._socket.sendto(packet, (self._interface, ETHERTYPE, 0, 0, BROADCAST))
