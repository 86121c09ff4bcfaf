"""clstat: what a node publishes about itself, one fact per line, its first word the class.

The first line is `Mosha::Node`, the last one `Mosha::End` with the same `seq` and the CRC of
all text before it. A file without a matching end is torn: on some file systems a reader may see
half a write, or the right length with zeros in it. That is distinguished from a file that is
complete but wrong, and from one of another program. Readers skip unknown classes and trailing
words, so versions of the same major can be mixed.

Equal statuses are rendered equally: every class is sorted.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from mosha.core.replication.lineage import PAST_MAX
from mosha.core.status import (
    Ban,
    GroupLine,
    GroupState,
    NodeState,
    Receipt,
    Status,
    TableVersion,
    Term,
    Vote,
)
from mosha.formats.clstat_entries import ENTRY_CLASS, entry_lines, read_entry
from mosha.formats.clstat_orders import ORDER_READERS, order_lines, read_stamp
from mosha.formats.clstat_words import (
    WORD_MAX_CHARS,
    CounterTooLargeError,
    counter_in,
    mtime_in,
    name_in,
    node_in,
    number_in,
    own_counter_in,
    pairs_of,
    word_in,
)
from mosha.formats.mistakes import FILE_MAX_BYTES
from mosha.formats.names import is_name, one_line

VERSIONS_PER_MAJOR = 1000
"""`version` divided by this is the major: readers of one major understand each other."""

CLSTAT_MAX_BYTES = FILE_MAX_BYTES
"""A status of 1000 nodes and 1000 groups takes about 100 kB."""

LINES_REMEMBERED_MAX = 4096
"""Most lines were parsed before: in the previous status, or in those of other nodes.

In a cluster of 100 nodes with 100 groups this makes reading several times faster, and the statuses
share their votes and terms. A full cache takes 2 MB.
"""

LINE_REMEMBERED_MAX_CHARS = 200
"""A longer line is a reason or a refusal; a peer must not fill our memory with those."""

_NODE_PREFIX = "Mosha::Node "
_GROUP_CLASS = "Cluster::Init::Group"
_STATES = {state.value: state for state in GroupState}
_NODE_STATES = {state.value: state for state in NodeState}
_YES_NO = {"yes": True, "no": False}


class UnreadableStatus(ValueError):  # noqa: N818 - it describes the file
    """The base of the three ways in which bytes are not a status; `str` says what is wrong."""


class TornStatus(UnreadableStatus):
    """Half a write, or nothing yet: keep the earlier status, read again soon."""


class ForeignStatus(UnreadableStatus):
    """Complete, but written by another program or another major version of this one."""


class MalformedStatus(UnreadableStatus):
    """Complete with a valid checksum, but wrong: a bug of the writer, or a forged file."""


def render_clstat(status: Status) -> str:
    """Return a status as text. Free text (reasons, refusals) becomes one line (`one_line`)."""
    text = "\n".join(_lines(status)) + "\n"
    crc = zlib.crc32(text.encode())
    return f"{text}Mosha::End seq={status.seq} crc32={crc:08x}\n"


def parse_clstat(data: bytes) -> Status:
    """Parse the status of a node.

    Raises:
        TornStatus: no end, an end that does not match, zero padding, or empty.
        ForeignStatus: no line of ours (the original's clstat), or another major version.
        MalformedStatus: complete, but invalid.
    """
    if len(data) > CLSTAT_MAX_BYTES:
        raise MalformedStatus(f"too big: {len(data)} bytes, at most {CLSTAT_MAX_BYTES}")
    body, end = _sealed(data)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedStatus(f"not UTF-8 at byte {error.start}") from error
    node: dict[str, str] = {}
    facts: dict[str, dict[Any, Any]] = {table: {} for table, _ in _READERS.values()}
    for number, line in enumerate(text.split("\n"), 1):
        try:
            if line.startswith(_NODE_PREFIX):
                node = _read_node(line, node)
            elif fact := (_remembered if len(line) <= LINE_REMEMBERED_MAX_CHARS else _fact)(line):
                table, key, value = fact
                facts[table][key] = value
        except UnreadableStatus:
            raise
        except (ValueError, LookupError) as error:
            told = _story(error)
            raise MalformedStatus(f"line {number}: {told}: {one_line(line)}") from error
    return _status(node, facts, end)


def parse_original(data: bytes) -> dict[str, GroupLine]:
    """Parse the group lines of any clstat, the original's too (H3.1, H3.2).

    Leading blanks and words after the state are ignored, the last line of a group wins, and a
    truncated line is skipped (H3.3). Never raises.
    """
    groups: dict[str, GroupLine] = {}
    for line in data[:CLSTAT_MAX_BYTES].decode("utf-8", "replace").split("\n"):
        words = line.split(None, 4)
        if len(words) >= 4 and words[0] == _GROUP_CLASS and words[3] in _STATES:
            groups[words[1]] = GroupLine(words[2], _STATES[words[3]])
    return groups


def render_groups(groups: Mapping[str, GroupLine]) -> str:
    """Return the clstat of a clinit without a monitor: group lines only (C7.1)."""
    return "".join(
        f"{_GROUP_CLASS} {group} {line.level} {line.state}\n"
        for group, line in sorted(groups.items())
    )


# --- writing -----------------------------------------------------------------------


def _lines(s: Status) -> list[str]:
    quorum = "yes" if s.quorum else "no"
    node = f"Mosha::Node {s.node} inc={s.inc} run={s.run} boot={s.boot} seq={s.seq}"
    rules = f"timeout_ms={s.timeout_ms}" + (f" voters={s.voters}" if s.voters else "")
    rules += f" heartbeat_ms={s.heartbeat_ms}" if s.heartbeat_ms else ""
    rules += " standby=yes" * s.standby
    lines = [f"{node} state={s.state} version={s.version} quorum={quorum} {rules}"]
    lines += [f"Mosha::Seen {n} inc={x.inc} seq={x.seq}" for n, x in sorted(s.seen.items())]
    lines += [
        f"Mosha::Vote {g} term={v.term} node={v.node} inc={v.inc} seq={v.seq}"
        for g, v in sorted(s.votes.items())
    ]
    lines += [f"Mosha::Term {g} {t.known} voted={t.voted}" for g, t in sorted(s.terms.items())]
    lines += [f"Mosha::Claim {g} term={term}" for g, term in sorted(s.claims.items())]
    lines += [f"{_GROUP_CLASS} {g} {x.level} {x.state}" for g, x in sorted(s.groups.items())]
    lines += [f"Mosha::Ban {g} {b.left_s} {one_line(b.reason)}" for g, b in sorted(s.bans.items())]
    lines += [
        f"Mosha::Fenced {n} inc={r.inc} method={_one_word(r.method)}"
        for n, r in sorted(s.fenced.items())
    ]
    lines += [
        f"Mosha::Table {name} mtime_ns={t.mtime_ns} digest={t.digest}"
        for name, t in sorted(s.tables.items())
    ]
    lines += [
        f"Mosha::Past {name} {' '.join(f'{v.mtime_ns}.{v.digest}' for v in past)}"
        for name, past in sorted(s.pasts.items())
        if past
    ]
    lines += order_lines(s)
    lines += [f"Mosha::Refused {name} {one_line(x)}" for name, x in sorted(s.refused.items())]
    lines += entry_lines(s.troubles)
    return lines


def _one_word(text: str) -> str:
    return "-".join(one_line(text)[:WORD_MAX_CHARS].split())


# --- reading -----------------------------------------------------------------------


def _sealed(data: bytes) -> tuple[bytes, dict[str, str]]:
    """Return the text before the end line and the words of the end line; raise if they disagree."""
    if not data:
        raise TornStatus("the file is empty")
    if b"\0" in data:
        raise TornStatus("zeros in the file: it is being written")
    if b"\n" in data and b"Mosha::" not in data:
        raise ForeignStatus("no line of mosha: another program writes this file")
    start = data.rfind(b"\n", 0, len(data) - 1) + 1
    last = data[start:].decode("utf-8", "replace")
    if not last.startswith("Mosha::End ") or not last.endswith("\n"):
        raise TornStatus("no Mosha::End in the last line")
    end = pairs_of(last)
    body = data[:start]
    if end.get("crc32") != f"{zlib.crc32(body):08x}":
        raise TornStatus("the checksum of Mosha::End does not match")
    return body, end


def _status(pairs: dict[str, str], facts: dict[str, dict[Any, Any]], end: dict[str, str]) -> Status:
    if not pairs:
        raise MalformedStatus("no Mosha::Node line")
    if end.get("seq") != pairs["seq"]:
        raise TornStatus(f"Mosha::End is of seq {end.get('seq')}, not {pairs['seq']}")
    try:
        return Status(
            node=node_in(pairs["Mosha::Node"]),
            inc=own_counter_in(pairs["inc"]),
            run=word_in(pairs["run"]),
            boot=word_in(pairs["boot"]),
            seq=own_counter_in(pairs["seq"]),
            state=_NODE_STATES[pairs["state"]],
            version=number_in(pairs["version"]),
            quorum=_YES_NO[pairs.get("quorum", "yes")],
            timeout_ms=number_in(pairs.get("timeout_ms", "0")),
            heartbeat_ms=number_in(pairs.get("heartbeat_ms", "0")),
            voters=word_in(pairs["voters"]) if "voters" in pairs else "",
            seen=facts["seen"],
            votes=facts["votes"],
            terms=facts["terms"],
            claims=facts["claims"],
            groups=facts["groups"],
            bans=facts["bans"],
            fenced=facts["fenced"],
            tables=facts["tables"],
            refused=facts["refused"],
            pasts=facts["pasts"],
            orders=facts["orders"],
            obeyed=facts["obeyed"],
            unfinished=facts["unfinished"],
            standby=_YES_NO[pairs.get("standby", "no")],
            troubles=facts["troubles"],
            answers=facts["answers"],
        )
    except (ValueError, LookupError) as error:
        raise MalformedStatus(f"Mosha::Node: {_story(error)}") from error


def _story(error: ValueError | LookupError) -> str:
    if isinstance(error, KeyError):
        return f"{error} missing or unknown"
    return "words missing" if isinstance(error, IndexError) else str(error)


def _read_node(line: str, former: dict[str, str]) -> dict[str, str]:
    if former:
        raise ValueError("a second Mosha::Node line")
    rest = line.removeprefix(_NODE_PREFIX)
    pairs = pairs_of(rest)
    # Checked here, before any other line: in another major they may mean something else.
    version = number_in(pairs["version"])
    if version // VERSIONS_PER_MAJOR != 0:
        own = f"this mosha reads versions below {VERSIONS_PER_MAJOR}"
        raise ForeignStatus(f"written in version {version}, {own}")
    pairs["Mosha::Node"] = rest.partition(" ")[0]
    pairs.setdefault("seq", "")
    return pairs


def _fact(line: str) -> tuple[str, _Key, object] | None:
    """Return a line's fact as (field of Status, key, value), None if the line is skipped.

    Unknown classes and impossibly large counters are skipped.
    """
    kind, _, rest = line.partition(" ")
    known = _READERS.get(kind)
    if known is None:
        return None
    table, reader = known
    try:
        return (table, *reader(rest))
    except CounterTooLargeError:
        return None


_remembered = functools.lru_cache(LINES_REMEMBERED_MAX)(_fact)


def _read_vote(rest: str) -> tuple[str, Vote]:
    pairs = pairs_of(rest)
    return name_in(rest), Vote(
        counter_in(pairs["term"]),
        node_in(pairs["node"]),
        counter_in(pairs["inc"]),
        counter_in(pairs["seq"]),
    )


def _read_term(rest: str) -> tuple[str, Term]:
    voted = pairs_of(rest).get("voted", "0")
    return name_in(rest), Term(counter_in(rest.split(" ", 2)[1]), counter_in(voted))


def _read_claim(rest: str) -> tuple[str, int]:
    return name_in(rest), counter_in(pairs_of(rest)["term"])


def _read_group(rest: str) -> tuple[str, GroupLine]:
    words = rest.split(" ", 3)
    if not is_name(words[1]):
        raise ValueError("not a level")
    return name_in(rest), GroupLine(words[1], _STATES[words[2]])


def _read_ban(rest: str) -> tuple[str, Ban]:
    words = rest.split(" ", 2)
    reason = words[2] if len(words) == 3 else ""
    return name_in(rest), Ban(number_in(words[1]), one_line(reason))


def _read_fenced(rest: str) -> tuple[int, Receipt]:
    pairs = pairs_of(rest)
    receipt = Receipt(counter_in(pairs["inc"]), word_in(pairs["method"]))
    return node_in(rest.partition(" ")[0]), receipt


def _read_table(rest: str) -> tuple[str, TableVersion]:
    pairs = pairs_of(rest)
    return name_in(rest), TableVersion(mtime_in(pairs["mtime_ns"]), word_in(pairs["digest"]))


def _read_past(rest: str) -> tuple[str, tuple[TableVersion, ...]]:
    versions = (word.partition(".") for word in rest.split()[1 : PAST_MAX + 1])
    return name_in(rest), tuple(TableVersion(mtime_in(t), word_in(d)) for t, _, d in versions)


def _read_refused(rest: str) -> tuple[str, str]:
    return name_in(rest), one_line(rest.partition(" ")[2])


_Key = str | int | tuple[str, str] | tuple[int, int]

_READERS: dict[str, tuple[str, Callable[[str], tuple[_Key, object]]]] = {
    "Mosha::Seen": ("seen", read_stamp),
    "Mosha::Vote": ("votes", _read_vote),
    "Mosha::Term": ("terms", _read_term),
    "Mosha::Claim": ("claims", _read_claim),
    _GROUP_CLASS: ("groups", _read_group),
    "Mosha::Ban": ("bans", _read_ban),
    "Mosha::Fenced": ("fenced", _read_fenced),
    "Mosha::Table": ("tables", _read_table),
    "Mosha::Past": ("pasts", _read_past),
    "Mosha::Refused": ("refused", _read_refused),
    ENTRY_CLASS: ("troubles", read_entry),
    **ORDER_READERS,
}
"""The class of a line -> the field of Status that it goes into, and its parser."""
