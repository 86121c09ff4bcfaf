"""What happens to the cluster of the demonstration, and how long the page was gone each time."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from mosha.host.clock import boottime
from tests.bench import clusters
from tests.waiting import wait_until
from tests.web.gaps import Answer, longest_gap, servers, within
from tests.web.observers import CALM_ANSWERS, MOVE_LIMIT_S
from tests.web.site import GROUP, Site

QUIET_REQUESTS = 40


class Event(NamedTuple):
    """What is told of it, and the function that does it to the node that serves."""

    told: str
    act: Callable[[Site, int], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an event: seconds; `served` names the nodes that answered, in order."""

    event: str
    gap_s: float
    requests: int
    failed: int
    served: list[int]


class Measurable(Protocol):
    """What is measured: it can say when all is well, who serves, and what was answered."""

    def settle(self) -> float:
        """Wait until all is well; return when that was seen."""

    def serving(self) -> int:
        """Return the node that serves."""

    def answers(self) -> list[Answer]:
        """Return all requests so far."""


def measure(site: Site, name: str) -> Result:
    """Let something happen to a site of mosha, and wait until all is well again.

    Raises:
        AssertionError: it did not get well in time.
    """
    return measure_act(site, name, partial(EVENTS[name].act, site))


def measure_act(site: Measurable, name: str, act: Callable[[int], None]) -> Result:
    """Do something to the node that serves, and wait until all is well again.

    Raises:
        AssertionError: it did not get well in time.
    """
    site.settle()
    began = boottime()
    act(site.serving())
    ended = site.settle()
    answers = site.answers()
    asked = within(answers, began, ended)
    before = [answer for answer in answers if answer.ended <= began]
    return Result(
        event=name,
        gap_s=round(longest_gap(answers, began, ended), 3),
        requests=len(asked),
        failed=sum(answer.node is None for answer in asked),
        served=servers([*before[-CALM_ANSWERS:], *asked]),
    )


def _nothing(site: Site, number: int) -> None:
    del number
    began = boottime()
    wait_until(lambda: len(within(site.answers(), began, boottime())) >= QUIET_REQUESTS)


def _kill_nginx(site: Site, number: int) -> None:
    pid = site.nginx(number)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: site.nginx(number) not in {0, pid})


def _kill_monitor(site: Site, number: int) -> None:
    site.cluster.nodes[number].kill_monitor()
    site.cluster.nodes[number].start()


def _upgrade(site: Site, number: int) -> None:
    """Do to each node what `systemctl restart mosha` does, when the one before is back."""
    del number
    for node in site.cluster.nodes.values():
        node.signal(signal.SIGUSR1)
        assert node.monitor is not None
        node.monitor.wait(MOVE_LIMIT_S)
        node.start()
        clusters.wait_agreed(site.cluster)


def _move(site: Site, number: int) -> None:
    target = 1 + number % len(site.cluster.nodes)
    site.mosha(site.cluster.nodes[number], "set", GROUP, "start", f"only={target}")
    site.cluster.wait_running([GROUP], target, limit_s=MOVE_LIMIT_S)
    site.mosha(site.cluster.nodes[number], "set", GROUP, "start", "only=any")


def _leave(site: Site, number: int) -> None:
    site.cluster.nodes[number].leave(MOVE_LIMIT_S)
    site.wait_served_by_another(number)
    site.cluster.nodes[number].start()


def _kill_clinit(site: Site, number: int) -> None:
    pid = site.cluster.nodes[number].clinit_pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: site.cluster.nodes[number].clinit_pid() not in {0, pid}, MOVE_LIMIT_S)
    site.cluster.wait_running([GROUP], limit_s=MOVE_LIMIT_S)


def _hang_monitor(site: Site, number: int) -> None:
    with site.hang(number):
        site.wait_served_by_another(number)


def _crash(site: Site, number: int) -> None:
    site.crash(number)
    site.wait_served_by_another(number)
    site.cluster.nodes[number].start()


def _unplug(site: Site, number: int) -> None:
    site.network.plug(number, into=False)
    site.wait_served_by_another(number)
    site.network.plug(number, into=True)


def _power_off(site: Site, number: int) -> None:
    site.power_off(number)
    site.wait_served_by_another(number)
    site.power_on(number)


EVENTS = {
    "nothing": Event("nothing happens", _nothing),
    "nginx": Event("nginx is killed", _kill_nginx),
    "monitor": Event("monitor killed, started again", _kill_monitor),
    "upgrade": Event("all monitors upgraded in turn", _upgrade),
    "move": Event("mosha set web start only=N", _move),
    "leave": Event("the node leaves in order", _leave),
    "clinit": Event("clinit is killed", _kill_clinit),
    "hang": Event("the monitor hangs", _hang_monitor),
    "crash": Event("both daemons are killed", _crash),
    "power": Event("the node loses power", _power_off),
    "unplug": Event("its network cable is pulled", _unplug),
}
"""Name -> what happens, always to the node that serves."""
