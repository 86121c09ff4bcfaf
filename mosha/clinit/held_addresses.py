"""The addresses that processes of groups hold, and what a killed process has left of them.

A process of mode `address` removes its address when it is told to stop. One that is killed leaves
it until its lifetime ends. If its entry is started again the next process takes it over; if its
group stops, clinit removes it: a group has not stopped before its addresses are gone. The next
clinit does so at its start, before it answers: the file `addresses` of the state directory has a
line for each address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from anyio.abc import TaskGroup

from mosha.address.lifetime import LATE_S, LIFETIME_S
from mosha.address.words import HeldAddress, holder_words, read_holder_words
from mosha.clinit.command import held_address
from mosha.clinit.descriptors import explained
from mosha.clinit.lease_notes import LeaseNotes
from mosha.clinit.process_tracker import EntryKey
from mosha.core.supervision.process_events import Exit
from mosha.core.supervision.unit import Launch
from mosha.core.tables import Mode
from mosha.errors import UsageError
from mosha.host import logs
from mosha.host.abandonable import Abandonable
from mosha.host.clock import boottime
from mosha.host.files import read_head, write_atomically

if TYPE_CHECKING:
    from mosha.address.removal import Removal

ADDRESSES = "addresses"
FILE_MAX_BYTES = 1 << 20
WRITE_LIMIT_S = 2.0
REMOVAL_LIMIT_S = 2.0
AGAIN_S = 0.2


class HeldAddresses:
    """The addresses of all groups of one clinit."""

    def __init__(self, directory: Path, wake: Callable[[], None]) -> None:
        """Call `wake` when an address is gone that was asked for."""
        self.leases = LeaseNotes()
        self._path = directory / ADDRESSES
        self._wake = wake
        self._held: dict[EntryKey, HeldAddress] = {}
        self._removing: set[str] = set()
        self._file = Abandonable("the file of addresses")
        self._tasks: TaskGroup

    def start(self, tasks: TaskGroup) -> None:
        """Begin; what is left is removed in `tasks`."""
        self._tasks = tasks

    async def begin(self, launch: Launch) -> dict[str, str]:
        """Get ready for a run of an entry; return what it needs in its environment.

        Raises:
            OSError: its lease cannot be told to it.
        """
        entry = launch.entry
        if entry.mode is not Mode.ADDRESS:
            return {}
        variables = self.leases.variables(launch)
        key, held = EntryKey(entry.group, entry.tag), held_address(entry)
        if self._held.get(key) != held:
            self._held[key] = held
            await self._save()
        return variables

    def ended(self, key: EntryKey, how: Exit) -> None:
        """Note that the process of an entry has ended: if well, it has removed its address."""
        if how.well:
            self._held.pop(key, None)

    def are_gone(self, group: str) -> bool:
        """Say whether no address of a group is left whose processes have ended; begin to remove."""
        if not self._of(group):
            return True
        if group not in self._removing:
            self._removing.add(group)
            self._tasks.start_soon(self._remove, group)
        return False

    def close(self) -> None:
        """Remove the file: all groups have ended."""
        self.leases.close()
        if not self._held:
            self._path.unlink(missing_ok=True)

    async def _remove(self, group: str) -> None:
        try:
            for key in self._of(group):
                await _until_gone(self._held[key], group=group, tag=key.tag)
                del self._held[key]
        finally:
            self._removing.discard(group)
        self._wake()

    def _of(self, group: str) -> list[EntryKey]:
        return [key for key in self._held if key.group == group]

    async def _save(self) -> None:
        """Write them to the file, for the next clinit; those that have gone do no harm in it."""
        text = "".join(f"{' '.join(holder_words(held))}\n" for held in self._held.values())
        write = partial(write_atomically, self._path, text.encode(), mode=0o600)
        try:
            await self._file.run(write, WRITE_LIMIT_S)
        except OSError as error:  # the lifetime limits what harm that does
            logs.get().warning("address_unnoted", path=str(self._path), reason=explained(error))


async def remove_left(directory: Path) -> None:
    """Remove the addresses that the processes of an earlier clinit have left."""
    path = directory / ADDRESSES
    try:
        lines = read_head(path, FILE_MAX_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:  # usually there is none
        return
    for held in _read(lines):
        await _until_gone(held)


def _read(lines: Iterable[str]) -> Iterable[HeldAddress]:
    for line in dict.fromkeys(lines):
        try:
            yield read_holder_words(line.split())
        except UsageError as error:
            logs.get().error("address_not_removed", address=line, reason=str(error))


async def _until_gone(held: HeldAddress, **names: str) -> None:
    """Remove an address that nobody renews any more, or wait until its lifetime has ended."""
    over_at = boottime() + LIFETIME_S + LATE_S
    remover = Abandonable(f"the network, asked to remove {held}")
    while boottime() < over_at:
        try:
            removal = await remover.run(partial(_remove_address, held), REMOVAL_LIMIT_S)
        except OSError as error:
            reason = explained(error)
            logs.get().error("address_not_removed", **names, address=str(held), reason=reason)
            await asyncio.sleep(AGAIN_S)
        else:
            if removal.removed:
                logs.get().info("address_removed", **names, address=str(held))
            if removal.left:
                logs.get().warning("address_left", **names, address=str(held))
            return


def _remove_address(held: HeldAddress) -> Removal:
    # Imported when it is needed: it takes 25 ms and 4 MB.
    from mosha.address.removal import remove_address  # noqa: PLC0415

    return remove_address(held)
