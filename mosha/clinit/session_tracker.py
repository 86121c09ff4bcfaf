"""ProcessTracker without cgroups: sessions, the family tree, and names in the environment.

clinit is the reaper of all its descendants, so whatever its children start stays below it, and
what loses its parent becomes a child of clinit (`descendants.py`). A child is the leader of an
entry, or an orphan (`adopted.py`); what is below it belongs to the same entry.

An orphan that cannot be assigned counts for every group that it may belong to: none is empty
before it is gone. It is ended with the stop of a group once it can belong to no other, and at
`kill_at` in any case: losing a service of another group is better than running one twice.

The children are listed once per iteration of the loop, however many questions are asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from signal import Signals
from typing import NamedTuple

from mosha.clinit.adopted import AdoptedProcess, Orphans
from mosha.clinit.descendants import Descendants
from mosha.clinit.descriptors import explained, with_spare
from mosha.clinit.forker import Forker
from mosha.clinit.process_groups import Sending
from mosha.clinit.process_tracker import EntryKey, Leftovers
from mosha.clinit.session_look import Look, maybe_of, of_group
from mosha.core.supervision.process_events import Scope
from mosha.host import logs, proc
from mosha.host.proc import LiveProcess

KILL_ROUNDS_MAX = 50
"""How often SIGKILL is sent again to what forked meanwhile."""

LOOKS_MAX = 3
"""How often in a row a listing is repeated because there are new children."""

# Counting the processes of a group takes at most this share of the time.
COUNTING_SHARE = 0.1

# At the end all are killed and waited for; only a hung kernel makes that last.
CLOSE_ROUNDS_MAX = 100
CLOSE_PAUSE_S = 0.01


class _Count(NamedTuple):
    until: float
    number: int


class SessionTracker:
    """The sessions of one clinit."""

    def __init__(self, mark: str, family: Descendants | None = None, no_cgroups: str = "") -> None:
        self.no_cgroups = no_cgroups
        self.forker: Forker | None = None
        self._family = family or Descendants()
        self._orphans = Orphans(mark)
        self._sessions: dict[int, EntryKey] = {}
        self._leaders: dict[int, EntryKey] = {}
        self._by_group: dict[str, dict[EntryKey, set[int]]] = {}  # the same by group and entry
        self._adopted: set[int] = set()
        self._present: set[str] = set()
        self._swept: set[str] = set()
        self._blamed: set[tuple[str, int]] = set()
        self._counts: dict[str, _Count] = {}
        self._doomed: list[tuple[Callable[[Look], list[int]], set[int]]] = []
        self._look: Look | None = None
        self._proven_dead: frozenset[int] | None = None
        self._proven_all = False

    def slice_for(self, key: EntryKey) -> None:
        """See `ProcessTracker.slice_for`: there are no units without a `UnitTracker`."""

    def place(self, key: EntryKey) -> None:
        """See `ProcessTracker.place`: there is none."""
        self._present.add(key.group)
        self._swept.discard(key.group)
        self._look = None

    def note(self, key: EntryKey, leader: int) -> None:
        """See `ProcessTracker.note`."""
        self._drop_leader(leader)
        self._sessions[leader] = self._leaders[leader] = key
        self._by_group.setdefault(key.group, {}).setdefault(key, set()).add(leader)
        self._watch(leader)
        self._look = None

    def left_by(self, key: EntryKey, leader: int) -> Leftovers:
        """See `ProcessTracker.left_by`."""
        self._drop_leader(leader)
        in_session = not self._is_empty(lambda look: self._in_session(look, key, leader))
        if not in_session:
            self._close_session(leader)
        return Leftovers(in_session, any(self._is_elsewhere(pid, leader) for pid in self._of(key)))

    def _drop_leader(self, leader: int) -> None:
        key = self._leaders.pop(leader, None)
        if key is not None:
            entries = self._by_group[key.group]
            entries[key].discard(leader)
            if not entries[key]:
                del entries[key]
            if not entries:
                del self._by_group[key.group]

    def is_of(self, key: EntryKey, pid: int) -> bool:
        """See `ProcessTracker.is_of`."""
        return any(
            pid in {child, *(seen.pid for seen in self._family.below(child))}
            for child in self._of(key)
        )

    def signal(self, key: EntryKey, leader: int, scope: Scope, number: Signals) -> list[int]:
        """See `ProcessTracker.signal`."""
        if scope is Scope.SESSION:
            return self._send(number, lambda look: self._in_session(look, key, leader))
        return self._send(number, lambda look: look.of(key))

    def is_empty(self, key: EntryKey, leader: int, scope: Scope) -> bool:
        """See `ProcessTracker.is_empty`."""
        if scope is Scope.SESSION:
            return self._is_empty(lambda look: self._in_session(look, key, leader))
        return self._is_empty(lambda look: look.of(key))

    def has_fresh_child(self) -> bool:
        """See `ProcessTracker`: it has the names of its entry as soon as it has executed."""
        return not self._is_empty(
            lambda look: [one.pid for one in look.nobodys if one.fresh or one.tries == 0]
        )

    def signal_group(self, group: str, number: Signals, spared: frozenset[str]) -> list[int]:
        """See `ProcessTracker.signal_group`."""
        self._swept.add(group)
        self._blame(group)
        return self._send(
            number,
            lambda look: [
                *of_group(look, group, spared),
                *(one.pid for one in look.nobodys if self._is_only(one, group)),
            ],
        )

    def is_group_empty(self, group: str, spared: frozenset[str]) -> bool:
        """See `ProcessTracker.is_group_empty`."""
        empty = self._is_empty(
            lambda look: [*of_group(look, group, spared), *maybe_of(look, group)]
        )
        if empty and not spared:
            self._present.discard(group)
            self._orphans.forget(group)
        return empty

    def kill_group(self, group: str) -> None:
        """See `ProcessTracker.kill_group`."""
        self._send(Signals.SIGKILL, lambda look: self._killed_with(look, group))

    def alive(self, group: str) -> int:
        """See `ProcessTracker.alive`. Not a proof; the number may be slightly old."""
        if group not in self._present:
            return 0
        count = self._counts.get(group)
        if count is None or count.until < time.monotonic():
            count = self._counts[group] = self._count(group)
        if self._is_empty(lambda look: [*of_group(look, group), *maybe_of(look, group)]):
            return 0
        return max(1, count.number)

    def forget(self, group: str) -> None:
        """See `ProcessTracker.forget`."""
        for session, key in list(self._sessions.items()):
            if key.group == group:
                self._close_session(session)
        self._present.discard(group)
        self._swept.discard(group)
        self._counts.pop(group, None)
        self._orphans.forget(group)

    def close(self) -> None:
        """End unassigned orphans."""
        for _ in range(CLOSE_ROUNDS_MAX):
            spared = self._staff()
            left = [pid for pid in self._family.children() if pid not in spared]
            # Every one, not only up to the first that is alive.
            if not [
                pid for pid in left if self._family.signal_child(pid, Sending(Signals.SIGKILL))
            ]:
                break
            time.sleep(CLOSE_PAUSE_S)
        self._family.close()

    # --- looking ---------------------------------------------------------------------

    def _staff(self) -> set[int]:
        return self.forker.staff if self.forker else set()

    def _watch(self, pid: int) -> None:
        if self.forker:
            self.forker.guard.watch(pid)

    def _close_session(self, leader: int) -> None:
        self._sessions.pop(leader, None)
        if self.forker:
            self.forker.guard.unwatch(leader)

    def _looked(self) -> Look:
        """Return the listing of this iteration of the loop."""
        if self._look is None:
            self._proven_dead, self._proven_all = None, False
            self._look = self._look_now()
            asyncio.get_running_loop().call_soon(self._look_again)
        return self._look

    def _look_again(self) -> None:
        self._look = None

    def _look_now(self) -> Look:
        listed = frozenset(self._family.children())
        others = listed - self._leaders.keys() - self._staff()
        orphans: dict[EntryKey, list[int]] = {}
        adopted = self._orphans.take_in(
            [pid for pid in others if not self._family.is_dead(pid)],
            self._of_session,
            frozenset(self._present),
        )
        for gone in self._adopted - adopted.keys() - self._sessions.keys():
            if self.forker:
                self.forker.guard.unwatch(gone)
        self._adopted = set(adopted)
        for one in adopted.values():
            self._watch(one.pid)
            if one.key is not None:
                orphans.setdefault(one.key, []).append(one.pid)
        nobodys = [one for one in adopted.values() if one.key is None]
        return Look(listed, self._by_group, orphans, nobodys)

    def _of_session(self, pid: int) -> EntryKey | None:
        session = proc.session_of(pid)
        return None if session is None else self._sessions.get(session)

    def _is_empty(self, chosen: Callable[[Look], list[int]]) -> bool:
        """Say whether all that is chosen had ended at a moment that is proven (`descendants.py`).

        One proof serves all questions of an iteration: what ends later counts as alive until the
        next one.
        """
        for _ in range(LOOKS_MAX):
            look = self._looked()
            asked = chosen(look)
            if self._proven_dead is not None and self._proven_dead.issuperset(asked):
                return True
            if self._proven_all or not all(self._family.is_dead(pid) for pid in asked):
                return False
            # If there are no such children, the list alone is the proof: the usual case.
            children = look.listed - self._staff() if asked else ()
            dead = frozenset(pid for pid in children if self._family.is_dead(pid))
            if look.listed.issuperset(self._family.children()):
                self._proven_dead, self._proven_all = dead, bool(asked)
                return True
            self._look = None
        return False

    def _of(self, key: EntryKey) -> list[int]:
        return [pid for pid in self._looked().of(key) if not self._family.is_dead(pid)]

    def _in_session(self, look: Look, key: EntryKey, leader: int) -> list[int]:
        """Return the children of an entry with a process in its leader's session."""
        return [pid for pid in look.of(key) if leader in self._sessions_from(pid)]

    def _is_elsewhere(self, pid: int, leader: int) -> bool:
        return any(session != leader for session in self._sessions_from(pid))

    def _sessions_from(self, pid: int) -> set[int | None]:
        return {proc.session_of(pid), *(seen.session for seen in self._family.below(pid))}

    def _count(self, group: str) -> _Count:
        began = time.monotonic()
        look = self._looked()
        number = len(maybe_of(look, group))
        for key in look.keys(group):
            pids = self._of(key)
            below = [seen for pid in pids for seen in self._family.below(pid)]
            self._orphans.remember(key, below)
            number += len(pids) + len(below)
        ended = time.monotonic()
        return _Count(ended + (ended - began) / COUNTING_SHARE, number)

    # --- unassigned orphans ----------------------------------------------------------

    def _is_only(self, one: AdoptedProcess, group: str) -> bool:
        """Say whether it can belong only to this group or to others that are being ended."""
        return one.may_be_of(group) and not one.fresh and one.suspects <= self._swept

    def _killed_with(self, look: Look, group: str) -> list[int]:
        nobodys = [one.pid for one in look.nobodys if one.may_be_of(group) and not one.fresh]
        return [*of_group(look, group), *nobodys]

    def _blame(self, group: str) -> None:
        """Log once what keeps the stop of a group from completing."""
        for one in self._looked().nobodys:
            if one.may_be_of(group) and not one.fresh and not self._is_only(one, group):
                if (group, one.pid) in self._blamed:
                    continue
                self._blamed.add((group, one.pid))
                others = sorted(one.suspects - {group})
                program = proc.name(one.pid)
                logs.get().warning(
                    "stop_blocked", group=group, pid=one.pid, program=program, or_of=others
                )

    # --- signalling ------------------------------------------------------------------

    def _send(self, number: Signals, chosen: Callable[[Look], list[int]]) -> list[int]:
        """Signal these children and all their descendants; return their pids."""
        sent: set[int] = set()
        self._send_round(number, chosen(self._looked()), sent)
        if number is Signals.SIGKILL and sent:
            # What they forked meanwhile is killed too: all groups together, one listing per round.
            if not self._doomed:
                asyncio.get_running_loop().call_soon(self._kill_again, 1)
            self._doomed.append((chosen, sent))
        return sorted(sent)

    def _kill_again(self, rounds: int) -> None:
        look = self._looked()
        self._doomed = [
            (chosen, sent)
            for chosen, sent in self._doomed
            if self._send_round(Signals.SIGKILL, chosen(look), sent)
        ]
        if self._doomed and rounds < KILL_ROUNDS_MAX:
            asyncio.get_running_loop().call_soon(self._kill_again, rounds + 1)
        else:
            self._doomed.clear()

    def _send_round(self, number: Signals, children: Iterable[int], sent: set[int]) -> bool:
        """Signal those not signalled yet; return whether there was any."""
        before = len(sent)
        failed: dict[int, str] = {}
        sending = Sending(number)
        for child in children:
            # Looked up first, since an orphan moves elsewhere; signalled last, since a shell whose
            # command is interrupted before itself goes on with the next command.
            below = self._below(child, failed)
            if child not in sent:
                send = partial(self._family.signal_child, child, sending)
                self._send_to(child, send, sent, failed)
            for seen in below:
                if seen.pid not in sent:
                    send = partial(self._family.signal_below, seen, sending)
                    self._send_to(seen.pid, send, sent, failed)
        for reason in sorted(set(failed.values())):
            pids = [pid for pid, its in failed.items() if its == reason]
            logs.get().error("signal_failed", signal=number.name, pids=pids, reason=reason)
        return len(sent) > before

    def _below(self, child: int, failed: dict[int, str]) -> list[LiveProcess]:
        try:
            return with_spare(partial(self._family.below, child))
        except OSError as error:  # its parent is gone, so it is a child of clinit: the next round
            failed[child] = explained(error)
            return []

    @staticmethod
    def _send_to(
        pid: int, send: Callable[[], bool], sent: set[int], failed: dict[int, str]
    ) -> None:
        try:
            if with_spare(send):
                sent.add(pid)
        except OSError as error:
            failed[pid] = explained(error)
