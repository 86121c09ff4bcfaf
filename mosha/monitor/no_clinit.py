"""What a witness has in place of clinit: it runs no groups, so nothing needs a supervisor.

A node that was a member before, on this boot, keeps its clinit until it has left once: something of
a group may still run, and only clinit ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from mosha.control.protocol import ClinitRequest, Reply
from mosha.core.cluster.events import ClinitLost, GroupsReported
from mosha.core.cluster.node import Renewal
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tell import Tell
from mosha.core.watchdog import ArmedWatchdog
from mosha.formats.settings import WITNESS, Settings
from mosha.host.clock import boot_id
from mosha.host.lock_file import CLINIT_RECORD
from mosha.monitor import identity

REFUSED = Reply(ok=False, text="this node is a witness: it only votes, and nothing runs here")


class NoClinit:
    """Has the interface of `ClinitLink`, and reports at once that no group is here."""

    def __init__(self, report: Callable[[GroupsReported | ClinitLost], None]) -> None:
        self.groups: dict[str, GroupReport] = {}
        self.cltab_errors: tuple[str, ...] = ()
        self.no_cgroups = ""
        self.watchdog: ArmedWatchdog | None = None
        self.trouble = ""
        self.pid = 0
        self.lost_at: float | None = None
        self.connected = False
        self.reported = True
        self._report = report
        self._known = asyncio.Event()
        self._over = asyncio.Event()

    async def known(self) -> None:
        """Wait until it was reported that there are no groups."""
        await self._known.wait()

    async def run(self) -> None:
        """Report that there are no groups, and wait for the end."""
        self._report(GroupsReported((), (), full=True))
        self._known.set()
        await self._over.wait()

    async def tell(self, _message: Tell) -> Reply | None:
        """Refuse: a witness claims no group."""
        return REFUSED

    async def renew(self, _renewals: Sequence[Renewal]) -> None:
        """There are no deadlines."""

    async def everything(self, _limit_s: float) -> dict[str, GroupReport]:
        """Return the groups: none."""
        return self.groups

    async def apart(self, _request: ClinitRequest, _limit_s: float) -> Reply | None:
        """Refuse: there is no entry."""
        return REFUSED

    async def shut_down(self) -> None:
        """End `run`."""
        self._over.set()


class _Record(msgspec.Struct):
    """What this needs of a clinit's record: the boot on which it ran."""

    boot: str = ""


def needs_clinit(settings: Settings) -> bool:
    """Say whether this node has groups to run, or may have something left of them.

    A watchdog is fed by clinit: a witness that has one has both.
    """
    if settings.role != WITNESS or settings.watchdog:
        return True
    memory = identity.load(settings.state_path)
    claims = memory.claims and memory.boot == boot_id()
    return bool(claims) or _ran_here(settings.state_path)


def _ran_here(state_dir: Path) -> bool:
    """Say whether a clinit of this boot has not ended in an orderly way; if in doubt, yes."""
    try:
        data = (state_dir / CLINIT_RECORD).read_bytes()
        return msgspec.json.decode(data, type=_Record).boot == boot_id()
    except FileNotFoundError:
        return False
    except (OSError, msgspec.MsgspecError):
        return True
