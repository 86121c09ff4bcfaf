"""A real clinit in the name spaces of a room, which runs agents."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

from mosha.control.calls import call
from mosha.control.protocol import Ask, Hello
from mosha.core.supervision.entries import EntryReport
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tell import Tell
from mosha.errors import HostError
from mosha.host.programs import command_of
from tests.ocf.rooms import Room
from tests.waiting import LIMIT_S, wait_until

CALL_LIMIT_S = 10.0


class Supervised:
    """A clinit with a table of the group `g`."""

    def __init__(self, room: Room, table: str) -> None:
        self._directory = room.directory
        (self._directory / "cltab").write_text(table)
        with (self._directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(*room.host.within, *command_of("mosha.cli.clinit"), "-d"),
                    *("-c", str(self._directory / "cltab"), "-s", str(self._directory / "s")),
                ],
                env=room.environment,
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers)

    def end(self) -> None:
        """Kill it; what is left of the services goes with the room."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return call(self._directory / "s", Hello(), CALL_LIMIT_S).ok
        except HostError:
            return False

    def tell(self, level: str, state: str) -> None:
        """Tell the group a level, and wait for its state there."""
        call(self._directory / "s", Tell("g", level), CALL_LIMIT_S)
        self.wait_for(level, state)

    def wait_for(self, level: str, state: str) -> None:
        """Wait until the group shows this state at this level."""
        wait_until(lambda: self._shown() == (level, state), 2 * LIMIT_S)

    def _shown(self) -> tuple[str, str]:
        group = self.group()
        return group.level, group.state

    def group(self) -> GroupReport:
        update = call(self._directory / "s", Ask(), CALL_LIMIT_S).update
        assert update is not None
        return next(group for group in update.groups if group.group == "g")

    def entry(self, tag: str) -> EntryReport:
        return next(entry for entry in self.group().entries if entry.tag == tag)

    def said(self, text: str) -> list[str]:
        """Return the lines of the entry that begin so."""
        lines = (line.get("text", "") for line in self.log())
        return [line for line in lines if line.startswith(text)]

    def log(self) -> list[dict[str, Any]]:
        lines = (self._directory / "log").read_bytes().rpartition(b"\n")[0].splitlines()
        return [json.loads(line) for line in lines if line.startswith(b"{")]
