"""clstat: what a node publishes about itself, one fact per line, its first word the class.

The first line is `Mosha::Node`, the last one `Mosha::End` with the same `seq` and the CRC of
all text before it. A file without a matching end is torn: on some file systems a reader may see
half a write, or the right length with zeros in it. That is distinguished from a file that is
complete but wrong, and from one of another program. Readers skip unknown classes and trailing
words, so versions of the same major can be mixed.

A line about an instance of a group (`dns@3`) has its mark behind the class as well:
`Mosha::Vote@ dns@3 …`.

Equal statuses are rendered equally: every class is sorted.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from mosha.core.instance_names import INSTANCE_MARK
from mosha.core.status import (
    GroupLine,
    NodeState,
    Stamp,
    Status,
)
from mosha.formats.clstat_entries import entry_lines
from mosha.formats.clstat_failures import failure_lines
from mosha.formats.clstat_fencing import fencing_lines
from mosha.formats.clstat_lines import (
    GROUP_CLASS,
    READERS,
    SEEN_CLASS,
    STATES,
    fact_in,
)
from mosha.formats.clstat_orders import order_lines
from mosha.formats.clstat_relations import relation_lines
from mosha.formats.clstat_words import (
    node_in,
    number_in,
    own_counter_in,
    pairs_of,
    word_in,
)
from mosha.formats.mistakes import FILE_MAX_BYTES
from mosha.formats.names import one_line

VERSIONS_PER_MAJOR = 1000
"""`version` divided by this is the major: readers of one major understand each other."""

CLSTAT_MAX_BYTES = FILE_MAX_BYTES
"""A status of 1000 nodes and 1000 groups takes about 100 kB."""

_NODE_PREFIX = "Mosha::Node "
_SEEN_LINE = f"\n{SEEN_CLASS} ".encode()
# Possessive: it never tries again with fewer digits, which takes a third less time.
_ECHO_LINES = re.compile(
    rf"(?:{SEEN_CLASS} [1-9][0-9]{{0,3}}+ inc=[0-9]{{1,18}}+ seq=[0-9]{{1,18}}+\n)*+"
)
_TABLES = tuple(dict.fromkeys(table for table, _ in READERS.values()))
"""The fields of Status that lines go into."""

# Older versions skip a class that they do not know: they would take the name for a mistake.
_ABOUT_INSTANCE = re.compile(
    rf"^([A-Z]\S+) (?=[^ \n]+{INSTANCE_MARK}|[0-9]+ verb=[^\n]* group=[^ \n]+{INSTANCE_MARK})",
    re.MULTILINE,
)

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
    if INSTANCE_MARK in text:
        text = _ABOUT_INSTANCE.sub(rf"\1{INSTANCE_MARK} ", text)
    crc = zlib.crc32(text.encode())
    return f"{text}Mosha::End seq={status.seq} crc32={crc:08x}\n"


class ParsedStatus(Struct, frozen=True):
    """A status, its text, and where the part begins that mostly stays the same until the next one.

    `rest_at`: after the lines of the node and of its echoes; 0 if the text is not ordered like
    that.
    """

    status: Status
    data: bytes
    rest_at: int = 0

    @property
    def rest(self) -> bytes:
        """The part that mostly stays the same, without the end line."""
        return self.data[self.rest_at : self.data.rfind(b"\nMosha::End ") + 1]


def parse_clstat(data: bytes) -> Status:
    """Parse the status of a node.

    Raises:
        TornStatus: no end, an end that does not match, zero padding, or empty.
        ForeignStatus: no line of ours (the original's clstat), or another major version.
        MalformedStatus: complete, but invalid.
    """
    return parse_next(data).status


def parse_next(data: bytes, last: ParsedStatus | None = None) -> ParsedStatus:
    """Parse the status of a node; what is as in the `last` one is taken from there.

    From heartbeat to heartbeat the echoes change; votes, terms and groups rarely do, and in a big
    cluster they are most of the text. Errors as of `parse_clstat`.
    """
    if len(data) > CLSTAT_MAX_BYTES:
        raise MalformedStatus(f"too big: {len(data)} bytes, at most {CLSTAT_MAX_BYTES}")
    sealed, end = _sealed(data)
    cut = data.find(b"\n", data.rfind(_SEEN_LINE, 0, sealed) + 1) + 1
    head = _decoded(data[:cut])
    node: dict[str, str] = {}
    first = head.partition("\n")[0]
    seen = _echoes(head, len(first))
    if seen is None or not first.startswith(_NODE_PREFIX):
        facts = _facts(head + _decoded(data[cut:sealed], cut), 1, node)
        return ParsedStatus(_status(node, facts, end), data)
    _facts(first, 1, node)
    if last is not None and last.rest_at and _is_from(data, cut, sealed, last.rest):
        facts = {table: getattr(last.status, table) for table in _TABLES}
    else:
        facts = _facts(_decoded(data[cut:sealed], cut), head.count("\n") + 1, node)
    facts["seen"] = seen
    return ParsedStatus(_status(node, facts, end), data, cut)


def _is_from(data: bytes, begin: int, end: int, part: bytes) -> bool:
    """Say whether `data[begin:end] == part`, without a copy: this is most of every status."""
    return len(part) == end - begin and data.startswith(part, begin)


def _decoded(part: bytes, start: int = 0) -> str:
    """Return a part of the text that begins at byte `start`."""
    try:
        return part.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedStatus(f"not UTF-8 at byte {start + error.start}") from error


class _Echoes(Mapping[int, Stamp]):
    """The echoes of a status: an end of line, and then lines as in `_ECHO_LINES`.

    Parsed when asked for: a node asks for its own alone.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._known: dict[int, Stamp | None] = {}  # what was asked for, again and again

    def get(self, node: int, default: Any = None) -> Any:
        """Return the echo of a node; that of `Mapping` costs an exception where there is none."""
        try:
            found = self._known[node]
        except KeyError:
            found = self._known[node] = self._read(node)
        return default if found is None else found

    def __getitem__(self, node: int) -> Stamp:
        found: Stamp | None = self.get(node)
        if found is None:
            raise KeyError(node)
        return found

    def _read(self, node: int) -> Stamp | None:
        begin = self._text.rfind(f"\n{SEEN_CLASS} {node} ")
        if begin < 0:
            return None
        _, _, inc, seq = self._text[begin + 1 : self._text.index("\n", begin + 1)].split(" ")
        return Stamp(int(inc[len("inc=") :]), int(seq[len("seq=") :]))

    def __iter__(self) -> Iterator[int]:
        return iter(dict.fromkeys(int(line.split(" ")[1]) for line in self._text.splitlines()[1:]))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _echoes(head: str, begin: int) -> _Echoes | None:
    """Return what the lines of echoes say that follow the end of line at `begin`.

    None unless all these lines are such, in their usual form.
    """
    return None if _ECHO_LINES.fullmatch(head, begin + 1) is None else _Echoes(head[begin:])


def _facts(text: str, number: int, node: dict[str, str]) -> dict[str, Any]:
    """Parse lines of which the first has this number, and add what they say of their node."""
    facts: dict[str, Any] = {table: {} for table in _TABLES}
    for line_number, line in enumerate(text.split("\n"), number):
        try:
            if line.startswith(_NODE_PREFIX):
                node.update(_read_node(line, node))
            elif fact := fact_in(line):
                table, key, value = fact
                facts[table][key] = value
        except UnreadableStatus:
            raise
        except (ValueError, LookupError) as error:
            told = _story(error)
            raise MalformedStatus(f"line {line_number}: {told}: {one_line(line)}") from error
    return facts


def parse_original(data: bytes) -> dict[str, GroupLine]:
    """Parse the group lines of any clstat, the original's too (H3.1, H3.2).

    Leading blanks and words after the state are ignored, the last line of a group wins, and a
    truncated line is skipped (H3.3). Never raises.
    """
    groups: dict[str, GroupLine] = {}
    for line in data[:CLSTAT_MAX_BYTES].decode("utf-8", "replace").split("\n"):
        words = line.split(None, 4)
        if len(words) >= 4 and words[0] == GROUP_CLASS and words[3] in STATES:
            groups[words[1]] = GroupLine(words[2], STATES[words[3]])
    return groups


def render_groups(groups: Mapping[str, GroupLine]) -> str:
    """Return the clstat of a clinit without a monitor: group lines only (C7.1)."""
    return "".join(
        f"{GROUP_CLASS} {group} {line.level} {line.state}\n"
        for group, line in sorted(groups.items())
    )


# --- writing -----------------------------------------------------------------------


def _lines(s: Status) -> list[str]:
    quorum = "yes" if s.quorum else "no"
    node = f"Mosha::Node {s.node} inc={s.inc} run={s.run} boot={s.boot} seq={s.seq}"
    rules = f"timeout_ms={s.timeout_ms}" + (f" voters={s.voters}" if s.voters else "")
    rules += f" heartbeat_ms={s.heartbeat_ms}" if s.heartbeat_ms else ""
    rules += " standby=yes" * s.standby + " witness=yes" * s.witness + " cutoff=yes" * s.cut_off
    rules += f" capacity={s.capacity}" if s.capacity is not None else ""
    lines = [f"{node} state={s.state} version={s.version} quorum={quorum} {rules}"]
    lines += [f"{SEEN_CLASS} {n} inc={x.inc} seq={x.seq}" for n, x in sorted(s.seen.items())]
    lines += [
        f"Mosha::Vote {g} term={v.term} node={v.node} inc={v.inc} seq={v.seq}"
        for g, v in sorted(s.votes.items())
    ]
    lines += [f"Mosha::Term {g} {t.known} voted={t.voted}" for g, t in sorted(s.terms.items())]
    lines += [f"Mosha::Claim {g} term={term}" for g, term in sorted(s.claims.items())]
    lines += [f"{GROUP_CLASS} {g} {x.level} {x.state}" for g, x in sorted(s.groups.items())]
    lines += [f"Mosha::Ban {g} {b.left_s} {one_line(b.reason)}" for g, b in sorted(s.bans.items())]
    lines += failure_lines(s)
    lines += relation_lines(s)
    lines += fencing_lines(s)
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


# --- reading -----------------------------------------------------------------------


def _sealed(data: bytes) -> tuple[int, dict[str, str]]:
    """Return where the end line begins, and its words; raise if it disagrees with the text."""
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
    if end.get("crc32") != f"{zlib.crc32(memoryview(data)[:start]):08x}":
        raise TornStatus("the checksum of Mosha::End does not match")
    return start, end


def _status(pairs: dict[str, str], facts: dict[str, Any], end: dict[str, str]) -> Status:
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
            shots=facts["shots"],
            disarms=facts["disarms"],
            probations=facts["probations"],
            deaths=facts["deaths"],
            unended=facts["unended"],
            given_up=facts["given_up"],
            exhausted=facts["exhausted"],
            restarts=facts["restarts"],
            gave_way=facts["gave_way"],
            pills=facts["pills"],
            pills_obeyed=facts["pills_obeyed"],
            late_kills=facts["late_kills"],
            leaving=facts["leaving"],
            standby=_YES_NO[pairs.get("standby", "no")],
            witness=_YES_NO[pairs.get("witness", "no")],
            cut_off=_YES_NO[pairs.get("cutoff", "no")],
            capacity=number_in(pairs["capacity"]) if "capacity" in pairs else None,
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
