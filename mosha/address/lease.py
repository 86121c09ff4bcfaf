"""Until when a group may run, as clinit tells the processes that need to know.

clinit keeps two numbers in memory for such a group (memfd_create(2)), written anew whenever the
lease is renewed: `kill_at`, in seconds of CLOCK_BOOTTIME, and how long the lease was at most, until
that. `MOSHA_LEASE` names the place where a process of the group can open them. They outlive a
clinit that was killed, and then say what they said last.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from typing import NamedTuple

from mosha.address.lifetime import NO_LEASE

LEASE_VARIABLE = "MOSHA_LEASE"
NOTE = struct.Struct("=dd")


class LeaseNote(NamedTuple):
    """When clinit kills a group (boottime), and how far away that was at most, in seconds."""

    kill_at: float = NO_LEASE
    longest_s: float = NO_LEASE


class OwnLease:
    """The lease of the group of this process; without one it lasts for ever."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Open what the environment names.

        Raises:
            OSError: it cannot be opened: clinit has ended.
        """
        path = environ.get(LEASE_VARIABLE, "")
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path else -1

    def read(self) -> LeaseNote:
        """Return the lease as it is now."""
        if self._fd < 0:
            return LeaseNote()
        return LeaseNote(*NOTE.unpack(os.pread(self._fd, NOTE.size, 0)))
