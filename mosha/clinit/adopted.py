"""Finds the entry to which an adopted orphan belongs.

By its session; else by its ancestor when it was last seen; else by MOSHA_GROUP and MOSHA_TAG in its
environment. A daemon with its own session and another environment (`su -`, `env -i`, overwritten by
a process title) has none of these: it may belong to any group that had processes when it was first
seen. Those are its suspects, and it counts for each of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from msgspec import Struct

from mosha.clinit.process_tracker import EntryKey
from mosha.host import proc

NAMING_LIMIT_S = 0.05
"""If reading an environment takes longer, its process hangs."""

# During an exec there is no environment, and afterwards a different one.
TRIES_MAX = 5

Names = dict[int, dict[str, str]]


class AdoptedProcess(Struct):
    """One live orphan, and what is known about it.

    `fresh` is a child that the fork server has just made, and that its entry does not know.
    """

    pid: int
    start: int
    suspects: frozenset[str]
    key: EntryKey | None = None
    fresh: bool = False
    tries: int = 0

    def may_be_of(self, group: str) -> bool:
        """Say whether it is not assigned to an entry and may belong to this group."""
        return self.key is None and (group in self.suspects or not self.suspects)


class Orphans:
    """All orphans that clinit has adopted."""

    def __init__(self, mark: str, read: Callable[[int], dict[str, str]] = proc.environment) -> None:
        self._mark = mark
        self._read = read
        self._known: dict[int, AdoptedProcess] = {}
        self._families: dict[EntryKey, dict[int, int]] = {}
        self._thread: threading.Thread | None = None

    def take_in(
        self,
        orphans: Iterable[int],
        of_session: Callable[[int], EntryKey | None],
        present: frozenset[str],
    ) -> dict[int, AdoptedProcess]:
        """Return what is known about these orphans; all others are forgotten.

        `present` are the groups that a new one may belong to.
        """
        before, self._known = self._known, {}
        nameless: list[AdoptedProcess] = []
        for pid in orphans:
            start = _start_of(pid)
            one = before.get(pid)
            if one is None or one.start != start:
                one = AdoptedProcess(pid, start, present)
            self._known[pid] = one
            if one.key is None:
                one.key = of_session(pid) or self._by_family(one)
            if one.key is None and one.tries < TRIES_MAX:
                nameless.append(one)
        if nameless:
            self._name(nameless)
        return self._known

    def remember(self, key: EntryKey, family: Iterable[proc.LiveProcess]) -> None:
        """Remember the descendants of an entry's process, to recognise them as orphans."""
        self._families[key] = {seen.pid: seen.start for seen in family}

    def forget(self, group: str) -> None:
        """Forget the descendants of a group in which nothing is alive."""
        for key in [key for key in self._families if key.group == group]:
            del self._families[key]

    def _by_family(self, one: AdoptedProcess) -> EntryKey | None:
        families = self._families.items()
        found = (key for key, family in families if family.get(one.pid) == one.start)
        return next(found, None)

    def _name(self, nameless: list[AdoptedProcess]) -> None:
        """Read their environments, in a thread that is abandoned if it hangs."""
        if self._thread is not None and self._thread.is_alive():
            return
        names: Names = {}
        pids = [one.pid for one in nameless]
        self._thread = threading.Thread(target=self._read_all, args=(pids, names), daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no thread is left: they stay unknown, and are tried again
            self._thread = None
            return
        self._thread.join(NAMING_LIMIT_S)
        for one in nameless:
            variables = names.get(one.pid)
            if variables is None:
                continue
            ours = variables.get("MOSHA_RUN") == self._mark
            one.fresh = ours and "MOSHA_TAG" not in variables
            one.tries += not one.fresh
            if ours and not one.fresh:
                one.key = EntryKey(variables.get("MOSHA_GROUP", ""), variables["MOSHA_TAG"])

    def _read_all(self, pids: list[int], names: Names) -> None:
        for pid in pids:
            try:
                names[pid] = self._read(pid)
            except OSError:  # it is asked again
                continue


def _start_of(pid: int) -> int:
    """Return when an unreaped child started; 0 if it is hidden (hidepid) or cannot be read."""
    try:
        seen = proc.see(pid)
    except OSError:
        return 0
    return seen.start if seen else 0
