"""Shots at real half-dead nodes by an agent that switches their power, or fails at it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.bench import timeline
from tests.e2e.cluster import Cluster
from tests.e2e.power import GROUPS, freeze, note_power, pull_plug, switch, victim_and_others
from tests.e2e.test_verbs import say
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

WORKING = {
    "as it should": "good",
    "with far too much output": "flood",
    "with a child that stays": "stays",
}


@pytest.mark.parametrize("mode", WORKING.values(), ids=WORKING)
def test_a_half_dead_node_is_shot_and_its_groups_start_after_the_receipt(
    short_dir: Path, mode: str
) -> None:
    with Cluster(short_dir, extra=switch(short_dir, mode)) as cluster:
        victim, others = victim_and_others(cluster)
        note_power(cluster)
        logs = timeline.sizes(cluster)
        freeze(cluster.nodes[victim])
        cluster.wait_running(GROUPS, *others)
        assert (short_dir / f"p{victim}").read_text() == "off"
        (shot,) = [shot for number in others for shot in cluster.nodes[number].report().shots]
        assert (shot.node, shot.method, shot.outcome) == (victim, "fence_switch", "receipt")
        assert "off: exit 0 in " in shot.detail
        (shot_at,) = wait_until(lambda: _times(cluster, others, logs, "fence_ended"))
        assert min(_claims(cluster, others, logs)) >= shot_at
        assert cluster.overlaps() == []


def _times(
    cluster: Cluster, numbers: list[int], logs: dict[int, int], event: str, group: str = ""
) -> list[float]:
    """Return when nodes logged an event (of a group, if named) since their logs had a size."""
    return [
        at
        for number in numbers
        for at in timeline.times(
            timeline.lines(cluster.nodes[number], logs[number]),
            event,
            lambda it: it.get("group", "") == group,
        )
    ]


def _claims(cluster: Cluster, numbers: list[int], logs: dict[int, int]) -> list[float]:
    """Return when nodes claimed group `a` since their logs had a size."""
    return _times(cluster, numbers, logs, "claim_made", "a")


FAILURES = {
    "the wrong password": ("with_password", "off: exit 1 in .*Unable to connect/login"),
    "a time-out, and a child that stays": ("hangs", "off: .*2 s"),
    "exit 0, and it is still on": ("lies", "status did not say off in 2 s"),
    "output that is no text, and no word of the power": ("garbage", "status: exit 2"),
    "far too much output": ("chokes", "off: exit 1 in .*no such plug"),
}


@pytest.mark.parametrize(("mode", "told"), FAILURES.values(), ids=FAILURES)
def test_after_a_failed_shot_nothing_starts_until_the_command_of_status_is_given(
    short_dir: Path, mode: str, told: str
) -> None:
    with Cluster(short_dir, extra=switch(short_dir, mode)) as cluster:
        victim, others = victim_and_others(cluster)
        note_power(cluster)
        logs = timeline.sizes(cluster)
        freeze(cluster.nodes[victim])

        def failed() -> str:
            shots = [shot for number in others for shot in cluster.nodes[number].report().shots]
            return next((shot.detail for shot in shots if shot.outcome == "failed"), "")

        assert re.search(told, wait_until(failed), re.DOTALL)

        def command() -> list[str]:
            _, page = say(cluster, others[0], "status")
            found = re.search(r"if you are sure that node \d is off: mosha (.*)", page)
            return found[1].split() if found else []

        words = wait_until(command)
        assert words == ["confirm", str(victim)]
        assert "a" not in cluster.places(*others)
        assert _claims(cluster, others, logs) == []
        pull_plug(cluster, victim)
        status, said = say(cluster, others[0], *words, "--yes")
        assert status == 0, said
        cluster.wait_running(GROUPS, *others)
        assert cluster.overlaps() == []
