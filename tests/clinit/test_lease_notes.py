"""What clinit tells the holders of addresses of the lease of their group."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from mosha.address.lease import OwnLease
from mosha.address.lifetime import NO_LEASE
from mosha.clinit.lease_notes import LeaseNotes
from mosha.core.supervision.group import Deadlines, Group
from mosha.core.supervision.unit import Launch, Unit
from mosha.core.tables import Entry, Mode
from mosha.host.clock import boottime

ENTRY = Entry("g", "ip", "1", Mode.ADDRESS, "192.0.2.80 dev eth0")


@contextmanager
def noted(kill_at: float) -> Iterator[tuple[LeaseNotes, OwnLease]]:
    """Yield the notes of a group with a launched holder, and the lease as the holder reads it."""
    notes = LeaseNotes()
    try:
        yield notes, OwnLease(notes.variables(Launch(ENTRY, 1, "1", 1, "n", kill_at)))
    finally:
        notes.close()


def renew(notes: LeaseNotes, kill_at: float | None) -> None:
    deadlines = None if kill_at is None else Deadlines(kill_at - 1.0, kill_at)
    notes.renew({"g": Unit(Group("g", deadlines=deadlines))})


def test_a_holder_reads_each_renewal_and_how_long_the_lease_was_at_most() -> None:
    first = boottime() + 50.0
    with noted(first) as (notes, lease):
        assert lease.read().kill_at == first
        longest_s = lease.read().longest_s
        assert 49.0 < longest_s <= 50.0
        renew(notes, first - 20.0)
        assert lease.read() == (first - 20.0, longest_s)


def test_a_group_at_rest_has_no_lease_and_the_next_one_counts_from_its_beginning() -> None:
    with noted(boottime() + 50.0) as (notes, lease):
        renew(notes, None)
        assert lease.read() == (NO_LEASE, math.inf)
        later = boottime() + 2.0
        renew(notes, later)
        assert lease.read().kill_at == later
        assert lease.read().longest_s <= 2.0


def test_without_a_lease_there_is_no_end() -> None:
    with noted(math.inf) as (_, lease):
        assert lease.read() == (NO_LEASE, math.inf)
    assert OwnLease({}).read() == (NO_LEASE, math.inf)
