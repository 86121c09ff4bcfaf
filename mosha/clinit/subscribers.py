"""Sends updates to subscribers: changes of level or state at once, others soon."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable

import msgspec

from mosha.control.protocol import Update
from mosha.control.server import ClientConnection
from mosha.core.supervision.group_report import GroupReport

GATHER_S = 0.02
"""How long changes are collected: 200 starting entries are a few reports, not 200."""


class Subscribers:
    """The subscribers, and the groups with changes that can wait a moment."""

    def __init__(self, report: Callable[[str], GroupReport | None]) -> None:
        self._report = report
        self._subscribers: list[ClientConnection] = []
        self._touched: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def subscribe(self, client: ClientConnection) -> None:
        """Send a client all updates from now on."""
        client.subscribed = True
        if client not in self._subscribers:
            self._subscribers.append(client)

    @property
    def heard(self) -> bool:
        """Whether there are subscribers."""
        self._subscribers = [client for client in self._subscribers if not client.gone]
        return bool(self._subscribers)

    def tell(self, update: Update) -> None:
        """Send an update to all now."""
        if self.heard:
            update.pid = os.getpid()
            line = msgspec.json.encode(update) + b"\n"
            for client in self._subscribers:
                client.send_bytes(line)

    def touch(self, groups: Iterable[str]) -> None:
        """Report these groups soon."""
        if not self._subscribers:
            return
        self._touched.update(dict.fromkeys(groups))
        if self._timer is None and self._touched:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._tell_touched)

    def _tell_touched(self) -> None:
        self._timer = None
        names, self._touched = list(self._touched), {}
        if self.heard:
            reports = (self._report(name) for name in names)
            self.tell(Update(groups=tuple(report for report in reports if report is not None)))
