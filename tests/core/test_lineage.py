"""Edits beside each other: none of different groups is lost, and all nodes end with one text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, field

from mosha.core.replication.judging import choose_peer, next_mtime_ns, version_of
from mosha.core.replication.lineage import (
    PAST_MAX,
    PAST_NS,
    REMARKS,
    Merged,
    Past,
    apart,
    bases_of,
    has,
    joined_version,
    merge,
    past_of,
)
from mosha.core.status import TableVersion
from mosha.formats.cltab import cltab_group
from mosha.formats.hactl import hactl_group, parse_hactl, parse_wish, set_wish

NOW_NS = 1_763_800_000 * 10**9


def at(number: int, text: str = "") -> TableVersion:
    return TableVersion(NOW_NS + number, text or f"{number}")


def test_a_version_has_what_it_came_from() -> None:
    past = past_of([at(1), at(3)])
    assert past == (at(3), at(1))
    assert has(at(5), past, at(5))
    assert has(at(5), past, at(3))
    assert not has(at(5), past, at(4))
    assert not has(at(5), past, at(6))
    assert has(at(5), past, at(0)), "older than the past reaches"
    assert has(at(5), (), at(4)), "the version before tells no past"


def test_two_edits_of_one_version_are_apart_and_come_from_it() -> None:
    one, other = (at(4), past_of([at(1)])), (at(5), past_of([at(1), at(0)]))
    assert apart(*one, *other)
    assert apart(*other, *one)
    assert bases_of(one[1], other[1]) == (at(1),)
    assert not apart(*one, at(6), past_of([at(4), at(5), at(1)]))


def test_a_node_that_was_away_for_long_is_not_apart() -> None:
    chain = [at(n) for n in range(3 * PAST_MAX)]
    newest, past = chain[-1], past_of(chain[:-1])
    for n, old in enumerate(chain[:-1]):
        assert not apart(newest, past, old, past_of(chain[:n]) if n else ())


def test_a_past_reaches_ten_minutes_and_one_version_back() -> None:
    versions = [at(0), at(5), at(PAST_NS + 10), at(PAST_NS + 20)]
    assert past_of(versions) == tuple(versions[:0:-1])
    assert past_of(at(n) for n in range(99)) == tuple(at(n) for n in range(98, 98 - PAST_MAX, -1))


HACTL = "# ours\nweb start\ndb start # big\n"
MERGES = [
    # base, older, newer, joined, lost
    ("the same", HACTL, HACTL, HACTL, HACTL, ()),
    ("one side", HACTL, HACTL + "new start\n", HACTL, HACTL + "new start\n", ()),
    (
        "two groups",
        *("a start\nb start\n", "a stop # x\nb start\n", "a start\nb stop\n"),
        *("a stop # x\nb stop\n", ()),
    ),
    ("one group", "a start\n", "a stop\n", "a other\n", "a other\n", ("a",)),
    ("one group, the same", "a start\n", "a stop\n", "a stop\n", "a stop\n", ()),
    ("one is gone", "a start\nb start\n", "b start\n", "a start\nb stop\n", "b stop\n", ()),
    ("both gone", "a start\nb start\n", "b start\n", "a start\n", "", ()),
    ("two new", "", "a start\n", "b start\n", "b start\na start\n", ()),
    ("remarks of the older", "a start\n", "# x\na start\n", "a stop\n", "# x\na stop\n", ()),
    (
        "remarks of both",
        *("# 0\na start\nb start\n", "# 1\na stop\nb start\n", "# 2\na start\nb start\n"),
        *("# 2\na stop\nb start\n", (REMARKS,)),
    ),
    ("no end", "a start\nb start", "a stop\nb start", "a start\nb stop", "a stop\nb stop\n", ()),
]


@pytest.mark.parametrize(
    ("base", "older", "newer", "text", "lost"),
    [row[1:] for row in MERGES],
    ids=[row[0] for row in MERGES],
)
def test_texts_are_joined_by_group(
    base: str, older: str, newer: str, text: str, lost: tuple[str, ...]
) -> None:
    assert merge(base, older, newer, hactl_group) == Merged(text, lost)


def test_entries_of_a_group_keep_their_order() -> None:
    base = ":::log:/x\na:a1:start:once:true\nb:b1:start:once:true\n"
    older = base.replace("a:a1", "a:a0:test:test:true\na:a1")
    newer = base.replace("b:b1", "b:b2") + ":::socket:/s\n"
    joined = merge(base, older, newer, cltab_group)
    assert joined == Merged(older.replace("b:b1", "b:b2") + ":::socket:/s\n")


# --- a cluster of the model: who has what in force, and whose is read when --------------------


class Copy(Struct, frozen=True):
    """A version as a node has it in force."""

    version: TableVersion
    text: str
    past: Past = ()


class Node(Struct):
    """A node of a model: what is in force, and the texts it has seen."""

    force: Copy
    texts: dict[TableVersion, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def edit(self, group: str, level: str, now_ns: int) -> None:
        text = set_wish(self.force.text, parse_wish([group, level]))
        if text != self.force.text:
            time_ns = next_mtime_ns([self.force.version], now_ns)
            past = past_of([self.force.version, *self.force.past])
            self.take(Copy(version_of(text.encode(), time_ns), text, past))

    def take(self, copy: Copy) -> None:
        self.force = copy
        self.texts[copy.version] = copy.text

    def read(self, peer: Copy) -> None:
        """Bring into force what a peer has, if it is newer, with what is only here."""
        mine = self.force
        if choose_peer(mine.version, {1: peer.version}, NOW_NS) is None:
            return
        self.texts[peer.version] = peer.text
        if not apart(mine.version, mine.past, peer.version, peer.past):
            self.take(peer)
            return
        base = next(v for v in bases_of(mine.past, peer.past) if v in self.texts)
        merged = merge(self.texts[base], mine.text, peer.text, hactl_group)
        self.lost |= {*merged.lost}
        digest = version_of(merged.text.encode(), 0).digest
        version = joined_version(mine.version, peer.version, digest)
        past = past_of([mine.version, peer.version, *mine.past, *peer.past])
        self.take(peer if merged.text == peer.text else Copy(version, merged.text, past))


NODES = range(4)
FIRST = "".join(f"g{n} start\n" for n in range(6))
READS = st.tuples(st.sampled_from(NODES), st.sampled_from(NODES))


def model() -> list[Node]:
    text = FIRST
    first = Copy(version_of(text.encode(), NOW_NS - 1), text, (at(-9),))
    return [Node(first, {first.version: text}) for _ in NODES]


def settle(nodes: list[Node]) -> None:
    for _turn in range(4 * len(nodes)):
        for node in nodes:
            for peer in nodes:
                node.read(peer.force)
    assert len({(node.force.version, node.force.text) for node in nodes}) == 1


@settings(max_examples=300)
@given(st.data())
def test_edits_of_different_groups_are_all_kept_on_all_nodes(data: st.DataObject) -> None:
    nodes, wanted = model(), {}
    for number in data.draw(st.permutations(range(6))):
        node = nodes[data.draw(st.sampled_from(NODES))]
        wanted[f"g{number}"] = level = f"level{number}"
        # Clocks of nodes differ, and edits of one moment have one time.
        node.edit(f"g{number}", level, NOW_NS + data.draw(st.integers(0, 3)))
        for reader, peer in data.draw(st.lists(READS, max_size=6)):
            nodes[reader].read(nodes[peer].force)
    settle(nodes)
    wishes = parse_hactl(nodes[0].force.text.encode(), "hactl").wishes
    assert {group: wish.level for group, wish in wishes.items()} == wanted
    assert not any(node.lost for node in nodes)


@settings(max_examples=300)
@given(st.data())
def test_of_two_edits_of_one_group_the_later_one_stands_and_the_loss_is_known(
    data: st.DataObject,
) -> None:
    nodes = model()
    one, other = data.draw(st.permutations(NODES))[:2]
    times = data.draw(st.permutations([1, 2]))
    nodes[one].edit("g0", "one", NOW_NS + times[0])
    nodes[other].edit("g0", "other", NOW_NS + times[1])
    nodes[one].edit("g1", "kept", NOW_NS + 3 - times[1])
    for reader, peer in data.draw(st.lists(READS, max_size=12)):
        nodes[reader].read(nodes[peer].force)
    settle(nodes)
    wishes = parse_hactl(nodes[0].force.text.encode(), "hactl").wishes
    assert wishes["g0"].level in ("one", "other")
    assert wishes["g1"].level == "kept"
    assert any("g0" in node.lost for node in nodes)


@settings(max_examples=300)
@given(st.data())
def test_whatever_is_edited_all_nodes_end_with_one_text(data: st.DataObject) -> None:
    nodes = model()
    for number in range(data.draw(st.integers(1, 12))):
        node = nodes[data.draw(st.sampled_from(NODES))]
        group = data.draw(st.sampled_from(["g0", "g1", "new"]))
        level = data.draw(st.sampled_from(["start", "stop", "other"]))
        node.edit(group, level, NOW_NS + number + data.draw(st.integers(0, 5)))
        for reader, peer in data.draw(st.lists(READS, max_size=4)):
            nodes[reader].read(nodes[peer].force)
    settle(nodes)
