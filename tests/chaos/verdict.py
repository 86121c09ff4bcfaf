"""What must hold when the faults are over, each as a function that returns what does not."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable

import msgspec

from mosha.cli.demo import overlaps
from mosha.cli.demo.overlaps import Ran
from mosha.control.calls import NoAnswerError
from mosha.formats.hactl import parse_hactl
from tests.chaos.machines import Machine
from tests.chaos.schedule import World
from tests.e2e.cluster import Cluster, Node
from tests.leftovers import read_process

FORKS = "forks"

EXPECTED = frozenset(
    {
        *("publish_failed", "clinit_hung", "clinit_failed", "quorum_changed", "lease_lost"),
        *("table_refused", "table_discarded", "table_fetch_failed", "table_write_failed"),
        *(
            "cltab_refused",
            "group_banned",
            "group_restarted",
            "group_exhausted",
            "entry_throttled",
            "entry_hung",
            "leftover_ended",
            "orphan_ended",
        ),
        *("lease_ended", "entry_signalled", "entry_exited", "fence_ordered", "fence_ended"),
        *("fence_test_failed", "unfence_failed", "group_unended", "shot_outlived", "fencing_held"),
        *("pill_taken", "pill_killed", "pill_acknowledged", "pill_withdrawn"),
        # A view that lags shows the last words of a dead node after the receipt (R1): it waits.
        "receipt_refuted",
        *(
            "cgroup_unavailable",
            "clinit_lost",
            "peer_changed",
            "claim_withdrawn",
            "incarnation_raised",
            "tell_refused",
            "fork_server_failed",
        ),
    }
)
"""Events of level warning and above that faults of these kinds explain."""

_PLACE = (
    *("socket_restored", "socket_lost", "state_restored"),
    *("agents_recovered", "shots_ended", "lock_passed_over", "clinit_unreachable", "place_lost"),
)

EXPLAINED: dict[str, tuple[str, ...]] = {
    "no_descriptors": (
        "client_refused",
        "entry_failed",
        "entry_not_started",
        "guard_failed",
        "memory_failed",
        "watch_failed",
    ),
    "no_threads": (
        "entry_failed",
        "entry_not_started",
        "guard_failed",
        "memory_failed",
        "watch_failed",
    ),
    "kill_forkserver": ("entry_not_started",),
    "kill_daemons": ("entry_not_started",),
    "stop_forkserver": ("entry_not_started",),
    "log_stopped": ("output_dropped",),
    "log_gone": ("output_dropped",),
    "log_full": ("output_dropped",),
    "log_frozen": ("output_dropped",),
    "old_clstat": ("namesake_found", "writes_lost"),
    "old_clstat_dead": ("writes_lost", "status_withheld"),
    "lose_state": ("status_withheld", "writes_lost", "memory_failed", "state_restored"),
    "lose_rundir": ("status_withheld", "writes_lost", "memory_failed", *_PLACE),
    "lose_sockets": _PLACE,
    "other_rundir": ("status_withheld", "writes_lost", "memory_failed"),
    "other_timeout": ("timeout_kept",),
}
"""Events of level warning and above that only these faults explain."""

TRACEBACK_LINES = 40
"""How many lines from the first one of a traceback on are shown."""

TEARING = ("log_gone", "log_full", "log_frozen")

PLAIN = ("mosha: cannot publish in ", "STOMITH node ")
"""How lines begin that are no events: a start while the own directory fails, the fence that
only prints."""

LOUD = frozenset({"warning", "error", "critical"})


def together_on_a_node(cluster: Cluster) -> list[str]:
    """Return every two instances of one service that noted to be there at once on one node.

    The group that forks may: its second process is no second instance.
    """
    return [
        f"twice on a node: {pair}"
        for pair in overlaps.overlaps(notes(cluster))
        if pair.first.node == pair.second.node and pair.first.group != FORKS
    ]


def notes(cluster: Cluster) -> list[Ran]:
    """Return the processes that the services themselves noted: alive at least so long."""
    return overlaps.read_witness(cluster.witness.read_text())


def owners_at_once(ran: Iterable[Ran]) -> list[str]:
    """Return every two processes of one group that lived at once under two claims.

    On two nodes, or on one node with two tokens: a claim ends when all of it is gone.
    """
    return [
        f"overlap: {pair}"
        for pair in overlaps.overlaps(ran)
        if (pair.first.node, pair.first.term) != (pair.second.node, pair.second.term)
    ]


def unseen(noted: Iterable[Ran], ran: Iterable[Ran]) -> list[str]:
    """Return the processes that noted to be there and that the kernel's witness does not know."""
    seen = defaultdict(list)
    for one in ran:
        seen[one.group, one.node, one.pid].append(one)
    return [
        f"the kernel's witness missed {one}"
        for one in noted
        if not any(
            its.since <= one.since <= its.until for its in seen[one.group, one.node, one.pid]
        )
    ]


def moves(ran: Iterable[Ran]) -> int:
    """Return how often a group ran on another node than before."""
    return sum(a.node != b.node for same in _by_group(ran) for a, b in itertools.pairwise(same))


def owners(ran: Iterable[Ran]) -> int:
    """Return how many claims of groups ran anything."""
    return len({(one.group, one.node, one.term) for one in ran})


def served_share(ran: list[Ran]) -> float:
    """Return which part of the time a group had a process, on average over the groups.

    No promise is judged by it: it says whether there was anything to overlap at all.
    """
    if not ran:
        return 0.0
    began, ended = min(one.since for one in ran), max(one.until for one in ran)
    served = 0.0
    for same in _by_group(ran):
        until = began
        for one in same:
            served += max(0.0, one.until - max(one.since, until))
            until = max(until, one.until)
    return served / len(_by_group(ran)) / max(ended - began, 1e-9)


def terms_out_of_order(ran: Iterable[Ran]) -> list[str]:
    """Return where a group's fencing token did not grow from one claim to the next (C8)."""
    return [
        f"term of {a.group} went from {a.term} on node {a.node} to {b.term} on node {b.node}"
        for same in _by_group(ran)
        for a, b in itertools.pairwise(same)
        if b.term < a.term or (b.term == a.term and a.node != b.node)
    ]


def _by_group(ran: Iterable[Ran]) -> list[list[Ran]]:
    groups: dict[str, list[Ran]] = defaultdict(list)
    for one in ran:
        groups[one.group].append(one)
    return list(groups.values())


def unsettled(cluster: Cluster, machines: dict[int, Machine], groups: list[str]) -> list[str]:
    """Return what is not yet as it should be: statuses, groups, processes, views."""
    problems = []
    wishes = parse_hactl((cluster.nodes[1].rundir / "state/hactl").read_bytes(), "hactl").wishes
    places = cluster.places()
    running: Counter[str] = Counter()
    for machine in machines.values():
        for pid in machine.find("child"):
            running[_group_of(pid)] += 1
    for group in groups:
        wanted = 1 if group in wishes and wishes[group].level == "start" else 0
        if len(places.get(group, [])) != wanted:
            problems.append(f"{group} is at start DONE on nodes {places.get(group, [])}")
        # The second process of that which forks may be the child that was killed last.
        least, most = (wanted, wanted) if group != FORKS else (wanted, 99 * wanted)
        if not least <= running[group] <= most:
            problems.append(f"{group} has {running[group]} processes, wanted {wanted}")
    for node in cluster.nodes.values():
        problems += _unhappy(node, set(groups))
    return problems


def _unhappy(node: Node, groups: set[str]) -> list[str]:
    try:
        report = node.report()
    except (NoAnswerError, OSError) as error:
        return [f"node {node.number} does not answer: {error}"]
    return [
        *(
            f"node {node.number} sees {n.node} {n.state}"
            for n in report.nodes
            if n.state not in ("self", "fresh")
        ),
        *(
            f"node {node.number}: {g.group}: {g.why}"
            for g in report.groups
            # An edit of cltab moves nothing that runs (C1.16), and nobody restarts it here.
            if g.group in groups and not g.ok and "as an older cltab had it" not in g.why
        ),
    ]


def _group_of(pid: int) -> str:
    found = read_process(pid)
    return found[0].get("MOSHA_GROUP", "") if found else ""


def odd_lines(
    machines: dict[int, Machine], exercised: Counter[str], world: World | None = None
) -> tuple[list[str], Counter[str]]:
    """Return what the logs should not have, and how often each loud event is there.

    What is expected depends on the `world`. A log that was full, frozen, or read by somebody who
    was killed may have lines that are torn.
    """
    odd: list[str] = []
    loud: Counter[str] = Counter()
    expected = EXPECTED | {event for kind in exercised for event in EXPLAINED.get(kind, ())}
    if world is not None and world.weak:
        expected |= {"signal_failed"}
    if world is not None and not world.equipment.cgroups:
        expected |= {"stop_blocked"}  # one that ends has no environment by which to know it
    torn = any(exercised[kind] for kind in TEARING)
    for number, machine in machines.items():
        lines = [line for path in machine.logs for line in path.read_bytes().splitlines()]
        for at, line in enumerate(lines):
            text = line.decode(errors="replace")
            try:
                event = msgspec.json.decode(line)
            except msgspec.DecodeError:
                if "Traceback" in text:
                    whole = b"\n".join(lines[at : at + TRACEBACK_LINES]).decode(errors="replace")
                    odd.append(f"log of node {number}: {whole}")
                elif not torn and not text.startswith(PLAIN):
                    odd.append(f"log of node {number}: {text[:300]}")
                continue
            if not isinstance(event, dict):  # a piece of a torn line
                continue
            if event.get("level") in LOUD:
                loud[event["event"]] += 1
                if event["event"] not in expected:
                    odd.append(f"log of node {number}: {text[:300]}")
            # A witness that is interrupted while Python begins says so in its own way.
            if event.get("event") != "output" and ("Traceback" in text or "exception" in event):
                odd.append(f"log of node {number}: {text[:2000]}")
    return odd, loud


def left_running(machines: dict[int, Machine]) -> list[str]:
    """Return the processes of nodes that have left: there should be none."""
    return [
        f"orphan of node {number}: pid {pid}"
        for number, machine in machines.items()
        for pid in machine.processes()
    ]
