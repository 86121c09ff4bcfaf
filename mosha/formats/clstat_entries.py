"""`Mosha::Entry` of clstat: entries in trouble, one per line.

`Mosha::Entry GROUP TAG KIND restarts=N for_s=N TEXT`: what is wrong (`TroubleKind`), how often it
was restarted, how long it has been in its state, and its last error or output.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mosha.core.status import Trouble, TroubleKind
from mosha.formats.names import is_group_name, is_name, one_line

ENTRY_CLASS = "Mosha::Entry"

_LINE = re.compile(
    r"(?P<group>\S+) (?P<tag>\S+) (?P<kind>\S+)"
    r"(?: restarts=(?P<restarts>[0-9]{1,9}))?(?: for_s=(?P<for_s>[0-9]{1,9}))?(?: (?P<text>.*))?"
)
_KINDS = frozenset(kind.value for kind in TroubleKind)
_COUNT_MAX = 10**9 - 1


def entry_lines(troubles: Mapping[tuple[str, str], Trouble]) -> list[str]:
    """Return a line for each entry in trouble, by group and tag."""
    return [
        f"{ENTRY_CLASS} {group} {tag} {trouble.kind} restarts={min(trouble.restarts, _COUNT_MAX)}"
        f" for_s={min(trouble.for_s, _COUNT_MAX)} {one_line(trouble.text)}".rstrip()
        for (group, tag), trouble in sorted(troubles.items())
    ]


def read_entry(rest: str) -> tuple[tuple[str, str], Trouble]:
    """Parse a line without its class: (group, tag), and what is wrong.

    An unknown kind of a later version is `OTHER`; its text says more.

    Raises:
        ValueError: it is not such a line.
    """
    found = _LINE.fullmatch(rest)
    if found is None or not (is_group_name(found["group"]) and is_name(found["tag"])):
        raise ValueError("not an entry of a group")
    kind = TroubleKind(found["kind"]) if found["kind"] in _KINDS else TroubleKind.OTHER
    restarts, for_s = int(found["restarts"] or 0), int(found["for_s"] or 0)
    trouble = Trouble(found["tag"], kind, restarts, for_s, one_line(found["text"] or ""))
    return (found["group"], found["tag"]), trouble
