"""After the faults: every group that can run runs exactly once, at its level, and stays.

`Expected` is worked out from the truth: the wishes in force, and which nodes are healthy.
"""

from __future__ import annotations

from msgspec import Struct

from mosha.core.status import SETTLED, GroupState
from tests.sim.checks import Checker


class Expected(Struct, frozen=True):
    """Where a group may run (healthy, allowed, not banned), at which level; where it should.

    `starts_for_ever`: its service fails wherever it may run, before it is ready.
    """

    group: str
    level: str
    may: frozenset[int]
    best: int | None = None
    starts_for_ever: bool = False


class Seen(Struct, frozen=True):
    """A group as one clinit has it."""

    node: int
    level: str
    state: GroupState
    active: bool


class Liveness(Checker):
    """Everything is as wanted; when it became so is noted."""

    name = "liveness"

    def wrong(self, expected: Expected, seen: list[Seen]) -> str:
        """Say what is not as wanted with a group, "" if nothing."""
        active = [it for it in seen if it.active]
        if expected.level == "stop" or not expected.may:
            # At most at `plan`, for a group that nobody may run.
            running = [it.node for it in active if it.level != "plan"]
            return f"{expected.group} runs on {running}, it shall not" if running else ""
        well = {*SETTLED, GroupState.STARTING} if expected.starts_for_ever else SETTLED
        home = [it for it in active if it.level == expected.level and it.state in well]
        if len(active) != 1 or len(home) != 1:
            return f"{expected.group} shall be at {expected.level} once: {active}"
        node = home[0].node
        if node not in expected.may:
            return f"{expected.group} runs on node {node}, not on one of {sorted(expected.may)}"
        if expected.best is not None and node != expected.best:
            return f"{expected.group} runs on node {node}, node {expected.best} is preferred"
        return ""
