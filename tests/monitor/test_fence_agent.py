"""Shots by fence agents: what is a receipt, every way to fail, and what nobody may see."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from mosha.core.status import Grade
from mosha.formats.agent_xml import MetadataError
from mosha.formats.fencing_methods import FencingMethod
from mosha.host import abandonable
from mosha.host.killable import RunEnded
from mosha.monitor import fence_agent
from mosha.monitor.fence_outcome import ShotOutcome
from mosha.monitor.fencing import shoot
from tests import fence_switch
from tests.clinit.descriptors import open_files
from tests.monitor.switch_room import actions, asked, furnish, switch_method
from tests.monitor.test_fencing import gone, pids_in
from tests.waiting import until

SWITCH = Path(fence_switch.__file__).read_text(encoding="utf-8")
LONG_S = 60.0
PHRASE = 'it\'s "S\\3cret" & <so> 100%'

Method = Callable[..., FencingMethod]


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A place where the plugs of nodes 1 to 3 are on."""
    return furnish(tmp_path)


@pytest.fixture
def method(room: Path) -> Method:
    """Make a method for the switch of tests, with options of mosha.toml."""
    return partial(switch_method, room)


@pytest.fixture
def secret(room: Path) -> Path:
    path = room / "x.secret"
    path.write_text(f"# of the switch\n\nusername=fence\npassword={PHRASE}\n")
    path.chmod(0o600)
    (room / "password").write_text(PHRASE)
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text)


# --- what is a receipt --------------------------------------------------------------------


async def test_off_and_then_a_status_that_says_off_is_a_receipt(room: Path, method: Method) -> None:
    outcome = await shoot(2, [method(limit=LONG_S)])
    assert (outcome.outcome, outcome.method) == ("receipt", "fence_switch")
    assert [(room / plug).read_text() for plug in ("p1", "p2", "p3")] == ["on", "off", "on"]
    assert actions(room) == ["off", "status"]


async def test_only_power_that_is_off_is_confirmed(room: Path, method: Method) -> None:
    assert (await shoot(2, [method(limit=LONG_S)])).grade is Grade.OFF_CONFIRMED
    for change in ('<action name="reboot"/>', "</resource-agent>"):
        write(room / "p2", "on")
        agent = fence_switch.installed(room, "fence_storage", SWITCH.replace(change, ""))
        outcome = await shoot(2, [method(agent=str(agent), limit=LONG_S)])
        assert (outcome.outcome, outcome.grade) == ("receipt", Grade.COMMAND_SAID_SO)


async def test_a_shot_says_each_action_its_duration_and_the_end_of_its_output(
    method: Method,
) -> None:
    said = (await shoot(2, [method(limit=LONG_S)])).detail
    off, _, status = said.partition("; ")
    assert off.startswith("off: exit 0 in ")
    assert off.endswith(" s: Success: Powered OFF")
    assert status.startswith("status: exit 2 in ")
    assert status.endswith(" s: Status: OFF")


async def test_a_machine_that_was_off_before_gives_a_receipt(room: Path, method: Method) -> None:
    (room / "p2").write_text("off")
    assert (await shoot(2, [method(limit=LONG_S)])).outcome == "receipt"


async def test_status_is_asked_until_it_says_off(room: Path, method: Method) -> None:
    assert (await shoot(2, [method("late", limit=LONG_S)])).outcome == "receipt"
    assert actions(room) == ["off", "status", "status", "status"]


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("lies", "Status: ON"),
        ("unsure", "status: exit 1 in "),
        ("silent_two", "status: exit 2 in "),
        ("garbage", "status: exit 2 in "),
    ],
)
async def test_no_other_status_is_a_receipt(method: Method, mode: str, told: str) -> None:
    outcome = await shoot(2, [method(mode)])
    assert outcome.outcome == "failed"
    assert "status did not say off in 2 s, asked " in outcome.detail
    assert told in outcome.detail


@pytest.mark.parametrize(
    ("output", "says_off"),
    [
        ("Status: OFF\n", True),
        ("noise\nstatus: off\nmore", True),
        ("OFF", True),
        ("Status: ON\n", False),
        ("", False),
        ("invalid choice: 'status' (choose from on, off)\n", False),
        ("usage: fence_x [-h] --action {on,\n    off}\n", False),
        ("Failed: Timed out waiting to power OFF\n", False),
        ("can't open file '/opt/off': [Errno 5] Input/output error", False),
    ],
)
def test_exit_2_counts_only_with_the_word_on_a_line_of_its_own(
    output: str, *, says_off: bool
) -> None:
    def answer(status: int | None) -> RunEnded:
        return RunEnded(status, output.encode(), 0, 0.1)

    assert fence_agent.is_off(answer(2)) == says_off
    assert not any(fence_agent.is_off(answer(status)) for status in (0, 1, 3, -9, None))


async def test_a_shot_whose_off_failed_is_no_receipt_and_status_is_not_asked(
    room: Path, method: Method
) -> None:
    outcome = await shoot(2, [method("at_second_try")])
    assert outcome.outcome == "failed"
    assert outcome.detail.startswith("off: exit 1 in ")
    assert outcome.detail.endswith(": no free session")
    assert actions(room) == ["off"]


async def test_off_and_status_have_one_limit_together(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[tuple[str, float]] = []

    async def ask(_agent: fence_agent.Prepared, action: str, limit_s: float) -> RunEnded:
        limits.append((action, limit_s))
        return RunEnded(0, b"Status: ON", 0, 7.0)

    monkeypatch.setattr(fence_agent, "ask", ask)
    monkeypatch.setattr(fence_agent, "boottime", lambda: 100.0 + 7 * len(limits))
    monkeypatch.setattr(fence_agent, "STATUS_PAUSE_S", 0.0)
    outcome = await shoot(2, [method(limit=20)])
    assert outcome.outcome == "failed"
    assert limits == [("off", 20.0), ("status", 13.0), ("status", 6.0)]


async def test_a_failed_attempt_is_repeated_with_its_own_limit(room: Path, method: Method) -> None:
    outcome = await shoot(2, [method("at_second_try", retries=1, limit=LONG_S)])
    assert outcome.outcome == "receipt"
    assert actions(room) == ["off", "off", "status"]


async def test_all_failed_attempts_are_told(method: Method) -> None:
    outcome = await shoot(2, [method("lies", retries=1, limit=0.5)])
    assert outcome.detail.startswith("attempt 1: ")
    assert "; attempt 2: " in outcome.detail


async def test_many_failures_are_cut_to_the_last_ones(room: Path, method: Method) -> None:
    path = fence_switch.installed(room, "fence_chatty", "print('x' * 400); raise SystemExit(1)")
    outcome = await shoot(2, [method(agent=str(path), retries=9, limit=LONG_S)])
    assert outcome.detail.startswith("… xx")
    assert "; attempt 10: off: exit 1 in " in outcome.detail
    assert len(outcome.detail) == fence_agent.DETAIL_MAX_CHARS + len("… ")


async def test_a_node_without_a_target_is_not_shot(room: Path, method: Method) -> None:
    outcome = await shoot(4, [method()])
    assert outcome == ShotOutcome("failed", "fence_switch", "targets has no node 4")
    assert not (room / "asked").exists()


async def test_after_a_failed_agent_the_next_method_is_tried(method: Method) -> None:
    command = FencingMethod(type="command", command=("/bin/true",))
    assert (await shoot(4, [method(), command])).outcome == "receipt"


# --- what an agent gets -------------------------------------------------------------------


async def test_options_come_on_standard_input_and_nowhere_else(
    room: Path, method: Method, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCMK_service", "pacemaker-fenced")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    outcome = await shoot(2, [method("with_password", secrets=str(secret), limit=LONG_S)])
    assert outcome.outcome == "receipt", outcome.detail
    first, second = asked(room)
    assert first["options"] == {
        "room": str(room),
        "mode": "with_password",
        "lanplus": "1",
        "username": "fence",
        "password": PHRASE,
        "plug": "p2",
        "port": "p2",
        "action": "off",
    }
    assert second["options"] == {**first["options"], "action": "status"}
    assert first["arguments"] == []
    assert set(first["environment"]) - {"LC_CTYPE"} == {"PATH", "HOME", "LANG"}
    assert first["environment"]["PATH"] == "/usr/bin:/bin:/usr/sbin:/sbin"


async def test_a_secret_goes_before_an_option_of_the_same_name(
    room: Path, method: Method, secret: Path
) -> None:
    options = {"room": str(room), "username": "nobody"}
    await shoot(2, [method(options=options, secrets=str(secret), limit=LONG_S)])
    assert [one["options"]["username"] for one in asked(room)] == ["fence", "fence"]


async def test_a_plug_may_have_its_old_name(room: Path, method: Method) -> None:
    assert (await shoot(3, [method(limit=LONG_S)])).outcome == "receipt"
    assert (room / "p3").read_text() == "off"


async def test_what_is_set_for_one_node_goes_before_what_is_set_for_all(
    room: Path, method: Method
) -> None:
    targets = {"1": {"plug": "p1", "power-wait": 3}, "2": {"plug": "p2"}}
    options = {"room": str(room), "power_wait": 1}
    made = method(targets=targets, options=options, limit=LONG_S)
    await shoot(1, [made])
    await shoot(2, [made])
    got = [[name for name in one["options"] if "wait" in name] for one in asked(room)]
    assert got == [["power-wait"], ["power-wait"], ["power_wait"], ["power_wait"]]


async def test_an_agent_is_searched_where_packages_put_it(
    room: Path, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{room}:/usr/bin:/bin")
    assert (await shoot(2, [method(agent="fence_switch", limit=LONG_S)])).outcome == "receipt"
    missing = await shoot(2, [method(agent="fence_nothing")])
    assert missing.detail.startswith("there is no fence_nothing in ")
    assert missing.detail.endswith(":/usr/sbin:/sbin")


async def test_no_agent_is_searched_in_the_working_directory(
    room: Path, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(room)  # where there is a fence_switch
    monkeypatch.setenv("PATH", ":/usr/bin::/bin:")
    outcome = await shoot(2, [method(agent="fence_switch")])
    told = "there is no fence_switch in /usr/bin:/bin:/usr/sbin:/sbin"
    assert outcome == ShotOutcome("failed", "fence_switch", told)


async def test_an_agent_that_cannot_be_run_is_a_failure(room: Path, method: Method) -> None:
    (room / "plain").write_text("no program")
    plain = await shoot(2, [method(agent=f"{room}/plain")])
    assert plain == ShotOutcome("failed", "plain", "cannot run it: Permission denied")
    missing = await shoot(2, [method(agent=f"{room}/missing")])
    assert missing.detail == "cannot run it: No such file or directory"


@pytest.mark.parametrize("text", ["raise SystemExit(0)", "import time; time.sleep(1000)"])
async def test_an_agent_that_never_reads_its_options_blocks_nobody(
    room: Path, method: Method, text: str
) -> None:
    path = fence_switch.installed(room, "fence_deaf", text)
    options = {f"option{number}": "x" * 4000 for number in range(90)}  # no pipe holds as much
    outcome = await shoot(2, [method(agent=str(path), options=options, limit=0.5)])
    assert outcome.outcome == "failed"
    assert "in 0.5 s" in outcome.detail


WAITS_FOR_OFF = """
import sys
if "action=off" in sys.stdin.read():
    print("Failed: Timed out waiting to power OFF", file=sys.stderr)
    raise SystemExit(1)
"""


@pytest.mark.parametrize(
    ("text", "limit_s", "may_be_off"),
    [
        ("raise SystemExit(1)", LONG_S, False),
        (WAITS_FOR_OFF, LONG_S, True),
        ("import os; os.kill(os.getpid(), 9)", LONG_S, True),
        ("import time; time.sleep(1000)", 0.5, True),
        ("raise SystemExit(0)", 0.5, True),
    ],
)
async def test_a_failed_shot_may_have_switched_something_off_unless_off_itself_has_failed(
    room: Path, method: Method, text: str, limit_s: float, *, may_be_off: bool
) -> None:
    path = fence_switch.installed(room, "fence_broken", text)
    outcome = await shoot(2, [method(agent=str(path), limit=limit_s)])
    assert (outcome.outcome, outcome.may_be_off) == ("failed", may_be_off)


async def test_an_agent_that_describes_itself_no_more_is_known_from_before(
    room: Path, method: Method
) -> None:
    agent = fence_switch.installed(room)
    assert (await fence_agent.metadata_of(str(agent))).switches_power
    agent.write_text(agent.read_text().replace('"metadata"', '"no-metadata"'))
    with pytest.raises(MetadataError):
        await fence_agent.metadata_of(str(agent))
    (room / "p2").write_text("on")
    assert (await shoot(2, [method(limit=LONG_S)])).grade is Grade.OFF_CONFIRMED


# --- what an agent leaves -----------------------------------------------------------------


async def test_an_agent_that_hangs_is_killed_with_what_has_cut_all_ties(
    room: Path, method: Method
) -> None:
    outcome = await shoot(2, [method("hangs")])
    assert outcome.detail == "off: no answer in 2 s"
    (pid,) = await until(lambda: pids_in(room / "pids", 1))
    await until(partial(gone, pid))


async def test_a_child_that_stays_and_holds_the_output_is_ended_with_its_agent(
    room: Path, method: Method
) -> None:
    outcome = await shoot(2, [method("stays", limit=LONG_S)])
    assert outcome.outcome == "receipt", outcome.detail
    for pid in map(int, (room / "pids").read_text().split()):
        await until(partial(gone, pid))


async def test_a_shot_that_is_cancelled_leaves_nothing(room: Path, method: Method) -> None:
    task = asyncio.ensure_future(shoot(2, [method("hangs", limit=LONG_S)]))
    (pid,) = await until(lambda: pids_in(room / "pids", 1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(partial(gone, pid))


async def test_a_shot_keeps_no_descriptor(method: Method) -> None:
    await shoot(2, [method(limit=LONG_S)])  # what the loop itself opens, it keeps
    before = open_files()
    for _ in range(2):
        assert (await shoot(2, [method(limit=LONG_S)])).outcome == "receipt"
    assert open_files() == before


async def test_an_agent_that_floods_is_cut_and_still_understood(method: Method) -> None:
    outcome = await shoot(2, [method("flood", limit=LONG_S)])
    assert outcome.outcome == "receipt"
    assert outcome.detail.endswith("x Status: OFF")
    assert len(outcome.detail) < 2 * fence_agent.SHOWN_MAX_BYTES + 100


async def test_garbage_is_shown_without_control_characters(method: Method) -> None:
    detail = (await shoot(2, [method("garbage")])).detail
    assert detail.isprintable()


# --- secrets ------------------------------------------------------------------------------


async def test_a_wrong_password_fails_with_the_words_of_the_agent_but_not_the_password(
    room: Path, method: Method, secret: Path
) -> None:
    (room / "password").write_text("another")
    outcome = await shoot(2, [method("with_password", secrets=str(secret))])
    assert outcome.outcome == "failed"
    assert outcome.detail.endswith("Unable to connect/login as *** with '***'")
    assert "cret" not in outcome.detail


@pytest.mark.parametrize("name", ["username", "login"])
async def test_a_password_with_its_user_in_base64_is_not_shown(
    room: Path, method: Method, secret: Path, name: str
) -> None:
    text = (
        "import base64, sys; given = dict(line.strip().partition('=')[::2] for line in sys.stdin);"
        f" pair = given['{name}'] + ':' + given['password'];"
        " print('Authorization: Basic ' + base64.b64encode(pair.encode()).decode());"
        " raise SystemExit(1)"
    )
    path = fence_switch.installed(room, "fence_http", text)
    write(secret, "password=hunter2\n")
    options = {name: "fence"}
    outcome = await shoot(2, [method(agent=str(path), options=options, secrets=str(secret))])
    assert outcome.detail.endswith(": Authorization: Basic ***")


async def test_with_a_secret_no_less_is_shown_of_an_output_that_was_cut(
    method: Method, secret: Path
) -> None:
    outcome = await shoot(2, [method("flood", secrets=str(secret), limit=LONG_S)])
    shown = outcome.detail.partition("; ")[0].rpartition(" s: ")[2]
    assert len(shown) == fence_agent.SHOWN_MAX_BYTES - len("\n")


async def test_a_password_that_was_changed_is_used_at_the_next_shot(
    room: Path, method: Method, secret: Path
) -> None:
    made = method("with_password", secrets=str(secret), limit=LONG_S)
    (room / "password").write_text("another")
    assert (await shoot(2, [made])).outcome == "failed"
    write(secret, "password=another\n")
    assert (await shoot(2, [made])).outcome == "receipt"


async def test_no_part_of_a_password_is_left_where_the_output_was_cut(
    method: Method, secret: Path
) -> None:
    outcome = await shoot(2, [method("half_a_secret", secrets=str(secret))])
    assert outcome.outcome == "failed"
    assert set(outcome.detail.rpartition(" s: ")[2]) == {"*"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
async def test_a_file_of_secrets_that_others_may_use_is_refused(
    room: Path, method: Method, secret: Path, mode: int
) -> None:
    os.chmod(secret, mode)  # noqa: PTH101 - no event loop is held up
    outcome = await shoot(2, [method(secrets=str(secret))])
    told = f"{secret}: others may use it (mode {mode:03o}): chmod 600 {secret}"
    assert outcome == ShotOutcome("failed", "fence_switch", told)
    assert not (room / "asked").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
async def test_a_file_of_secrets_of_somebody_else_is_refused(method: Method, secret: Path) -> None:
    os.chown(secret, 65534, 65534)
    outcome = await shoot(2, [method(secrets=str(secret))])
    assert outcome.detail == f"{secret}: it belongs to uid 65534: chown root {secret}"


async def test_a_missing_file_of_secrets_is_a_failed_shot(room: Path, method: Method) -> None:
    outcome = await shoot(2, [method(secrets=f"{room}/none")])
    assert outcome.detail == f"{room}/none: No such file or directory"


@pytest.mark.parametrize("of", ["one method", "a level"])
async def test_secrets_that_are_not_answered_for_are_a_failed_shot(
    of: str, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(fence_agent, "read_secret", lambda *_: answers.wait() and b"")
    monkeypatch.setattr(fence_agent, "FILES_LIMIT_S", 0.2)
    level = {"level": 1} if of == "a level" else {}
    methods = [method(secrets="/none", **level)] * (2 if level else 1)
    try:
        outcome = await shoot(2, methods)
    finally:
        answers.set()
        await until(lambda: not any(asker.busy for asker in abandonable._ASKERS.values()))
    assert outcome.outcome == "failed"
    assert "does not answer within 0.2 s: the program and secrets of fence_" in outcome.detail


async def test_a_mistake_in_a_file_of_secrets_is_told_without_its_text(
    method: Method, secret: Path
) -> None:
    write(secret, 'username=fence\npassword="hunter2"\n')
    outcome = await shoot(2, [method(secrets=str(secret))])
    assert outcome.detail.startswith(f"{secret}:2:1: password is in double quotes, which agents")
    assert "hunter2" not in outcome.detail


async def test_a_node_may_have_secrets_of_its_own(room: Path, method: Method, secret: Path) -> None:
    own = room / "2.secret"
    own.touch(0o600)
    own.write_text("password=of node 2\n")
    targets = {"1": "p1", "2": {"plug": "p2", "secrets": str(own)}}
    made = method("with_password", secrets=str(secret), targets=targets, limit=LONG_S)
    assert (await shoot(1, [made])).outcome == "receipt"
    (room / "password").write_text("of node 2")
    assert (await shoot(2, [made])).outcome == "receipt"
