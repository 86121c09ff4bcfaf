"""What may be the name of a group, tag or level, the number of a node, and free text.

Names travel through cltab, hactl, clstat, sockets, environment variables and cgroup
directories. This one alphabet is safe in all of them, so nothing is ever quoted; names
are compared as text (C1.12, C7.9, H5.23).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NAME_MAX_CHARS = 200
"""A group becomes part of a file name of its cgroup, and those end at 255 bytes."""

NODE_MAX = 65_535
"""The greatest node number; openMosix had 16 bits for it."""

NAME_RULE = "use letters, digits, '_', '.' and '-' only"
NODE_RULE = f"a node is a number from 1 to {NODE_MAX}"

FREE_TEXT_MAX_CHARS = 200
"""How much of a reason travels in a status; the whole of it is in the log of its node."""

# `.` and `..` are no names of directories that anybody could make.
_NAME = re.compile(rf"(?!\.{{1,2}}\Z)[A-Za-z0-9_.-]{{1,{NAME_MAX_CHARS}}}")


LISTED_MAX = 8
"""So many names stand in a sentence; of a hundred the first ones and their number are enough."""


def is_name(text: str) -> bool:
    """Say whether `text` can name a group, a tag or a level."""
    return _NAME.fullmatch(text) is not None


def node_number(text: str) -> int | None:
    """Return the node that `text` writes in plain decimal digits, None if it is none."""
    if len(text) <= len(str(NODE_MAX)) and text.isascii() and text.isdigit():
        number = int(text)
        if 1 <= number <= NODE_MAX and text[0] != "0":
            return number
    return None


def one_line(text: str) -> str:
    """Return free text as one printable line of at most FREE_TEXT_MAX_CHARS characters.

    Line ends, control characters and lone surrogates become blanks, runs of blanks one
    blank. Doing it twice changes nothing.
    """
    # Cut first: the text may be a megabyte of somebody's traceback.
    head = text[: FREE_TEXT_MAX_CHARS * 4]
    printable = head if head.isprintable() else "".join(c if c.isprintable() else " " for c in head)
    line = " ".join(printable.split())
    if len(line) <= FREE_TEXT_MAX_CHARS and len(head) == len(text):
        return line
    return line[: FREE_TEXT_MAX_CHARS - 1].rstrip() + "…"


def listed(found: Sequence[str]) -> str:
    """Return names as people list them, not more of them than they read."""
    if len(found) <= LISTED_MAX:
        return ", ".join(found)
    return f"{', '.join(found[: LISTED_MAX - 1])} and {len(found) - LISTED_MAX + 1} more"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'? `` for the known word nearest to `word`, or nothing."""
    import difflib  # noqa: PLC0415 - for a mistake alone

    # The cost grows with the length, and no known word is longer than this.
    found = difflib.get_close_matches(word[:40].lower(), list(known), n=1, cutoff=0.6)
    return f"did you mean '{found[0]}'? " if found else ""
