"""The signals of a process that works with agents: to stop, and that children have ended.

Part of the wrapper: it imports next to nothing.
"""

from __future__ import annotations

import os
import signal

from mosha.ocf.kin import reap

TYPE_CHECKING = False  # as in typing, which the wrapper does not import
if TYPE_CHECKING:
    from collections.abc import Collection

STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
READ_BYTES = 512


class Signals:
    """The signals that this process has got. `fd` is readable when there are new ones.

    `stopping` says whether it was told to stop. From the moment this is made, such signals do
    nothing else.
    """

    def __init__(self) -> None:
        self.stopping = False
        self.fd, writer = os.pipe()
        for fd in (self.fd, writer):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (*STOPPING, signal.SIGCHLD):
            signal.signal(number, _only_wake)

    def take(self, running: Collection[int] = ()) -> bool:
        """Take what has come; bury the dead children except those `running`, and say if any.

        A daemon of a service is a child of this process, and as long as it is not buried an agent
        that waits for its end sees it.
        """
        try:
            # Each byte is the number of a signal (signal.set_wakeup_fd).
            numbers = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return False
        self.stopping = self.stopping or not STOPPING.isdisjoint(numbers)
        return signal.SIGCHLD in numbers and reap(running)


def _only_wake(*_: object) -> None:
    """Handle a signal: its number has been written to where this process waits."""
