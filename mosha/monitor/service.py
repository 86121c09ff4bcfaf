"""What the monitor answers on its socket `mosha.s`, to the command line."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import msgspec

from mosha.control.address import listen
from mosha.control.protocol import (
    AskReport,
    Confirm,
    Follow,
    Leave,
    Message,
    MonitorReply,
    MonitorRequest,
    Reload,
    SetWish,
)
from mosha.control.server import Client, Server
from mosha.core.tables import Wish
from mosha.errors import MoshaError
from mosha.formats import hastat
from mosha.formats.hactl import parse_wish
from mosha.monitor.daemon import Monitor
from mosha.monitor.reload import reload

# Followers are people and scripts: no more often than this.
FOLLOW_EVERY_S = 0.2


class Service:
    """Answers requests about one monitor until cancelled."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._followers: set[Client] = set()
        path = monitor.settings.monitor_socket_path
        self._server: Server[MonitorRequest] = Server(listen(path), MonitorRequest, self._answer)

    async def run(self) -> None:
        """Serve, and send the report to those who follow it."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._server.run)
            tasks.start_soon(self._following)

    async def flush(self) -> None:
        """Wait, not for long, until all answers have been taken."""
        await self._server.flush()

    async def _answer(self, request: MonitorRequest, client: Client) -> Sequence[Message]:
        try:
            return [await self._reply(request, client)]
        except MoshaError as error:
            return [MonitorReply(ok=False, text=str(error))]

    async def _reply(self, request: MonitorRequest, client: Client) -> MonitorReply:
        monitor = self._monitor
        match request:
            case AskReport():
                return self._report()
            case Follow():
                client.subscribed = True
                self._followers.add(client)
                return self._report()
            case SetWish():
                return MonitorReply(ok=True, text=await monitor.replicator.set_wish(_wish(request)))
            case Confirm():
                refusal = monitor.node.confirmed(request.node)
                monitor.settle()
                text = refusal or f"node {request.node} counts as dead from now on"
                return MonitorReply(ok=not refusal, text=text)
            case Reload():
                return MonitorReply(ok=True, text=reload(monitor))
            case Leave():
                monitor.leave()
                await monitor.left()
                return MonitorReply(ok=True, text="this node has left")

    def _report(self) -> MonitorReply:
        data = hastat.render_hastat(self._monitor.report())
        return MonitorReply(ok=True, report=msgspec.Raw(msgspec.json.format(data, indent=-1)))

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


def _wish(request: SetWish) -> Wish:
    return parse_wish([request.group, request.level, *request.options])
