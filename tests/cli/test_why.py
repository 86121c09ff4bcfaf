from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest

from mosha.control.protocol import Explain, MonitorReply, MonitorRequest
from mosha.core.explain.reasons import Explanation, Holds, Reason
from mosha.formats.explanation import (
    explanation_schema,
    parse_explanation,
    render_explanation,
)
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import report
from tests.cli.terminal import Terminal
from tests.waiting import wait_until

BANNED = Explanation(
    group="web",
    node=1,
    asked=3,
    ok=False,
    verdict="it is banned on node 3 for 240 s more: exit 1",
    next="repair what failed there; the ban ends by itself",
    reasons=(
        Reason("node", Holds.YES, "node 3 is fresh", 1, 0.4),
        Reason("ban", Holds.NO, "it is banned on node 3 for 240 s more: exit 1", 3, 0.4),
        Reason("vote", Holds.MOOT, "node 3 has given its vote to node 1, term 9", 3, 73.0),
        Reason("rank", Holds.YES, "node 3 is the first choice", 1),
    ),
)
AT_HOME = Explanation("web", 1, None, ok=True, verdict="as hactl wants it", next="", reasons=())

PAGE = """\
web on node 3: it is banned on node 3 for 240 s more: exit 1
next:          repair what failed there; the ban ends by itself

RULE  HOLDS  FACT                                           SAID BY  AGE
node  yes    node 3 is fresh                                node 1   0.4s
ban   NO     it is banned on node 3 for 240 s more: exit 1  node 3   0.4s
vote  -      node 3 has given its vote to node 1, term 9    node 3   73s
rank  yes    node 3 is the first choice                     node 1   now"""


class Explaining:
    """Answers each question with one explanation, and remembers the questions."""

    def __init__(self, found: Explanation | str) -> None:
        self.found = found
        self.asked: list[MonitorRequest] = []

    def __call__(self, request: MonitorRequest) -> MonitorReply:
        self.asked.append(request)
        if isinstance(self.found, str):
            return MonitorReply(ok=False, text=self.found)
        return MonitorReply(ok=True, report=msgspec.Raw(msgspec.json.encode(self.found)))


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_the_answer_comes_first_then_what_to_do_then_each_rule(mosha: Mosha, home: Home) -> None:
    answer = Explaining(BANNED)
    with FakeMonitor(home.rundir, report(), answer):
        said = mosha("why-not", "web", "3")
    assert said.status == 1
    assert lines(said.out) == PAGE.splitlines()
    assert answer.asked == [Explain(group="web", node=3)]


def test_what_is_as_wanted_is_exit_status_0(mosha: Mosha, home: Home) -> None:
    answer = Explaining(AT_HOME)
    with FakeMonitor(home.rundir, report(), answer):
        said = mosha("why", "web")
    assert said.status == 0
    assert said.out.startswith("web: as hactl wants it")
    assert answer.asked == [Explain(group="web")]


@pytest.mark.parametrize("words", [["why", "web"], ["why-not", "web", "3"]])
def test_json_is_the_whole_explanation_and_keeps_its_schema(
    mosha: Mosha, home: Home, words: list[str]
) -> None:
    with FakeMonitor(home.rundir, report(), Explaining(BANNED)):
        said = mosha(*words, "--json")
    assert said.status == 1
    shown = json.loads(said.out)
    jsonschema.validate(shown, explanation_schema())
    assert [reason["holds"] for reason in shown["reasons"]] == ["yes", "no", "moot", "yes"]
    assert parse_explanation(said.out.encode()) == BANNED


def test_a_group_that_nobody_knows_is_wrong_usage(mosha: Mosha, home: Home) -> None:
    with FakeMonitor(home.rundir, report(), Explaining("no node knows group wbe; did you …")):
        said = mosha("why", "wbe")
    assert said.status == 2
    assert "did you" in said.err


def test_without_a_monitor_it_is_exit_status_3(mosha: Mosha) -> None:
    assert mosha("why", "web").status == 3
    assert mosha("why-not", "web", "1").status == 3


@pytest.mark.parametrize("words", [["why"], ["why-not", "web"], ["why-not", "web", "0"]])
def test_what_is_missing_or_no_node_is_wrong_usage(mosha: Mosha, words: list[str]) -> None:
    assert mosha(*words).status == 2


def test_an_answer_that_makes_no_sense_is_an_error(mosha: Mosha, home: Home) -> None:
    def answer(_: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=True, report=msgspec.Raw(b'{"group": 5}'))

    with FakeMonitor(home.rundir, report(), answer):
        said = mosha("why", "web")
    assert said.status == 1
    assert "cannot be read" in said.err


def test_another_format_is_refused() -> None:
    text = render_explanation(BANNED).replace(b'"format": 1', b'"format": 2')
    with pytest.raises(ValueError, match="format 2"):
        parse_explanation(text)


def test_what_does_not_hold_is_red_on_a_terminal_and_nothing_old_is_green(home: Home) -> None:
    with FakeMonitor(home.rundir, report(), Explaining(BANNED)):
        screen = Terminal("why", "web", "--config", str(home.config))
        wait_until(lambda: screen.shows("first choice"))
        screen.exit_status()
    assert "\033[1;31mNO" in screen.seen
    assert "\033[32m" not in screen.seen
