"""Boxes without cgroups: sessions, the family tree, and names in the environment.

clinit is the reaper of all its descendants (PR_SET_CHILD_SUBREAPER), so whatever its
children start stays below it. To which entry a descendant belongs is told by its session,
else by MOSHA_GROUP and MOSHA_TAG in its environment, else by its parent. One that has none
of these belongs to nobody, and is ended when clinit ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from signal import Signals

from mosha.clinit import proc
from mosha.clinit.boxes import Key, Left
from mosha.clinit.forker import Forker
from mosha.clinit.proc import Seen
from mosha.core.process import Scope

KILL_ROUNDS_MAX = 50
"""How often SIGKILL is sent again to what forked meanwhile."""


class SessionBoxes:
    """The sessions of one clinit."""

    def __init__(self, mark: str) -> None:
        self.forker: Forker | None = None
        self._mark = mark
        self._sessions: dict[int, Key] = {}

    def place(self, key: Key) -> None:
        """See `Boxes.place`: there is none."""

    def note(self, key: Key, leader: int) -> None:
        """See `Boxes.note`."""
        self._sessions[leader] = key

    def left_by(self, key: Key, leader: int) -> Left:
        """See `Boxes.left_by`.

        What the leader left has been adopted by clinit or is below such an orphan: without
        a child that is no leader there is nothing, and that is quickly seen.
        """
        left = Left(in_session=False, elsewhere=False)
        if any(pid not in self._sessions and pid != self._server() for pid in proc.children()):
            mine = self._members(key)
            in_session = any(seen.session == leader for seen in mine)
            left = Left(in_session, any(seen.session != leader for seen in mine))
        if not left.in_session:
            self._close_session(leader)
        return left

    def signal(self, key: Key, leader: int, scope: Scope, number: Signals) -> list[int]:
        """See `Boxes.signal`."""
        return self._send(number, lambda: self._scoped(key, leader, scope))

    def is_empty(self, key: Key, leader: int, scope: Scope) -> bool:
        """See `Boxes.is_empty`."""
        if self._scoped(key, leader, scope):
            return False
        self._close_session(leader)
        return True

    def signal_group(self, group: str, number: Signals, spared: frozenset[str]) -> list[int]:
        """See `Boxes.signal_group`."""
        return self._send(number, lambda: self._of_group(group, spared))

    def is_group_empty(self, group: str, spared: frozenset[str]) -> bool:
        """See `Boxes.is_group_empty`."""
        return not self._of_group(group, spared)

    def kill_group(self, group: str) -> None:
        """See `Boxes.kill_group`."""
        self.signal_group(group, Signals.SIGKILL, frozenset())

    def alive(self, group: str) -> int:
        """See `Boxes.alive`."""
        return len(self._of_group(group, frozenset()))

    def forget(self, group: str) -> None:
        """See `Boxes.forget`."""
        for session, key in list(self._sessions.items()):
            if key.group == group:
                self._close_session(session)

    def close(self) -> None:
        """End what belongs to nobody."""
        self._send(Signals.SIGKILL, lambda: [seen for seen, _ in self._attributed()])

    def _server(self) -> int:
        return self.forker.pid if self.forker else 0

    def _close_session(self, session: int) -> None:
        self._sessions.pop(session, None)

    def _scoped(self, key: Key, leader: int, scope: Scope) -> list[Seen]:
        mine = self._members(key)
        if scope is Scope.SESSION:
            return [seen for seen in mine if seen.session == leader]
        return mine

    def _members(self, key: Key) -> list[Seen]:
        return [seen for seen, its in self._attributed() if its == key]

    def _of_group(self, group: str, spared: frozenset[str]) -> list[Seen]:
        return [
            seen
            for seen, its in self._attributed()
            if its is not None and its.group == group and its.tag not in spared
        ]

    def _attributed(self) -> list[tuple[Seen, Key | None]]:
        """Return all descendants of clinit but the fork server, and the entries they belong to."""
        keys: dict[int, Key | None] = {}
        found: list[tuple[Seen, Key | None]] = []
        for seen in proc.descendants(os.getpid(), proc.see_all()):
            if seen.pid == self._server():
                continue
            key = self._sessions.get(seen.session) or self._named(seen) or keys.get(seen.parent)
            keys[seen.pid] = key
            found.append((seen, key))
        # The number of a session that is gone may be a stranger's soon.
        for session in self._sessions.keys() - {seen.session for seen, _ in found}:
            self._close_session(session)
        return found

    def _named(self, seen: Seen) -> Key | None:
        environment = proc.environment(seen.pid)
        if environment.get("MOSHA_RUN") != self._mark:
            return None
        return Key(environment.get("MOSHA_GROUP", ""), environment.get("MOSHA_TAG", ""))

    @staticmethod
    def _send(number: Signals, chosen: Callable[[], list[Seen]]) -> list[int]:
        sent: list[int] = []
        for _ in range(KILL_ROUNDS_MAX):
            fresh = [seen for seen in chosen() if seen.pid not in sent]
            for seen in fresh:
                _send_to(seen, number)
            sent += [seen.pid for seen in fresh]
            if not fresh or number is not Signals.SIGKILL:
                break
        return sent


def _send_to(seen: Seen, number: Signals) -> None:
    """Signal a process, unless its number is somebody else's by now (C6.4)."""
    try:
        fd = os.pidfd_open(seen.pid)
    except OSError:
        return
    try:
        now = proc.see(seen.pid)
        if now is not None and now.start == seen.start:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(fd, number)
    finally:
        os.close(fd)
