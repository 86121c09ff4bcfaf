"""Orphans without cgroups: whose they are, as long as that can be found out."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mosha.clinit.adopted import TRIES_MAX, AdoptedProcess, Orphans
from mosha.clinit.process_tracker import EntryKey
from mosha.host import proc

ME = os.getpid()
G = frozenset({"g"})


def nobodys(_: int) -> None:
    """Say that a process is in no session that is known."""


def take_in(orphans: Orphans, present: Iterable[str] = G) -> AdoptedProcess:
    """Take this process in, as if it were an orphan; return what is known of it."""
    return orphans.take_in([ME], nobodys, frozenset(present))[ME]


def seen() -> proc.LiveProcess:
    found = proc.see(ME)
    assert found is not None
    return found


def test_an_orphan_with_the_number_of_one_before_is_another_one() -> None:
    orphans = Orphans("mark", lambda _: {})
    former = AdoptedProcess(ME, seen().start - 1, frozenset({"former"}), EntryKey("former", "a"))
    orphans._known = {ME: former}
    one = take_in(orphans)
    assert (one.key, one.suspects, one.start) == (None, G, seen().start)


def test_a_child_is_asked_for_its_name_until_it_has_executed_its_command() -> None:
    environment = {"MOSHA_RUN": "mark"}
    orphans = Orphans("mark", lambda _: environment)
    for _ in range(2 * TRIES_MAX):  # a command on a slow file system
        assert take_in(orphans).fresh
    environment |= {"MOSHA_GROUP": "g", "MOSHA_TAG": "a"}
    one = take_in(orphans)
    assert (one.key, one.fresh) == (EntryKey("g", "a"), False)


def test_a_process_without_names_is_not_asked_for_ever() -> None:
    asked: list[int] = []

    def read(pid: int) -> dict[str, str]:
        asked.append(pid)
        return {"MOSHA_RUN": "of another clinit", "MOSHA_GROUP": "h", "MOSHA_TAG": "a"}

    orphans = Orphans("mark", read)
    for _ in range(2 * TRIES_MAX):
        assert take_in(orphans).key is None
    assert asked == [ME] * TRIES_MAX


def test_a_family_is_known_until_nothing_of_its_group_is_alive() -> None:
    orphans = Orphans("mark", lambda _: {})
    orphans.remember(EntryKey("g", "a"), [seen()])
    assert take_in(orphans).key == EntryKey("g", "a")
    orphans.forget("other")
    orphans._known.clear()
    assert take_in(orphans).key == EntryKey("g", "a")
    orphans.forget("g")
    orphans._known.clear()
    assert take_in(orphans).key is None
