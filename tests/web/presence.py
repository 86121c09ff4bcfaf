"""Notes when an address comes to this machine and when it goes.

Run as a script: `presence.py ADDRESS NODE FILE [SECONDS]`. The kernel tells of every change of an
address (rtnetlink(7)); whether this one is there is then tried, by binding a socket to it.
A line for each change: ``BOOTTIME NODE yes|no``. It ends with its stdin.

One that went and came again before it was tried is noted too: the message says so.

With SECONDS it looks as often as that besides, and the time of a `no` is the last at which the
address was seen: a machine that is busy does not make it later.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time

RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x10, 0x100
RTM_DELADDR = 21


def is_here(address: str) -> bool:
    """Say whether the address is one of this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True


def has_gone(message: bytes, address: str) -> bool:
    """Say whether a message of the kernel (netlink(7)) is that the address was removed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = int.from_bytes(message[4:6], sys.byteorder)
    return kind == RTM_DELADDR and socket.inet_pton(family, address) in message


def main(address: str, node: str, path: str, every_s: str = "") -> None:
    """Note changes until standard input ends."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    told = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    told.bind((0, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
    poll = select.poll()
    poll.register(told, select.POLLIN)
    poll.register(0, select.POLLIN | select.POLLHUP)
    pause_ms = 1000 * float(every_s) if every_s else None
    before, seen_at, gone = None, 0.0, False
    while True:
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        here = is_here(address) and not gone
        if here is not before:
            at = seen_at if every_s and before else now
            os.write(file, f"{at:.4f} {node} {'yes' if here else 'no'}\n".encode())
            before = here
        if gone:
            gone = False
            continue
        seen_at = now if here else seen_at
        ready = [descriptor for descriptor, _ in poll.poll(pause_ms)]
        if 0 in ready:
            return
        if told.fileno() in ready:
            gone = has_gone(told.recv(65536), address)


if __name__ == "__main__":
    main(*sys.argv[1:])
