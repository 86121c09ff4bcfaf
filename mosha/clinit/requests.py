"""What clinit answers to each request (catalogue C4)."""

from __future__ import annotations

import asyncio
import math
import os

from mosha import __version__
from mosha.clinit.engine import Engine
from mosha.clinit.table import TableFile
from mosha.control.protocol import (
    Ask,
    ClinitRequest,
    Hello,
    Lease,
    Message,
    Reply,
    Reread,
    Shutdown,
    Subscribe,
    Update,
)
from mosha.control.server import ClientConnection
from mosha.core.supervision.group import Deadlines
from mosha.core.supervision.supervisor import Leased, ShutdownAsked, TableRead
from mosha.core.tell import EntryOrder, Tell
from mosha.errors import BugError
from mosha.formats.names import NAME_RULE, is_name
from mosha.host import logs

REREAD_TEXT = "re-read"


class Requests:
    """Answers the clients of one clinit.

    If `managed`, a cltab with mistakes does not make it refuse tells: the last good entries are in
    force, and the monitor, which gets the mistakes, must be able to stop a group.

    The latest subscriber of a managed clinit is the current monitor. Requests of another process
    on an older connection are refused from then on: they may come from a dead monitor, whose claim
    the new one, which has just got all reports, is about to give up.
    """

    def __init__(self, engine: Engine, table: TableFile, *, managed: bool) -> None:
        self._engine = engine
        self._table = table
        self._managed = managed
        self._loaded = False
        self._errors: tuple[str, ...] = ()
        # Tells are carried out in the order they came, though reading cltab may take a while.
        self._in_order = asyncio.Lock()
        self._monitor: ClientConnection | None = None

    async def answer(self, request: ClinitRequest, client: ClientConnection) -> list[Message]:
        """Return the reply, and for a subscriber a full update too."""
        match request:
            case Hello():
                return [Reply(ok=True, text=f"clinit {os.getpid()} {__version__}")]
            case Tell():
                async with self._in_order:
                    return [await self._tell(request, client)]
            case EntryOrder():
                async with self._in_order:
                    answer = self._engine.happen(request)
                if answer is None:
                    raise BugError(f"{request} got no answer")
                return [Reply(ok=answer.ok, text=answer.text)]
            case Reread():
                async with self._in_order:
                    return [await self.reread()]
            case Lease() if self._is_superseded(client):
                return [_superseded(client)]
            case Lease():
                leases = {
                    group: (term, Deadlines(stop_at, kill_at))
                    for group, (term, stop_at, kill_at) in request.leases.items()
                }
                self._engine.happen(Leased(leases))
                return [Reply(ok=True)]
            case Ask():
                return [Reply(ok=True, update=self._everything())]
            case Subscribe():
                self._monitor = client
                async with self._in_order:  # after running orders: it gets their outcome
                    self._engine.news.subscribe(client)
                    return [Reply(ok=True), self._everything()]
            case Shutdown():
                return [self.shut_down()]

    async def reread(self) -> Reply:
        """Check cltab, and put it in force if it has changed and has no mistakes (C4.14)."""
        warning = await self._look()
        if self._errors:
            return Reply(ok=False, text="\n".join(self._errors))
        return Reply(ok=not warning, text=warning or REREAD_TEXT)

    def shut_down(self) -> Reply:
        """Begin to halt all groups (C8.3)."""
        answer = self._engine.happen(ShutdownAsked())
        if answer is None:
            raise BugError("a shutdown got no answer")
        self._engine.news.tell(Update(halting=True))
        return Reply(ok=answer.ok, text=answer.text)

    def _everything(self) -> Update:
        return self._engine.full_update(self._errors)

    def _is_superseded(self, client: ClientConnection) -> bool:
        """Say whether a newer monitor has subscribed since this client connected."""
        monitor = self._monitor
        if not self._managed or monitor is None:
            return False
        return client.number < monitor.number and client.pid != monitor.pid

    async def _tell(self, tell: Tell, client: ClientConnection) -> Reply:
        if not is_name(tell.level):
            return Reply(ok=False, text=f"not the name of a level: {tell.level!r}; {NAME_RULE}")
        if (tell.stop_at is None) != (tell.kill_at is None):
            return Reply(ok=False, text="stop_at and kill_at go together")
        warning = await self._look(client.heard_at)
        if self._is_superseded(client):  # checked after reading cltab, which takes time
            return _superseded(client)
        if self._errors and not (self._managed and self._loaded):
            return Reply(ok=False, text="\n".join(self._errors))  # C1.13
        answer = self._engine.happen(tell)
        if answer is None:
            raise BugError(f"{tell} got no answer")
        return Reply(ok=answer.ok, text="\n".join(filter(None, (answer.text, warning))))

    async def _look(self, since: float = math.inf) -> str:
        """Check cltab unless that was done after `since`; return a warning, if there is one."""
        reading = await self._table.look(since)
        if reading.cltab is not None:
            self._loaded = True
            logs.get().info("cltab_loaded", entries=len(reading.cltab.entries))
            self._engine.happen(TableRead(reading.cltab))
        if reading.missing and self._managed and not self._loaded:
            logs.get().info("cltab_missing")  # normal on a new node: none has been written yet
        elif reading.warning:
            logs.get().warning("cltab_refused", reason=reading.warning)
        if reading.errors != self._errors:
            self._errors = reading.errors
            for error in self._errors:
                logs.get().error("cltab_refused", reason=error)
            self._engine.news.tell(Update(cltab_errors=self._errors))
        return f"warning: {reading.warning}" if reading.warning else ""


def _superseded(client: ClientConnection) -> Reply:
    """Refuse, and end the connection: a monitor that is alive after all connects again."""
    text = "another monitor has subscribed since"
    client.drop(text)
    return Reply(ok=False, text=text)
