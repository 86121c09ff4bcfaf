"""What to do about a group that no node may take."""

from __future__ import annotations

from mosha.core.cluster.capacity_rule import CAPACITY, fits_alone
from mosha.core.cluster.eligibility import PAIR, broken, obstacles
from mosha.core.cluster.standby import is_witness
from mosha.core.cluster.state import MonitorState
from mosha.core.instance_names import node_of
from mosha.core.tables import Wish


def remedy_of(state: MonitorState, wish: Wish, now: float) -> str:
    """Return the cheapest remedy: what keeps the nodes that are up from taking the group."""
    against = list(obstacles(state, wish.group, now).values())
    if any(rule.name == "ban" for _, rule in against):
        return (
            f"repair what failed; each ban ends by itself, or at once: mosha cleanup {wish.group}"
        )
    # To end it helps only a node that `only=` has; one without a ban is better.
    for name in ("standby", "storage", "probation"):
        found = [
            (broken(case, PAIR) is not None, rule.remedy(case))
            for case, rule in against
            if rule.name == name and wish.allows(case.node) and not is_witness(state, case.node)
        ]
        if found:
            return min(found, key=lambda one: one[0])[1]
    # Where a group of `with=` is, what keeps this one out counts, not where that one is not.
    for names in ({"apart", CAPACITY.name}, {"with"}, {"after"}):
        keeping = [(case, rule) for case, rule in against if rule.name in names]
        if keeping:  # to move others away helps only a node that has room for it alone
            case, rule = min(keeping, key=lambda one: one[1] is CAPACITY and not fits_alone(one[0]))
            return rule.remedy(case)
    if node := node_of(wish.group):
        return f"bring node {node} back"
    if wish.only:
        return "bring one of the nodes of only= back, or change hactl"
    return "bring a node back"
