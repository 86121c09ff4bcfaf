"""What the brain notes is logged at the level it deserves (H6.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from structlog.testing import CapturingLogger

from mosha.core.cluster.state import LogRecord
from mosha.host.logs import EVENTS
from mosha.monitor import log_records
from tests.core.story import TIMING, one_of_three

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


@pytest.mark.parametrize(
    ("event", "to", "level"),
    [
        ("quorum_changed", "no", "critical"),
        ("quorum_changed", "yes", "info"),
        ("peer_changed", "stale", "warning"),
        ("peer_changed", "fenced", "warning"),
        ("peer_changed", "fresh", "info"),
        ("peer_changed", "left", "info"),
        ("fence_ordered", None, "critical"),
        ("lease_lost", None, "error"),
        ("group_told", "start", "info"),
    ],
)
def test_bad_news_stand_out_and_good_news_do_not(event: str, to: str | None, level: str) -> None:
    assert log_records.level_of(LogRecord(event, {} if to is None else {"to": to})) == level


def test_each_note_becomes_one_line_with_its_fields() -> None:
    log = CapturingLogger()
    story = one_of_three()
    story.nodes[1].take_notes()
    story.now += TIMING.timeout_s + 1
    story.miss(1, 3)
    (note,) = story.nodes[1].take_notes()
    log_records.write(cast("FilteringBoundLogger", log), note)
    (call,) = log.calls
    assert call.method_name == "warning"
    assert call.args == ("peer_changed",)
    assert call.kwargs == {"peer": 3, "from": "fresh", "to": "stale"}


def test_only_events_that_are_documented_have_a_level() -> None:
    assert {*log_records.LEVELS, *(event for event, _ in log_records.LEVELS_TO)} <= set(EVENTS)
