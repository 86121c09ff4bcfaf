"""How a stop becomes more urgent, and the times of stopping and respawning.

Catalogue C6.1, C6.2 (INT, TERM, KILL, and KILL again) and C3.9 (the throttle).
"""

from __future__ import annotations

from msgspec import Struct

LADDER = ("INT", "TERM", "KILL")
KILL_RUNG = LADDER.index("KILL")


class Limits(Struct, frozen=True):
    """The times of stopping, clearing and respawning, in seconds."""

    int_to_term_s: float = 5.0
    term_to_kill_s: float = 10.0
    # KILL is repeated for what the kernel could not end at once (a hung file system).
    kill_again_s: float = 15.0
    kill_again_more_s: float = 5.0
    kill_again_max_s: float = 60.0
    # Leftovers hold a port that the new run needs: TERM at once, and not much patience.
    clear_to_kill_s: float = 1.0
    haste_s: float = 1.0
    haste_max: int = 5
    pause_s: float = 60.0


def ladder_step(rung: int, limits: Limits) -> tuple[str, float]:
    """Return the signal of a rung (0 is the first) and the seconds until the next rung."""
    if rung >= KILL_RUNG:
        more_s = (rung - KILL_RUNG) * limits.kill_again_more_s
        return "KILL", min(limits.kill_again_s + more_s, limits.kill_again_max_s)
    return LADDER[rung], (limits.int_to_term_s, limits.term_to_kill_s)[rung]
