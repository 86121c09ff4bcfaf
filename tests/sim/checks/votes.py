"""One vote: what a node publishes never supports two nodes in one term, nor goes back.

One exception: a claim that was granted by others and runs already may get a late vote from
one who had voted in the same term before; it cannot make a second owner of that term.
"""

from __future__ import annotations

from mosha.core.status import Status
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL
from tests.sim.checks import Checker
from tests.sim.spreading import rivals_in


class Votes(Checker):
    """Votes as published, in the order of publishing; a lost directory begins a new memory."""

    name = "votes"

    def __init__(self) -> None:
        self.given: dict[tuple[int, str], tuple[int, int]] = {}
        self.ran: set[tuple[int, str, int]] = set()

    def landed(self, node: int, status: Status, *, late: bool) -> None:
        for group, term in status.claims.items():
            line = status.groups.get(group)
            if line is not None and line.active and line.level not in (PLAN_LEVEL, STOP_LEVEL):
                self.ran.add((node, group, term))  # what a dead monitor has seen running, too
        if late:
            return  # its votes are an echo, and none of its own
        for group, vote in status.votes.items():
            term, candidate = self.given.get((node, group), (0, vote.node))
            again = vote.term == term and vote.node != candidate
            if again and (vote.node, group, vote.term) in self.ran:
                self.truth.cover("rule late vote for a claim that runs")
                again = False
            if vote.term < term or again:
                raise self.truth.violated(
                    self.name,
                    f"node {node} votes for node {vote.node} in term {vote.term} of {group},"
                    f" after a vote for node {candidate} in term {term}",
                )
            self.given[node, group] = (vote.term, vote.node)
            if rivals := rivals_in(group, status.votes):
                raise self.truth.violated(self.name, f"node {node} votes for {group} and {rivals}")

    def forgot(self, node: int) -> None:
        for key in [key for key in self.given if key[0] == node]:
            del self.given[key]
