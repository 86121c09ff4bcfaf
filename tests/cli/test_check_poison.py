"""`mosha check` of the fencing method `poison`: what it does not do."""

from __future__ import annotations

import pytest

from mosha.cli.check.commands import fencing_findings
from mosha.formats.settings import settings_from

PILL = {"type": "poison", "limit": 5.0}
DEVICE = {"type": "command", "command": "/bin/true"}


def texts(*methods: object, **given: object) -> list[str]:
    made = settings_from({"fencing": {"methods": list(methods)}, **given}, "test")
    found = list(fencing_findings(made, "fencing"))
    assert all(finding.level == "warning" for finding in found)
    return [f"{finding.text}; {finding.remedy}" for finding in found]


def test_alone_it_leaves_silent_nodes_alone() -> None:
    first, second = texts(PILL)
    assert first.startswith("poison is the only method that ends anything")
    assert first.endswith("or a watchdog, which resets one that hangs")
    assert second.startswith("who obeys a poison pill runs no stop entries")


def test_a_watchdog_is_not_proposed_where_there_is_one() -> None:
    first, _ = texts(PILL, watchdog="/dev/watchdog")
    assert first.endswith("; add a method for silent nodes")


@pytest.mark.parametrize("methods", [(DEVICE,), (DEVICE, PILL)])
def test_with_a_device_and_a_way_to_reboot_nothing_is_said(methods: tuple[object, ...]) -> None:
    assert texts(*methods, self_fence="/bin/true") == []


def test_a_silent_node_is_not_waited_for_because_of_it() -> None:
    made = settings_from({"fencing": {"methods": [PILL]}}, "test")
    assert not made.fencing.is_required()
    assert made.fencing.methods[0].limit == PILL["limit"]
