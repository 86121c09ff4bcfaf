"""`mosha events`: what changes in the cluster, as this node's monitor sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

import click
import msgspec

from mosha.cli.ask import ask, ask_report, no_daemon
from mosha.cli.colours import color_option, wants_colours
from mosha.cli.completion import group_option, node_option
from mosha.cli.config import config_option
from mosha.cli.exits import AS_WANTED, NO_DAEMON
from mosha.cli.help_text import Command
from mosha.cli.output import go_on
from mosha.cli.settings import settings_to_ask
from mosha.control.client import NoAnswerError, open_streams
from mosha.control.protocol import AskEvents, AskReport, MonitorReply
from mosha.core.explain.transitions import ABSENT, FOR_GOOD, MOVING
from mosha.core.instance_names import single
from mosha.core.supervision.group import TOLD
from mosha.errors import HostError, UsageError
from mosha.formats.events import ClusterEvent, parse_happenings
from mosha.formats.names import listed
from mosha.formats.settings import Settings

_BAD = frozenset({"no", "stale", "fenced", "failed", "banned", "refused", "given", "unhealthy"})


@click.command("events", cls=Command, short_help="What changes in the cluster, as it happens.")
@config_option
@click.option("-f", "--follow", is_flag=True, help="Keep printing new events, until Ctrl-C.")
@group_option("Only this group.")
@node_option("Only what is on node N.")
@click.option("-n", "--lines", type=click.IntRange(0), metavar="N", help="Only the last N.")
@color_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(
    config: str | None,
    *,
    follow: bool,
    group: tuple[str, ...],
    node: tuple[int, ...],
    lines: int | None,
    color: str,
    as_json: bool,
) -> int:
    """What changes in the cluster, as it happens.

    The monitor of this node remembers the last thousand transitions that it has seen on all
    nodes, across restarts too: nodes that come and go, groups from level to level, how long a
    group was down when it moved, quorum, shots, bans, refused tables; groups that are unhealthy,
    restarted in place, given up, stopped for good and freed. Steps within a few
    milliseconds of each other may be merged into one event; the log (mosha logs) has every
    step of this node, with its reasons.

    Examples:
        mosha events
        mosha events -n 20
        mosha events -f --group web
        mosha events -f --json | jq -r 'select(.kind == "quorum") | .to'

    Exit status: 0 printed; 2 no node knows GROUP, or there is no node N; 3 no monitor answers, or
    it ended while it was followed.
    """
    settings = settings_to_ask(config)
    sieve = _Sieve(frozenset(group), frozenset(node))
    printer = _Printer(colours=wants_colours(color), as_json=as_json)
    if not follow:
        found = sieve.of(_events(ask(settings, AskEvents())))
        if not found and (group or node):
            _check_names(settings, group, node)
        printer.show(_last(found, lines))
        return AS_WANTED
    if text := _unknown(settings, group, node):
        click.echo(f"mosha: {text}", err=True)  # it may come
    try:
        asyncio.run(_follow(settings, sieve, printer, lines))
    except KeyboardInterrupt:
        return AS_WANTED
    click.echo("mosha: the monitor went away", err=True)
    return NO_DAEMON


class _Sieve:
    def __init__(self, groups: frozenset[str], nodes: frozenset[int]) -> None:
        self._groups, self._nodes = groups, nodes

    def of(self, found: Iterable[ClusterEvent]) -> list[ClusterEvent]:
        return [
            one
            for one in found
            if (not self._groups or not self._groups.isdisjoint({one.group, single(one.group)}))
            and (not self._nodes or one.node in self._nodes or _left(one) in self._nodes)
        ]


def _check_names(settings: Settings, groups: Iterable[str], nodes: Iterable[int]) -> None:
    """Say that nothing is about these groups and nodes, or that they do not exist.

    Raises:
        UsageError: they do not exist.
    """
    if text := _unknown(settings, groups, nodes):
        raise UsageError(text)
    click.echo("mosha: no event is about that, as far as this monitor remembers", err=True)


def _unknown(settings: Settings, groups: Iterable[str], nodes: Iterable[int]) -> str:
    """Return which of these groups and nodes the monitor does not know, "" if it knows all."""
    replies = [ask(settings, AskReport(group)) for group in groups]
    texts = [reply.text for reply in replies if not reply.ok]
    known = {node.node for node in ask_report(settings)[0].nodes} if nodes else set()
    nodes_text = listed([str(node) for node in sorted(known)])
    texts += [f"there is no node {n}; nodes are {nodes_text}" for n in sorted({*nodes} - known)]
    return "; ".join(texts)


def _left(one: ClusterEvent) -> int:
    """Return the node that a group has moved away from, 0 if it has not moved."""
    return int(one.before) if one.kind == "move" else 0


class _Printer:
    """Prints events; a new day gets a line before it."""

    def __init__(self, *, colours: bool, as_json: bool) -> None:
        self._colours, self._as_json = colours, as_json
        self._day = ""

    def show(self, found: Iterable[ClusterEvent]) -> None:
        text = "".join(map(self._line, found))
        click.echo(text.encode() if self._as_json else text, nl=False, color=self._colours)
        go_on()

    def _line(self, one: ClusterEvent) -> str:
        if self._as_json:
            return msgspec.json.encode(one).decode() + "\n"
        when = datetime.fromisoformat(one.time).astimezone()
        day = f"{when:%Y-%m-%d}"
        news = f"--- {day}\n" if day != self._day else ""
        self._day = day
        clock = f"{when:%H:%M:%S}.{when.microsecond // 1000:03d}"
        return f"{news}{clock} {self._painted(one)}\n"

    def _painted(self, one: ClusterEvent) -> str:
        text = sentence(one)
        bad = bool(_BAD & {one.after.split(" ")[0]}) or one.after.endswith("FAILED")
        bad |= one.after == FOR_GOOD
        return f"\033[31m{text}\033[0m" if bad and self._colours else text


_ENDED = {
    "ban": "ban ended",
    "table": "taken again",
    "clinit": "answers again",
    "entry": "all entries are well",
    "health": "its monitors succeed, or do not run",
    "exhausted": "may be started again",
    "hold": "not held back any more",
    "probation": "its probation is over",
    "late-kill": "its late kill was looked at",
    "group": "stopped",
}
"""What it means that a fact no longer holds."""


def sentence(one: ClusterEvent) -> str:
    """Return an event in words, without its time."""
    if text := _of_a_whole(one):
        return text
    # With a cause the group did not end by itself: its node has gone.
    after = "gone" if one.cause else _ENDED.get(one.kind, "gone")
    change = one.after if one.after != ABSENT else after
    if one.before != ABSENT and (one.after != ABSENT or one.kind == "group"):
        change = f"{one.before} -> {change}"
    cause = "" if one.cause == TOLD else " ".join(one.cause.split())
    subject = {"quorum": "quorum", "node": f"node {one.node}", "shot": f"node {one.node} shot"}
    subject |= {"clinit": f"clinit of node {one.node}", "fencing": "fencing"}
    subject["probation"] = f"node {one.node}"
    subject["hold"] = f"shots at node {one.node}"
    place = subject.get(one.kind, f"{one.group} on node {one.node}")
    return f"{place}: {change}" + (f" ({cause})" if cause else "")


def _of_a_whole(one: ClusterEvent) -> str:
    """Return the text of an event that is more than a changed fact, "" for others."""
    if one.kind == "move":
        away = f"away {one.away_s or 0.0:.1f} s"
        if one.before == one.after:
            return f"{one.group} is back on node {one.node}, {away}"
        return f"{one.group} moved {one.before} -> {one.after}, {away}"
    if MOVING in (one.before, one.after):  # of each node but the destination, wherever it runs
        over = " no longer: the move is over" if one.before == MOVING else ""
        cause = f" ({one.cause})" if one.cause else ""
        return f"{one.group}: node {one.node} leaves it to others{over}{cause}"
    if one.kind == "restart":
        first = f"{one.group} restarted in place on node {one.node}"
        return f"{first}, {one.after} so far: {one.cause}"
    if one.kind == "monitor":
        return f"monitor of node {one.node} started: what it did not see is not here"
    if one.kind == "reset":
        return f"node {one.node} reset itself ({one.after}): {one.cause}"
    if one.kind == "clinit" and ABSENT not in (one.before, one.after):
        return f"clinit of node {one.node} ended and was started again"
    return ""


def _events(reply: MonitorReply) -> list[ClusterEvent]:
    if not reply.ok:
        raise HostError(f"the monitor refuses: {reply.text}")
    try:
        return parse_happenings(bytes(reply.report) or b"[]")
    except ValueError as error:
        raise HostError(f"the monitor's events cannot be read: {error}") from error


def _last(found: list[ClusterEvent], lines: int | None) -> list[ClusterEvent]:
    """Return the last so many events, all if none are asked for."""
    return found if lines is None else found[max(len(found) - lines, 0) :]


async def _follow(settings: Settings, sieve: _Sieve, printer: _Printer, lines: int | None) -> None:
    """Print the last events so far and all that follow, until the monitor ends."""
    path = settings.monitor_socket_path
    try:
        reader, writer = await open_streams(path)
    except NoAnswerError as error:
        raise no_daemon(path, error) from error
    decoder = msgspec.json.Decoder(MonitorReply)
    try:
        writer.write(msgspec.json.encode(AskEvents(follow=True)) + b"\n")
        while True:
            line = await reader.readuntil(b"\n")
            printer.show(_last(sieve.of(_events(decoder.decode(line))), lines))
            lines = None  # what comes from now on is new
    except (ConnectionError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()
