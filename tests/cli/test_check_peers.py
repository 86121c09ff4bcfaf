"""`mosha check` and other nodes: settings that do not agree, a rundir that is another's."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest

from mosha.core.cluster.memory import Memory
from mosha.core.cluster.quorum import Electorate, Policy
from mosha.core.status import NodeState, Status
from mosha.formats.clstat import render_clstat
from mosha.host.files import write_atomically
from mosha.monitor.identity import NODE_FILE
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import report

SAME = Electorate(Policy.MAJORITY, frozenset({1, 2, 3})).digest
FEWER = Electorate(Policy.MAJORITY, frozenset({1, 2})).digest


def publish(
    home: Home,
    node: int,
    *,
    timeout_s: float = 60,
    voters: str = SAME,
    state: NodeState = NodeState.UP,
    refused: Mapping[str, str] = MappingProxyType({}),
    seq: int = 1,
    heartbeat_s: float = 0,
) -> None:
    """Publish the status of a node."""
    directory = home.base / "mfs" / str(node) / "var/mosix-ha"
    directory.mkdir(parents=True, exist_ok=True)
    status = Status(
        node=node,
        inc=1_763_800_000,
        run=f"{node:08x}",
        boot="77de02c1",
        seq=seq,
        heartbeat_ms=round(heartbeat_s * 1000),
        timeout_ms=round(timeout_s * 1000),
        voters=voters,
        state=state,
        refused=refused,
    )
    write_atomically(directory / "clstat", render_clstat(status).encode(), sync=False)


@contextmanager
def publishing(home: Home, *nodes: int) -> Iterator[None]:
    """Publish statuses of these nodes, one after the other, as live nodes do."""
    ended = threading.Event()

    def publish_all() -> None:
        for seq in itertools.count(1):
            for node in nodes:
                publish(home, node, seq=seq)
            if ended.wait(0.02):
                break

    publisher = threading.Thread(target=publish_all)
    for node in nodes:
        publish(home, node, seq=0)
    publisher.start()
    try:
        yield
    finally:
        ended.set()
        publisher.join()


def remember(home: Home, run: str, former: str = "") -> None:
    state = home.rundir / "state"
    state.mkdir()
    memory = Memory(inc=1, run=run, former_run=former)
    (state / NODE_FILE).write_bytes(msgspec.json.encode(memory))


def test_nodes_that_agree_are_no_finding(mosha: Mosha, home: Home) -> None:
    publish(home, 2)
    (home.base / "mfs" / "3").mkdir()
    remember(home, "00000001")
    with FakeMonitor(home.rundir, report()):
        out = mosha("check").out
    assert "node 2" not in out
    assert "rundir: " not in out.replace("ok: rundir: ", "")


def test_another_timeout_and_other_nodes_are_warned_of(mosha: Mosha, home: Home) -> None:
    publish(home, 2, timeout_s=30)
    publish(home, 3, voters=FEWER)
    said = mosha("check")
    assert said.status == 0
    assert (
        "warning: timeout: node 2 has timeout = 30 s, this node 60 s; make it the same" in said.out
    )
    assert "warning: nodes: node 3 has other `nodes` in mosha.toml than this node" in said.out


@pytest.mark.parametrize("wrong", ['timeout = "5s"', "timeout = 5s", 'quorum = "most"'])
def test_a_setting_that_has_a_mistake_is_not_compared(mosha: Mosha, home: Home, wrong: str) -> None:
    home.config.write_text(f"{wrong}\n{home.config.read_text()}")
    publish(home, 1)
    publish(home, 2, timeout_s=60 if "quorum" in wrong else 30)
    publish(home, 3, voters=FEWER if "quorum" in wrong else SAME)
    remember(home, "ffffffff")
    out = mosha("check").out
    assert "1 mistake, " in out
    assert "has timeout" not in out
    assert "has other `nodes`" not in out
    silent = "60 s" if "quorum" in wrong else "`timeout`"
    assert f"else the next start publishes nothing for {silent}" in out


def test_a_node_that_does_not_tell_its_nodes_is_no_finding(mosha: Mosha, home: Home) -> None:
    """As those of older versions do not."""
    publish(home, 2, voters="", timeout_s=0)
    out = mosha("check").out
    assert "has other `nodes`" not in out
    assert "has timeout" not in out


@pytest.mark.parametrize("spoil", [b"", b"{", b"[" * 5000, b"\xff"])
def test_of_a_memory_that_cannot_be_read_nothing_is_said(
    mosha: Mosha, home: Home, spoil: bytes
) -> None:
    publish(home, 1)
    remember(home, "ffffffff")
    (home.rundir / "state" / NODE_FILE).write_bytes(spoil)
    assert "does not remember the last run" not in mosha("check").out


def test_a_rundir_whose_monitor_is_another_node_is_a_mistake(mosha: Mosha, home: Home) -> None:
    publish(home, 2)
    with FakeMonitor(home.rundir, report(node=2)):
        said = mosha("check")
    assert said.status == 1
    told = f"mistake: rundir: {home.rundir} is that of node 2, whose monitor runs; give this node"
    assert told in said.out


@pytest.mark.parametrize(("run", "former"), [("00000002", ""), ("ffffffff", "00000002")])
def test_a_rundir_with_the_state_of_another_node_is_warned_of(
    mosha: Mosha, home: Home, run: str, former: str
) -> None:
    publish(home, 2)
    remember(home, run, former)
    said = mosha("check")
    assert said.status == 0
    assert f"warning: rundir: {home.rundir} has the state of node 2" in said.out


@pytest.mark.parametrize(
    ("run", "state", "told"),
    [
        ("00000001", NodeState.UP, False),
        ("ffffffff", NodeState.UP, True),
        ("", NodeState.UP, True),
        ("ffffffff", NodeState.LEFT, False),
    ],
)
def test_a_rundir_that_does_not_remember_what_this_node_published_is_warned_of(
    mosha: Mosha, home: Home, run: str, state: NodeState, *, told: bool
) -> None:
    publish(home, 1, timeout_s=90, state=state)
    if run:
        remember(home, run)
    said = mosha("check")
    assert said.status == 0
    assert (f"{home.rundir} does not remember the last run of node 1" in said.out) is told
    assert ("else the next start publishes nothing for 90 s" in said.out) is told
    assert "has timeout = 90 s" not in said.out


def test_a_node_finds_its_own_status_also_where_no_nodes_are_set(mosha: Mosha, home: Home) -> None:
    home.config.write_text(home.config.read_text().replace("nodes = [1, 2, 3]\n", ""))
    publish(home, 1)
    remember(home, "ffffffff")
    assert "does not remember the last run of node 1" in mosha("check").out


@pytest.mark.parametrize("spoil", [b"", b"{", b"[" * 5000, b"\xff"])
def test_what_cannot_be_read_of_others_stops_no_check(
    mosha: Mosha, home: Home, spoil: bytes
) -> None:
    publish(home, 2)
    remember(home, "00000001")
    for path in (Path("mfs/2/var/mosix-ha/clstat"), Path(f"run/state/{NODE_FILE}")):
        (home.base / path).write_bytes(spoil)
    said = mosha("check")
    assert said.status == 0
    assert "node 2" not in said.out


# --- nodes that publish and are not in `nodes` ----------------------------------------------


@pytest.fixture
def alone(home: Home) -> None:
    home.config.write_text(home.config.read_text().replace("[1, 2, 3]", "[1]"))


@pytest.mark.usefixtures("alone")
def test_nodes_that_publish_and_are_not_in_nodes_are_a_mistake(mosha: Mosha, home: Home) -> None:
    publish(home, 1)
    with publishing(home, 2, 3):
        said = mosha("check")
    assert said.status == 1
    told = (
        f"mistake: nodes: nodes 2, 3 publish in {home.base}/mfs and are not in `nodes` here: a"
        " group may run here and there at once; make `nodes` the same on all of them"
    )
    assert told in said.out


@pytest.mark.usefixtures("alone")
def test_a_node_that_was_taken_out_and_left_is_no_finding(mosha: Mosha, home: Home) -> None:
    publish(home, 2, state=NodeState.LEFT)
    assert "node 2" not in mosha("check").out


@pytest.mark.usefixtures("alone")
def test_a_node_that_was_taken_out_and_had_died_is_a_warning(mosha: Mosha, home: Home) -> None:
    publish(home, 3, heartbeat_s=0.1)
    (home.base / "mfs/4/var/mosix-ha").mkdir(parents=True)
    (home.base / "mfs/5/var/mosix-ha/clstat").mkdir(parents=True)
    said = mosha("check")
    assert said.status == 0
    told = (
        "warning: nodes: node 3, which is not among them, has not left and publishes nothing now;"
        f" if it is gone for good, remove {home.base}/mfs/3"
    )
    assert told in said.out
    assert "node 4" not in said.out
    assert "node 5" not in said.out


# --- the time that stops may take -----------------------------------------------------------


TWO = "web:a:start:respawn(stop=TERM/9s):sleep 9\nweb:b:start:respawn(stop=INT/5s):sleep 9\n"


@pytest.mark.parametrize(
    ("cltab", "told"),
    [
        ("web:w:start:respawn(stop=TERM/30s):sleep 9\n", "may take stop= of w 30 s, and"),
        ("web:w:start:respawn(stop=TERM/10s/QUIT/8s):sleep 9\n", ""),
        ("web:w:start:respawn:sleep 9\n", ""),
        ("web:w:stop:wait(timeout=20s):true\n", "timeout= of w 20 s, and"),
        ("web:w:stop:off(timeout=20s):true\n", ""),
        (
            "web:c:stop:wait(timeout=9s):true\nweb:d:stop:test(timeout=10s):true\n",
            "may take 19 s (timeout= of c 9 s + timeout= of d 10 s), and after a",
        ),
        ("web:w:test:test(timeout=20s):true\n", ""),
        (
            f"{TWO}web:c:stop:wait(timeout=6s):true\nweb:d:stop:once(timeout=4s):true\n",
            "may take 19 s (stop= of a 9 s + timeout= of c 6 s + timeout= of d 4 s), and after a",
        ),
    ],
)
def test_a_stop_that_may_take_longer_than_the_stop_budget_is_warned_of(
    mosha: Mosha, home: Home, cltab: str, told: str
) -> None:
    (home.tables / "cltab").write_text(cltab)
    said = mosha("check")
    assert said.status == 0
    assert ("the stop of web may take" in said.out) is bool(told)
    assert told in said.out


def test_a_table_that_another_node_refuses_is_warned_of(mosha: Mosha, home: Home) -> None:
    publish(home, 2, refused={"cltab": "/mfs/2/cltab:1:13: unknown mode: 'x'"})
    said = mosha("check")
    assert said.status == 0
    assert "warning: node 2: node 2 refuses its cltab: /mfs/2/cltab:1:13: unknown mode" in said.out
