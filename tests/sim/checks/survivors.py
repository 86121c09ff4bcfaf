"""What has outlived its kill is shown for as long as it lives: the group, and the claim (C7).

Whoever reads the statuses of that node knows then that the group may run there. Judged is each
status when it is composed, by what is alive at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping

from mosha.core.status import Status
from mosha.core.supervision.entries import LATE_TO_STOP_S
from tests.sim.checks import Checker


class Survivors(Checker):
    """What statuses show of groups of which a process has outlived its kill."""

    name = "survivors"

    def __init__(self, heartbeat_s: float) -> None:
        self.late_s = LATE_TO_STOP_S + 4 * heartbeat_s

    def says(self, status: Status, groups: Mapping[str, float]) -> None:
        """Judge a status of a node on which groups have such processes, for so many seconds."""
        for group, for_s in groups.items():
            line = status.groups.get(group)
            if line is None or not line.active or group not in status.claims:
                raise self.truth.violated(
                    self.name,
                    f"a process of {group} has outlived its kill on node {status.node}, which shows"
                    f" {line} and the claims {dict(status.claims)}",
                )
            if for_s > self.late_s:
                self._is_late(status, group)
            self.truth.cover("rule outlived a kill, and shown")

    def _is_late(self, status: Status, group: str) -> None:
        if not status.troubles_of(group):
            raise self.truth.violated(
                self.name, f"node {status.node} does not say that an entry of {group} does not end"
            )
        self.truth.cover("rule outlived a kill, and said to be late")
