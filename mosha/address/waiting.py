"""What a holder waits for: to be told to stop, changes of the network, packets, and time."""

from __future__ import annotations

import os
import select
import signal
from typing import Protocol

from mosha.address.rtnetlink import Changes
from mosha.address.words import HeldAddress

STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
READ_BYTES = 512


class Readable(Protocol):
    """Something to wait for."""

    def fileno(self) -> int:
        """Return the descriptor."""


class HolderWaiting:
    """The events of one address. `stopping`: it was told to stop, which does nothing else.

    `changed`: something may be different on its interface. `duplicate`: the kernel has found that
    another host has the address, and does not use it (IPv6).
    """

    def __init__(self, held: HeldAddress) -> None:
        self.stopping = False
        self.changed = True
        self.duplicate = False
        self._held = held
        self._changes = Changes()
        self._signals, writer = os.pipe()
        for fd in (self._signals, writer):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in STOPPING:
            signal.signal(number, _only_wake)

    def wait(self, seconds: float, ifindex: int, *packets: Readable) -> None:
        """Return when something has happened, or after so long.

        `ifindex` is the number of the interface, 0 if there is none: then any change counts.
        """
        poll = select.poll()
        for fd in (self._signals, *(each.fileno() for each in (self._changes, *packets))):
            poll.register(fd, select.POLLIN)
        poll.poll(max(0.0, seconds) * 1000 + 1)
        self._take_signals()
        changes = self._changes.take(self._held)
        if changes is None:
            self.changed = True
            return
        for change in changes:
            self.changed = self.changed or ifindex in (0, change.ifindex)
            self.duplicate = self.duplicate or (change.duplicate and change.ifindex == ifindex)

    def _take_signals(self) -> None:
        try:
            # Each byte is the number of a signal (signal.set_wakeup_fd).
            numbers = os.read(self._signals, READ_BYTES)
        except BlockingIOError:
            return
        self.stopping = self.stopping or not STOPPING.isdisjoint(numbers)


def _only_wake(*_: object) -> None:
    """Handle a signal: its number has been written to where this process waits."""
