"""A rule about which nodes may take groups, and the case that it judges.

The rules themselves are in `eligibility`.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from mosha.core.cluster.state import MonitorState
from mosha.core.status import Status
from mosha.core.tables import STOP_LEVEL, Wish


class Case(Struct, frozen=True):
    """A group and a node that may or may not take it, according to `state` at `now`."""

    state: MonitorState
    group: str
    node: int
    now: float

    @property
    def mine(self) -> bool:
        """Whether it is this node."""
        return self.node == self.state.me

    @property
    def status(self) -> Status | None:
        """The node's newest status that was read here."""
        return self.state.published if self.mine else self.state.view.peer(self.node).status

    @property
    def wish(self) -> Wish | None:
        """The line of hactl, whether cltab has the group or not."""
        return self.state.hactl.wishes.get(self.group) if self.state.hactl else None

    @property
    def ban(self) -> tuple[float, str] | None:
        """For how many more seconds the node is banned from the group and why, None if not."""
        if self.mine:
            record = self.state.records.get(self.group)
            if record is None or self.now >= record.ban_until:
                return None
            return record.ban_until - self.now, record.ban_reason
        status = self.status
        ban = status.bans.get(self.group) if status is not None else None
        return None if ban is None else (ban.left_s, ban.reason)


class Rule(Struct, frozen=True):
    """A rule: whether it holds, why not (a clause), how it stands (a sentence), and a remedy.

    `about` is what it checks, for the manual (docs/reference/why.md).
    """

    name: str
    about: str
    holds: Callable[[Case], bool]
    why: Callable[[Case], str]
    said: Callable[[Case], str]
    remedy: Callable[[Case], str]


def do(step: str) -> Callable[[Case], str]:
    """Return a remedy: a text with the placeholders node, group, level and only."""

    def remedy(case: Case) -> str:
        wish = case.wish or Wish(case.group, STOP_LEVEL)
        only = ",".join(map(str, wish.only))
        return step.format(group=case.group, node=case.node, level=wish.level, only=only)

    return remedy
