"""Which groups cannot be ended: by their deadlines, and by the result of their stop."""

from __future__ import annotations

import pytest

from mosha.core.status import GroupState
from mosha.core.supervision.group import Deadlines, Group
from mosha.core.supervision.overdue import StuckGroup, overdue, stuck_groups
from mosha.core.supervision.unit import Unit

HELD = Group("g", "start", GroupState.DONE, "start", deadlines=Deadlines(10.0, 20.0))
KILLED = Group("g", "start", GroupState.STOPPING, "stop", deadlines=HELD.deadlines, killed=True)
FAILED = Group("g", "stop", GroupState.FAILED, "stop", since=30.0)


@pytest.mark.parametrize(("now", "late"), [(19.0, []), (20.9, []), (21.1, ["g"])])
def test_a_group_is_overdue_some_time_after_its_kill_at(now: float, late: list[str]) -> None:
    assert overdue({"g": Unit(KILLED), "h": Unit(FAILED)}, now, 1.0) == late


def test_a_killed_group_is_stuck_some_time_after_its_kill_at_until_it_rests() -> None:
    units = {"g": Unit(KILLED), "h": Unit(HELD)}
    found = stuck_groups(units, after_s=2.5, with_failed_stops=False)
    assert found == [StuckGroup("g", 22.5, outlives=True)]


@pytest.mark.parametrize(
    ("setting", "found"), [(True, [StuckGroup("g", 30.0, outlives=False)]), (False, [])]
)
def test_a_failed_stop_is_held_unless_it_is_to_end_the_machine(
    setting: bool,  # noqa: FBT001 - a column
    found: list[StuckGroup],
) -> None:
    units = {"g": Unit(FAILED)}
    assert stuck_groups(units, after_s=2.5, with_failed_stops=setting) == found
