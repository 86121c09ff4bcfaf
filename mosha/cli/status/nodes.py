"""The nodes, the quorum and the lease, as `mosha status` shows them."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from mosha.cli.status.layout import BAD, GOOD, MOVING, OLD, TITLE, Grid, age_text
from mosha.core.cluster.probation import left_text
from mosha.core.cluster.wording import WORDING
from mosha.formats.hastat import NodeReport, Report

PRESENT = frozenset({"self", "fresh", "leaving"})
_STATES = {"self": "this node", **{s.value: said.column for s, said in WORDING.items()}}
_NOTHING = "-"
MORE_CHARS = 30
"""Room for the remark that there are more nodes."""


def nodes_grid(report: Report) -> Grid:
    """Return the table of the nodes."""
    own = next((node for node in report.nodes if node.state == "self"), None)
    rows = []
    for node in report.nodes:
        seen = "" if node.state in PRESENT else OLD
        trip = f"{node.roundtrip_s * 1000:.0f} ms" if node.roundtrip_s is not None else _NOTHING
        rows.append(
            [
                Text(str(node.node)),
                Text(standing(node), _style(node)),
                Text(age_text(node.age_s), seen),
                Text(trip, seen),
                Text(str(node.load), seen),
                Text("; ".join(_remarks(node, own)), seen),
            ]
        )
    heads = ("NODE", "STATE", "HEARD", "ROUND TRIP", "GROUPS", "REMARKS")
    return Grid([Text(head, TITLE) for head in heads], rows)


def nodes_in_words(report: Report, room_chars: int) -> Text:
    """Return the nodes in a sentence of about that many characters, those with problems first."""
    own = next((node for node in report.nodes if node.state == "self"), None)
    made = Text.assemble(("Nodes:  ", TITLE))
    ordered = sorted(report.nodes, key=_is_well)
    for number, node in enumerate(ordered):
        remarks = "; ".join(_remarks(node, own))
        text = f"{node.node} {standing(node)} {age_text(node.age_s)}"
        text += f" ({remarks})" if remarks else ""
        rest = ordered[number:]
        if made.cell_len + len(text) > room_chars - MORE_CHARS and number and len(rest) > 1:
            more = "fresh" if all(map(_is_well, rest)) else "not all fresh"
            return made.append(f"and {len(rest)} more, {more}")
        made.append(text, _style(node)).append("" if len(rest) == 1 else ", ")
    return made


def _is_well(node: NodeReport) -> bool:
    return node.state in PRESENT and timely(node) and not (node.silent or node.error)


def _style(node: NodeReport) -> str:
    if node.state not in PRESENT:
        return BAD if node.state == "stale" else OLD
    return GOOD if _is_well(node) else MOVING


def timely(node: NodeReport) -> bool:
    """Say whether a node's report is current."""
    return node.confirmed and not node.late


def standing(node: NodeReport) -> str:
    """Return in a word how the reporting node sees a node."""
    if node.late:
        return "late"
    return _STATES.get(node.state, node.state) if node.confirmed else "unconfirmed"


def _remarks(node: NodeReport, own: NodeReport | None) -> Iterable[str]:
    if node.late:
        yield f"{node.late} heartbeats missed"
    if node.standby:
        yield "on standby"
    if node.probation_s:
        yield f"on probation for {left_text(node.probation_s)}"
    if node.witness:
        yield "witness"
    if node.cut_off:
        yield "cut off from its storage"
    if node.silent:
        yield "does not vote yet"
    if node.refused:
        yield f"refuses {', '.join(sorted(node.refused))}"
    elif own is not None and node.state in PRESENT and node.tables:
        other = [name for name, seen in node.tables.items() if own.tables.get(name) != seen]
        if other:
            yield f"another {' and '.join(sorted(other))} than here"
    if node.error:
        yield node.error


def quorum_line(report: Report) -> Text:
    """Return whether there is a quorum, and by what count."""
    quorum = report.quorum
    needs = f"{quorum.seen} of {len(quorum.electorate)} nodes, {quorum.needed} needed"
    text = f"{'yes' if quorum.has else 'NO'}, {quorum.reason or needs} ({quorum.policy})"
    return Text.assemble(("Quorum: ", TITLE), (text, "" if quorum.has else BAD))


def lease_line(report: Report) -> Text:
    """Return the margin of the leases; empty as long as it is not known."""
    margin = report.margin
    if margin.lease_margin is None:
        return Text()
    text = f"{margin.lease_margin:.1f} times what a renewal takes"
    if margin.roundtrip_s is not None:
        text += f" (round trip {margin.roundtrip_s * 1000:.0f} ms)"
    style = MOVING if margin.warning else ""
    return Text.assemble(("Lease:  ", TITLE), (f"{report.timing.lease_s:g} s, {text}", style))


def watchdog_line(report: Report) -> Text:
    """Return the armed watchdog and its time-out; empty if there is none."""
    armed = report.watchdog
    if armed is None:
        return Text()
    fed = "fed" if armed.fed else "NOT FED"
    text = f"{armed.device}, armed, {armed.timeout_s:g} s, {fed}"
    return Text.assemble(("Watchdog: ", TITLE), (text, "" if armed.fed else BAD))
