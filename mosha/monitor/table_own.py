"""A table in the node's own directory, where people edit it: looked at, judged, written back.

Nothing that a person wrote is lost: what is not adopted is either left where it is, and
refused with a word, or kept in the history before the version in force is written over it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import anyio
from msgspec.structs import replace

from mosha.core.replication import (
    Do,
    Looks,
    Verdict,
    judge_local,
    next_mtime_ns,
    settle_s,
    version_of,
)
from mosha.core.status import TableVersion
from mosha.errors import BugError, HostError
from mosha.host.mounts import file_system_at
from mosha.monitor.table_files import (
    InForce,
    Seen,
    Text,
    in_force,
    parse_table,
    read_table,
    remarks,
    replace_table,
    shown_beside,
)
from mosha.monitor.table_keeper import Keeper, named
from mosha.monitor.table_store import Fate
from mosha.monitor.workers import reason

SETTLE_TURNS_MAX = 10
"""A file that is still changing after so many looks is left to the next heartbeat."""

PUT_TRIES_MAX = 3


class OwnFile:
    """The own file of one table."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._means = keeper.means
        self._path = keeper.path
        self._wanted = asyncio.Event()
        self._looking = asyncio.Lock()
        self._seen: Seen | None = None
        self._steady: Seen | None = None
        self._mount = ""
        self._shown: TableVersion | None = None
        self._held: InForce | None = None  # what the file showed when nobody had edited it

    def want_look(self) -> None:
        """Have the file looked at soon; several wishes are one look."""
        self._wanted.set()

    async def run(self) -> None:
        """Look whenever it is wanted, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.look()

    async def look(self) -> None:
        """Look at the file and do what is to be done about it; then announce what is in force.

        What came into force meanwhile has set off another look, which writes it first.
        """
        async with self._looking:
            force = self._keeper.force
            await self._look()
            if any(self._keeper.force is known for known in (force, self._held)):
                self._keeper.announce()

    async def _look(self) -> None:
        keeper = self._keeper
        keeper.drop_old_notes()
        try:
            self._seen = await self._settled()
        except (OSError, HostError) as error:
            self._seen = None
            keeper.notice("own", f"{self._path}: cannot be read: {reason(error)}")
            return
        keeper.notice("own", "")
        if self._seen is not None:
            await self._treat(self._seen)

    async def put(
        self, edit: Callable[[bytes], bytes], known: Callable[[], list[TableVersion]]
    ) -> TableVersion:
        """Edit what is in force, as a person would; return the version then in force.

        `known` gives the versions that the edit is to win against.

        Raises:
            Mistakes: the edited text is no table.
            HostError: it cannot be written, or is not in force here.
        """
        for _turn in range(PUT_TRIES_MAX):
            await self.look()
            force = self._keeper.force
            before = force.data if force else b""
            new = await self._means.disk.call(
                _edited, before, edit, self._keeper.name, limit_s=self._means.limit_s
            )
            if force and new.data == before:
                return force.version
            async with self._looking:
                put = await self._put(new, known())
            if put is not None:
                return put
        raise HostError(f"{self._path}: somebody else is editing it; try again")

    async def _put(self, draft: Seen, known: list[TableVersion]) -> TableVersion | None:
        """Write and adopt; None if the file changed meanwhile."""
        seen = self._seen
        if seen is None:
            raise HostError(" ".join(self._keeper.notices) or f"{self._path}: it is changing")
        if seen.version is None and seen.distrust:
            raise HostError(seen.distrust)
        if seen.version:
            known.append(seen.version)
            if self._judge(seen).do not in {Do.NOTHING, Do.WRITE}:
                await self._keep_text(seen, "rejected")
        mtime_ns = next_mtime_ns(known, self._means.wall_ns())
        access = seen.access if seen.version else draft.access
        past = self._keeper.force.child_past if self._keeper.force else ()
        new = replace(in_force(draft, version_of(draft.data, mtime_ns), past), access=access)
        try:
            done = await self._replace(seen.version, new)
        except (OSError, HostError) as error:
            raise HostError(f"{self._path}: cannot be written: {reason(error)}") from error
        if not done:
            return None
        if not await self._keeper.adopt(new, self._means.me):
            refused = self._keeper.refused or "a newer version came in between"
            raise HostError(f"{self._path} is written but not in force here: {refused}")
        self._keeper.clear(self._means.me)
        self._held = new
        self._keeper.announce()
        return new.version

    # --- looking ---------------------------------------------------------------------

    async def _settled(self) -> Seen | None:
        """Return the file when it has stopped changing, None if it does not stop."""
        former, seen = self._seen, await self._read(self._seen)
        if seen == former and self._judge(seen).do is Do.WRITE:
            return (
                seen  # nobody has touched it since the last look, only what is in force has changed
            )
        for _turn in range(SETTLE_TURNS_MAX):
            do = self._judge(seen).do
            if do is Do.NOTHING:
                self._steady = None
                return seen
            if seen == self._steady:
                return seen
            # To refuse a text takes nothing away from who is still writing it, and what is only
            # out of date nobody writes.
            known = do is Do.REFUSE or (do is Do.WRITE and seen.version is not None)
            seems = Looks.WHOLE if known else self._keeper.looks(seen)
            await anyio.sleep(settle_s(seen.version, self._means.wall_ns(), seems))
            again = await self._read(seen)
            if again == seen:
                self._steady = seen
                return seen
            seen = again
        return None

    async def _read(self, former: Seen | None) -> Seen:
        name = self._keeper.name
        seen, mount = await self._means.own.call(
            _read_own, self._path, name, former, limit_s=self._means.limit_s
        )
        self._mount = self._mount or mount
        if mount != self._mount:
            raise HostError(f"its mount has changed: it was {self._mount}, it is {mount}")
        return seen

    def _judge(self, seen: Seen) -> Verdict:
        keeper = self._keeper
        refusal = keeper.refusal(self._means.me)
        superseded = bool(refusal and refusal.what == seen and refusal.under != keeper.version)
        found = seen.found(superseded=superseded)
        now_ns, held = self._means.wall_ns(), self._held.version if self._held else None
        return judge_local(keeper.version, found, now_ns, keeper.shown, held)

    async def _treat(self, seen: Seen) -> None:
        keeper, me = self._keeper, self._means.me
        verdict = self._judge(seen)
        why = self._told(seen, verdict.why)
        keeper.notice("trust", why if verdict.do is Do.NOTHING else "")
        if verdict.do is Do.NOTHING:
            self._agree(keeper.force)
            keeper.notice("write", "")
        await self._show(keeper.force if verdict.do is Do.REFUSE else None)
        if verdict.do is Do.REFUSE:
            keeper.refuse(me, seen, why)
            return
        if verdict.do is Do.DISCARD:
            await self._discard(seen, why)
            return
        keeper.clear(me)
        if verdict.do is Do.WRITE:
            await self._write(seen)
        elif verdict.do is Do.ADOPT and seen.version:
            await self._adopt(seen, seen.version)

    def _agree(self, force: InForce | None) -> None:
        """Note that the file shows what is in force: what it shows next, somebody wrote."""
        if force is self._keeper.force:
            self._keeper.agreed()
        self._held = force or self._held

    async def _adopt(self, seen: Seen, version: TableVersion) -> None:
        """Bring an edit into force: one of the text that was here before, whatever is in force."""
        keeper = self._keeper
        edited = self._held or keeper.force
        new = in_force(seen, version, edited.child_past if edited else ())
        if await keeper.adopt(new, self._means.me):
            self._held = new
            keeper.show(version)  # what is in force may be that, joined with another edit
        elif keeper.version and version.order < keeper.version.order:
            await self._discard(seen, f"{self._path}: another edit of this moment is later")

    async def _show(self, force: InForce | None) -> None:
        """Let peers find what is in force where the own file shows a text that is refused."""
        version = force.version if force else None
        if version == self._shown:
            return
        path = shown_beside(self._path)
        try:
            await self._means.own.call(_put, path, force, limit_s=self._means.limit_s)
        except (OSError, HostError) as error:
            self._note_failure(f"{path}: cannot be written: {reason(error)}")
        else:
            self._shown = version

    def _told(self, seen: Seen, why: str) -> str:
        return f"{self._path}: {why}" if why and why not in {seen.distrust, seen.mistakes} else why

    # --- writing ---------------------------------------------------------------------

    async def _discard(self, seen: Seen, why: str) -> None:
        keeper, me = self._keeper, self._means.me
        refused = keeper.refusal(me) is not None
        fate: Fate = "rejected" if refused or seen.distrust or seen.mistakes else "discarded"
        try:
            kept = await self._keep_text(seen, fate)
        except HostError as error:
            self._note_failure(str(error))
            return
        if await self._write(seen):
            keeper.log.warning("table_discarded", reason=why, fate=fate, kept=str(kept))
            keeper.note("aside", f"{why}; it was put aside as {kept}")
            keeper.clear(me)

    async def _keep_text(self, seen: Seen, fate: Fate) -> Path:
        means = self._means
        if seen.version is None:
            raise BugError(f"{self._path}: there is no text to keep: {seen.distrust}")
        text = Text(seen.version, seen.data, seen.access)
        try:
            return await means.disk.call(
                means.store.put_aside,
                *(self._keeper.name, text, fate, means.wall_ns()),
                limit_s=means.limit_s,
            )
        except (OSError, HostError) as error:
            problem = f"{self._path}: its text cannot be kept in {means.store.history}"
            raise HostError(f"{problem}: {reason(error)}; so it is left there") from error

    async def _write(self, seen: Seen) -> bool:
        """Write what is in force over what was seen; tell whether that was done."""
        keeper, force = self._keeper, self._keeper.force
        if force is None:
            raise BugError(f"{self._path}: there is nothing in force to write back")
        try:
            done = await self._replace(seen.version, force)
        except (OSError, HostError) as error:
            self._note_failure(f"{self._path}: cannot be written: {reason(error)}")
            return False
        keeper.notice("write", "")
        if done:
            self._held = force
            keeper.log.info("table_written", **named(force.version))
        else:
            self.want_look()  # an edit came in between
        return done

    def _note_failure(self, text: str) -> None:
        if self._keeper.notice("write", text):
            self._keeper.log.error("table_write_failed", reason=text)

    async def _replace(self, expected: TableVersion | None, new: InForce) -> bool:
        means = self._means
        return await means.own.call(
            replace_table,
            *(self._path, self._keeper.name, expected, new.text),
            limit_s=means.limit_s,
        )


def _read_own(path: Path, name: str, former: Seen | None) -> tuple[Seen, str]:
    """Read the own file and say on which mount it is: an empty mountpoint is no news."""
    mount = file_system_at(path.parent)
    return read_table(path, name, former), f"{mount.source} ({mount.fstype}) at {mount.mountpoint}"


def _put(path: Path, shown: InForce | None) -> None:
    if shown is None:
        path.unlink(missing_ok=True)
    else:
        shown.text.write(path)


def _edited(before: bytes, edit: Callable[[bytes], bytes], name: str) -> Seen:
    data = edit(before)
    return Seen(data=data, table=parse_table(data, name, name), remarks=remarks(data, name))
