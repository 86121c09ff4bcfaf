"""The rules for names of groups, tags and levels, node numbers, and free text.

Names travel through cltab, hactl, clstat, sockets, environment variables and cgroup
directories. This alphabet is safe in all of them, so nothing is ever quoted; names are
compared as text (C1.12, C7.9, H5.23).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mosha.core.instance_names import INSTANCE_MARK

NAME_MAX_CHARS = 200
"""A group name becomes part of its cgroup's file name, which has at most 255 bytes."""

NODE_MAX = 65_535
"""The greatest node number; openMosix had 16 bits for it."""

NAME_RULE = "use letters, digits, '_', '.' and '-' only"
NODE_RULE = f"a node is a number from 1 to {NODE_MAX}"

FREE_TEXT_MAX_CHARS = 200
"""How much of a reason goes into a status; the node's log has all of it."""

# No directory can be named `.` or `..`.
_NAME = re.compile(rf"(?!\.{{1,2}}\Z)[A-Za-z0-9_.-]{{1,{NAME_MAX_CHARS}}}")


LISTED_MAX = 8
"""How many names are listed in a sentence; of a hundred, the first and their number suffice."""


def is_name(text: str) -> bool:
    """Say whether `text` can name a group, a tag or a level."""
    return _NAME.fullmatch(text) is not None


def is_group_name(text: str) -> bool:
    """Say whether `text` can name a group of a table, or an instance of one, such as `dns@3`."""
    group, mark, node = text.partition(INSTANCE_MARK)
    return is_name(group) and (not mark or node_number(node) is not None)


def node_number(text: str) -> int | None:
    """Return the node number in `text`, plain decimal digits; None if it is not one."""
    if len(text) <= len(str(NODE_MAX)) and text.isascii() and text.isdigit():
        number = int(text)
        if 1 <= number <= NODE_MAX and text[0] != "0":
            return number
    return None


def one_line(text: str) -> str:
    """Return free text as one printable line of at most FREE_TEXT_MAX_CHARS characters.

    Line ends, control characters and lone surrogates become blanks, runs of blanks one
    blank. Idempotent.
    """
    # Cut first: the text may be a traceback of a megabyte.
    head = text[: FREE_TEXT_MAX_CHARS * 4]
    printable = head if head.isprintable() else "".join(c if c.isprintable() else " " for c in head)
    line = " ".join(printable.split())
    if len(line) <= FREE_TEXT_MAX_CHARS and len(head) == len(text):
        return line
    return line[: FREE_TEXT_MAX_CHARS - 1].rstrip() + "…"


def listed(found: Sequence[str]) -> str:
    """Return names as a list for people, not more of them than they read."""
    if len(found) <= LISTED_MAX:
        return ", ".join(found)
    return f"{', '.join(found[: LISTED_MAX - 1])} and {len(found) - LISTED_MAX + 1} more"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'? `` for the known word nearest to `word`, or nothing."""
    import difflib  # noqa: PLC0415 - for a mistake alone

    # The cost grows with the length, and no known word is longer than this.
    found = difflib.get_close_matches(word[:40].lower(), list(known), n=1, cutoff=0.6)
    return f"did you mean '{found[0]}'? " if found else ""
