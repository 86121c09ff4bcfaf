"""Edits of a wish (`mosha set`): the check, the edited text, and the result."""

from __future__ import annotations

from collections.abc import Callable, Collection

from msgspec import Struct

from mosha.core.replication.judging import HACTL
from mosha.core.replication.table_effects import AnswerEdit, EditText
from mosha.core.replication.table_texts import Seen
from mosha.core.tables import STOP_LEVEL, Cltab, Hactl, Wish
from mosha.errors import HostError, UsageError
from mosha.formats.agreement import (
    Doubt,
    against_cltab,
    line_without_group,
    unknown_group,
    unknown_relation,
)
from mosha.formats.hactl import render_wish, set_wish
from mosha.formats.table_kinds import draft_of, few


class Done(Struct, frozen=True):
    """The result of an edit: the line of hactl, where it is in force, and whether it is new."""

    line: str
    nodes: tuple[int, ...]
    changed: bool = True


def edited(order: EditText) -> Seen:
    """Return the text in force with the change applied; the same text if nothing changes.

    Raises:
        UsageError: cltab in force lacks the group or the level, or hactl a group that is named; the
            edited text is invalid.
    """
    hactl = order.hactl.table if order.hactl is not None else None
    before = hactl.wishes.get(order.change.wish.group) if isinstance(hactl, Hactl) else None
    if not order.force:
        _check(order.change.wish, before, order.cltab)
        _refuse(unknown_relation(order.change.wish, hactl.names() if hactl is not None else ()))
    data = order.hactl.data if order.hactl is not None else b""
    text = set_wish(data.decode("utf-8"), order.change.applied(before))
    return draft_of(HACTL, text.encode("utf-8"))


def done(answer: AnswerEdit) -> Done:
    """Return the result of an edit.

    Raises:
        UsageError, HostError: it failed, or did not last; with the reason.
    """
    if answer.error:
        raise UsageError(answer.error) if answer.usage else HostError(answer.error)
    wanted, said = (render_wish(w) if w is not None else "" for w in (answer.wish, answer.said))
    if said != wanted:
        text = f"{wanted!r} was in force for a moment, and another edit holds: {said!r}"
        raise HostError(text)
    return Done(wanted, answer.nodes, answer.changed)


class Remarks:
    """What is hardly intended in hactl: groups and levels that cltab lacks. Cached.

    Without any cltab in force there is no doubt about hactl: that is another problem.
    """

    def __init__(self) -> None:
        self._of: tuple[Hactl | None, Cltab | None] = (None, None)
        self._found: tuple[str, ...] = ()

    def on(self, hactl: Hactl | None, cltab: Cltab | None) -> tuple[str, ...]:
        """Return a line for each of the first wishes in doubt, and how many follow."""
        if self._of[0] is not hactl or self._of[1] is not cltab:
            self._of = hactl, cltab
            wishes = hactl.wishes.values() if hactl is not None and cltab is not None else ()
            doubts = ((wish, _doubt(wish, cltab, line_without_group)) for wish in wishes)
            lines = [f"hactl:{w.line}: {d.text}; {d.remedy}" for w, d in doubts if d is not None]
            self._found = few(lines, HACTL)
        return self._found


def _check(wish: Wish, before: Wish | None, cltab: Cltab | None) -> None:
    doubt = _doubt(wish, cltab)
    if wish.level == STOP_LEVEL and (cltab is None or before is not None):
        doubt = None  # `stop` may be a way to end it, and needs nothing from cltab
    _refuse(doubt)


def _refuse(doubt: Doubt | None) -> None:
    if doubt is not None:
        raise UsageError(f"{doubt.text}; {doubt.remedy}")


def _doubt(
    wish: Wish,
    cltab: Cltab | None,
    unknown: Callable[[str, Collection[str]], Doubt] = unknown_group,
) -> Doubt | None:
    groups = cltab.groups() if cltab is not None else ()
    if wish.group not in groups:
        return unknown(wish.group, groups)
    return against_cltab(wish, cltab) if cltab is not None else None
