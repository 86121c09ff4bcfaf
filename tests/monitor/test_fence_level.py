"""Levels: several devices that only together switch a node off, such as two power supplies."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosha.core.status import Grade
from mosha.formats.fencing_methods import FencingMethod
from mosha.host.abandonable import Abandonable
from mosha.monitor import fence_test
from mosha.monitor.fencing import shoot
from tests import fence_switch
from tests.monitor.switch_room import actions, asked, furnish, switch_method
from tests.monitor.test_fence_agent import SWITCH

LONG_S = 60.0
BOTH = "fence_switch+fence_switch"


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A place with two outlets for node 2."""
    return furnish(tmp_path)


def supply(room: Path, plug: str, mode: str = "good", **more: object) -> FencingMethod:
    """Make the method for one power supply of node 2."""
    table: dict[str, object] = {"level": 1, "targets": {"2": plug}, "limit": LONG_S, **more}
    return switch_method(room, mode, **table)


def command(line: str, level: int = 1) -> FencingMethod:
    words = ("/bin/sh", "-c", line)
    return FencingMethod(type="command", command=words, limit=LONG_S, level=level)


def orders(room: Path) -> list[tuple[str, str]]:
    """Return what each plug was asked for, in order."""
    return [(one["options"]["plug"], one["options"]["action"]) for one in asked(room)]


async def test_all_devices_are_switched_off_before_any_is_asked(room: Path) -> None:
    outcome = await shoot(2, [supply(room, "p1"), supply(room, "p2")])
    assert (outcome.outcome, outcome.method) == ("receipt", BOTH)
    assert outcome.grade is Grade.OFF_CONFIRMED
    steps = [step for step in orders(room) if step[1] != "metadata"]
    assert steps == [("p1", "off"), ("p2", "off"), ("p1", "status"), ("p2", "status")]
    for number in (1, 2):
        assert f"method {number} (fence_switch): off: exit 0 in" in outcome.detail
    assert outcome.detail.count("Status: OFF") == 2


async def test_a_device_that_refuses_fails_its_level_and_is_named_first(room: Path) -> None:
    outcome = await shoot(2, [supply(room, "p1"), supply(room, "p2", "with_password")])
    assert (outcome.outcome, outcome.method) == ("failed", BOTH)
    assert outcome.may_be_off, "one of two supplies is"
    assert outcome.detail.startswith("method 2 (fence_switch): failed: off: exit 1 in ")
    assert "; method 1 (fence_switch): off: exit 0 in " in outcome.detail
    assert "status" not in actions(room)


async def test_after_a_device_that_refuses_the_others_are_left_alone(room: Path) -> None:
    (room / "password").write_text("secret")
    outcome = await shoot(2, [supply(room, "p1", "with_password"), supply(room, "p2")])
    assert not outcome.may_be_off
    assert [(room / plug).read_text() for plug in ("p1", "p2")] == ["on", "on"]


@pytest.mark.parametrize("liar", [0, 1])
async def test_a_device_that_does_not_say_off_fails_its_level(room: Path, liar: int) -> None:
    modes = ["good", "good"]
    modes[liar] = "lies"
    methods = [supply(room, f"p{n}", mode, limit=1.0) for n, mode in enumerate(modes, 1)]
    outcome = await shoot(2, methods)
    assert outcome.outcome == "failed"
    told = f"method {liar + 1} (fence_switch): failed: off: exit 0 in "
    assert outcome.detail.startswith(told)
    assert "status did not say off in 1 s" in outcome.detail


async def test_a_device_that_cannot_be_used_leaves_all_of_them_on(room: Path) -> None:
    missing = supply(room, "p2", agent="fence_nothing")
    outcome = await shoot(2, [supply(room, "p1"), missing])
    assert outcome.detail.startswith("method 2 (fence_nothing): failed: there is no ")
    assert actions(room) == []


async def test_the_limit_of_a_device_does_not_run_while_another_is_ordered(room: Path) -> None:
    outcome = await shoot(2, [supply(room, "p1", limit=2.0), command("sleep 2.5")])
    assert (outcome.outcome, actions(room)[:2]) == ("receipt", ["off", "status"])


async def test_the_grade_of_a_level_is_the_lowest_of_its_methods(room: Path) -> None:
    text = SWITCH.replace('<action name="reboot"/>', "")
    storage = fence_switch.installed(room, "fence_storage", text)
    methods = [supply(room, "p1", agent=str(storage)), supply(room, "p2")]
    assert (await shoot(2, methods)).grade is Grade.COMMAND_SAID_SO
    assert (await shoot(2, methods[::-1])).grade is Grade.COMMAND_SAID_SO


async def test_a_command_may_be_one_of_the_devices(room: Path) -> None:
    good = await shoot(2, [command("echo outlet 4 is off"), supply(room, "p2")])
    assert (good.outcome, good.grade) == ("receipt", Grade.COMMAND_SAID_SO)
    assert good.detail.startswith("method 1 (/bin/sh): outlet 4 is off; method 2 (fence_switch): ")
    bad = await shoot(2, [supply(room, "p2"), command("echo no answer; exit 3")])
    assert bad.outcome == "failed"
    assert bad.detail.startswith("method 2 (/bin/sh): failed: exit 3: no answer; method 1 ")


async def test_each_attempt_is_at_all_devices(room: Path) -> None:
    methods = [supply(room, "p1", retries=1), supply(room, "p2", "at_second_off", retries=0)]
    outcome = await shoot(2, methods)
    assert outcome.outcome == "receipt"
    offs = [plug for plug, action in orders(room) if action == "off"]
    assert offs == ["p1", "p2", "p1", "p2"]


async def test_levels_are_tried_in_the_order_of_their_numbers(room: Path) -> None:
    def note(name: str, status: int) -> str:
        return f"echo {name} >> {room}/tried; exit {status}"

    methods = [
        command(note("c", 0), level=7),
        command(note("a", 0), level=2),
        command(note("b", 1), level=2),
        command(note("d", 0), level=9),
    ]
    assert (await shoot(2, methods)).outcome == "receipt"
    assert (room / "tried").read_text().split() == ["a", "b", "c"]


async def test_nothing_is_ever_switched_on(room: Path) -> None:
    await shoot(2, [supply(room, "p1"), supply(room, "p2", "lies", limit=1.0)])
    await shoot(2, [supply(room, "p1"), supply(room, "p2")])
    assert set(actions(room)) <= {"off", "status", "metadata"}


class Alive:
    """All nodes are heard."""

    me = 1

    def is_fresh(self, _node: int) -> bool:
        return True

    async def is_heard_again(self, _node: int) -> bool:
        return True


async def test_all_devices_of_a_level_are_tested(room: Path) -> None:
    (room / "p2").write_text("off")
    methods = [supply(room, "p1"), supply(room, "p2")]
    good, failed = await fence_test.run_tests(2, methods, Alive(), Abandonable("files"))
    assert (good.outcome, failed.outcome) == ("good", "failed")
    assert failed.text == (
        "node 2 is heard, but status says OFF: it runs on its other devices alone, or the plug is"
        " that of another machine"
    )
