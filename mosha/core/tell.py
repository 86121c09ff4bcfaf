"""The orders for a group and for one of its entries: one type from the decision to who obeys."""

from __future__ import annotations

from msgspec import Struct

from mosha.core.status import EntryVerb


class Tell(Struct, frozen=True, omit_defaults=True, tag="tell", tag_field="op"):
    """Moves a group to a level (catalogue C4).

    `term` is the fencing token that commands get as MOSHA_TOKEN (C8 of the design); the deadlines
    (seconds of boottime, both or none) are in force before any process of the level is started;
    without them those of the group stay as they are (a clinit without a monitor has none). `node`
    becomes MOSHA_NODE. As JSON, with `op`, it is a message of clinit's socket (`control.protocol`).
    """

    group: str
    level: str
    term: int = 0
    node: str = ""
    stop_at: float | None = None
    kill_at: float | None = None


class EntryOrder(Struct, frozen=True, omit_defaults=True, tag="entry", tag_field="op"):
    """Stops, starts or restarts one entry of a group, at the level at which the group is.

    It is carried out under the claim of `term` only. `order` identifies it: `EntryReport.obeyed`
    has it when it has been carried out.
    """

    group: str
    tag: str
    verb: EntryVerb
    order: str
    term: int = 0
