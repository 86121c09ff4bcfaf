"""Which version wins: tables of single decisions, and that all nodes end with the same one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field

from mosha.core.replication.judging import (
    FUTURE_MAX_S,
    NS_PER_S,
    SETTLE_GONE_S,
    SETTLE_HALF_S,
    SETTLE_S,
    Found,
    Looks,
    TableAction,
    Verdict,
    choose_peer,
    is_newer,
    judge_local,
    looks,
    next_mtime_ns,
    settle_s,
    version_of,
)
from mosha.core.status import TableVersion
from mosha.formats.cltab import parse_cltab
from mosha.formats.hactl import parse_hactl

NOW_S = 1_763_800_000
NOW_NS = NOW_S * NS_PER_S


def aged(age_s: float, text: str = "x") -> TableVersion:
    """A version that was edited this long before now."""
    return version_of(text.encode(), NOW_NS - int(age_s * NS_PER_S))


NEW, OLD, FUTURE = aged(10, "new"), aged(20, "old"), aged(-FUTURE_MAX_S - 100, "future")
FUTURE_WHY = "its time lies 160 s in the future; touch it"

LOCAL = [
    # what is in force, what is found, what to do
    ("nothing anywhere", None, Found(), TableAction.NOTHING, ""),
    ("the first file", None, Found(OLD), TableAction.ADOPT, ""),
    ("a newer edit", OLD, Found(NEW), TableAction.ADOPT, ""),
    ("the same", OLD, Found(OLD), TableAction.NOTHING, ""),
    ("touched", OLD, Found(aged(1, "old")), TableAction.NOTHING, ""),
    ("touched into the past", OLD, Found(aged(99, "old")), TableAction.NOTHING, ""),
    ("touched into the future", OLD, Found(aged(-9999, "old")), TableAction.NOTHING, ""),
    ("the file is gone", OLD, Found(), TableAction.WRITE, ""),
    (
        "an older edit",
        NEW,
        Found(OLD),
        TableAction.DISCARD,
        "it is 10 s older than the version in force",
    ),
    (
        "an edit that is a little older",
        TableVersion(3_561_560_910_000, "new"),
        Found(TableVersion(3_560_560_900_000, "old")),
        TableAction.DISCARD,
        "it is 1 s older than the version in force",
    ),
    (
        "an edit that is much older",
        TableVersion(3_561_560_910_000, "new"),
        Found(TableVersion(1_000_000_000, "old")),
        TableAction.DISCARD,
        "it is 3561 s older than the version in force",
    ),
    (
        "another text of the same time",
        aged(10, "a"),
        Found(aged(10, "b")),
        TableAction.DISCARD,
        "its time is that of the version in force, so it is not newer",
    ),
    ("a time in the future", OLD, Found(FUTURE), TableAction.REFUSE, FUTURE_WHY),
    ("a time in the future at first", None, Found(FUTURE), TableAction.REFUSE, FUTURE_WHY),
    ("a clock that is a little ahead", OLD, Found(aged(-FUTURE_MAX_S, "n")), TableAction.ADOPT, ""),
    ("mistakes", OLD, Found(NEW, mistakes="m"), TableAction.REFUSE, "m"),
    ("mistakes at first", None, Found(NEW, mistakes="m"), TableAction.REFUSE, "m"),
    ("mistakes in an older edit", NEW, Found(OLD, mistakes="m"), TableAction.DISCARD, "m"),
    ("a mistaken edit that came before", NEW, Found(OLD, "", "m", True), TableAction.DISCARD, "m"),
    (
        "a mistaken edit that is newer still",
        OLD,
        Found(NEW, "", "m", True),
        TableAction.REFUSE,
        "m",
    ),
    (
        "future, then something else",
        NEW,
        Found(FUTURE, "", "", True),
        TableAction.DISCARD,
        FUTURE_WHY,
    ),
    ("a stranger's", OLD, Found(NEW, "d"), TableAction.REFUSE, "d"),
    ("a stranger's old one", NEW, Found(OLD, "d"), TableAction.REFUSE, "d"),
    ("a stranger's, then something else", OLD, Found(NEW, "d", "", True), TableAction.DISCARD, "d"),
    ("a stranger's copy", OLD, Found(OLD, "d"), TableAction.NOTHING, "d"),
    ("it cannot be read", OLD, Found(None, "d"), TableAction.REFUSE, "d"),
    ("it can still not be read", OLD, Found(None, "d", "", True), TableAction.REFUSE, "d"),
    ("a clock that was wrong", FUTURE, Found(OLD), TableAction.ADOPT, ""),
    (
        "a clock that was wrong, and mistakes",
        FUTURE,
        Found(OLD, mistakes="m"),
        TableAction.REFUSE,
        "m",
    ),
]


@pytest.mark.parametrize(
    ("in_force", "found", "do", "why"), [row[1:] for row in LOCAL], ids=[row[0] for row in LOCAL]
)
def test_a_file_in_the_own_directory_is_judged(
    in_force: TableVersion | None, found: Found, do: TableAction, why: str
) -> None:
    assert judge_local(in_force, found, NOW_NS) == Verdict(do, why)


def test_a_copy_of_the_former_version_is_out_of_date_and_no_edit() -> None:
    assert judge_local(NEW, Found(OLD), NOW_NS, shown=(OLD,)) == Verdict(TableAction.WRITE)


def test_a_copy_of_the_former_version_is_known_by_its_whole_second() -> None:
    kept = TableVersion(OLD.mtime_ns + 123_456_789, OLD.digest)
    assert judge_local(NEW, Found(OLD), NOW_NS, shown=(kept,)) == Verdict(TableAction.WRITE)


def test_putting_the_former_text_back_as_a_new_edit_is_adopted() -> None:
    assert judge_local(NEW, Found(aged(1, "old")), NOW_NS, shown=(OLD,)) == Verdict(
        TableAction.ADOPT
    )


def test_a_text_that_is_put_back_within_the_second_is_an_edit() -> None:
    first, second = aged(10, "a"), aged(9.6, "b")
    again = Found(aged(9.2, "a"))
    assert judge_local(second, again, NOW_NS, shown=(first, second)) == Verdict(TableAction.ADOPT)


def test_a_copy_that_is_several_versions_behind_is_nobodys_edit() -> None:
    versions = tuple(aged(age, str(age)) for age in (40, 30, 20, 10))
    for shown in versions[:-1]:
        found = Found(TableVersion(shown.mtime_ns, shown.digest))
        assert judge_local(versions[-1], found, NOW_NS, shown=versions) == Verdict(
            TableAction.WRITE
        )


def test_an_old_text_that_is_put_back_over_what_is_in_force_is_told() -> None:
    verdict = judge_local(NEW, Found(OLD), NOW_NS, shown=(NEW,))
    assert verdict == Verdict(TableAction.DISCARD, "it is 10 s older than the version in force")


ENTRIES = parse_cltab(b"web:w:start:once:true\nweb:x:off:off:true\ndb:d:start:once:true\n", "cltab")
HALVES = [
    ("a whole one", "web start\ndb start\n", Looks.WHOLE),
    ("one group more", "web start\ndb stop\nnew start\n", Looks.WHOLE),
    ("no end of the last line", "web start\ndb start", Looks.HALF),
    ("a group less", "web start\n", Looks.HALF),
    ("an unknown level", "web start\ndb st\n", Looks.HALF),
    ("a level that is only off", "web off\ndb plan\n", Looks.WHOLE),
    ("only remarks", "# nothing\n", Looks.NOTHING),
    ("nothing", "", Looks.NOTHING),
]


@pytest.mark.parametrize(("text", "seems"), [row[1:] for row in HALVES], ids=[r[0] for r in HALVES])
def test_what_may_be_half_of_a_table_is_told_from_a_whole_one(text: str, seems: Looks) -> None:
    in_force = parse_hactl(b"web start\ndb start\n", "hactl")
    table = parse_hactl(text.encode(), "hactl")
    assert looks(text.encode(), table, in_force, ENTRIES) is seems


def test_a_cltab_that_lacks_an_entry_may_be_half_of_one() -> None:
    text = b"web:w:start:once:true\n"
    assert looks(text, parse_cltab(text, "cltab"), ENTRIES, ENTRIES) is Looks.HALF
    assert looks(text, parse_cltab(text, "cltab"), None, None) is Looks.WHOLE


# HG-01 to HG-11 of the catalogue: ages of a hactl by node, who asks, who is up, whose he has.
AGES = [
    ("HG-01", {1: 10, 2: None, 3: None}, 2, (1, 2, 3), 1),
    ("HG-02", {1: 10, 2: 20, 3: None}, 2, (1, 2, 3), 1),
    ("HG-03", {1: 20, 2: 10, 3: None}, 2, (1, 2, 3), 2),
    ("HG-05", {1: 10, 2: 20, 3: 5}, 1, (1, 2, 3), 3),
    ("HG-06", {1: 10, 2: 20, 3: 5}, 1, (1, 2), 1),
    ("HG-07", {1: 10, 2: 20, 3: 5}, 3, (1, 2, 3), 3),
    ("HG-08", {1: 10, 2: 20, 3: 5}, 3, (1, 2), 3),
    ("HG-09", {1: None, 2: None, 3: None}, 1, (1, 2, 3), None),
]


@pytest.mark.parametrize(("ages", "me", "up", "owner"), [row[1:] for row in AGES])
def test_the_newest_of_the_nodes_that_are_up_is_taken(
    ages: dict[int, int | None], me: int, up: tuple[int, ...], owner: int | None
) -> None:
    versions = {n: aged(age, f"of {n}") for n, age in ages.items() if age is not None}
    adverts = {node: version for node, version in versions.items() if node in up and node != me}
    chosen = choose_peer(versions.get(me), adverts, NOW_NS)
    assert (chosen or (me if me in versions else None)) == owner


def test_copies_of_one_version_are_all_the_same() -> None:
    # HG-04 and HG-10: with equal times nothing is copied.
    assert choose_peer(NEW, {1: NEW, 2: NEW}, NOW_NS) is None


def test_of_two_texts_of_the_same_time_all_nodes_choose_the_same() -> None:
    # Where HG-04 would leave two nodes with two texts for ever.
    one, other = sorted((aged(10, "a"), aged(10, "b")), key=lambda version: version.order)
    assert choose_peer(one, {2: other}, NOW_NS) == 2
    assert choose_peer(other, {1: one}, NOW_NS) is None


def test_a_version_in_the_future_is_not_fetched() -> None:
    # HG-11 differs: there it wins.
    assert choose_peer(OLD, {1: FUTURE}, NOW_NS) is None
    assert choose_peer(None, {1: FUTURE}, NOW_NS) is None
    assert choose_peer(OLD, {1: FUTURE, 2: NEW}, NOW_NS) == 2


def test_a_version_in_the_future_has_no_rank() -> None:
    assert choose_peer(FUTURE, {3: OLD}, NOW_NS) == 3
    assert not is_newer(FUTURE, OLD, NOW_NS)


def test_the_lowest_of_several_nodes_with_the_newest_version_is_asked() -> None:
    assert choose_peer(None, {7: NEW, 5: NEW, 3: OLD}, NOW_NS) == 5


def test_a_version_that_cannot_be_read_here_is_passed_over() -> None:
    assert choose_peer(None, {1: NEW, 2: OLD}, NOW_NS, rejected={NEW}) == 2


def test_the_time_of_a_new_edit_is_later_than_all_that_are_known() -> None:
    assert next_mtime_ns([], NOW_NS) == NOW_NS
    assert next_mtime_ns([OLD, NEW], NOW_NS) == NOW_NS
    ahead = aged(-30)
    assert next_mtime_ns([OLD, ahead], NOW_NS) == ahead.mtime_ns + 1
    assert next_mtime_ns([FUTURE], NOW_NS) == NOW_NS


def test_what_would_stop_everything_has_to_last_longer() -> None:
    version = TableVersion(NOW_NS + 1, "x")
    assert settle_s(version, NOW_NS, Looks.WHOLE) == SETTLE_S
    assert settle_s(version, NOW_NS, Looks.NOTHING) == SETTLE_GONE_S
    assert settle_s(version, NOW_NS, Looks.HALF) == SETTLE_HALF_S
    assert settle_s(None, NOW_NS, Looks.NOTHING) == SETTLE_GONE_S
    assert settle_s(None, NOW_NS, Looks.WHOLE) == SETTLE_S


@pytest.mark.parametrize(
    ("age_s", "wait_s"), [(0, SETTLE_S + 1), (1, SETTLE_S), (500, SETTLE_S), (-500, SETTLE_S + 1)]
)
def test_a_time_of_whole_seconds_is_waited_out(age_s: int, wait_s: float) -> None:
    assert settle_s(aged(age_s), NOW_NS, Looks.WHOLE) == pytest.approx(wait_s)


class Node(Struct):
    """A node of a model: the version in force, the file in its directory, all it adopted."""

    in_force: TableVersion | None = None
    shown: tuple[TableVersion, ...] = ()
    file: Found = field(default_factory=Found)
    adopted: list[TableVersion] = field(default_factory=list)

    def adopt(self, version: TableVersion) -> None:
        self.in_force = version
        self.shown = (*self.shown, version)
        self.adopted.append(version)

    def look(self) -> None:
        do = judge_local(self.in_force, self.file, NOW_NS, self.shown).do
        if do is TableAction.ADOPT:
            assert self.file.version
            assert not self.file.mistakes
            self.adopt(self.file.version)
        elif do in {TableAction.WRITE, TableAction.DISCARD}:
            self.file = Found(self.in_force)
        elif do is TableAction.NOTHING and self.in_force:
            self.shown = (self.in_force,)

    def pull(self, peers: dict[int, Node]) -> None:
        adverts = {node: peer.in_force for node, peer in peers.items() if peer.in_force}
        chosen = choose_peer(self.in_force, adverts, NOW_NS)
        if chosen is not None:
            self.adopt(adverts[chosen])


NODES = (1, 2, 3)
EDITS = st.tuples(
    st.sampled_from(NODES),
    st.builds(
        Found,
        st.none() | st.builds(aged, st.integers(-100, 5), st.sampled_from(["", "a", "b"])),
        mistakes=st.sampled_from(["", "", "m"]),
    ),
)
LOOKS = st.tuples(st.sampled_from(NODES), st.just("look"))
PULLS = st.tuples(st.sampled_from(NODES), st.sets(st.sampled_from(NODES)))


@given(st.lists(EDITS | LOOKS | PULLS, max_size=40))
def test_all_nodes_end_with_the_newest_version_whatever_the_order(
    events: list[tuple[int, Found | set[int] | str]],
) -> None:
    nodes = {number: Node() for number in NODES}
    for number, event in events:
        if isinstance(event, Found):
            nodes[number].file = event
        elif isinstance(event, set):
            nodes[number].pull({n: nodes[n] for n in event - {number}})
        else:
            nodes[number].look()
    for _turn in range(2):  # a look may adopt what a pull then spreads
        for node in nodes.values():
            node.look()
            node.pull(nodes)
    for node in nodes.values():
        node.look()

    everything = [version for node in nodes.values() for version in node.adopted]
    newest = max(everything, key=lambda version: version.order, default=None)
    assert {node.in_force for node in nodes.values()} == {newest}
    for node in nodes.values():
        assert node.adopted == sorted(node.adopted, key=lambda version: version.order)
        same = node.file.version and newest and node.file.version.digest == newest.digest
        assert same or judge_local(newest, node.file, NOW_NS).do in {
            TableAction.REFUSE,
            TableAction.NOTHING,
        }
