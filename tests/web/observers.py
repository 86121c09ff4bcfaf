"""Who watches a demonstration: a client that asks for the page, and each node for the address."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mosha.host.clock import boottime
from tests.waiting import wait_until
from tests.web import client, presence
from tests.web.gaps import Answer, Stay, on_two_nodes, read_answers, read_stays
from tests.web.network import CLIENT, FLOATING, LIMIT_S, Network

MOVE_LIMIT_S = 30.0
CALM_ANSWERS = 10
"""So many requests in a row must have been answered before and after an event."""


class Observers:
    """The observers of one network; their notes are in the directory `base`."""

    def __init__(self, network: Network, base: Path) -> None:
        self._network = network
        self._base = base
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def watch_address(self) -> None:
        """Have each node note when it has the address; return when all have begun."""
        for number in range(1, self._network.size + 1):
            words = [presence.__file__, FLOATING, str(number), str(self._base / "presence")]
            self._observe(number, words)
        wait_until(lambda: self._presence().count("\n") == self._network.size, LIMIT_S)

    def ask_for_page(self) -> None:
        """Have the client ask for the page again and again."""
        self._observe(CLIENT, [client.__file__, FLOATING, str(self._base / "answers")])

    def pid(self, number: int) -> int:
        """Return the pid of the observer on a node."""
        return self._processes[number].pid

    def end(self) -> None:
        """Take leave of the observers: their hosts have been ended."""
        for process in self._processes.values():
            process.communicate()

    def wait_served_by_another(self, number: int) -> None:
        """Wait until a node other than this one answers."""
        began = boottime()

        def another() -> bool:
            new = (answer for answer in self.answers() if answer.sent >= began)
            return any(answer.node not in {None, number} for answer in new)

        wait_until(another, MOVE_LIMIT_S)

    def wait_calm(self) -> float:
        """Wait until requests are answered again; return when that was seen."""
        began = boottime()

        def calm() -> float:
            last = [answer for answer in self.answers() if answer.sent >= began][-CALM_ANSWERS:]
            good = len(last) == CALM_ANSWERS and None not in {answer.node for answer in last}
            return last[-1].ended if good else 0.0

        return wait_until(calm, MOVE_LIMIT_S)

    def answers(self) -> list[Answer]:
        """Return all requests so far."""
        path = self._base / "answers"
        return read_answers(path.read_text()) if path.exists() else []

    def stays(self) -> list[Stay]:
        """Return where the address was so far."""
        return read_stays(self._presence())

    def together(self) -> list[str]:
        """Return when two nodes had the address at once, in words."""
        return on_two_nodes(self.stays())

    def _observe(self, number: int, words: list[str]) -> None:
        self._processes[number] = subprocess.Popen(
            [*self._network.hosts[number].within, sys.executable, "-I", "-S", *words],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _presence(self) -> str:
        path = self._base / "presence"
        return path.read_text() if path.exists() else ""
