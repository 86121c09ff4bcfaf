"""The lines of clstat about orders of operators: given, obeyed, unfinished, answered.

- `Mosha::Order NUMBER verb=VERB node=NODE group=GROUP`: an order for a group or a node (`Verb`).
- `Mosha::Obeyed NODE inc=N seq=N`: the last order of that node that was obeyed here.
- `Mosha::Unfinished NODE inc=N seq=N`: an earlier one that does not count as obeyed yet.
- `Mosha::EntryOrder NUMBER verb=VERB group=GROUP tag=TAG`: an order for one entry (`EntryVerb`).
- `Mosha::EntryAnswer NODE inc=N seq=N ok=yes|no TEXT`: what became of such an order of that node.
"""

from __future__ import annotations

from collections.abc import Callable

from mosha.core.status import EntryAnswer, Order, Stamp, Status
from mosha.formats.clstat_words import (
    counter_in,
    group_in,
    name_in,
    node_in,
    number_in,
    pairs_of,
    word_in,
)
from mosha.formats.names import one_line


def order_lines(s: Status) -> list[str]:
    """Return the lines of a status about orders, each class by number or by node."""
    of_entries = {number: order for number, order in s.orders.items() if order.tag}
    lines = [
        f"Mosha::Order {number} verb={o.verb} node={o.node}" + (f" group={o.group}" * bool(o.group))
        for number, o in sorted(s.orders.items())
        if number not in of_entries
    ]
    lines += [f"Mosha::Obeyed {n} inc={x.inc} seq={x.seq}" for n, x in sorted(s.obeyed.items())]
    lines += [
        f"Mosha::Unfinished {n} inc={i} seq={x}" for (n, x), i in sorted(s.unfinished.items())
    ]
    lines += [
        f"Mosha::EntryOrder {number} verb={o.verb} group={o.group} tag={o.tag}"
        for number, o in sorted(of_entries.items())
    ]
    lines += [
        f"Mosha::EntryAnswer {n} inc={a.inc} seq={x} ok={'yes' if a.ok else 'no'}"
        f" {one_line(a.text)}".rstrip()
        for (n, x), a in sorted(s.answers.items())
    ]
    return lines


def read_stamp(rest: str) -> tuple[int, Stamp]:
    """Parse a node, and the number of one of its statuses or orders with its incarnation."""
    pairs = pairs_of(rest)
    node = node_in(rest.partition(" ")[0])
    return node, Stamp(counter_in(pairs["inc"]), counter_in(pairs["seq"]))


def _read_unfinished(rest: str) -> tuple[tuple[int, int], int]:
    node, stamp = read_stamp(rest)
    return (node, stamp.seq), stamp.inc


def _read_order(rest: str) -> tuple[int, Order]:
    pairs = pairs_of(rest)
    group = group_in(pairs["group"]) if "group" in pairs else ""
    number = counter_in(rest.partition(" ")[0])
    return number, Order(word_in(pairs["verb"]), group, number_in(pairs["node"]))


def _read_entry_order(rest: str) -> tuple[int, Order]:
    pairs = pairs_of(rest)
    group, tag = group_in(pairs["group"]), name_in(pairs["tag"])
    return counter_in(rest.partition(" ")[0]), Order(word_in(pairs["verb"]), group, tag=tag)


def _read_entry_answer(rest: str) -> tuple[tuple[int, int], EntryAnswer]:
    words = rest.split(" ", 4)
    node, stamp = read_stamp(" ".join(words[:3]))
    ok = pairs_of(" ".join(words[3:4]))["ok"] == "yes"
    text = one_line(words[4]) if len(words) > 4 else ""
    return (node, stamp.seq), EntryAnswer(stamp.inc, ok, text)


_Key = int | tuple[int, int]

ORDER_READERS: dict[str, tuple[str, Callable[[str], tuple[_Key, object]]]] = {
    "Mosha::Order": ("orders", _read_order),
    "Mosha::Obeyed": ("obeyed", read_stamp),
    "Mosha::Unfinished": ("unfinished", _read_unfinished),
    "Mosha::EntryOrder": ("orders", _read_entry_order),
    "Mosha::EntryAnswer": ("answers", _read_entry_answer),
}
"""The class of a line -> the field of Status that it goes into, and its parser."""
