"""How a stop becomes more urgent, and the times of stopping and respawning.

Catalogue C6.1, C6.2 (INT, TERM, KILL, and KILL again) and C3.9 (the throttle). An entry may have a
its own schedule (`stop=` of cltab); each ends with KILL.
"""

from __future__ import annotations

from msgspec import Struct

KILL = "KILL"
LADDER = ("INT", "TERM", KILL)
KILL_RUNG = LADDER.index(KILL)
SIGNALS = ("HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "TERM", "WINCH")
"""What a schedule may send before KILL: signals that ask some daemon to end."""


class EscalationStep(Struct, frozen=True):
    """A signal without `SIG`, and the seconds until the next one."""

    signal: str
    wait_s: float


Schedule = tuple[EscalationStep, ...]
"""What is sent before KILL, in order; () is KILL at once."""


class Limits(Struct, frozen=True):
    """The times of stopping, clearing and respawning, in seconds."""

    int_to_term_s: float = 5.0
    term_to_kill_s: float = 10.0
    # KILL is repeated for what the kernel could not end at once (a hung file system).
    kill_again_s: float = 15.0
    kill_again_more_s: float = 5.0
    kill_again_max_s: float = 60.0
    # Leftovers may hold a port that the new run needs: TERM at once, then KILL soon.
    clear_to_kill_s: float = 1.0
    haste_s: float = 1.0
    haste_max: int = 5
    pause_s: float = 60.0
    # A fork server is back within a second; and a thousand entries that wait for room in the
    # process table retry no more than a thousand times a second in all.
    retry_s: float = 1.0


def default_schedule(limits: Limits) -> Schedule:
    """Return the schedule for entries that have none."""
    return EscalationStep(LADDER[0], limits.int_to_term_s), EscalationStep(
        LADDER[1], limits.term_to_kill_s
    )


def kill_rung(limits: Limits, schedule: Schedule | None = None) -> int:
    """Return the number of the first step that sends KILL."""
    return len(default_schedule(limits) if schedule is None else schedule)


def ladder_step(
    escalation_step: int, limits: Limits, schedule: Schedule | None = None
) -> tuple[str, float]:
    """Return the signal of a step (0 is the first) and the seconds until the next one.

    `schedule` is that of an entry, None where it has none.
    """
    steps = default_schedule(limits) if schedule is None else schedule
    if escalation_step >= len(steps):
        more_s = (escalation_step - len(steps)) * limits.kill_again_more_s
        return KILL, min(limits.kill_again_s + more_s, limits.kill_again_max_s)
    return steps[escalation_step].signal, steps[escalation_step].wait_s
