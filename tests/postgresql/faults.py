"""What happens to the node that has the database, and how long no row was acknowledged."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from mosha.core.explain.problems import ProblemKind
from mosha.host.clock import boottime
from tests.postgresql import writer
from tests.postgresql.site import FAILOVER_LIMIT_S, GROUP, Site
from tests.waiting import wait_until
from tests.web.gaps import longest_gap


class Fault(NamedTuple):
    """What is told of it, and the function that does it to the node that serves."""

    told: str
    act: Callable[[Site, int], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a fault: the longest time without an acknowledged row, in seconds; the nodes."""

    fault: str
    gap_s: float
    before: int
    after: int


def suffer(site: Site, name: str) -> Result:
    """Let something happen and wait until all is well again.

    Raises:
        AssertionError: it did not get well in time.
    """
    site.settle()
    before = site.serving()
    began = boottime()
    FAULTS[name].act(site, before)
    ended = site.settle()
    gap_s = longest_gap(site.acknowledged(), began, ended)
    return Result(name, round(gap_s, 2), before, site.serving())


def _kill(site: Site, number: int) -> None:
    first, *_ = site.postgres(number)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: first not in site.postgres(number))
    _wait_for_rows(site)


def _hang(site: Site, number: int) -> None:
    for pid in site.postgres(number):
        with contextlib.suppress(ProcessLookupError):  # a session that has just ended
            os.kill(pid, signal.SIGSTOP)
    _wait_for_rows(site)


def _move(site: Site, number: int) -> None:
    target = 1 + number % len(site.cluster.nodes)
    site.mosha(number, "move", GROUP, str(target))
    site.cluster.wait_running([GROUP], target, limit_s=FAILOVER_LIMIT_S)


def _lose_power(site: Site, number: int) -> None:
    box = site.cluster.nodes[number].box
    assert box is not None
    (box / "cgroup.kill").write_text("1")
    _wait_for_another(site, number)
    site.power_on(number)


def _stand_still(site: Site, number: int) -> None:
    box = site.cluster.nodes[number].box
    assert box is not None
    (box / "cgroup.freeze").write_text("1")
    _wait_for_another(site, number)
    site.power_on(number)


def _wait_for_rows(site: Site) -> None:
    """Wait until a row is acknowledged that was sent from now on."""
    sent = boottime() + writer.LIMIT_S
    wait_until(lambda: site.acknowledged()[-1].ended > sent, FAILOVER_LIMIT_S, step_s=0.1)


def _wait_for_another(site: Site, number: int) -> None:
    """Wait until another node has the group; order the shot if the budget holds it back."""
    others = [other for other in site.cluster.nodes if other != number]

    def held() -> bool:
        reports = [site.cluster.nodes[other].report() for other in others]
        kinds = {problem.kind for report in reports for problem in report.problem_list}
        return ProblemKind.FENCING_HELD in kinds

    def moved() -> bool:
        return bool(site.cluster.places(*others).get(GROUP))

    wait_until(lambda: moved() or held(), FAILOVER_LIMIT_S, step_s=0.1)
    if not moved():
        site.mosha(others[0], "fence", str(number), "--yes")
    wait_until(moved, FAILOVER_LIMIT_S, step_s=0.1)


FAULTS = {
    "kill": Fault("the postmaster is killed", _kill),
    "hang": Fault("all of PostgreSQL stands still (SIGSTOP)", _hang),
    "move": Fault("mosha move db N", _move),
    "power": Fault("the node loses power", _lose_power),
    "freeze": Fault("the node stands still", _stand_still),
}
"""Name -> what happens, always to the node that serves."""
