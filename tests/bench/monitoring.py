"""What monitor entries cost a node, beyond their commands: monitor, clinit and its guards.

The same commands are started as often by a bare asyncio loop, in the same run: what they cost there
is what the commands cost. All else that the node has used is mosha.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable

from mosha.host.clock import boottime
from tests.bench import clusters, floor_monitors
from tests.bench.figures import Aim, Figure, Plan
from tests.bench.machine import reaped_s, usage

GROUPS, EACH = 20, 10
INTERVAL_S = 10
COMMAND = "/bin/true"
TIMEOUT_S = 10.0
LIMIT_S = 120.0
AIM = Aim(at_most=3.0)


def run(plan: Plan) -> list[Figure]:
    groups = clusters.names(GROUPS)
    with clusters.make(
        plan, "monitors", timeout_s=TIMEOUT_S, size=1, extra="heartbeat = 1\n"
    ) as cluster:
        lines = (
            f"{group}:{group}-{number}:start:monitor(interval={INTERVAL_S}):{COMMAND}\n"
            for group in groups
            for number in range(EACH)
        )
        wishes = "".join(f"{group} start\n" for group in groups)
        cluster.write_tables((), cltab="".join(lines), hactl=wishes)
        cluster.start()
        cluster.wait_running(groups, limit_s=LIMIT_S)
        clusters.wait_agreed(cluster)
        count = str(GROUPS * EACH)
        words = [sys.executable, floor_monitors.__file__, count, str(INTERVAL_S), COMMAND]
        floor = subprocess.Popen(words)
        try:
            return [_figure(plan, cluster.nodes[1].processes(), floor.pid)]
        finally:
            floor.kill()
            floor.wait()


def _figure(plan: Plan, pids: list[int], floor: int) -> Figure:
    window_s = INTERVAL_S * plan.rounds(6, 2)
    time.sleep(INTERVAL_S)  # until the first runs of both are over
    # The commands come and go; who starts them is there all the time, and has waited for them.
    pids = [pid for pid in pids if _lives(pid)]
    plan.say(f"{window_s} s of {GROUPS * EACH} monitors")
    began = boottime()
    before = _own_s(pids), _own_s([floor]), _of_commands_s(pids), _of_commands_s([floor])
    time.sleep(window_s)
    lasted_s = boottime() - began
    after = _own_s(pids), _own_s([floor]), _of_commands_s(pids), _of_commands_s([floor])
    own, bare, commands, bare_commands = (
        (b - a) / lasted_s * 100 for a, b in zip(before, after, strict=True)
    )
    return Figure(
        bench="monitors",
        what=f"CPU of {GROUPS * EACH} monitors at {INTERVAL_S} s, beyond the commands",
        unit="%",
        value=own + commands - bare_commands,
        floor=bare,
        floor_is="a bare asyncio loop that starts the same commands as often",
        aim=AIM,
        parts={
            "monitor, clinit, guards": own,
            "commands": commands,
            "commands of the floor": bare_commands,
            "seconds": lasted_s,
        },
    )


def _lives(pid: int) -> bool:
    try:
        usage(pid)
    except (OSError, IndexError):
        return False
    return True


def _own_s(pids: Iterable[int]) -> float:
    return sum(usage(pid).cpu_s for pid in pids)


def _of_commands_s(pids: Iterable[int]) -> float:
    return sum(map(reaped_s, pids))
