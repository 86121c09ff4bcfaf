"""The descendants of this process: its children, and the processes below them.

As the subreaper of its descendants (PR_SET_CHILD_SUBREAPER) clinit adopts each of them whose parent
ends, and only clinit reaps its children. So the kernel's list of them, dead ones included, only
grows while clinit reads it: a chain of processes, each the parent of the next, leaves a dead child
for each link. If all children in a list were dead before that list was read, nothing was alive when
it was read: `Descendants` is how a look at /proc becomes a proof.

Listing the children takes no new descriptor, so it works when there is none left.
"""

from __future__ import annotations

import contextlib
import os

from mosha.clinit.process_groups import Sending
from mosha.host import proc
from mosha.host.proc import LiveProcess


class Descendants:
    """The descendants of this process. `looks` counts how often its children were listed."""

    def __init__(self) -> None:
        self.looks = 0
        self._me = os.getpid()
        self._list = -1
        # Without CONFIG_PROC_CHILDREN there is none, and all processes are searched.
        with contextlib.suppress(FileNotFoundError):
            path = f"/proc/{self._me}/task/{self._me}/children"
            self._list = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the descriptor."""
        if self._list >= 0:
            os.close(self._list)
            self._list = -1

    def children(self) -> list[int]:
        """Return the children of this process, including dead ones that are not reaped yet."""
        self.looks += 1
        if self._list < 0:
            return proc.children_by_search(self._me)
        os.lseek(self._list, 0, os.SEEK_SET)
        return [int(word) for word in proc.read_on(self._list).split()]

    def is_dead(self, child: int) -> bool:
        """Say whether a child has ended with all its threads; true for what is not a child."""
        try:
            how = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, child, how) is not None
        except ChildProcessError:
            return True

    def below(self, child: int) -> list[LiveProcess]:
        """Return the live processes below a child, parents before their children.

        A process whose parent ends meanwhile becomes a child of this process.

        Raises:
            OSError: one cannot be read.
        """
        found: list[LiveProcess] = []
        pending = [child]
        while pending:
            for pid in self._children_of(pending.pop()):
                seen = proc.see(pid)
                if seen is not None:
                    found.append(seen)
                    pending.append(pid)
        return found

    def _children_of(self, pid: int) -> list[int]:
        if self._list >= 0:
            return proc.children_of(pid) or []
        return proc.children_by_search(pid)

    def signal_child(self, child: int, sending: Sending) -> bool:
        """Signal a child, never a stranger: nobody else buries it. Say whether it was alive.

        Raises:
            PermissionError: it runs as another user (it became root).
        """
        if self.is_dead(child):
            return False
        with contextlib.suppress(ProcessLookupError):
            sending.to_child(child)
        return True

    def signal_below(self, seen: LiveProcess, sending: Sending) -> bool:
        """Signal a process unless its pid was reused (C6.4).

        Raises:
            OSError: it cannot be signalled.
        """
        try:
            fd = os.pidfd_open(seen.pid)
        except ProcessLookupError:
            return sending.had_by(seen.group)
        try:
            now = proc.see(seen.pid)
            if now is None or now.start != seen.start:
                return sending.had_by(seen.group)
            with contextlib.suppress(ProcessLookupError):
                sending.to(seen.pid, seen.group, fd)
            return True
        finally:
            os.close(fd)
