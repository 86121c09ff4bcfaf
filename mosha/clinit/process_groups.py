"""One signal for many processes: each gets it once, and so does what they fork meanwhile.

Between a look at the processes and their signals a child may be forked that nobody has seen. A
process group has no such gap: the kernel signals all of its members at once, a fork that is under
way included, and none of them ends before all have it (kill(2), fork(2)). So who leads a group
gets the signal with it, and the members that were seen are not signalled once more.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal

NOTHING = 0
"""This signal only asks whether another one may be sent."""

_PROCESS_GROUP = 4
"""PIDFD_SIGNAL_PROCESS_GROUP of pidfd_send_signal(2), Linux 6.9; before, members get it singly."""


class Sending:
    """A signal on its way to some processes."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._groups: set[int] = set()

    def had_by(self, group: int) -> bool:
        """Say whether all of a group have had the signal."""
        return group in self._groups

    def to_child(self, child: int) -> None:
        """Signal a child that is not buried, and its group if it leads one.

        Raises:
            OSError: it may not be signalled.
        """
        group = os.getpgid(child)
        if group == child:
            os.killpg(child, self.number)
            self._groups.add(child)
        # A group counts as signalled if one of its members may be.
        os.kill(child, NOTHING if self.had_by(group) else self.number)

    def to(self, pid: int, group: int, fd: int) -> None:
        """Signal the process of a pidfd, and its group if it leads one.

        `group` is the one that it was in before anything was signalled: it may have ended since.

        Raises:
            OSError: it is gone, or may not be signalled.
        """
        if group == pid and not self.had_by(group) and self._to_group(fd):
            self._groups.add(group)
        if not self.had_by(group):
            signal.pidfd_send_signal(fd, self.number)
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, NOTHING)

    def _to_group(self, fd: int) -> bool:
        try:
            signal.pidfd_send_signal(fd, self.number, None, _PROCESS_GROUP)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return False
        return True
