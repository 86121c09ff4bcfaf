"""The process that clinit runs for one entry of mode `address`.

It looks for a duplicate, adds the address with a lifetime, says that it is ready (sd_notify(3)),
tells the neighbours, and renews the lifetime until SIGTERM or SIGINT tells it to stop. Then it
removes the address; its exit status is 0 if the address is seen to be gone.

An address without a lifetime, or with a long one, is somebody else's: it is neither taken over nor
removed. One with a short lifetime was left by a holder that was killed, and is taken over as it is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from typing import Never

from mosha.address.arp import Arp
from mosha.address.lease import OwnLease
from mosha.address.lifetime import LIFETIME_S, late_s, lifetime_s, pause_s
from mosha.address.link import Link, LinkState, look_at_link, mac_text
from mosha.address.ndp import Advertisements
from mosha.address.removal import has_holder
from mosha.address.rtnetlink import AddressFound, Rtnetlink
from mosha.address.waiting import HolderWaiting
from mosha.address.words import HeldAddress, read_holder_words
from mosha.core.agent_exits import FAILED, STOP_FAILED, STOPPED_WELL, UNUSABLE_HERE
from mosha.errors import UsageError
from mosha.host import notify
from mosha.host.clock import boottime

PROBES, PROBE_PAUSE_S = 3, 0.05
"""So many probes in a row have to stay without an answer. In one network it takes a millisecond."""

DUPLICATE_LIMIT_S = 2.0
"""So long another host may go on to have the address: the lifetime of a former owner ends."""

LINK_LIMIT_S = 5.0
"""So long an interface may be missing, down or without carrier until the entry has failed. Longer
than setting it down and up takes; and failures that are 5 s apart are not throttled."""

ANNOUNCED_AFTER_S = (0.0, 0.5, 2.0)
"""A switch may open a port only after the first announcement."""

EARLY_S = 0.05
"""The kernel may end a lifetime a fiftieth of a second early (ADDRCONF_TIMER_FUZZ_MINUS)."""


class HoldEndedError(Exception):
    """The holder has to end with this status; the text is what it says last, if anything."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Holder:
    """One address, from the first look at its interface until it is gone.

    `_present`: the interface has it, as far as is known. `_ready`: it could be used once, so no
    other host had it then.
    """

    def __init__(self, held: HeldAddress, lease: OwnLease, notifier: notify.Notifier) -> None:
        self._held = held
        self._lease = lease
        self._notifier = notifier
        self._kernel = Rtnetlink()
        self._waiting = HolderWaiting(held)
        self._link = Link(LinkState.MISSING)
        self._unusable_since: float | None = None
        self._present = self._ready = False
        self._expires_at = self._renew_at = 0.0
        self._announce_at: list[float] = []
        self._advertisements: Advertisements | None = None
        self._owner = b""

    def run(self) -> int:
        """Hold the address until told to stop, or until that is impossible; return the status."""
        try:
            self._await_link()
            self._take_over()
            if not self._present:
                self._look_for_duplicates()
            self._hold()
        except HoldEndedError as ended:
            status, text = ended.status, ended.text
        except OSError as error:
            status = UNUSABLE_HERE if error.errno in (errno.EPERM, errno.EACCES) else FAILED
            text = f"cannot hold {self._held}: {error.strerror}"
        if self._expires_at and not self._remove():
            status = STOP_FAILED
        if text:
            say(text)  # the last line is what people are shown
        return status

    def _remove(self) -> bool:
        """Remove the address; say whether it is seen to be gone."""
        try:
            for found in filter(self._is_ours, self._kernel.addresses(self._held)):
                self._kernel.remove(self._held, found)
            left = any(map(self._is_ours, self._kernel.addresses(self._held)))
        except OSError as error:
            say(f"cannot remove {self._held}: {error.strerror}")
            return False
        if left:
            say(f"{self._held} is still there after it was removed")
        return not left

    # --- the start ---------------------------------------------------------------------------

    def _take_over(self) -> None:
        """Take what an earlier holder has left where it is wanted, and remove it elsewhere.

        Raises:
            HoldEndedError: somebody else has configured the address.
        """
        for found in self._kernel.addresses(self._held):
            if not self._is_ours(found):
                place = f"{self._held.address}/{found.prefix} dev {_name_of(found.ifindex)}"
                text = (
                    f"{self._held.address} was configured on {_name_of(found.ifindex)} by somebody"
                    f" else: remove it (ip address delete {place}), and what configures it at boot"
                )
                raise HoldEndedError(UNUSABLE_HERE, text)
            if self._is_here(found) and not (found.tentative or found.duplicate):
                self._present = True
                say(f"{self._held} was left by an earlier process: taken over")
            else:
                self._kernel.remove(self._held, found)

    def _look_for_duplicates(self) -> None:
        """Make sure that no other host has the address, or prepare to hear what the kernel finds.

        Raises:
            HoldEndedError: another one has it, for too long; or the holder is to stop.
        """
        if not self._link.mac:
            return
        if self._held.family == socket.AF_INET6:
            words = self._held.interface, self._link, self._held.address
            self._advertisements = Advertisements(*words)
            return
        limit, quiet = boottime() + DUPLICATE_LIMIT_S, 0
        with Arp(self._held.interface, self._link, self._held.address) as arp:
            while quiet < PROBES:
                arp.probe()
                owner = self._answer(arp)
                quiet = 0 if owner else quiet + 1
                if owner and boottime() >= limit:
                    raise HoldEndedError(FAILED, self._duplicate_text(owner))

    def _answer(self, arp: Arp) -> bytes:
        """Return who answers a probe, b"" if nobody does."""
        owner, until = b"", boottime() + PROBE_PAUSE_S
        while (left_s := until - boottime()) > 0:
            self._waiting.wait(left_s, self._link.ifindex, arp)
            self._obey()
            owner = arp.owner() or owner
        return owner

    def _judge(self) -> None:
        """Say that the address can be used, as soon as the kernel has found no duplicate.

        Raises:
            HoldEndedError: it has found one.
        """
        if self._advertisements is not None:
            self._owner = self._advertisements.owner() or self._owner
        if self._waiting.duplicate:
            raise HoldEndedError(FAILED, self._duplicate_text(self._owner))
        found = self._find()
        if found is None or found.tentative:
            return
        self._ready = True
        if self._advertisements is not None:
            self._advertisements.close()
            self._advertisements = None
        self._notifier.ready(f"{self._held} is there")

    # --- afterwards --------------------------------------------------------------------------

    def _await_link(self) -> None:
        """Return when the interface can be used.

        Raises:
            HoldEndedError: it cannot be, for too long; or the holder is to stop.
        """
        while True:
            due = self._catch_up()
            if self._link.state is LinkState.USABLE:
                return
            self._wait(due)

    def _hold(self) -> Never:
        """Keep the address.

        Raises:
            HoldEndedError: that is over.
        """
        while True:
            due = self._catch_up()
            if self._link.state is not LinkState.MISSING:
                due = min(due, self._keep(boottime()))
            self._wait(due)

    def _catch_up(self) -> float:
        """Take notice of what has happened; return when this has to be done again at the latest.

        Raises:
            HoldEndedError: it means the end.
        """
        now = boottime()
        kill_at = self._lease.read().kill_at
        if now >= kill_at:
            raise HoldEndedError(FAILED, "its lease has ended")
        if self._waiting.changed:
            self._waiting.changed = False
            self._look(now)
        due = min(kill_at, now + LIFETIME_S)
        if self._unusable_since is None:
            return due
        limit = self._unusable_since + LINK_LIMIT_S
        if now >= limit:
            raise HoldEndedError(FAILED, self._link_text())
        return min(due, limit)

    def _wait(self, due: float) -> None:
        listening = [] if self._advertisements is None else [self._advertisements]
        self._waiting.wait(due - boottime(), self._link.ifindex, *listening)
        self._obey()

    def _keep(self, now: float) -> float:
        """Do what is due to keep the address; return when something is due next."""
        if now >= self._renew_at:
            self._renew(now)
        if self._present and not self._ready:
            self._judge()
        telling = self._ready and self._link.state is LinkState.USABLE
        if telling and self._announce_at and now >= self._announce_at[0]:
            self._announce_at.pop(0)
            self._announce()
        return min([self._renew_at, *(self._announce_at if telling else [])])

    def _look(self, now: float) -> None:
        """See whether the interface can be used, and whether it still has the address."""
        before = self._link
        self._link = look_at_link(self._held.interface)
        usable = self._link.state is LinkState.USABLE
        if not usable and (self._link.state is not before.state or self._unusable_since is None):
            self._tell(self._link_text())
        if usable and self._unusable_since is not None and self._expires_at:
            self._tell(f"{self._held.interface} can be used again")
            self._announce_anew(now)
        if usable:
            self._unusable_since = None
        elif self._unusable_since is None:
            self._unusable_since = now
        lost = self._present and not self._waiting.duplicate and self._find() is None
        if usable and lost:
            over = now >= self._expires_at - EARLY_S
            why = "was not renewed in time" if over else "was removed"
            self._present = False
            self._renew_at = now
            self._tell(f"{self._held} {why}: added again")

    def _renew(self, now: float) -> None:
        """Have the kernel keep the address for longer, or add it."""
        lease = self._lease.read()
        lifetime = lifetime_s(lease.kill_at - now, late_s(lease.longest_s))
        self._renew_at = now + pause_s(lifetime)
        if not lifetime and not self._present:
            self._notifier.status("waits for a lease that lasts long enough")
        if not lifetime or (self._present and now + lifetime <= self._expires_at):
            return
        try:
            self._kernel.set(self._held, self._link.ifindex, lifetime, unchecked=self._ready)
        except OSError as error:
            if error.errno not in (errno.ENODEV, errno.ENETDOWN):
                raise
            self._waiting.changed = True  # the interface has just vanished, or was set down
            return
        self._expires_at = now + lifetime
        if not self._present:
            self._present = True
            self._announce_anew(now)

    def _announce_anew(self, now: float) -> None:
        self._announce_at = [now + after_s for after_s in ANNOUNCED_AFTER_S]

    def _announce(self) -> None:
        """Tell the neighbours that the address is here."""
        if not self._link.mac:
            return
        kind = Arp if self._held.family == socket.AF_INET else Advertisements
        try:
            with kind(self._held.interface, self._link, self._held.address) as announcing:
                announcing.announce()
        except OSError as error:  # another change of the interface is on its way
            say(f"cannot announce {self._held}: {error.strerror}")

    def _obey(self) -> None:
        if self._waiting.stopping:
            raise HoldEndedError(STOPPED_WELL)

    # --- what it knows and says --------------------------------------------------------------

    def _find(self) -> AddressFound | None:
        found = filter(self._is_here, self._kernel.addresses(self._held))
        return next(found, None)

    def _is_here(self, found: AddressFound) -> bool:
        return (found.ifindex, found.prefix) == (self._link.ifindex, self._held.prefix)

    def _is_ours(self, found: AddressFound) -> bool:
        """Say whether this process has added it, or an earlier one."""
        return has_holder(found) or (self._expires_at > 0 and self._is_here(found))

    def _link_text(self) -> str:
        return f"{self._held.interface} is {self._link.state}"

    def _duplicate_text(self, owner: bytes) -> str:
        by = mac_text(owner) if owner else "another host"
        return f"{self._held.address} is in use by {by} on {self._held.interface}"

    def _tell(self, text: str) -> None:
        say(text)
        self._notifier.status(text)


def _name_of(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"interface {index}"


def say(line: str) -> None:
    """Print a line for the log, if anybody reads it."""
    with contextlib.suppress(OSError):  # nobody does: the address stays
        os.write(2, line.encode("utf-8", "replace") + b"\n")


def main() -> None:
    """Run as a process; the words are those of `words`."""
    try:
        held = read_holder_words(sys.argv[1:])
        holder = Holder(held, OwnLease(os.environ), notify.take())
    except UsageError as error:
        say(str(error))
        sys.exit(UNUSABLE_HERE)
    except OSError as error:
        say(f"cannot begin: {error.strerror}")
        sys.exit(FAILED)
    sys.exit(holder.run())
