"""A poison pill is acknowledged only when nothing of any group is left (F2).

The first status that acknowledges it is what others rely on: when it lands no process runs there
that needs a lease, for its node starts nothing before it has claimed again.
"""

from __future__ import annotations

from mosha.core.status import Status
from tests.sim.checks import Checker


class Pills(Checker):
    """What a node acknowledges is true."""

    name = "pills"

    def __init__(self) -> None:
        self.running: dict[int, set[tuple[str, int]]] = {}
        self.known: set[tuple[int, int]] = set()

    def started(self, node: int, group: str, term: int, level: str, *, clinit: int) -> None:
        del term, level
        self.running.setdefault(node, set()).add((group, clinit))

    def ended(self, node: int, group: str, *, clinit: int) -> None:
        self.running.get(node, set()).discard((group, clinit))

    def killed(self, node: int) -> None:
        self.running.pop(node, None)

    def landed(self, node: int, status: Status, *, late: bool) -> None:
        if late:
            return
        for inc in status.pills_obeyed.values():
            if inc >= status.inc:
                raise self.truth.violated(
                    self.name, f"node {node} acknowledges the end of {inc}, and goes on with it"
                )
            if (node, inc) not in self.known and (status.claims or self.running.get(node)):
                raise self.truth.violated(
                    self.name,
                    f"node {node} acknowledges a pill with claims {dict(status.claims)}, and"
                    f" {sorted(self.running.get(node, ()))} run there",
                )
            self.known.add((node, inc))
