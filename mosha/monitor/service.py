"""The monitor's server on its socket `mosha.s`, for the command line."""

from __future__ import annotations

import time
from collections.abc import Sequence

import anyio
import msgspec
from msgspec.structs import replace

from mosha.control.listener import Listener
from mosha.control.protocol import (
    AskEvents,
    AskFenceNodes,
    AskReport,
    Confirm,
    DisarmAll,
    Explain,
    FailGroup,
    Follow,
    GiveOrder,
    Leave,
    Message,
    MonitorReply,
    MonitorRequest,
    OrderEntry,
    Reload,
    RunFenceTest,
    SetWish,
    ShootNode,
)
from mosha.control.server import ClientConnection, Server
from mosha.core.cluster import rivals
from mosha.core.explain import reasons
from mosha.core.explain.why import why
from mosha.core.explain.why_not import why_not
from mosha.core.instance_names import node_of, single
from mosha.core.tables import STOP_LEVEL
from mosha.errors import HostError, UsageError
from mosha.formats import hastat
from mosha.formats.explanation import render_explanation
from mosha.formats.hactl import parse_change
from mosha.formats.names import nearest
from mosha.host.clock import boottime
from mosha.monitor import fence_requests, ordering, report
from mosha.monitor.answers import answer, check_nodes, with_level
from mosha.monitor.daemon import Monitor
from mosha.monitor.event_file import EventFile
from mosha.monitor.event_history import EventHistory
from mosha.monitor.reload import reload

STRANDED = "this node ended without leaving: clinit, which has its groups, is gone"
# For what only clinit knows; people wait, and the monitor's part comes anyway.
CLINIT_LIMIT_S = 2.0
# Followers are people and scripts: no updates more often than this.
FOLLOW_EVERY_S = 0.2
# A kill loses the events of this many seconds; a busy cluster writes some 200 kB as often.
KEEP_EVERY_S = 5.0
KEEP_LIMIT_S = 5.0
# The end of a monitor waits no longer for the disk.
LAST_KEEP_S = 1.0


def farewell(monitor: Monitor) -> str:
    """Return how a monitor that was asked to leave has ended."""
    return STRANDED if monitor.stranded else "this node has left"


class Service:
    """Answers requests about one monitor until cancelled."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._followers: set[ClientConnection] = set()
        self._event_history = EventHistory()
        self._history = EventFile(monitor.settings.state_path)
        self._on_disk = 0
        path = monitor.settings.monitor_socket_path
        self._server: Server[MonitorRequest] = Server(
            Listener(path),
            MonitorRequest,
            self._answer,
            on_trouble=lambda text: monitor.trouble("socket", text),
        )

    async def run(self) -> None:
        """Serve, and send the report to followers."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._server.run)
            tasks.start_soon(self._following)
            tasks.start_soon(self._chronicling)
            tasks.start_soon(self._keeping)

    async def flush(self) -> None:
        """Wait, for a short time, until all replies have been read and all events are saved."""
        await self._server.flush()
        await self._keep(LAST_KEEP_S)

    async def _answer(self, request: MonitorRequest, client: ClientConnection) -> Sequence[Message]:
        try:
            return [await self._reply(request, client)]
        except HostError as error:
            return [MonitorReply(ok=False, text=str(error), tried=True)]
        except UsageError as error:
            return [MonitorReply(ok=False, text=str(error))]

    async def _reply(self, request: MonitorRequest, client: ClientConnection) -> MonitorReply:
        monitor = self._monitor
        match request:
            case AskReport(group):
                return await self._group_report(group) if group else self._report()
            case Follow():
                client.subscribed = True
                self._followers.add(client)
                return self._report()
            case SetWish():
                return await self._set(request)
            case Confirm() | ShootNode() | DisarmAll():
                return await fence_requests.answer(monitor, request, client)
            case GiveOrder() | OrderEntry():
                level = rivals.level_of(monitor.node.state, request.group)
                text = await ordering.given(monitor, request)
                return MonitorReply(ok=True, text=text, level=level)
            case FailGroup():
                return MonitorReply(ok=True, text=ordering.failed(monitor, request))
            case Reload():
                return MonitorReply(ok=True, text=reload(monitor))
            case Explain():
                return self._explanation(request)
            case AskEvents():
                return self._events(request, client)
            case AskFenceNodes() | RunFenceTest():
                return await self._fencing(request)
            case Leave():
                monitor.leave()
                await monitor.left()
                ok = not monitor.stranded
                return MonitorReply(ok=ok, text=farewell(monitor), tried=not ok)

    async def _fencing(self, request: AskFenceNodes | RunFenceTest) -> MonitorReply:
        schedule = self._monitor.fence_schedule
        if isinstance(request, AskFenceNodes):
            data = msgspec.json.encode(schedule.nodes(request.node))
        else:
            data = msgspec.json.encode(await schedule.test(request.node))
        return MonitorReply(ok=True, report=msgspec.Raw(data))

    async def _set(self, request: SetWish) -> MonitorReply:
        monitor, state = self._monitor, self._monitor.node.state
        if node := node_of(request.group):
            group = single(request.group)
            raise UsageError(
                f"{request.group} is the instance of {group} on node {node} (on=all): hactl has no"
                f" line for it; write {group}, and only= to name the nodes that have one"
            )
        # For the parser, a level that is still to be determined is one that every group may have.
        change = parse_change([request.group, request.level or STOP_LEVEL, *request.options])
        tables = monitor.runtime.agent.tables.now
        if not request.level:
            change = replace(change, wish=replace(change.wish, level=""))
        before = tables.hactl.wishes.get(request.group) if tables.hactl else None
        change = with_level(change, tables.cltab, before)
        if not request.force:
            check_nodes(change.wish, state.view.members | {state.me} | state.view.electorate.nodes)
        done = await monitor.tables.set_wish(change, force=request.force)
        wish = change.applied(before)
        return MonitorReply(ok=True, text=answer(done, wish, state), level=wish.level)

    def _report(self) -> MonitorReply:
        return MonitorReply(ok=True, report=_raw(hastat.render_hastat(self._monitor.report())))

    async def _group_report(self, group: str) -> MonitorReply:
        """Return the view of one group, as far as known."""
        monitor = self._monitor
        if refusal := self._unknown(group):
            return refusal
        detail = await monitor.clinit.everything(CLINIT_LIMIT_S)
        names = rivals.named(monitor.node.state, group)
        found = report.of_groups(monitor.report(detail, asked=names), names)
        return MonitorReply(ok=True, report=_raw(hastat.render_hastat(found)))

    def _unknown(self, group: str) -> MonitorReply | None:
        """Return the refusal of an unknown group, with the one that may be meant."""
        state = self._monitor.node.state
        if reasons.is_known(state, group):
            return None
        hint = nearest(group, reasons.known_groups(state))
        return MonitorReply(ok=False, text=f"no node knows group {group}; {hint}".rstrip("; "))

    def _explanation(self, request: Explain) -> MonitorReply:
        state, group = self._monitor.node.state, request.group
        if refusal := self._unknown(group):
            return refusal
        now, wall_s = boottime(), time.time()
        if request.node:
            found = why_not(state, rivals.at(state, group, request.node), request.node, now, wall_s)
        else:
            found = why(state, group, now, wall_s)
        return MonitorReply(ok=True, report=_raw(render_explanation(found)))

    def _events(self, request: AskEvents, client: ClientConnection) -> MonitorReply:
        if request.follow:
            client.subscribed = True

            def tell(data: bytes) -> bool:
                client.send(MonitorReply(ok=True, report=msgspec.Raw(data)))
                return not client.gone

            self._event_history.follow(tell)
        return MonitorReply(ok=True, report=msgspec.Raw(self._event_history.kept()))

    async def _chronicling(self) -> None:
        """Record transitions as they happen; idle otherwise."""
        monitor = self._monitor
        self._event_history.go_on(monitor.me, await self._history.load(), monitor.own_reset)
        while True:
            seen = monitor.news
            self._event_history.look(monitor.node.state, monitor.clinit.pid)
            await anyio.sleep(self._event_history.pause_s)
            await monitor.next_change(seen)

    async def _keeping(self) -> None:
        """Save the events to the disk some seconds after they happened."""
        while True:
            seen = self._monitor.news
            await self._monitor.next_change(seen)
            await anyio.sleep(KEEP_EVERY_S)
            await self._keep(KEEP_LIMIT_S)

    async def _keep(self, limit_s: float) -> None:
        last = self._event_history.seq
        if last != self._on_disk and await self._history.keep(self._event_history.kept(), limit_s):
            self._on_disk = last

    async def _following(self) -> None:
        while True:
            seen = self._monitor.news
            await self._monitor.next_change(seen)
            await anyio.sleep(FOLLOW_EVERY_S)
            self._followers = {client for client in self._followers if not client.gone}
            if self._followers:
                line = msgspec.json.encode(self._report()) + b"\n"
                for client in self._followers:
                    client.send_bytes(line)


def _raw(data: bytes) -> msgspec.Raw:
    """Return JSON on one line: the messages of the socket are lines."""
    return msgspec.Raw(msgspec.json.format(data, indent=-1))
