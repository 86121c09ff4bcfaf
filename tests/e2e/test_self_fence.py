"""A node that resets itself says so when it is back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mosha.formats.self_reset import SELF_RESET_FILE
from tests.e2e.cluster import Cluster
from tests.e2e.power import is_down, note_power, reboot, says
from tests.e2e.test_verbs import say
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

PULL = "#!/bin/sh\nkill -KILL $(cat {pids})\n"
TOLD = "this node has reset itself at "


def test_after_its_reset_a_node_says_that_it_was_itself_and_why_until_a_cleanup(
    short_dir: Path,
) -> None:
    command = short_dir / "reset"
    command.write_text(PULL.format(pids=short_dir / "p1.pids"))
    command.chmod(0o755)
    extra = f'self_fence = "{command}"\non_stop_failure = "fence"\n'
    with Cluster(short_dir, size=1, extra=extra) as cluster:
        node = cluster.nodes[1]
        cluster.write_tables(["a"], cltab="a:a-bad:stop:test:/bin/false\n")
        cluster.start()
        cluster.wait_running(["a"])
        note_power(cluster)
        assert not says(node, TOLD)
        (node.directory / "hactl").write_text("a stop\n")
        wait_until(lambda: is_down(node))
        reboot(node)
        wait_until(lambda: says(node, TOLD))
        (text,) = [problem for problem in node.report().problems if TOLD in problem]
        assert f"(self_fence = {command}): the stop of a has failed; look why a did not" in text
        assert text.endswith("until you say that you know: mosha cleanup a")

        def happened() -> list[str]:
            _, page = say(cluster, 1, "events")
            return [line for line in page.splitlines() if "reset itself" in line]

        (line,) = wait_until(happened)
        assert line.endswith(f"node 1 reset itself ({command}): the stop of a has failed")
        node.kill_monitor()
        node.start()
        wait_until(lambda: says(node, TOLD))
        assert happened() == [line]
        status, said = say(cluster, 1, "cleanup", "a")
        assert status == 0, said
        wait_until(lambda: not says(node, TOLD))
        wait_until(lambda: not (node.rundir / "state" / SELF_RESET_FILE).exists())
