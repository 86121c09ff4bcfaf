"""A monitor for tests of the command line: the real server and socket, answers as told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from mosha.control.listener import Listener
from mosha.control.protocol import (
    AskReport,
    Leave,
    Message,
    MonitorReply,
    MonitorRequest,
    OrderEntry,
)
from mosha.control.server import ClientConnection, Server
from mosha.formats.hastat import Report, render_hastat

Answer = Callable[[MonitorRequest], MonitorReply | None]


class FakeMonitor:
    """Listens at `rundir/mosha.s` while it is a context; `asked` holds every request.

    `answer` returns the reply to what is not a question for the report; None closes the
    connection without one; an order for an entry is answered when all reports have been shown.
    `reports` are shown one after the other instead of `report`, the last
    one for ever. It leaves when all have been shown; having agreed to leave it ends, as a monitor
    does.
    """

    def __init__(
        self,
        rundir: Path,
        report: Report,
        answer: Answer | None = None,
        reports: Sequence[Report] = (),
    ) -> None:
        self.report = report
        self._reports = list(reports)
        self.asked: list[MonitorRequest] = []
        self._answer = answer or (lambda _: MonitorReply(ok=True, text="done"))
        self._path = rundir / "mosha.s"
        self._shown = asyncio.Event()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._run()])
        self._task: asyncio.Task[None] | None = None

    async def _run(self) -> None:
        server: Server[MonitorRequest] = Server(Listener(self._path), MonitorRequest, self._reply)
        self._task = asyncio.current_task()
        self._ready.set()
        try:
            await server.run()
        except asyncio.CancelledError:
            self._path.unlink(missing_ok=True)

    async def _reply(self, request: MonitorRequest, client: ClientConnection) -> Sequence[Message]:
        self.asked.append(request)
        if isinstance(request, AskReport):
            if self._reports:
                self.report = self._reports.pop(0)
            if not self._reports:
                self._shown.set()
            if request.group and not any(g.group == request.group for g in self.report.groups):
                return [MonitorReply(ok=False, text=f"no node knows group {request.group}")]
            data = msgspec.json.format(render_hastat(self.report), indent=-1)
            return [MonitorReply(ok=True, report=msgspec.Raw(data))]
        if isinstance(request, Leave | OrderEntry) and self._reports:
            await self._shown.wait()
        reply = self._answer(request)
        if reply is None:
            client.drop("as the test wants it")
            return []
        if isinstance(request, Leave) and reply.ok and self._task is not None:
            self._loop.call_soon(self._task.cancel)  # after the reply: it has left
        return [reply]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(5)
        self._loop.close()
