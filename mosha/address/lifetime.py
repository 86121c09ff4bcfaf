"""How long the kernel may keep an address: never until after the group's `kill_at`.

Another node may start the group some time after that (docs/explanation/protocol.md, step 1 of the
proof). The kernel counts lifetimes in whole seconds, and removes an address late: up to a quarter
of a second because it rounds times (ADDRCONF_TIMER_FUZZ of Linux), and up to a second more if it
has just looked after another address (ADDRCONF_TIMER_FUZZ_MAX). So a lifetime is a whole number of
seconds that ends `LATE_S` before `kill_at`.

Where a lease is too short for that, the lateness of an address that is the only one with a lifetime
has to do.
"""

from __future__ import annotations

import math

LIFETIME_S = 5
"""The longest lifetime. It is what an address without a lease has, and what is left of it at most
when a machine wakes up that was suspended: lifetimes stand still meanwhile."""

LATE_S = 1.25
"""How late the kernel removes an address at most."""

LATE_ALONE_S = 0.3
"""The same of the only address with a lifetime, and some time for the kernel's worker."""

RENEWALS = 4
"""So many renewals in one lifetime: three may be late."""

SHORTEST_S = 1
"""A lifetime of zero seconds is refused (rtm_newaddr of Linux)."""

ROOM_S = SHORTEST_S + LATE_ALONE_S + SHORTEST_S / RENEWALS
"""How far away `kill_at` has to be when the lease is renewed, lest the address disappears."""

SURE_ROOM_S = SHORTEST_S + LATE_S + SHORTEST_S / RENEWALS
"""The same where other addresses may have lifetimes."""

NO_LEASE = math.inf


def late_s(longest_s: float) -> float:
    """Return how late the kernel may be, for a lease that was so long at most."""
    return LATE_S if longest_s >= SURE_ROOM_S else LATE_ALONE_S


def lifetime_s(left_s: float, late: float = LATE_S) -> int:
    """Return the lifetime to ask for, in seconds; 0 if none would be over in time.

    `left_s` is the time until `kill_at`; `NO_LEASE` for a clinit that is used alone.
    """
    usable_s = left_s - late
    return LIFETIME_S if usable_s >= LIFETIME_S else max(0, math.floor(usable_s))


def pause_s(lifetime: int) -> float:
    """Return when to renew again, in seconds from now."""
    return max(lifetime, SHORTEST_S) / RENEWALS
