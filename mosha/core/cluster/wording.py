"""The standing of a node in words: the one source for all texts."""

from __future__ import annotations

from typing import NamedTuple

from mosha.core.cluster.peers import Standing


class Wording(NamedTuple):
    """A standing in words: in a column of a table, in a sentence after its verb, and explained."""

    column: str
    verb: str
    clause: str
    meaning: str = ""


WORDING = {
    Standing.NEVER: Wording("never heard", "was", "never heard from"),
    Standing.FRESH: Wording("fresh", "is", "fresh"),
    Standing.STALE: Wording("stale", "is", "stale", "not heard from for longer than timeout"),
    Standing.LEAVING: Wording("leaving", "is", "leaving"),
    Standing.LEFT: Wording("left", "has", "left in an orderly way"),
    Standing.FENCED: Wording("fenced", "is", "fenced"),
}


def said(standing: Standing) -> str:
    """Return what comes after `node 3`: `is stale`, `has left in an orderly way`."""
    wording = WORDING[standing]
    return f"{wording.verb} {wording.clause}"


def explained(standing: Standing, *, verb: bool = False) -> str:
    """Return a standing with its meaning, as a remark or after `node 3`."""
    wording = WORDING[standing]
    meaning = f": {wording.meaning}" if wording.meaning else ""
    return (f"{wording.verb} " if verb else "") + wording.clause + meaning


def way_back(node: int, standing: Standing) -> str:
    """Return what to do so that a node is up again."""
    if standing is Standing.LEAVING:
        return f"start the monitor of node {node} again when it has left"
    if standing is Standing.LEFT:
        return f"start its monitor; if it runs, mosha status on node {node} says what it waits for"
    return f"look at node {node}: is it on, is its monitor running, is its mount there?"


def late(heartbeats: int) -> str:
    """Return what comes after `node 3` for a fresh node that has missed that many heartbeats."""
    return f"is late: {heartbeats} heartbeats missed"
