"""Notes when an address comes to this machine and when it goes.

Run as a script: `presence.py ADDRESS NODE FILE`. The kernel tells of every change of an
address (rtnetlink(7)); whether this one is there is then tried, by binding a socket to it.
A line for each change: ``BOOTTIME NODE yes|no``. It ends with its stdin.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time

RTMGRP_IPV4_IFADDR = 0x10


def is_here(address: str) -> bool:
    """Say whether the address is one of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True


def main(address: str, node: str, path: str) -> None:
    """Note changes until standard input ends."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    told = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    told.bind((0, RTMGRP_IPV4_IFADDR))
    poll = select.poll()
    poll.register(told, select.POLLIN)
    poll.register(0, select.POLLIN | select.POLLHUP)
    before = None
    while True:
        here = is_here(address)
        if here is not before:
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            os.write(file, f"{now:.4f} {node} {'yes' if here else 'no'}\n".encode())
            before = here
        ready = [descriptor for descriptor, _ in poll.poll()]
        if 0 in ready:
            return
        told.recv(65536)


if __name__ == "__main__":
    main(*sys.argv[1:])
