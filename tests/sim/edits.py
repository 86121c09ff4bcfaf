"""What the groups of a world look like as cltab and hactl, and what people do to these files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from mosha.core.replication.judging import CLTAB, HACTL
from mosha.core.status import GRADES
from mosha.core.tables import STOP_LEVEL, TEST_LEVEL, Cltab, Entry, Mode, Options
from mosha.formats.cltab import render_cltab
from mosha.formats.hactl import set_wish
from tests.sim import relating, rooms
from tests.sim.agents import agent_of
from tests.sim.disks import read_cltab
from tests.sim.ladders import ladder_of
from tests.sim.monitoring import monitor_of
from tests.sim.readying import options_of
from tests.sim.world import GroupSpec

# Texts that are no table; nothing of them may ever be in force.
BAD = {CLTAB: b"g1:s:start:respwan:serve\n", HACTL: b"g1\nno such = line at all\n"}

Edit = Callable[[list[Entry], GroupSpec], list[Entry]]


def entries_of(spec: GroupSpec) -> list[Entry]:
    """Return the entries of one group."""
    name, limited = spec.name, Options(timeout_s=spec.limit_s or None)
    entries: list[Entry] = []

    def ending(tag: str, level: str, mode: Mode, command: str) -> None:
        entries.append(Entry(name, f"{name}{tag}", level, mode, command, options=limited))

    if spec.test_s:
        ending("t", TEST_LEVEL, Mode.TEST, f"take {spec.test_s}")
    if spec.start_s or spec.daemon:
        ending("w", "start", Mode.WAIT, f"{'spawn' if spec.daemon else 'take'} {spec.start_s}")
    if spec.agent_s:
        entries.append(agent_of(spec))
    entries.append(_service(spec, "serve"))
    if spec.monitor_s:
        entries.append(monitor_of(spec))
    if spec.ready_s:
        ending("n", "start", Mode.ONCE, "take 0.01")
    entries.append(Entry(name, f"{name}o", "other", Mode.RESPAWN, "serve"))
    ending("z", STOP_LEVEL, Mode.WAIT, "take 0.001")
    if spec.stop_test:
        ending("u", STOP_LEVEL, Mode.TEST, "take 0.001")
    return entries


def _service(spec: GroupSpec, command: str) -> Entry:
    tag, options = f"{spec.name}s", options_of(spec)
    return Entry(spec.name, tag, "start", Mode.RESPAWN, command, options=options)


def first_cltab(specs: Iterable[GroupSpec]) -> bytes:
    """Return the cltab that all nodes have from the start."""
    entries = [entry for spec in specs for entry in entries_of(spec)]
    return render_cltab(Cltab(tuple(entries))).encode()


def first_hactl(specs: Iterable[GroupSpec]) -> bytes:
    """Return the hactl that all nodes have from the start."""
    lines = []
    for spec in specs:
        words = [spec.name, spec.level]
        words += [f"prefer={','.join(map(str, spec.prefer))}"] if spec.prefer else []
        words += [f"only={','.join(map(str, spec.only))}"] if spec.only else []
        words += ["failback=yes"] if spec.failback else []
        if (ladder := ladder_of(spec)) is not None:
            words.append(f"on-failure={ladder}")
        words += [f"fence={spec.fence}"] if spec.fence else []
        words += [*relating.words_of(spec), *rooms.words_of(spec)]
        words += ["on=all"] if spec.on_all else []
        lines.append(" ".join(words) + "\n")
    return "".join(lines).encode()


def edited_hactl(text: bytes, word: str, specs: Sequence[GroupSpec]) -> bytes:
    """Return a hactl with another wish for a group: `g1 stop`, `g1 start prefer=2`.

    Its `fence=` stays, also where half a file lies: the checker of receipts goes by the first one.
    So do its relations, unless the edit names them.
    """
    wish = rooms.edited_wish(word, specs)
    spec = next(spec for spec in specs if spec.name == wish.group)
    wish = relating.kept(
        replace(wish, fence=GRADES[spec.fence] if spec.fence else None), spec, word
    )
    return set_wish(text.decode(), wish).encode()


def edited_cltab(text: bytes, word: str, specs: Sequence[GroupSpec]) -> bytes:
    """Return a cltab in which a group is another one: `g1 gone`, `g1 changed`.

    Where what lies there is no cltab, the editor begins with the first one.
    """
    cltab = read_cltab(text) or read_cltab(first_cltab(specs))
    assert cltab is not None
    name, _, how = word.partition(" ")
    spec = next(spec for spec in specs if spec.name == name)
    own = EDITS[how](list(cltab.entries_of(name)), spec)
    others = [entry for entry in cltab.entries if entry.group != name]
    return render_cltab(Cltab((*others, *own))).encode()


def _changed(entries: list[Entry], spec: GroupSpec) -> list[Entry]:
    """Give the service another command: it is another process after the next tell (C5.2)."""
    anew = any(entry.command == "serve anew" for entry in entries)
    command = "serve" if anew else "serve anew"
    service = _service(spec, command)
    places = {entry.tag: place for place, entry in enumerate(entries)}
    place = places.get(service.tag, len(entries))
    return [*entries[:place], service, *entries[place + 1 :]]


def _grown(entries: list[Entry], spec: GroupSpec) -> list[Entry]:
    more = Entry(spec.name, f"{spec.name}x", "start,other", Mode.RESPAWN, "serve")
    return [entry for entry in entries if entry.tag != more.tag] + [more]


# What is done to a group -> its entries from then on.
EDITS: dict[str, Edit] = {
    "changed": _changed,
    "grown": _grown,
    "gone": lambda _entries, _spec: [],
    "back": lambda _entries, spec: entries_of(spec),
}
