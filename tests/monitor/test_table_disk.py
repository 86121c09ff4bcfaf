"""The tables on the local disk after a crash, and what a merge leaves there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosha.core.replication.judging import HACTL, NS_PER_S, version_of
from mosha.core.replication.table_texts import Access, InForce, Text
from mosha.formats.table_kinds import in_force_of
from mosha.monitor.tables.files import write_text
from mosha.monitor.tables.join import join
from mosha.monitor.tables.store import TableStore

BASE = b"a start\nb start\n"
NOW_NS = 100 * NS_PER_S


@pytest.fixture
def store(tmp_path: Path) -> TableStore:
    return TableStore(tmp_path)


def text_of(data: bytes, time_s: int, access: Access) -> Text:
    return Text(version_of(data, time_s * NS_PER_S), data, access)


def edited(data: bytes, time_s: int, mode: int = 0o644) -> InForce:
    """Return a text that was made from BASE."""
    base = text_of(BASE, 1, Access())
    version = version_of(data, time_s * NS_PER_S)
    return in_force_of(HACTL, Text(version, data, Access(mode, (time_s, time_s)), (base.version,)))


def test_a_text_that_was_stored_before_a_crash_is_no_version_of_the_one_before(
    store: TableStore,
) -> None:
    store.adopt(HACTL, text_of(BASE, 1, Access()), NOW_NS)
    new = text_of(b"a stop\n", 2, Access())
    write_text(new, store.path(HACTL))  # and then the power goes
    loaded = store.load(HACTL)
    assert loaded is not None
    assert (loaded.version, loaded.data, loaded.past) == (new.version, new.data, ())


def test_both_texts_of_a_merge_are_kept_for_the_next_one(store: TableStore) -> None:
    store.adopt(HACTL, text_of(BASE, 1, Access()), NOW_NS)
    mine, other = edited(b"a stop\nb start\n", 2), edited(b"a start\nb stop\n", 3)
    store.adopt(HACTL, mine.text, NOW_NS)
    joined = join(store, HACTL, mine, other, NOW_NS)
    assert (joined.text.data, joined.lost, joined.kept) == (b"a stop\nb stop\n", (), "")
    assert store.data_of(HACTL, mine.version) == mine.data
    assert store.data_of(HACTL, other.version) == other.data


def test_who_may_not_read_one_of_two_texts_may_not_read_both(store: TableStore) -> None:
    store.adopt(HACTL, text_of(BASE, 1, Access()), NOW_NS)
    older, newer = edited(b"a stop\nb start\n", 2, 0o640), edited(b"a start\nb stop\n", 3, 0o604)
    for mine, other in ((older, newer), (newer, older)):
        assert join(store, HACTL, mine, other, NOW_NS).text.access == Access(0o600, (3, 3))


def test_what_is_lost_of_a_merge_is_kept_and_its_place_is_told(store: TableStore) -> None:
    store.adopt(HACTL, text_of(BASE, 1, Access()), NOW_NS)
    older, newer = edited(b"a stop\nb start\n", 2), edited(b"a test\nb start\n", 3)
    joined = join(store, HACTL, newer, older, NOW_NS)
    assert (joined.text.data, joined.lost) == (newer.data, ("a",))
    assert Path(joined.kept).read_bytes() == older.data
