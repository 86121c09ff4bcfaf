"""Values of every format for hypothesis, and the damage that is done to their texts."""

from __future__ import annotations

from typing import Any, TypeVar

from hypothesis import strategies as st
from msgspec.structs import replace

from mosha.core.escalation import SIGNALS, EscalationStep
from mosha.core.instance_names import instance
from mosha.core.ladder import Ladder
from mosha.core.replication.lineage import PAST_MAX
from mosha.core.status import (
    Ban,
    EntryAnswer,
    EntryVerb,
    GaveWay,
    Grade,
    GroupLine,
    GroupState,
    NodeState,
    Order,
    Receipt,
    Restarts,
    Stamp,
    Status,
    TableVersion,
    Term,
    Trouble,
    TroubleKind,
    Verb,
    Vote,
)
from mosha.core.supervision.failures import REMEMBERED_MAX
from mosha.core.tables import (
    WRAPPED,
    Cltab,
    Entry,
    Hactl,
    Mode,
    Options,
    ProcessAttributes,
    Readiness,
    ReadyKind,
    ResourceLimit,
    Wish,
)
from mosha.formats.clstat_words import COUNTED_MAX
from mosha.formats.entry_options import (
    DEPTH_MAX,
    DEPTHS_MAX,
    FAILURES_MAX,
    OPTIONS,
    PORT_MAX,
    RUNGS_MAX,
)
from mosha.formats.hactl_values import PRIORITIES, WEIGHTS
from mosha.formats.names import is_name, one_line
from mosha.formats.process_options import ID_MAX, NICE, NUMBER_MAX, OOM

T = TypeVar("T")

names = st.text("abzAZ019_.-", min_size=1, max_size=12).filter(is_name)
nodes = st.integers(1, 65_535)
group_names = names | st.builds(instance, names, nodes)
numbers = st.integers(0, COUNTED_MAX - 1)
words = st.text("0123456789abcdef", min_size=1, max_size=32)
free_texts = st.text(max_size=300).map(one_line)
# Anything a line can hold: no line feed and no NUL, no surrogates, no blanks around it.
one_liners = (
    st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), min_size=1, max_size=60)
    .map(lambda text: text.strip(" \t\r\v\f"))
    .filter(bool)
)


def mappings(values: st.SearchStrategy[T]) -> st.SearchStrategy[dict[str, T]]:
    return st.dictionaries(names, values, max_size=5)


def by_group(values: st.SearchStrategy[T]) -> st.SearchStrategy[dict[str, T]]:
    return st.dictionaries(group_names, values, max_size=5)


spans = st.integers(1, 31 * 86_400_000).map(lambda ms: ms / 1000) | st.sampled_from(
    [60.0, 90.0, 3600.0, 86_400.0]
)
schedules = st.lists(st.builds(EscalationStep, st.sampled_from(SIGNALS), spans), max_size=RUNGS_MAX)


paths = (
    st.text("ab./ -_", min_size=1, max_size=12)
    .map(lambda text: f"/{text.strip()}")
    .filter(lambda text: len(text) > 1)
)
readiness = (
    st.just(Readiness(ReadyKind.NOTIFY))
    | st.integers(1, PORT_MAX).map(lambda port: Readiness(ReadyKind.PORT, port=port))
    | paths.map(lambda path: Readiness(ReadyKind.PIDFILE, path=path))
)


sizes = st.integers(0, NUMBER_MAX)
limits = (
    st.lists(sizes, min_size=2, max_size=2).map(lambda pair: ResourceLimit(*sorted(pair)))
    | sizes.map(lambda size: ResourceLimit(size, None))
    | st.just(ResourceLimit(None, None))
)


def _attributes(given: dict[str, Any]) -> ProcessAttributes | None:
    return ProcessAttributes(**given) if given else None


def _of_mode(mode: Mode, process: ProcessAttributes | None) -> ProcessAttributes | None:
    if process is None:
        return None
    given = {field: getattr(process, field) for field in ProcessAttributes.__struct_fields__}
    fits = {field for field in given if mode in (*OPTIONS[field].modes, Mode.OFF)}
    return _attributes(
        {it: value for it, value in given.items() if it in fits and value is not None}
    )


accounts = st.integers(0, ID_MAX).map(str) | st.sampled_from(["www-data", "_x", "a.b$"])
attributes = st.fixed_dictionaries(
    {},
    optional={
        "user": accounts,
        "group": accounts,
        "directory": paths,
        "envfile": paths,
        "umask": st.integers(0, 0o777),
        "nice": st.integers(*NICE),
        "oom": st.integers(*OOM),
        **dict.fromkeys(("nofile", "nproc", "core", "memlock", "stack"), limits),
    },
).map(_attributes)

depths = st.dictionaries(st.integers(1, DEPTH_MAX), spans, min_size=1, max_size=DEPTHS_MAX).map(
    lambda found: tuple(found.items())
)

COMMANDS: dict[Mode, tuple[str, ...]] = {
    Mode.OCF: (
        *("Dummy", "linbit:drbd drbd_resource=r0"),
        "Filesystem options='a b' directory=\"/s\"",
    ),
    Mode.ADDRESS: ("192.0.2.80/24 dev eth0", "2001:db8::80 dev br0", "192.0.2.1 dev a label a:1"),
}


@st.composite
def options(draw: st.DrawFn, mode: Mode) -> Options:
    """Options that an entry of this mode may have."""
    ready = draw(st.none() | readiness)
    found = Options(
        timeout_s=draw(st.none() | spans),
        stop=draw(st.none() | schedules.map(tuple)),
        ready=ready,
        start_s=draw(st.none() | spans) if ready is not None or mode in WRAPPED else None,
        interval_s=draw(st.none() | spans),
        depths=draw(st.none() | depths),
        failures=draw(st.none() | st.integers(1, FAILURES_MAX)),
        lasts=draw(st.none() | st.booleans()),
    )
    own = [field for field in Options.__struct_fields__ if field != "process"]
    fits = [field for field in own if mode in (*OPTIONS[field].modes, Mode.OFF)]
    given = {field: getattr(found, field) for field in fits}
    return Options(**given, process=_of_mode(mode, draw(attributes)))


def _commands(mode: Mode, line: int) -> st.SearchStrategy[str]:
    if mode is Mode.SYSTEMD:
        return st.just(f"u{line}@x.service")
    return st.sampled_from(COMMANDS[mode]) if mode in COMMANDS else one_liners


@st.composite
def cltabs(draw: st.DrawFn) -> Cltab:
    variables = draw(
        st.dictionaries(st.sampled_from(["socket", "clstat", "log"]), one_liners, max_size=3)
    )
    tags = draw(st.lists(names, unique=True, max_size=8))
    levels = st.lists(names, min_size=1, max_size=3).map(",".join)
    modes = [draw(st.sampled_from(Mode)) for _ in tags]
    entries = tuple(
        Entry(
            draw(names),
            tag,
            draw(levels),
            mode,
            draw(_commands(mode, line)),
            len(variables) + line,
            draw(options(mode)),
        )
        for line, (tag, mode) in enumerate(zip(tags, modes, strict=True), 1)
        # (a group that begins with '#' is no name, so no entry can look like a comment)
    )
    return Cltab(entries, variables)


@st.composite
def hactls(draw: st.DrawFn) -> Hactl:
    groups = draw(st.lists(names, unique=True, max_size=8))
    found = {group: draw(wishes(group, line)) for line, group in enumerate(groups, 1)}
    relation = draw(st.sampled_from(["with_", "apart"]))
    for at, group in enumerate(groups[1:], 1):
        after, related = (draw(st.lists(st.sampled_from(groups[:at]), unique=True)) for _ in "ab")
        some = {"after": tuple(after), relation: tuple(related), "only": ()}
        found[group] = replace(found[group], on_all=False, **some)
    if groups:
        found[groups[0]] = replace(found[groups[0]], on_all=False, only=())
    return Hactl(found)


ladders = st.builds(
    Ladder, st.integers(0, REMEMBERED_MAX - 1), spans, st.none() | st.just(0), stops=st.booleans()
) | st.builds(
    Ladder,
    st.integers(0, REMEMBERED_MAX - 1),
    spans,
    st.integers(1, REMEMBERED_MAX),
    spans,
    st.booleans(),
)


_unknown = st.lists(names.map("of-no-line-{}".format), unique=True, max_size=3).map(tuple)


def wishes(group: str, line: int = 0) -> st.SearchStrategy[Wish]:
    some = st.lists(nodes, unique=True, max_size=4).map(tuple)
    return st.builds(
        Wish,
        group=st.just(group),
        level=names,
        prefer=some,
        only=some,
        failback=st.booleans(),
        line=st.just(line),
        on_failure=st.none() | ladders,
        after=_unknown,
        with_=_unknown,
        apart=_unknown,
        priority=st.integers(*PRIORITIES),
        weight=st.integers(*WEIGHTS),
    ) | st.builds(Wish, group=st.just(group), level=names, line=st.just(line), on_all=st.just(True))


group_lines = st.builds(GroupLine, level=names, state=st.sampled_from(GroupState))
statuses = st.builds(
    Status,
    node=nodes,
    inc=numbers,
    run=words,
    boot=words,
    seq=numbers,
    state=st.sampled_from(NodeState),
    version=st.integers(0, 999),
    quorum=st.booleans(),
    timeout_ms=st.integers(0, 10**9),
    heartbeat_ms=st.integers(0, 10**9),
    voters=st.sampled_from(["", "1c291ca3"]),
    seen=st.dictionaries(nodes, st.builds(Stamp, numbers, numbers), max_size=5),
    votes=by_group(st.builds(Vote, numbers, nodes, numbers, numbers)),
    terms=by_group(st.builds(Term, numbers, numbers)),
    claims=by_group(numbers),
    groups=by_group(group_lines),
    bans=by_group(st.builds(Ban, st.integers(0, 10**9), free_texts)),
    given_up=by_group(
        st.lists(st.integers(0, 10**9), min_size=1, max_size=REMEMBERED_MAX).map(tuple)
    ),
    exhausted=by_group(free_texts),
    leaving=by_group(free_texts),
    gave_way=by_group(
        st.builds(GaveWay, group_names, st.integers(-1000, 1000), numbers, st.integers(0, 10**9))
    ),
    restarts=by_group(
        st.builds(
            Restarts,
            st.integers(0, 10**9),
            st.integers(0, 10**9),
            names,
            st.lists(st.integers(0, 10**9), max_size=REMEMBERED_MAX).map(tuple),
            free_texts,
        )
    ),
    fenced=st.dictionaries(
        nodes, st.builds(Receipt, numbers, words, st.sampled_from(Grade)), max_size=3
    ),
    tables=mappings(st.builds(TableVersion, st.integers(-(10**15), 10**19), words)),
    refused=mappings(free_texts),
    answers=st.dictionaries(
        st.tuples(nodes, numbers),
        st.builds(EntryAnswer, numbers, st.booleans(), free_texts),
        max_size=3,
    ),
    troubles=st.dictionaries(
        group_names,
        st.builds(
            Trouble,
            names,
            st.sampled_from(TroubleKind),
            st.integers(0, 10**8),
            st.integers(0, 10**8),
            free_texts,
        ),
        max_size=3,
    ).map(lambda found: {(group, trouble.tag): trouble for group, trouble in found.items()}),
    orders=st.dictionaries(
        numbers,
        st.builds(
            Order,
            st.sampled_from([*(verb.value for verb in Verb), "of-a-later-version"]),
            st.just("") | group_names,
            st.integers(0, 65_535),
        )
        | st.builds(
            Order,
            st.sampled_from([*(verb.value for verb in EntryVerb), "of-a-later-version"]),
            group_names,
            tag=names,
        ),
        max_size=3,
    ),
    obeyed=st.dictionaries(nodes, st.builds(Stamp, numbers, numbers), max_size=3),
    unfinished=st.dictionaries(st.tuples(nodes, numbers), numbers, max_size=3),
    standby=st.booleans(),
    cut_off=st.booleans(),
    capacity=st.none() | numbers,
    pasts=mappings(
        st.lists(st.builds(TableVersion, st.integers(-(10**15), 10**19), words), min_size=1).map(
            lambda versions: tuple(versions[:PAST_MAX])
        )
    ),
)


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[bytes]) -> bytes:
    """A text with a piece cut out, doubled, overwritten or replaced by other bytes."""
    data = draw(texts)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        put = draw(
            st.one_of(
                st.binary(max_size=6),
                st.sampled_from([b"\0" * 6, b"\n", b":", b"=", b",", b"-", b"9" * 30, b"\xff"]),
                st.just(data[start:end] * 2),
            )
        )
        data = data[:start] + put + data[end:]
    return data
