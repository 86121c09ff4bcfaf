"""Tests of fencing methods without a shot: what is good, every failure, what cannot be tested."""

from __future__ import annotations

import asyncio
import os
import threading
from functools import partial
from pathlib import Path

import pytest

from mosha.formats.fence_tests import FenceTest
from mosha.formats.fencing_methods import FencingMethod
from mosha.formats.settings import settings_from
from mosha.host.abandonable import Abandonable
from mosha.monitor import fence_test
from mosha.monitor.fence_agent import METADATA_LIMIT_S
from mosha.monitor.fence_test import HITS_BOTH, LIST_MAX_BYTES
from tests import fence_switch
from tests.monitor.switch_room import actions, asked, furnish, switch_method
from tests.monitor.test_fencing import gone, pids_in
from tests.waiting import until

LONG_S = 60.0
FILES = Abandonable("the files of these tests")
PHRASE = 'it\'s "S\\3cret"'


class Others:
    """Node 1 is this one; these others are alive."""

    def __init__(self, *alive: int) -> None:
        self.me = 1
        self.alive = {1, *alive}
        self.waited: list[int] = []

    def is_fresh(self, node: int) -> bool:
        return node in self.alive

    async def is_heard_again(self, node: int) -> bool:
        self.waited.append(node)
        return node in self.alive


@pytest.fixture
def room(tmp_path: Path) -> Path:
    return furnish(tmp_path)


@pytest.fixture
def secret(room: Path) -> Path:
    path = room / "x.secret"
    path.touch(0o600)
    path.write_text(f"username=fence\npassword={PHRASE}\n")
    (room / "password").write_text(PHRASE)
    return path


async def probe(node: int, *methods: FencingMethod, alive: tuple[int, ...] = (2, 3)) -> FenceTest:
    """Return the only test of a node."""
    (test,) = await fence_test.run_tests(node, methods, Others(*alive), FILES)
    return test


async def said(node: int, *methods: FencingMethod, alive: tuple[int, ...] = (2, 3)) -> str:
    test = await probe(node, *methods, alive=alive)
    return f"{test.outcome}: {test.text}"


def agent_text(metadata: str, status: str, exits: int) -> str:
    """Return a program that describes itself, says always the same, and exits so at `status`."""
    return (
        "import sys\nasked = sys.stdin.read()\n"
        f"print({metadata!r} if 'action=metadata' in asked else {status!r})\n"
        f"sys.exit({exits} if 'action=status' in asked else 0)\n"
    )


# --- agents ------------------------------------------------------------------------------


async def test_an_agent_that_answers_is_good_and_switches_nothing(room: Path) -> None:
    test = await probe(2, switch_method(room, limit=LONG_S))
    assert test == FenceTest(
        node=2,
        number=1,
        method="fence_switch",
        outcome="good",
        text="status says ON, node 2 is heard; its plug is listed",
    )
    assert actions(room) == ["monitor", "status", "list"]
    assert [(room / plug).read_text() for plug in ("p1", "p2", "p3")] == ["on", "on", "on"]


async def test_a_method_keeps_its_number_where_others_do_not_reach_the_node(room: Path) -> None:
    others = switch_method(room, targets={"3": "p3"})
    test = await probe(2, others, switch_method(room, limit=LONG_S, targets={"2": "p2"}))
    assert (test.number, test.outcome) == (2, "good")


async def test_a_test_has_the_options_and_secrets_of_a_shot(room: Path, secret: Path) -> None:
    method = switch_method(room, "with_password", secrets=str(secret), limit=LONG_S)
    assert (await probe(2, method)).outcome == "good"
    assert asked(room)[1]["options"] == {
        "room": str(room),
        "mode": "with_password",
        "lanplus": "1",
        "username": "fence",
        "password": PHRASE,
        "plug": "p2",
        "port": "p2",
        "action": "status",
    }
    assert all(one["arguments"] == [] for one in asked(room))


@pytest.mark.parametrize(
    ("node", "power", "expected"),
    [
        (1, "on", "good: status says ON, node 1 is this one; its plug is listed"),
        (2, "on", "good: status says ON, node 2 is heard; its plug is listed"),
        (3, "on", "good: status says ON, node 3 is not heard; its plug is listed"),
        (3, "off", "good: status says OFF, node 3 is not heard; its plug is listed"),
    ],
)
async def test_what_status_says_is_compared_with_what_is_heard(
    room: Path, node: int, power: str, expected: str
) -> None:
    (room / f"p{node}").write_text(power)
    assert await said(node, switch_method(room, limit=LONG_S), alive=(2,)) == expected


@pytest.mark.parametrize(("node", "who"), [(1, "is this one"), (2, "is heard")])
async def test_the_plug_of_a_node_that_is_alive_and_off_is_that_of_another_machine(
    room: Path, node: int, who: str
) -> None:
    (room / f"p{node}").write_text("off")
    assert await said(node, switch_method(room, limit=LONG_S)) == (
        f"failed: node {node} {who}, but status says OFF: the plug is that of another machine"
    )


async def test_a_node_that_was_just_switched_off_is_no_failure(room: Path) -> None:
    (room / "p2").write_text("off")
    witness = Others()
    (test,) = await fence_test.run_tests(2, [switch_method(room, limit=LONG_S)], witness, FILES)
    assert (test.outcome, witness.waited) == ("good", [2])


async def test_an_agent_of_storage_that_says_off_has_other_words(room: Path) -> None:
    metadata = fence_switch.METADATA.replace('<action name="reboot"/>', "")
    path = fence_switch.installed(room, "fence_storage", agent_text(metadata, "Status: OFF", 2))
    (room / "p2").write_text("off")
    assert (await said(2, switch_method(room, agent=str(path), limit=LONG_S))).endswith(
        "status says OFF: its key is not registered at the device, or is that of another machine"
    )


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("unsure", "status: exit 1 in "),
        ("silent_two", "status: exit 2 in "),
        ("garbage", "status: exit 2 in "),
    ],
)
async def test_any_other_answer_is_a_failure(room: Path, mode: str, expected: str) -> None:
    test = await probe(2, switch_method(room, mode, limit=LONG_S))
    assert test.outcome == "failed"
    assert test.text.startswith(expected)
    assert test.text.isprintable()


async def test_a_status_that_exits_with_0_and_does_not_say_on_is_a_failure(room: Path) -> None:
    text = agent_text(fence_switch.METADATA, "fine", 0)
    path = fence_switch.installed(room, "fence_yes", text)
    test = await probe(2, switch_method(room, agent=str(path), limit=LONG_S))
    assert test.outcome == "failed"
    assert test.text.endswith(" s: fine")


async def test_a_wrong_password_fails_with_the_words_of_the_agent_and_is_not_shown(
    room: Path, secret: Path
) -> None:
    (room / "password").write_text("another")
    method = switch_method(room, "with_password", secrets=str(secret), limit=LONG_S)
    test = await probe(2, method)
    assert test.outcome == "failed"
    assert test.text.startswith("monitor: exit 1 in ")
    assert test.text.endswith("Unable to connect/login as *** with '***'")
    assert actions(room) == ["monitor"]


async def test_a_node_is_told_that_its_own_device_has_to_answer_the_others(room: Path) -> None:
    test = await probe(1, switch_method(room, "unsure", limit=LONG_S))
    assert (test.outcome, test.answered) == ("failed", False)
    assert test.text.endswith(
        "Status: OFF, or not; others shoot this node: see whether it answers them"
    )
    (room / "p1").write_text("off")
    assert (await probe(1, switch_method(room, limit=LONG_S))).answered


async def test_an_agent_that_hangs_is_killed_with_what_it_has_started(room: Path) -> None:
    assert await said(2, switch_method(room, "hangs")) == "failed: monitor: no answer in 2 s"
    (pid,) = await until(lambda: pids_in(room / "pids", 1))
    await until(partial(gone, pid))


async def test_a_test_that_is_cancelled_leaves_nothing(room: Path) -> None:
    task = asyncio.ensure_future(probe(2, switch_method(room, "hangs", limit=LONG_S)))
    (pid,) = await until(lambda: pids_in(room / "pids", 1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(partial(gone, pid))


async def test_what_a_shot_would_try_again_is_tried_again(room: Path) -> None:
    method = switch_method(room, "at_second_monitor", retries=1, limit=LONG_S)
    assert (await probe(2, method)).outcome == "good"
    assert actions(room) == ["monitor", "monitor", "status", "list"]


async def test_a_wrong_plug_is_not_asked_for_again(room: Path) -> None:
    (room / "p2").write_text("off")
    await probe(2, switch_method(room, retries=3, limit=LONG_S))
    assert actions(room) == ["monitor", "status"]


async def test_an_agent_that_floods_is_understood(room: Path) -> None:
    assert await said(2, switch_method(room, "flood", limit=LONG_S)) == (
        "good: status says ON, node 2 is heard; its list of plugs could not be compared: it is too"
        " long"
    )
    assert fence_switch.FLOOD_BYTES > LIST_MAX_BYTES


async def test_secrets_that_are_refused_are_a_failure_and_nothing_is_asked(
    room: Path, secret: Path
) -> None:
    os.chmod(secret, 0o644)  # noqa: PTH101 - no event loop is held up
    assert await said(2, switch_method(room, secrets=str(secret))) == (
        f"failed: {secret}: others may use it (mode 644): chmod 600 {secret}"
    )
    assert asked(room) == []


async def test_a_program_that_is_no_agent_is_a_failure(room: Path) -> None:
    path = fence_switch.installed(room, "fence_none", "raise SystemExit(0)")
    assert (await said(2, switch_method(room, agent=str(path)))).startswith(
        "failed: it does not describe itself (action=metadata): no XML: "
    )
    missing = await said(2, switch_method(room, agent=f"{room}/missing"))
    assert missing == (f"failed: there is no {room}/missing that can be executed")
    unknown = await said(2, switch_method(room, agent="fence_nothing"))
    assert unknown.startswith("failed: there is no fence_nothing in ")


async def test_a_file_of_secrets_that_hangs_is_a_failure_and_holds_up_nobody(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence_test, "LOOK_LIMIT_S", 0.2)
    gate = threading.Event()
    files = Abandonable("what hangs")
    try:
        with pytest.raises(OSError, match="does not answer"):
            await files.run(gate.wait, 0.0)
        methods = [switch_method(room), command(command="/bin/true", test="/bin/true")]
        tests = await fence_test.run_tests(2, methods, Others(), files)
    finally:
        gate.set()
    assert [test.outcome for test in tests] == ["failed", "failed"]
    assert all("the file system does not answer: what hangs" in test.text for test in tests)
    assert asked(room) == []


# --- plugs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ("p1,\np2,\np3,\n", "its plug is listed"),
        ("1,p1\n2,p2\n3,p3\n", "its plug is listed"),
        ("p1,\np3,\n", "the device does not list the plug 'p2'"),
        ("1,p2\n2,p2\n", "the device does not list the plug 'p2'"),
        ("p2,p3\n", f"plug 'p3' of node 3 is the same by the list: {HITS_BOTH}"),
        ("NOTICE: List option is not working on this device yet\n", "node 2 is heard"),
        ("", "node 2 is heard"),
    ],
)
async def test_a_plug_has_to_be_in_the_list_of_its_device_for_one_node(
    room: Path, listing: str, expected: str
) -> None:
    (room / "list").write_text(listing)
    targets = {"1": "p1", "2": "p2", "3": "p3"}
    test = await probe(2, switch_method(room, targets=targets, limit=LONG_S))
    assert test.text.endswith(expected)
    assert test.outcome == ("good" if expected.startswith(("its", "node")) else "failed")


async def test_a_list_may_have_another_separator(room: Path) -> None:
    (room / "list").write_text("1;p2\n")
    options = {"room": str(room), "separator": ";"}
    assert (await said(2, switch_method(room, options=options, limit=LONG_S))).endswith("listed")


async def test_a_list_that_cannot_be_had_is_told_and_no_failure(room: Path) -> None:
    assert (await said(2, switch_method(room, "lists_nothing", limit=LONG_S))) == (
        "good: status says ON, node 2 is heard; its list of plugs could not be compared: exit 1"
    )


async def test_two_nodes_at_one_plug_by_other_secrets_are_a_failure(
    room: Path, secret: Path
) -> None:
    other = room / "y.secret"
    other.touch(0o600)
    other.write_text("username=else\npassword=x\n")
    methods = (
        switch_method(room, targets={"2": "p2"}, secrets=str(secret), limit=LONG_S),
        switch_method(room, targets={"3": "p2"}, secrets=str(other), limit=LONG_S),
    )
    assert await said(2, *methods) == f"failed: node 3 is at the same plug: {HITS_BOTH}"
    assert await said(3, *methods) == f"failed: node 2 is at the same plug: {HITS_BOTH}"


async def test_a_node_with_its_plug_in_two_methods_is_none(room: Path) -> None:
    method = switch_method(room, limit=LONG_S)
    tests = await fence_test.run_tests(2, [method, method], Others(2, 3), FILES)
    assert [(test.number, test.outcome) for test in tests] == [(1, "good"), (2, "good")]


# --- methods of other kinds ----------------------------------------------------------------


def command(**table: object) -> FencingMethod:
    methods = [{"type": "command", **table}]
    (made,) = settings_from({"fencing": {"methods": methods}}, "test").fencing.methods
    return made


async def test_a_command_is_tested_by_its_test_with_the_node_as_last_argument() -> None:
    made = command(command="/bin/false", test=["/bin/sh", "-c", 'echo "asked $0 $1"', "for"])
    assert await said(2, made) == "good: test: exit 0: asked for 2"


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (["/bin/sh", "-c", "echo no card >&2; exit 7"], "failed: test: exit 7: no card"),
        (["/nowhere/test"], "failed: there is no /nowhere/test that can be executed"),
        (["/bin/sh", "-c", "read -r _ < gate; exit $?"], "failed: test: no answer in 0.5 s"),
    ],
)
async def test_a_test_that_fails_says_how(
    room: Path, monkeypatch: pytest.MonkeyPatch, test: list[str], expected: str
) -> None:
    monkeypatch.chdir(room)
    made = command(command="/bin/true", test=test, limit=LONG_S if "exit 7" in test[-1] else 0.5)
    assert await said(2, made) == expected


async def test_a_command_without_a_test_says_that_it_cannot_be_tested() -> None:
    assert await said(2, command(command="/bin/true")) == (
        "untested: only a shot would tell: no test is set; /bin/true can be executed"
    )


async def test_a_command_that_cannot_be_executed_is_a_failure(room: Path) -> None:
    expected = f"failed: there is no {room}/none that can be executed"
    assert await said(2, command(command=f"{room}/none")) == expected
    assert await said(2, command(command=f"{room}/none", test="/bin/true")) == expected


async def test_what_only_prints_or_is_a_callable_cannot_be_tested() -> None:
    tests = await fence_test.run_tests(2, [FencingMethod()], Others(), FILES, with_callable=True)
    assert [(test.number, test.method, test.outcome, test.text) for test in tests] == [
        (0, "callable", "untested", "only a shot would tell: it is a callable of the Python API"),
        (1, "print", "untested", "it only prints a line for an operator"),
    ]


async def test_a_method_that_is_not_for_a_node_is_not_tested(room: Path) -> None:
    assert await fence_test.run_tests(4, [switch_method(room)], Others(), FILES) == []


def test_the_time_of_tests_is_bounded_by_the_limits_of_their_methods(room: Path) -> None:
    methods = [switch_method(room, limit=5, retries=1), command(command="/bin/true", limit=7)]
    looks_s = METADATA_LIMIT_S + 2 * fence_test.LOOK_LIMIT_S
    assert fence_test.limit_s(2, methods, 100) == looks_s + 2 * 3 * 5 + 100 + 7
    assert fence_test.limit_s(4, methods, 100) == fence_test.LOOK_LIMIT_S + 7
