"""A node that logs into files: one of the monitor, one of clinit; `mosha logs` reads both."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.cluster import Cluster
from tests.waiting import wait_until

FILES = 'log_file = "{}/m.log"\nlog_file_max_bytes = 4096\nlog_file_keep = 50\n'


def mosha(cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mosha.cli.main", *words]
    config = ["--config", str(cluster.nodes[1].config)]
    return subprocess.run(
        [*command, *config], capture_output=True, text=True, check=False, timeout=60
    )


def logged(cluster: Cluster) -> list[dict[str, object]]:
    """Return what `mosha logs` finds by the settings, as on a terminal."""
    files = [str(path) for path in sorted(cluster.base.glob("m*.log*"))]
    said = mosha(cluster, "logs", "--json", *files)
    assert said.returncode == 0, said.stderr
    return [json.loads(line) for line in said.stdout.splitlines()]


def test_monitor_and_clinit_log_into_files_that_rotate_and_every_line_has_its_node(
    short_dir: Path,
) -> None:
    with Cluster(short_dir, size=1, extra=FILES.format(short_dir)) as cluster:
        node = cluster.nodes[1]
        cluster.write_tables(["web", "db"], cltab="db:noise:start:once:seq 100\n")
        cluster.start()
        cluster.wait_running(["web", "db"])
        wait_until(
            lambda: {"claim_granted", "entry_exited"} <= {e["event"] for e in logged(cluster)}
        )
        assert node.log.read_text() == ""
        lines = logged(cluster)
        assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)  # type: ignore[type-var]
        texts = [line["text"] for line in lines if line.get("tag") == "noise" and "text" in line]
        assert texts == [str(number) for number in range(1, 101)]
        assert {line.get("node") for line in lines} == {1}
        assert (cluster.base / "m-clinit.log.1").exists()
        assert (cluster.base / "m.log").exists()
        said = mosha(cluster, "views")
        assert said.returncode == 0, said.stdout
        assert mosha(cluster, "why", "web").returncode == 0
        assert mosha(cluster, "why-not", "web", "2").returncode == 1
        assert "web on node 1" in mosha(cluster, "events").stdout


def test_a_full_disk_stops_neither_daemon_and_is_said_on_stderr(short_dir: Path) -> None:
    with Cluster(short_dir, size=1, extra=FILES.format(short_dir)) as cluster:
        for name in ("m.log", "m-clinit.log"):
            (short_dir / name).symlink_to("/dev/full")
        cluster.write_tables(["web"])
        cluster.start()
        cluster.wait_running(["web"])
        said = cluster.nodes[1].log.read_text()
        assert f"cannot write the log {short_dir}/m.log: No space left on device" in said
        assert f"cannot write the log {short_dir}/m-clinit.log: No space left" in said
        assert said.count("No space left") == 2
