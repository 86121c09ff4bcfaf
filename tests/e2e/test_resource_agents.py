"""A group with a resource agent on three nodes: it moves, and stays where its stop has failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.test_verbs import home, say
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster

# One mount for each node, as a file; the file `busy` keeps it from being unmounted.
AGENT = """#!/bin/sh
cd "${OCF_ROOT%/*}"
case $1 in
meta-data) echo '<resource-agent name="Filesystem"/>' ;;
start) touch "mounted-$MOSHA_NODE" ;;
stop)
    [ ! -e busy ] || { echo "ocf-exit-reason:target is busy" >&2; exit 1; }
    rm -f "mounted-$MOSHA_NODE"
    ;;
monitor) [ -e "mounted-$MOSHA_NODE" ] || exit 7 ;;
esac
"""


def install(cluster: Cluster, directory: Path) -> None:
    agent = directory / "ocf/resource.d/heartbeat/Filesystem"
    agent.parent.mkdir(parents=True)
    agent.write_text(AGENT)
    agent.chmod(0o755)
    places = {"OCF_ROOT": str(directory / "ocf"), "HA_RSCTMP": str(directory / "rsctmp")}
    for node in cluster.nodes.values():
        node.env |= places


def test_a_mount_that_cannot_go_keeps_its_group_where_it_is(
    patient: Cluster, short_dir: Path
) -> None:
    place = short_dir / "place"
    place.mkdir()
    install(patient, place)
    cltab = "a:fs:start:ocf:Filesystem directory=/srv\n"
    patient.write_tables((), cltab=cltab, hactl="a start\n")
    patient.start()
    patient.wait_running(("a",))
    first = home(patient, "a")
    (place / "busy").touch()
    other = 1 + first % 3
    status, said = say(patient, other, "move", "a", str(other))
    assert status == 0, said

    def why() -> str:
        return next(g.why for g in patient.nodes[other].report().groups if g.group == "a")

    wait_until(lambda: f"its stop entries failed on node {first}" in why())
    assert "fs.stop" in why()
    assert "target is busy" in why()
    assert patient.places() == {}
    assert [path.name for path in place.glob("mounted-*")] == [f"mounted-{first}"]
    (place / "busy").unlink()
    status, said = say(patient, other, "cleanup", "a", str(first))
    assert status == 0, said
    patient.wait_running(("a",))
    now = home(patient, "a")
    wait_until(lambda: [path.name for path in place.glob("mounted-*")] == [f"mounted-{now}"])
