"""Until when a group may run, as clinit tells the processes that need to know.

clinit keeps eight bytes in memory for such a group (memfd_create(2)): `kill_at`, in seconds of
CLOCK_BOOTTIME, written anew whenever the lease is renewed. `MOSHA_LEASE` names the place where a
process of the group can open them. They outlive a clinit that was killed, and then say what they
said last.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping

from mosha.address.lifetime import NO_LEASE

LEASE_VARIABLE = "MOSHA_LEASE"
KILL_AT = struct.Struct("=d")


class OwnLease:
    """The lease of the group of this process; without one it lasts for ever."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Open what the environment names.

        Raises:
            OSError: it cannot be opened: clinit has ended.
        """
        path = environ.get(LEASE_VARIABLE, "")
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path else -1

    @property
    def kill_at(self) -> float:
        """When clinit kills the group, in seconds of CLOCK_BOOTTIME; `NO_LEASE` if never."""
        if self._fd < 0:
            return NO_LEASE
        return float(KILL_AT.unpack(os.pread(self._fd, KILL_AT.size, 0))[0])
