"""Tells processes until when their group may run, while they run (`mosha/address/lease.py`)."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mosha.address.lease import LEASE_VARIABLE, NOTE, LeaseNote
from mosha.address.lifetime import NO_LEASE
from mosha.core.supervision.unit import Launch, Unit
from mosha.host.clock import boottime


class LeaseNotes:
    """A few bytes of memory for each group of which a process needs to know its lease."""

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}
        self._known: dict[str, LeaseNote] = {}

    def variables(self, launch: Launch) -> dict[str, str]:
        """Return what a process that is about to be started needs in its environment.

        Raises:
            OSError: no memory can be had for it now.
        """
        group = launch.entry.group
        if group not in self._fds:
            self._fds[group] = os.memfd_create("lease", os.MFD_CLOEXEC)
            self._write(group, launch.kill_at)
        return {LEASE_VARIABLE: f"/proc/{os.getpid()}/fd/{self._fds[group]}"}

    def renew(self, units: Mapping[str, Unit]) -> None:
        """Write what has changed; called after each event, so it looks at noted groups alone."""
        for group in self._fds:
            unit = units.get(group)
            if unit is not None:
                deadlines = unit.group.deadlines
                self._write(group, NO_LEASE if deadlines is None else deadlines.kill_at)

    def forget(self, group: str) -> None:
        """Forget a group that is gone."""
        self._known.pop(group, None)
        fd = self._fds.pop(group, None)
        if fd is not None:
            os.close(fd)

    def close(self) -> None:
        """Forget all."""
        for group in tuple(self._fds):
            self.forget(group)

    def _write(self, group: str, kill_at: float) -> None:
        known = self._known.get(group, LeaseNote())
        if known.kill_at == kill_at and group in self._known:
            return
        # Without a lease, as at rest, there was none: the next one counts from its beginning.
        before_s = 0.0 if known.kill_at == NO_LEASE else known.longest_s
        note = self._known[group] = LeaseNote(kill_at, max(kill_at - boottime(), before_s))
        os.pwrite(self._fds[group], NOTE.pack(*note), 0)
