"""How long a page is gone: nginx as a unit of systemd with an address, on booted machines.

A client asks for the page every 50 ms. For each fault of the machine that serves, the longest time
between two answers is told, with mosha (one machine) and beside it with keepalived (two). Needs
root, nginx, curl, keepalived, debootstrap and systemd-container.

Exit status: 0 the page came back each time; 1 it did not; 2 this machine lacks something.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import NamedTuple

from tests.systemd.machine import CannotBootError
from tests.systemd.node import CLINIT, LIMIT_S, MONITOR
from tests.systemd.web_sites import (
    KEEPALIVED,
    NGINX,
    KeepalivedSite,
    MoshaSite,
    WebSite,
    web_site,
)
from tests.waiting import wait_until
from tests.web.events import Result, measure_act
from tests.web.network import CannotRunError

GONE_WRONG, CANNOT_RUN, INTERRUPTED = 1, 2, 130
LOG_TAIL_LINES = 40


def _kill_master(site: WebSite, number: int) -> None:
    pid = site.pid(number)
    site.machines[number].get("kill", "-KILL", str(pid))
    site.wait_new_nginx(number, pid)


def _hang(site: WebSite, number: int) -> None:
    """Stop all of nginx; with keepalived somebody mends it when the address has moved."""
    machine, pid = site.machines[number], site.pid(number)
    machine.get("systemctl", "kill", "--kill-whom=all", "--signal=STOP", NGINX)
    if isinstance(site, KeepalivedSite):
        site.observers.wait_served_by_another(number)
        machine.get("systemctl", "kill", "--kill-whom=all", "--signal=CONT", NGINX)
    else:
        site.wait_new_nginx(number, pid)


def _stop_by_hand(site: WebSite, number: int) -> None:
    machine, pid = site.machines[number], site.pid(number)
    machine.get("systemctl", "stop", NGINX)
    if isinstance(site, KeepalivedSite):
        site.observers.wait_served_by_another(number)
        machine.get("systemctl", "start", NGINX)
    else:
        site.wait_new_nginx(number, pid)


def _delete_address(site: WebSite, number: int) -> None:
    site.delete_address(number)


def _kill_unit(site: WebSite, number: int, *, unit: str) -> None:
    """Kill what runs the service; systemd or mosha starts it again."""
    machine, pid = site.machines[number], site.pid(number, unit)
    machine.get("kill", "-KILL", str(pid))
    wait_until(lambda: site.pid(number, unit) not in {0, pid}, LIMIT_S)


def _kill_keepalived(site: WebSite, number: int) -> None:
    """Kill keepalived; Debian's unit does not restart it, so somebody starts it again."""
    machine = site.machines[number]
    machine.get("kill", "-KILL", str(site.pid(number, KEEPALIVED)))
    wait_until(lambda: machine.show(KEEPALIVED, "ActiveState") == "failed", LIMIT_S)
    site.observers.wait_served_by_another(number)
    machine.get("systemctl", "start", KEEPALIVED)


Act = Callable[[WebSite, int], None]


class Fault(NamedTuple):
    """What is told of it, and what is done; None where keepalived has nothing like it."""

    told: str
    mosha: Act
    keepalived: Act | None


FAULTS = {
    "master": Fault("nginx's master is killed", _kill_master, _kill_master),
    "hang": Fault("all of nginx hangs (SIGSTOP)", _hang, _hang),
    "address": Fault("the address is deleted underneath", _delete_address, _delete_address),
    "stop": Fault("systemctl stop nginx by hand", _stop_by_hand, _stop_by_hand),
    "clinit": Fault(
        "clinit / keepalived is killed", partial(_kill_unit, unit=CLINIT), _kill_keepalived
    ),
    "monitor": Fault("mosha's monitor is killed", partial(_kill_unit, unit=MONITOR), None),
}
"""Name -> what happens, always to the machine that serves."""


def measure(site: WebSite, name: str) -> Result | None:
    """Let a fault happen and wait until the page is back; None if this site has nothing like it.

    Raises:
        AssertionError: the page did not come back in time.
    """
    act = FAULTS[name].keepalived if isinstance(site, KeepalivedSite) else FAULTS[name].mosha
    return measure_act(site, name, partial(act, site)) if act else None


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.systemd.gaps", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=1, help="how often each; the median counts")
    given = parser.parse_args(words)
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGHUP, _interrupted)
    columns: dict[str, dict[str, list[Result]]] = {}
    try:
        for kind in (MoshaSite, KeepalivedSite):
            columns[kind.__name__] = _measure_all(kind, given.rounds)
    except (CannotBootError, CannotRunError) as lack:
        sys.stdout.write(f"gaps: {lack}\n")
        return CANNOT_RUN
    except AssertionError as failure:
        sys.stdout.write(f"WRONG: {failure}\n")
        return GONE_WRONG
    except KeyboardInterrupt:
        sys.stdout.write("interrupted\n")
        return INTERRUPTED
    sys.stdout.write(
        "| what happens to the machine that serves | mosha | keepalived |\n|---|---|---|\n"
    )
    for name, fault in FAULTS.items():
        cells = " | ".join(_cell(column.get(name, [])) for column in columns.values())
        sys.stdout.write(f"| {fault.told} | {cells} |\n")
    return 0


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _measure_all(kind: type[MoshaSite | KeepalivedSite], rounds: int) -> dict[str, list[Result]]:
    results: dict[str, list[Result]] = {}
    with web_site(kind) as site:
        try:
            site.start()
            for name in (name for _ in range(rounds) for name in FAULTS):
                if result := measure(site, name):
                    results.setdefault(name, []).append(result)
                    sys.stdout.write(f"{kind.__name__} {name}: {result.gap_s:.2f} s\n")
                    sys.stdout.flush()
        except AssertionError:
            for machine in site.machines.values():
                lines = machine.do("journalctl", "--no-pager", "-n", str(LOG_TAIL_LINES))
                sys.stdout.write(f"--- {machine.name}:\n{lines.stdout}")
            raise
        for line in site.together():
            sys.stdout.write(f"{kind.__name__}: {line}\n")
    return results


def _cell(results: Sequence[Result]) -> str:
    if not results:
        return "-"
    gaps = [result.gap_s for result in results]
    moves = sum(len(result.served) > 1 for result in results)
    moved = f", the address moved {moves} of {len(gaps)} times" if moves else ""
    return f"{statistics.median(gaps):.2f} s ({min(gaps):.2f}, {max(gaps):.2f}){moved}"


if __name__ == "__main__":
    sys.exit(main())
