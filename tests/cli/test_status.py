from __future__ import annotations

import io
import json
import re
from typing import Any, Literal

import jsonschema
import pytest
from rich.console import Console

from mosha.cli.status.layout import age_text
from mosha.cli.status.page import page
from mosha.formats.hastat import (
    BanReport,
    EntryTrouble,
    FencingReport,
    Margin,
    Problem,
    Quorum,
    Refusal,
    Report,
    ShotReport,
    TableSeen,
    Throttle,
    WatchdogReport,
    hastat_schema,
)
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import TABLES, group, node, on, report

GREEN, GREY, RED, YELLOW = "\033[32m", "\033[90m", "\033[1;31m", "\033[33m"


def told(shown: Report, width: int = 80, *, colours: bool = False) -> str:
    """Return the page as text, with colours or without."""
    file = io.StringIO()
    system: Literal["standard"] | None = "standard" if colours else None
    console = Console(
        highlight=False, file=file, width=width, force_terminal=colours, color_system=system
    )
    console.print(page(shown, width))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


HEALTHY = """\
OK: 2 of 2 groups as wanted                         seen from node 1 at 10:31:02

GROUP  WANTED  NODE 1           NODE 2           NODE 3
db     start   -                start DONE 0.4s  -
web    start   start DONE 0.4s  -                -

NODE  STATE      HEARD  ROUND TRIP  GROUPS  REMARKS
1     this node  0.4s   -           1
2     fresh      0.4s   21 ms       1
3     fresh      0.4s   21 ms       0

Quorum: yes, 3 of 3 nodes fresh, 2 needed (majority)
Lease:  36 s, 7.2 times what a renewal takes (round trip 21 ms)
""".rstrip()


def utc(page: str) -> str:
    """Take the clock of this machine out of a page."""
    return re.sub(r"at \d\d:\d\d:\d\d", "at 10:31:02", page)


def test_a_healthy_cluster_is_one_short_page() -> None:
    assert utc(told(report())) == HEALTHY


DEGRADED = report(
    nodes=[
        node(1, "self", load=1),
        node(2, "stale", age_s=73.0, load=1, error="no answer for 70 s"),
        node(3, refused={"hactl": "1 mistake"}),
    ],
    quorum=Quorum(
        has=True,
        policy="majority",
        seen=2,
        electorate=[1, 2, 3],
        needed=2,
        reason="2 of 3 nodes fresh, 2 needed; not fresh: 2",
    ),
    groups=[
        group("db", on(2, age_s=73.0), ok=False, why="node 2 is stale", next="mosha confirm 2"),
        group(
            "web",
            on(1, "test", "STARTING"),
            ok=False,
            why="test STARTING on node 1, on its way",
            bans=[BanReport(node=3, left_s=240, reason="test entry webtest exited 1")],
        ),
        group("mail", on(3), throttled=[Throttle(tag="maild", left_s=7.0)]),
    ],
    shots=[ShotReport(node=2, inc=5, method="print", outcome="no receipt", age_s=12)],
    refused=[Refusal(file="hactl", node=3, text="hactl:3:1: group without level: 'x'")],
    problems=[
        "node 2 is stale: nothing new for 60.1 s when it was declared stale",
        "group db: node 2 is stale -> mosha confirm 2",
        "group web: test STARTING on node 1, on its way",
    ],
    problem_list=[
        Problem(
            kind="node-stale",
            subjects=["2"],
            text="node 2 is stale: nothing new for 60.1 s when it was declared stale",
        ),
        Problem(kind="group", subjects=["db"], text="node 2 is stale", next="mosha confirm 2"),
        Problem(kind="group", subjects=["web"], text="test STARTING on node 1, on its way"),
    ],
)


@pytest.mark.parametrize(("fed", "word"), [(True, "fed"), (False, "NOT FED")])
def test_an_armed_watchdog_has_a_line(fed: bool, word: str) -> None:  # noqa: FBT001 - a column
    armed = WatchdogReport(device="/dev/watchdog", timeout_s=5.0, fed=fed)
    assert f"\nWatchdog: /dev/watchdog, armed, 5 s, {word}" in told(report(watchdog=armed))


def fencing(node: int, **fields: Any) -> FencingReport:
    plain: dict[str, Any] = {"number": 1, "method": "fence_x", "good_age_s": 1970.7}
    plain["good_at"] = "2025-11-22T09:58:11.4+00:00"
    return FencingReport(node=node, **(plain | fields))


def test_the_last_good_test_of_each_fencing_method_is_shown_for_each_node() -> None:
    shown = report(
        fencing=[
            fencing(1),
            fencing(2, failure="status: exit 1 in 0.1 s: no"),
            fencing(3, good_at=None, good_age_s=None),
            fencing(3, number=2, method="/bin/off", good_at=None, good_age_s=None, failure="no"),
        ]
    )
    assert told(shown).partition("Fencing\n")[2] == (
        "  node 1: method 1 (fence_x), last good test at 09:58:11, 33m ago\n"
        "  node 2: method 1 (fence_x), FAILED, last good test at 09:58:11, 33m ago\n"
        "  node 3: method 1 (fence_x), not tested yet\n"
        "  node 3: method 2 (/bin/off), FAILED, never good"
    )


def test_of_many_tests_of_fencing_only_those_that_failed_have_a_line() -> None:
    tests = [fencing(node, good_age_s=60.0 * node) for node in range(1, 30)]
    tests[4] = fencing(5, failure="no", good_age_s=9000.0)
    tests[5] = fencing(6, overdue=True, good_age_s=9000.0)
    assert told(report(fencing=tests)).partition("Fencing\n")[2] == (
        "  node 5: method 1 (fence_x), FAILED, last good test at 09:58:11, 2h ago\n"
        "  node 6: method 1 (fence_x), last good test at 09:58:11, 2h ago\n"
        "  27 more are good, the oldest test 29m ago"
    )


def test_a_node_on_probation_has_a_remark() -> None:
    shown = told(report(nodes=[node(1, "self"), node(2, probation_s=3500)]))
    assert re.search(r"^ *2 +fresh .* on probation for 59m$", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("good", "untested", "lines"),
    [
        (0, 21, ["  21 are not tested yet"]),
        (20, 1, ["  20 more are good, the oldest test 33m ago", "  1 is not tested yet"]),
        (21, 0, ["  21 more are good, the oldest test 33m ago"]),
    ],
)
def test_what_was_never_tested_does_not_count_as_good(
    good: int, untested: int, lines: list[str]
) -> None:
    tests = [fencing(number) for number in range(good)]
    tests += [fencing(100 + number, good_at=None, good_age_s=None) for number in range(untested)]
    assert told(report(fencing=tests)).partition("Fencing\n")[2].splitlines() == lines


def test_a_problem_while_all_groups_are_well_is_no_contradiction() -> None:
    text = "hactl on node 3 is refused: hactl:1:1: no"
    problem = Problem(kind="table-refused", subjects=["hactl"], text=text)
    shown = report(problems=[text], problem_list=[problem])
    assert told(shown).startswith("NOT OK: 1 problem, but 2 of 2 groups as wanted")


DEGRADED_PAGE = """\
NOT OK: 3 problems, 1 of 3 groups as wanted         seen from node 1 at 10:31:02
  * node 2 is stale: nothing new for 60.1 s when it was declared stale
  * db: node 2 is stale
    -> mosha confirm 2
  * web: test STARTING on node 1, on its way

GROUP  WANTED  NODE 1              NODE 2 stale    NODE 3
db     start   -                   start DONE 73s  -
web    start   test STARTING 0.4s  -               banned 4m
mail   start   -                   -               start DONE 0.4s

NODE  STATE      HEARD  ROUND TRIP  GROUPS  REMARKS
1     this node  0.4s   -           1
2     stale      73s    21 ms       1       no answer for 70 s
3     fresh      0.4s   21 ms       0       refuses hactl

Quorum: yes, 2 of 3 nodes fresh, 2 needed; not fresh: 2 (majority)
Lease:  36 s, 7.2 times what a renewal takes (round trip 21 ms)

Refused files
  hactl on node 3: hactl:3:1: group without level: 'x'

Bans
  web not on node 3 for 4m: test entry webtest exited 1

Pausing
  mail: maild respawned too rapidly, goes on in 7.0s

Shots
  node 2: print, no receipt, 12s ago
""".rstrip()


def test_what_is_wrong_comes_first_and_each_group_says_why_and_what_to_do() -> None:
    assert utc(told(DEGRADED)) == DEGRADED_PAGE


def test_a_group_that_no_problem_tells_of_is_told_all_the_same() -> None:
    shown = told(report(groups=[group("web", ok=False, why="nobody can", next="mend it")]))
    assert "  * web: nobody can\n    -> mend it" in shown


def test_groups_with_the_same_trouble_share_a_line() -> None:
    why, advice = "no quorum: 1 of 3 nodes fresh", "bring nodes back"
    groups = [group(name, ok=False, why=why, next=advice) for name in ("db", "mail", "web")]
    shared = Problem(kind="group", subjects=["db", "mail", "web"], text=why, next=advice)
    first = Problem(kind="no-quorum", text="no quorum")
    shown = told(report(groups=groups, problems=["x", "y"], problem_list=[first, shared]))
    assert "NOT OK: 2 problems, 0 of 3 groups" in shown
    assert "  * no quorum\n  * db, mail, web: no quorum: 1 of 3 nodes fresh\n    -> bring" in shown
    assert shown.count("bring nodes back") == 1


def test_the_problems_of_a_monitor_of_an_older_version_are_told_as_they_are() -> None:
    shown = told(report(problems=["no quorum: 1 of 3 nodes fresh"]))
    assert "  * no quorum: 1 of 3 nodes fresh" in shown


def test_what_has_stopped_and_is_not_claimed_is_not_shown() -> None:
    stopped = on(1, "stop", claim_term=None)
    shown = told(report(groups=[group("web", stopped, on(2)), group("db", on(3, "stop"))]))
    assert shown.count("stop DONE") == 1


def test_a_long_reason_is_wrapped_below_its_first_word() -> None:
    why = "no node can run it: " + "; ".join(f"node {n}: banned there for 200 s" for n in range(5))
    shown = told(report(groups=[group("web", ok=False, why=why)]))
    first, second = shown.splitlines()[1:3]
    assert first.startswith("  * web: no node can run it")
    assert re.match(r"    \S", second)


def test_what_a_stale_node_said_is_grey_and_never_green() -> None:
    lines = told(DEGRADED, colours=True).splitlines()
    (row,) = (line for line in lines if "start DONE 73s" in line)
    assert f"{GREY}start DONE 73s" in row
    assert GREEN not in row


def test_what_a_fresh_node_says_is_green_only_where_it_is_wanted() -> None:
    shown = told(report(groups=[group("a", on(1)), group("b", on(2, "drain"))]), colours=True)
    assert f"{GREEN}start DONE 0.4s" in shown
    assert "drain DONE 0.4s" in shown
    assert f"{GREEN}drain" not in shown


@pytest.mark.parametrize("nodes", [2, 4, 6, 8, 30])
def test_the_page_fits_80_columns_however_many_nodes_there_are(nodes: int) -> None:
    shown = told(
        report(
            nodes=[node(n) for n in range(1, nodes + 1)],
            groups=[group("a" * 40, on(1)), group("b", on(2, "test", "STARTING"))],
        )
    )
    assert max(map(len, shown.splitlines())) <= 80
    assert "NODE 2" in shown or "2: test STARTING" in shown


def test_what_a_stale_node_said_is_marked_without_colours_too() -> None:
    nodes = [node(1, "self"), node(2, "stale", age_s=42.0), *(node(n) for n in range(3, 8))]
    web = group("web", on(1), on(2, age_s=42.0))
    assert "runs?" in told(report(nodes=nodes, groups=[web]))
    many = [*nodes, *(node(n) for n in range(8, 31))]
    assert "2: start DONE 42s (stale)" in told(report(nodes=many, groups=[web]))


def test_a_node_that_missed_heartbeats_is_late_and_all_is_not_plainly_ok() -> None:
    nodes = [node(1, "self"), node(2, age_s=5.2, late=5), node(3)]
    text = "node 2 is late: 5 heartbeats missed"
    listed = [Problem(kind="node-late", subjects=["2"], text=text)]
    late = report(nodes=nodes, problems=[text], problem_list=listed)
    assert not late.as_wanted
    shown = told(late)
    assert shown.startswith("LATE: node 2 missed 5 heartbeats; 2 of 2 groups as wanted when last")
    assert re.search(r"2 +late +5\.2s .*5 heartbeats missed", shown)
    assert "NODE 2 late" in shown
    row = next(
        line for line in told(late, colours=True).splitlines() if line.startswith("\x1b[1mdb")
    )
    assert GREEN not in row
    listed.append(Problem(kind="host", text="cannot publish"))
    more = report(nodes=nodes, problems=[text, "cannot publish"], problem_list=listed)
    assert told(more).startswith("NOT OK: 2 problems")


def test_a_node_of_which_only_old_news_are_there_makes_nothing_ok() -> None:
    nodes = [node(1, "self"), node(2, confirmed=False), node(3, confirmed=False)]
    listed = [Problem(kind="node-unconfirmed", subjects=["2", "3"], text="nodes 2, 3 have …")]
    found = report(nodes=nodes, problems=["nodes 2, 3 have …"], problem_list=listed)
    assert not found.as_wanted
    shown = told(found)
    assert shown.startswith("UNCONFIRMED: nothing heard of node 2, 3 since this monitor started;")
    assert re.search(r"2 +unconfirmed +0\.4s", shown)
    assert "NODE 2 unconfirmed" in shown
    row = next(
        line for line in told(found, colours=True).splitlines() if line.startswith("\x1b[1mdb")
    )
    assert GREEN not in row


def test_a_dead_service_is_red_and_said_in_its_cell() -> None:
    dead = on(2, troubles=[EntryTrouble(tag="s", kind="pausing", restarts=6)])
    shown = report(groups=[group("shop", dead, ok=False, why="it is dead")])
    assert "start DONE, s pausing 0.4s" in told(shown)
    assert f"{RED}start DONE, s pausing" in told(shown, colours=True)


def test_what_an_operator_has_stopped_is_marked_and_not_called_failed() -> None:
    stopped, pausing = (EntryTrouble(tag="s", kind=kind) for kind in ("stopped", "pausing"))
    shown = report(groups=[group("db", on(2, troubles=[stopped]), ok=False)])
    assert f"{YELLOW}start DONE, s stopped" in told(shown, colours=True)
    both = report(groups=[group("db", on(2, troubles=[stopped, pausing]), ok=False)])
    assert f"{RED}start DONE, s stopped +1" in told(both, colours=True)


def test_the_word_of_a_cell_is_the_level_where_another_is_wanted_and_a_ban_is_of_its_node() -> None:
    ban = BanReport(node=3, left_s=60, reason="exit 1")
    groups = [group("web", on(1, "drain")), group("db", ok=False, why="no", bans=[ban])]
    shown = told(report(nodes=[node(n) for n in range(1, 8)], groups=groups))
    assert re.search(r"\nweb +start +drain +- +- +- +- +- +-\n", shown)
    assert re.search(r"\ndb +start +- +- +ban +- +- +- +-\n", shown)


def test_who_has_said_it_is_told_where_it_was_not_the_node_itself() -> None:
    shown = told(report(groups=[group("web", on(2, said_by=3)), group("db", on(1))]))
    assert "start DONE 0.4s (by 3)" in shown
    assert shown.count("(by ") == 1


def test_what_an_operator_has_stopped_is_told_of_its_group() -> None:
    problem = Problem(kind="stopped", subjects=["web"], text="entry w is stopped", next="start it")
    found = report(
        groups=[group("web", on(1), ok=False, why="entry w is stopped")],
        problems=["web: entry w is stopped"],
        problem_list=[problem],
    )
    shown = told(found)
    assert "NOT OK: 1 problem, 0 of 1 groups as wanted" in shown
    assert "  * web: entry w is stopped\n    -> start it" in shown


def test_many_nodes_get_a_word_a_cell_and_a_great_many_a_list() -> None:
    groups = [group("web", on(1)), group("db", on(2, "start", "FAILED"))]
    some = told(report(nodes=[node(n) for n in range(1, 8)], groups=groups))
    assert re.search(r"web +start +runs +- ", some)
    assert "FAILED" in some
    many = told(report(nodes=[node(n) for n in range(1, 31)], groups=groups))
    assert re.search(r"web +start +1: start DONE 0\.4s", many)


def test_no_quorum_and_silence_and_other_tables_are_told() -> None:
    shown = told(
        report(
            quorum=Quorum(has=False, policy="majority", seen=1, electorate=[1, 2, 3], needed=2),
            nodes=[
                node(1, "self", silent=True),
                node(2, tables=TABLES | {"cltab": TableSeen(mtime_ns=9, digest="cc")}),
                node(3, "never", age_s=None, tables={}),
            ],
            margin=Margin(lease_margin=1.2, warning="slow"),
            problems=["no quorum"],
        )
    )
    assert "Quorum: NO, 1 of 3 nodes, 2 needed (majority)" in shown
    assert "does not vote yet" in shown
    assert "another cltab than here" in shown
    assert "never heard" in shown


@pytest.mark.parametrize(
    ("age_s", "text"),
    [
        (None, "-"),
        (-0.1, "0.0s"),
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (99.4, "99s"),
        (120, "2m"),
        (5_900, "98m"),
        (7_200, "2h"),
        (172_800, "2d"),
    ],
)
def test_an_age_is_said_in_three_or_four_characters(age_s: float | None, text: str) -> None:
    assert age_text(age_s) == text


# --- the command -----------------------------------------------------------------------


def test_all_as_wanted_is_exit_status_0_and_no_colours_go_to_a_pipe(
    mosha: Mosha, home: Home
) -> None:
    with FakeMonitor(home.rundir, report()):
        said = mosha("status")
    assert said.status == 0
    assert [line.rstrip() for line in utc(said.out).splitlines()] == HEALTHY.splitlines()


@pytest.mark.parametrize(
    "wrong",
    [
        DEGRADED,
        report(problems=["something"]),
        report(groups=[group("web", ok=False)]),
    ],
)
def test_anything_wrong_is_exit_status_1(mosha: Mosha, home: Home, wrong: Report) -> None:
    assert not wrong.as_wanted
    with FakeMonitor(home.rundir, wrong):
        assert mosha("status").status == 1
        assert mosha("status", "--json").status == 1


def test_json_is_the_whole_report_and_keeps_its_schema(mosha: Mosha, home: Home) -> None:
    with FakeMonitor(home.rundir, DEGRADED):
        said = mosha("status", "--json")
    assert not said.err
    shown = json.loads(said.out)
    jsonschema.validate(shown, hastat_schema())
    assert [g["group"] for g in shown["groups"]] == ["db", "web", "mail"]


def test_the_originals_form_can_be_had(mosha: Mosha, home: Home) -> None:
    with FakeMonitor(home.rundir, report(groups=[group("web", on(1))])):
        said = mosha("status", "--format", "perl")
    assert said.out == '{ web => { 1 => { level => "start", state => "DONE" } } }\n'


@pytest.mark.parametrize("words", [["--json", "--format", "perl"], ["--json", "--watch"]])
def test_what_excludes_itself_is_wrong_usage(mosha: Mosha, words: list[str]) -> None:
    assert mosha("status", *words).status == 2


LONG_PATH = "/var/mosix-ha/state/history/hactl.20261129T110352_781943473Z.36f59b0b5d1c17.discarded"


def test_what_is_to_be_copied_is_never_cut_and_lines_end_without_blanks(
    mosha: Mosha, home: Home
) -> None:
    text = f"hactl: an edit was kept as {LONG_PATH}"
    view = group("web", on(1), ok=False, why=f"its program {LONG_PATH} is gone", next=LONG_PATH)
    refused = [Refusal(file=LONG_PATH, node=2, text="1 mistake")]
    problem = Problem(kind="table-remark", text=text, next=f"cp {LONG_PATH} hactl")
    shown = report(groups=[view], problems=[text], problem_list=[problem], refused=refused)
    with FakeMonitor(home.rundir, shown):
        for said in (mosha("status"), mosha("status", "web")):
            lines = said.out.splitlines()
            assert any(LONG_PATH in line for line in lines)
            assert "…" not in said.out
            assert [line for line in lines if line != line.rstrip()] == []
    whole = told(shown, 40).replace("\n", "").replace(" ", "")
    assert whole.count(LONG_PATH) == 5  # a screen that would cut it gets it folded


def test_a_word_for_what_is_on_its_way_is_not_that_of_its_level() -> None:
    shown = report(groups=[group("web", on(1, "start", "STARTING"), ok=False)])
    row = next(line for line in told(shown, 42).splitlines() if line.startswith("web"))
    assert row.split() == ["web", "start", "starting", "-", "-"]
