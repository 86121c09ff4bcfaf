"""`mosha status GROUP`: the processes of a group and what they printed, as an init shows them."""

from __future__ import annotations

import io
import json

import jsonschema
from msgspec.structs import replace
from rich.console import Console

from mosha.cli.status.group_page import group_page
from mosha.control.protocol import AskReport
from mosha.formats.hastat import (
    BanReport,
    EntryState,
    EntryTrouble,
    Report,
    ShotReport,
    hastat_schema,
)
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import group, node, on, report

DEAD = EntryState(
    tag="shopd",
    mode="respawn",
    state="pausing",
    starts=7,
    exit="exit 1",
    for_s=12.4,
    restarts=6,
    failures=7,
    command="/usr/bin/shopd -f",
    said=["starting", "bind: address in use"],
)
ALIVE = EntryState(
    tag="cache", mode="respawn", state="running", pid=4711, starts=1, for_s=300.0, command="cached"
)


def told(shown: Report, name: str = "shop") -> str:
    file = io.StringIO()
    Console(highlight=False, file=file, width=80).print(group_page(shown, name))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def here() -> Report:
    trouble = EntryTrouble(tag="shopd", kind="pausing", restarts=6, for_s=12, text="exit 1")
    place = on(1, troubles=[trouble])
    view = group("shop", place, ok=False, why="it is dead", next="mend it", entries=[DEAD, ALIVE])
    return report(groups=[view])


def test_the_shots_that_a_group_waits_for_are_on_its_page() -> None:
    shots = [
        ShotReport(
            node=2, inc=5, method="fence_apc", outcome="failed", age_s=12, detail="no answer"
        ),
        ShotReport(node=3, inc=5, method="fence_apc", outcome="running", age_s=1),
    ]
    view = group("shop", ok=False, why="it waits for a receipt", may_run=[2])
    waiting = replace(report(groups=[view]), shots=shots)
    assert told(waiting).endswith("Shots\n  node 2: fence_apc, failed, 12s ago: no answer")
    well = replace(waiting, groups=[group("shop", on(1), ok=True, may_run=[2])])
    assert "Shots" not in told(well)


def test_without_a_quorum_the_shots_at_silent_nodes_are_on_the_page_of_each_group() -> None:
    shots = [ShotReport(node=2, inc=5, method="fence_apc", outcome="running", age_s=1)]
    view = group("shop", ok=False, why="no quorum")
    found = report(groups=[view], nodes=[node(1, "self"), node(2, "stale")])
    half = replace(found, shots=shots, quorum=replace(found.quorum, has=False))
    assert told(half).endswith("Shots\n  node 2: fence_apc, running, 1.0s ago")


PAGE = """\
shop: it is dead
  -> mend it

Wanted: start
NODE           IS AT       HEARD  NOT WELL
1 (this node)  start DONE  0.4s   shopd pausing 12s: exit 1

ENTRY  MODE     STATE    PID   FOR   RESTARTS  LAST EXIT
shopd  respawn  pausing  -     12s   6         exit 1
cache  respawn  running  4711  5m    0         -

shopd: /usr/bin/shopd -f
  starting
  bind: address in use

cache: cached"""


def test_entries_are_shown_with_pids_restarts_last_exit_and_last_lines() -> None:
    assert told(here()).split() == PAGE.split()
    assert told(here()).splitlines()[-4:] == PAGE.splitlines()[-4:]


def test_of_a_group_elsewhere_it_says_what_is_known_and_where_to_ask() -> None:
    nodes = [node(1, "self"), node(2, "stale", age_s=40.0), node(3)]
    view = group("shop", on(3), on(2, age_s=40.0), where=[3])
    shown = told(report(nodes=nodes, groups=[view]))
    assert shown.startswith("shop: as wanted")
    assert "2 (stale)" in shown
    assert "node 1 reports no process of it" in shown
    assert shown.endswith("mosha status shop, on node 3")


def test_what_another_node_says_of_one_is_not_said_to_be_here() -> None:
    """Node 1 reports what it has heard last of node 2."""
    view = group("shop", on(2, said_by=1), bans=[BanReport(node=3, left_s=9, reason="exit 1")])
    lines = [line.split("  ")[0] for line in told(report(groups=[view])).splitlines()]
    assert "2" in lines
    assert "2 (this node)" not in lines
    assert "3" in lines, "the node that is banned, whoever says so"


def test_an_entry_that_has_failed_is_red_though_it_runs_again() -> None:
    view = group("shop", on(1), entries=[replace(ALIVE, failures=3), replace(ALIVE, tag="db")])
    file = io.StringIO()
    Console(file=file, width=80, force_terminal=True, color_system="standard").print(
        group_page(report(groups=[view]), "shop")
    )
    failing, well = (line for line in file.getvalue().splitlines() if "running" in line)
    assert "\033[1;31mrunning" in failing
    assert "\033[32mrunning" in well


def test_a_stopped_group_has_no_table_without_rows() -> None:
    view = group("shop", wanted="stop", where=[])
    assert told(report(groups=[view])).splitlines() == [
        *("shop: as wanted", "", "Wanted: stop", ""),
        "node 1 reports no process of it",
    ]


def test_a_group_that_hactl_does_not_name_is_said_to_be_stopped_for_that() -> None:
    view = group("shop", wanted="stop", in_hactl=False, where=[])
    assert "Wanted: stop, since hactl does not name it" in told(report(groups=[view]))


def test_the_page_of_a_group_on_all_nodes_has_each_instance() -> None:
    views = [group(f"dns@{it}", on(it)) for it in (1, 2)]
    shown = told(report(groups=[*views, group("web", on(1))]), "dns")
    assert [line for line in shown.splitlines() if line.endswith("as wanted")] == [
        "dns@1: as wanted",
        "dns@2: as wanted",
    ]
    assert "dns@2" not in told(report(groups=views), "dns@1")


def test_a_group_without_a_view_is_not_called_to_run_nowhere() -> None:
    shown = told(report(groups=[]))
    assert shown == "shop: no table in force names it, and no node that is heard shows it"


def test_of_an_outdated_entry_the_age_of_its_process_is_not_shown_as_that_of_the_edit() -> None:
    late = EntryTrouble(tag="slow", kind="late", for_s=840)
    old = EntryTrouble(tag="srv", kind="outdated", for_s=840, text="cltab has a newer definition")
    shown = " ".join(told(report(groups=[group("shop", on(1, troubles=[old, late]))])).split())
    assert "srv outdated: cltab has a newer definition; slow late 14m" in shown


def test_the_command_asks_for_the_group_and_its_exit_status_is_that_of_the_group(
    mosha: Mosha, home: Home
) -> None:
    with FakeMonitor(home.rundir, here()) as monitor:
        said = mosha("status", "shop")
        shown = mosha("status", "shop", "--json")
    assert (said.status, shown.status) == (1, 1)
    assert "bind: address in use" in said.out
    assert monitor.asked == [AskReport("shop"), AskReport("shop")]
    jsonschema.validate(json.loads(shown.out), hastat_schema())


def test_a_page_that_follows_all_groups_takes_no_group(mosha: Mosha) -> None:
    assert mosha("status", "shop", "--watch").status == 2
