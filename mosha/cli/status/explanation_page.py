"""The page of `mosha why` and `mosha why-not`: the answer first, then rule by rule."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mosha.cli.status.layout import BAD, GOOD, MOVING, OLD, TITLE, Item, age_text
from mosha.core.explain.reasons import Explanation, Holds

_WORDS = {Holds.YES: Text("yes"), Holds.NO: Text("NO", BAD), Holds.MOOT: Text("-", OLD)}


def explanation_page(explanation: Explanation) -> RenderableType:
    """Lay out an explanation, as wide as its console."""
    subject = explanation.group
    if explanation.asked is not None:
        subject += f" on node {explanation.asked}"
    style = f"bold {GOOD}" if explanation.ok else BAD
    head = Text(f"{subject}:", TITLE)
    answer: list[RenderableType] = [Item(head, Text(explanation.verdict, style), indent=0)]
    if explanation.next:
        step = Text("next:".ljust(head.cell_len), MOVING)
        answer.append(Item(step, Text(explanation.next), indent=0))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=TITLE)
    table.add_column("RULE", no_wrap=True)
    table.add_column("HOLDS", no_wrap=True)
    table.add_column("FACT", overflow="fold", ratio=1)
    table.add_column("SAID BY", no_wrap=True)
    table.add_column("AGE", no_wrap=True)
    for reason in explanation.reasons:
        fact = Text(reason.said, OLD if reason.holds is Holds.MOOT else "")
        age = "now" if reason.age_s is None else age_text(reason.age_s)
        said_by = f"node {reason.said_by}"
        table.add_row(reason.rule, _WORDS[reason.holds], fact, said_by, age)
    return Group(*answer, Text(), table)
