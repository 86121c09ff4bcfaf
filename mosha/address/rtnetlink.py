"""Addresses of interfaces: asked for, set, removed, and what the kernel tells of them.

See rtnetlink(7) and netlink(7). Linux 2.6 and newer.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from mosha.address.messages import address_message
from mosha.address.words import HeldAddress

RTM_NEWLINK, RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 16, 20, 21, 22
NLMSG_ERROR, NLMSG_DONE = 2, 3
REQUEST, ACK, DUMP, REPLACE, CREATE = 0x1, 0x4, 0x300, 0x100, 0x400
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100
NODAD, DADFAILED, TENTATIVE = 0x02, 0x08, 0x40
FOREVER = 0xFFFFFFFF
RECEIVE_BYTES = 1 << 16
ANSWER_LIMIT_S = 5.0
"""The kernel answers at once, unless it waits for its own lock."""

SO_RCVBUFFORCE = 33  # of Linux; not in the module socket of Python 3.11
EVENTS_BYTES = 1 << 20
"""Room for the events of some thousand changes: a busy host makes as many interfaces at once."""

_HEADER = struct.Struct("=IHHII")
_INDEX = struct.Struct("=4xi")
"""Both ifaddrmsg and ifinfomsg have the number of the interface at their fourth byte."""


class AddressFound(NamedTuple):
    """An address as an interface has it; `left_s` is its lifetime in seconds, None: for ever."""

    ifindex: int
    prefix: int
    left_s: int | None
    flags: int

    @property
    def tentative(self) -> bool:
        """Whether the kernel still looks for a duplicate (IPv6)."""
        return self.flags & TENTATIVE != 0 and not self.duplicate

    @property
    def duplicate(self) -> bool:
        """Whether the kernel has found a duplicate (IPv6)."""
        return self.flags & DADFAILED != 0


class Change(NamedTuple):
    """Something about an interface has changed; `duplicate` if the address was found in use."""

    ifindex: int
    duplicate: bool


class Rtnetlink:
    """Questions and orders to the kernel, one at a time."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.settimeout(ANSWER_LIMIT_S)
        self._socket.bind((0, 0))
        self._sequence = 0

    def addresses(self, held: HeldAddress) -> list[AddressFound]:
        """Return where the address is, on any interface and with any prefix.

        Raises:
            OSError: the kernel does not say.
        """
        wanted = held.packed
        message = address_message()
        message["family"] = held.family
        found = []
        for kind, data in self._ask(message, RTM_GETADDR, DUMP):
            if kind != RTM_NEWADDR:
                continue
            one = address_message(data)
            text = one.get_attr("IFA_LOCAL") or one.get_attr("IFA_ADDRESS")
            if text and socket.inet_pton(held.family, text) == wanted:
                found.append(_found(one))
        return found

    def set(self, held: HeldAddress, ifindex: int, lifetime_s: int, *, unchecked: bool) -> None:
        """Add the address to an interface, or give it another lifetime if it has it.

        With `unchecked` the kernel looks for no duplicate (IPv6).

        Raises:
            OSError: the kernel refuses.
        """
        message = _message(held, ifindex, held.prefix)
        times = {"ifa_preferred": lifetime_s, "ifa_valid": lifetime_s}
        message["attrs"] += [["IFA_CACHEINFO", times]]
        if held.label:
            message["attrs"] += [["IFA_LABEL", held.label]]
        if held.family == socket.AF_INET6 and unchecked:
            message["flags"] = NODAD
        self._order(message, RTM_NEWADDR, REPLACE | CREATE)

    def remove(self, held: HeldAddress, found: AddressFound) -> None:
        """Remove the address from an interface; it may be gone already.

        Raises:
            OSError: the kernel refuses.
        """
        try:
            self._order(_message(held, found.ifindex, found.prefix), RTM_DELADDR, 0)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.ENODEV):
                raise

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _order(self, message: object, kind: int, flags: int) -> None:
        for _ in self._ask(message, kind, ACK | flags):
            pass

    def _ask(self, message: object, kind: int, flags: int) -> Iterator[tuple[int, bytes]]:
        """Yield each message of the answer: its kind, and all of it."""
        self._sequence += 1
        self._socket.send(_encoded(message, kind, REQUEST | flags, self._sequence))
        while True:
            for got, sequence, data in _split(self._socket.recv(RECEIVE_BYTES)):
                if sequence != self._sequence:  # of a question that was given up
                    continue
                if got == NLMSG_ERROR:
                    number = -int(struct.unpack_from("=i", data, _HEADER.size)[0])
                    if number:
                        raise OSError(number, os.strerror(number))
                    return
                if got == NLMSG_DONE:
                    return
                yield got, data


class Changes:
    """What the kernel tells of interfaces and their addresses, from the moment this is made."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, 0)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, EVENTS_BYTES)
        except PermissionError:  # in a user namespace: fewer fit, and the rest is looked up
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, EVENTS_BYTES)
        self._socket.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are changes."""
        return self._socket.fileno()

    def take(self, held: HeldAddress) -> list[Change] | None:
        """Return what has changed about interfaces and this address; None if something was missed.

        Raises:
            OSError: the kernel tells nothing any more.
        """
        changes: list[Change] = []
        while True:
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return changes
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                return None
            for kind, _, each in _split(data):
                changes += _changes(held, kind, each)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _message(held: HeldAddress, ifindex: int, prefix: int) -> Any:
    message = address_message()
    message["family"] = held.family
    message["prefixlen"] = prefix
    message["index"] = ifindex
    message["attrs"] = [["IFA_LOCAL", held.address], ["IFA_ADDRESS", held.address]]
    return message


def _encoded(message: Any, kind: int, flags: int, sequence: int) -> bytes:
    message["header"]["type"] = kind
    message["header"]["flags"] = flags
    message["header"]["sequence_number"] = sequence
    message["header"]["pid"] = 0  # the kernel's
    message.encode()
    return bytes(message.data)


def _split(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the kind, the sequence number and all of each message."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
        yield kind, sequence, data[at : at + length]
        at += (max(length, _HEADER.size) + 3) & ~3


def _found(message: Any) -> AddressFound:
    times = message.get_attr("IFA_CACHEINFO") or {"ifa_valid": FOREVER}
    left_s = times["ifa_valid"]
    flags = message.get_attr("IFA_FLAGS") or message["flags"]
    return AddressFound(
        message["index"], message["prefixlen"], None if left_s == FOREVER else left_s, flags
    )


def _changes(held: HeldAddress, kind: int, data: bytes) -> Iterator[Change]:
    """Yield what a message says: nothing if it is about another address."""
    ifindex = _INDEX.unpack_from(data, _HEADER.size)[0]
    if kind not in (RTM_NEWADDR, RTM_DELADDR):
        yield Change(ifindex, duplicate=False)
    elif held.packed in data:
        yield Change(ifindex, duplicate=_found(address_message(data)).duplicate)
