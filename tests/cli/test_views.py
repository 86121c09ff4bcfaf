from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import Literal

import jsonschema
import pytest
from msgspec.structs import replace
from rich.console import Console

from mosha.cli.status.views_page import views_page
from mosha.formats.hastat import GroupView, Quorum, Report, TableSeen, render_hastat
from mosha.formats.views import UNKNOWN, Disagreement, Views, compare, views_schema
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import group, node, on, report

LOST = Quorum(has=False, policy="majority", seen=1, electorate=[1, 2, 3], needed=2)


def view(me: int, *groups: GroupView, stale: tuple[int, ...] = (), **fields: object) -> Report:
    """Return the view of one of three nodes."""
    states = {n: "stale" if n in stale else "fresh" for n in (1, 2, 3)} | {me: "self"}
    nodes = [node(n, state) for n, state in states.items()]
    plain: dict[str, object] = {"node": me, "nodes": nodes}
    if groups:
        plain["groups"] = list(groups)
    return report(**(plain | fields))


def said(found: Views) -> dict[str, dict[int, str]]:
    return {one.subject: one.said for one in found.disagreements}


def of(*reports: Report | str, me: int = 1) -> Views:
    return compare(me, dict(enumerate(reports, 1)), {1: 0.0})


# --- what is a disagreement ------------------------------------------------------------------


def test_nodes_that_see_the_same_agree() -> None:
    found = of(view(1), view(2), view(3))
    assert found.disagreements == []
    assert [(v.node, v.counts, v.quorum) for v in found.views] == [
        (1, True, True),
        (2, True, True),
        (3, True, True),
    ]
    assert found.views[0].sees == {1: "up", 2: "up", 3: "up"}


def test_a_one_way_cut_is_a_disagreement_about_a_node() -> None:
    found = of(view(1, stale=(3,)), view(2), view(3))
    assert found.disagreements == [
        Disagreement(about="node", subject="node 3", said={1: "stale", 2: "up", 3: "up"})
    ]


def test_what_a_dead_node_wrote_last_is_no_opinion() -> None:
    found = of(view(1, stale=(3,)), view(2, stale=(3,)), view(3))
    assert found.disagreements == []
    assert [v.node for v in found.views if not v.counts] == [3]


def test_views_that_are_several_times_older_than_the_next_was_due_are_not_believed() -> None:
    written = [view(n, every_s=1.0) for n in (1, 2, 3)]
    found = compare(1, dict(enumerate(written, 1)), dict.fromkeys((1, 2, 3), 3.1))
    assert not found.as_one
    assert [(v.old, v.counts) for v in found.views] == [(True, False)] * 3
    young = compare(1, dict(enumerate(written, 1)), dict.fromkeys((1, 2, 3), 2.9))
    assert young.as_one


def test_the_old_view_of_a_node_that_is_heard_is_told_and_that_of_a_dead_one_is_not() -> None:
    ages = {1: 0.1, 2: 0.1, 3: 60.0}
    heard = {1: view(1), 2: view(2), 3: view(3, every_s=1.0)}
    found = compare(1, heard, ages)
    assert ([v.node for v in found.doubted], found.as_one) == ([3], False)
    dead = {1: view(1, stale=(3,)), 2: view(2, stale=(3,)), 3: view(3, every_s=1.0)}
    found = compare(1, dead, ages)
    assert ([v.node for v in found.doubted], found.as_one) == ([], True)


def test_a_node_that_was_not_read_is_told_and_not_compared() -> None:
    found = of(view(1), "no answer within 3 s", view(3))
    assert found.disagreements == []
    assert [(v.error, v.counts, v.quorum) for v in found.views][1] == (
        "no answer within 3 s",
        False,
        None,
    )


def test_quorum_and_places_of_groups_are_compared() -> None:
    found = of(
        view(1, group("web", on(1))),
        view(2, group("web", on(2)), quorum=LOST),
        view(3, group("web")),
    )
    assert said(found) == {
        "quorum": {1: "yes", 2: "no", 3: "yes"},
        "web": {1: "on node 1", 2: "on node 2", 3: "nowhere"},
    }


def test_tables_in_force_are_compared_by_what_each_says_of_itself() -> None:
    other = {"cltab": TableSeen(mtime_ns=9, digest="ffff0000ffff")}
    second = view(2, nodes=[node(1), node(2, "self", tables=other), node(3)])
    assert said(of(view(1), second)) == {"cltab": {1: "version aa", 2: "version ffff0000"}}


def test_what_a_view_does_not_name_is_no_disagreement() -> None:
    found = of(view(1, group("web", on(1))), view(2, group("db", on(2))))
    assert found.disagreements == []


def test_without_an_own_view_all_that_could_be_read_count() -> None:
    found = compare(0, {2: view(2, stale=(3,)), 3: view(3)}, {})
    assert all(v.counts for v in found.views)
    assert list(said(found)) == ["node 3"]


def test_a_node_that_hears_nobody_has_nobody_to_agree_with() -> None:
    found = of(view(1, stale=(2, 3), quorum=LOST), view(2), view(3))
    assert (found.disagreements, found.as_one) == ([], False)
    text = told(found, colours=True)
    assert "ALONE: node 1 hears no other node" in text
    assert "AS ONE" not in text


def test_a_cluster_of_one_node_is_as_one() -> None:
    assert of(report(nodes=[node(1, "self")])).as_one


# --- the page --------------------------------------------------------------------------------


def told(found: Views, width: int = 80, *, colours: bool = False) -> str:
    file = io.StringIO()
    system: Literal["standard"] | None = "standard" if colours else None
    console = Console(
        highlight=False, file=file, width=width, force_terminal=colours, color_system=system
    )
    console.print(views_page(found, width))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


PAGE = """\
NOT AS ONE: 1 disagreement, 1 view not read
  * node 2: up, says node 1; stale, says node 3
  * the view of node 2: no answer within 3 s

SEEN BY  WRITTEN   QUORUM  NODE 1  NODE 2  NODE 3
node 1   0.0s ago  yes     up      up      up
node 2   -         -       -       -       -
node 3   -         yes     up      stale   up"""


def test_what_they_disagree_about_comes_first() -> None:
    assert told(of(view(1), "no answer within 3 s", view(3, stale=(2,)))) == PAGE


def test_a_view_that_was_not_written_in_time_is_told_though_no_other_disagrees() -> None:
    heard = {1: view(1), 2: view(2), 3: view(3, every_s=1.0)}
    text = told(compare(1, heard, {1: 0.1, 2: 0.1, 3: 60.0}))
    assert text.startswith(
        "NOT AS ONE: 1 view is old\n  * the view of node 3: written 60s ago, and"
    )


def test_who_knows_nothing_of_it_says_nothing() -> None:
    found = Disagreement(about="node", subject="node 3", said={1: "up", 2: UNKNOWN, 4: "stale"})
    text = told(replace(of(view(1), view(2)), disagreements=[found]))
    assert "  * node 3: up, says node 1; stale, says node 4\n" in text


def test_where_nodes_are_many_those_that_are_not_up_are_listed_whatever_they_are() -> None:
    states = {1: "self", 2: "left", 3: "stale"} | dict.fromkeys(range(4, 31), "fresh")
    nodes = [node(number, state) for number, state in states.items()]
    found = compare(1, dict.fromkeys(range(1, 31), "no answer") | {1: view(1, nodes=nodes)}, {})
    text = told(found)
    assert re.search(r"node 1 .*  2 left, 3 stale", text)


def test_an_old_view_is_grey_and_never_green() -> None:
    text = told(of(view(1, stale=(3,)), view(2, stale=(3,)), view(3)), colours=True)
    (row,) = (line for line in text.splitlines() if "not heard" in line)
    assert "\033[32m" not in row
    assert "\033[90m" in row
    assert "AS ONE: 2 views agree" in text


@pytest.mark.parametrize("count", [3, 5, 8, 30])
def test_the_page_fits_80_columns_however_many_nodes_there_are(count: int) -> None:
    nodes = [node(n) for n in range(1, count + 1)]
    found = compare(1, {n: view(n, nodes=nodes) for n in range(1, count + 1)}, {})
    assert max(map(len, told(found).splitlines())) <= 80


# --- the command -----------------------------------------------------------------------------


def publish(home: Home, number: int, found: Report) -> Path:
    path = home.base / "mfs" / str(number) / "var/mosix-ha" / "hastat"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(render_hastat(found))
    return path


def test_all_views_are_read_from_the_cluster_file_system(mosha: Mosha, home: Home) -> None:
    publish(home, 2, view(2))
    publish(home, 3, view(3))
    with FakeMonitor(home.rundir, view(1)):
        found = mosha("views")
    assert found.status == 0
    assert found.out.startswith("AS ONE: 3 views agree")


def test_the_own_file_is_read_where_no_monitor_answers(mosha: Mosha, home: Home) -> None:
    for number in (1, 2, 3):
        publish(home, number, view(number))
    found = mosha("views", "--json")
    assert found.status == 0
    shown = json.loads(found.out)
    jsonschema.validate(shown, views_schema())
    assert [one["counts"] for one in shown["views"]] == [True, True, True]
    assert all(one["age_s"] > 0 for one in shown["views"])


def test_a_view_that_is_missing_or_torn_is_told_and_exit_status_1(mosha: Mosha, home: Home) -> None:
    publish(home, 2, view(2)).write_bytes(b'{"format": 1')
    with FakeMonitor(home.rundir, view(1)):
        found = mosha("views")
    assert found.status == 1
    assert "the view of node 2: cannot be read" in found.out
    assert "the view of node 3: No such file" in found.out


def test_nobody_to_agree_with_is_exit_status_1(mosha: Mosha, home: Home) -> None:
    publish(home, 2, view(2))
    publish(home, 3, view(3))
    with FakeMonitor(home.rundir, view(1, stale=(2, 3), quorum=LOST)):
        found = mosha("views")
    assert found.status == 1
    assert found.out.startswith("ALONE: node 1 hears no other node")


def test_disagreement_is_exit_status_1(mosha: Mosha, home: Home) -> None:
    publish(home, 2, view(2, stale=(3,)))
    publish(home, 3, view(3))
    with FakeMonitor(home.rundir, view(1)):
        found = mosha("views")
    assert found.status == 1
    assert "node 3: up, say node 1, 3; stale, says node 2" in found.out


def test_nodes_are_found_by_their_directories_where_nothing_names_them(
    mosha: Mosha, home: Home
) -> None:
    text = home.config.read_text().replace("nodes = [1, 2, 3]\n", "")
    home.config.write_text(text)
    publish(home, 1, view(1))
    (home.base / "mfs" / "lost+found").mkdir()
    found = mosha("views", "--json")
    assert found.status == 1
    assert [one["node"] for one in json.loads(found.out)["views"]] == [1]


def test_no_node_at_all_is_wrong_usage(mosha: Mosha, home: Home) -> None:
    empty = home.base / "empty"
    empty.mkdir()
    home.config.write_text(f'mfsbase = "{empty}"\nrundir = "{home.rundir}"\n')
    assert mosha("views").status == 2
    os.rmdir(empty)  # noqa: PTH106 - it is empty still: nothing was made there
    assert mosha("views").status == 2


def test_nodes_that_agree_are_not_as_one_while_the_view_of_another_cannot_be_read() -> None:
    found = of(view(1), view(2), "Permission denied")
    assert (found.disagreements, found.alone, found.as_one) == ([], False, False)
    assert of(view(1), view(2), view(3)).as_one
