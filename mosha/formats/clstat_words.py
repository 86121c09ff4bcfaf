"""The words of clstat lines, each with a bound: a peer may be broken."""

from __future__ import annotations

from mosha.formats.names import NODE_MAX, is_group_name, is_name

DIGITS_MAX = 20
"""The longest number that is read: nanoseconds since 1970 have 19 digits."""

COUNTED_MAX = 1 << 61
"""No incarnation, term or status number ever gets this far.

A line with a greater one is skipped like one of an unknown class. Nodes continue from the greatest
that they read (C2, V5): they would write one more than any reader accepts, for ever.
"""

NUMBER_MAX = 1 << 62
"""A node that states a number of its own beyond this is unreadable, and only that node."""

WORD_MAX_CHARS = 100
"""The longest run, boot id, digest or method."""


def pairs_of(text: str) -> dict[str, str]:
    """Return the `key=value` words; the first of a key counts, unknown ones are harmless."""
    pairs: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if equals:
            pairs.setdefault(key, value)
    return pairs


def name_in(rest: str) -> str:
    """Return the name that a line begins with; ValueError if it is not one."""
    name = rest.partition(" ")[0]
    if not is_name(name):
        raise ValueError("not a name")
    return name


def group_in(rest: str) -> str:
    """Return the group that a line begins with, or instance of one; ValueError if there is none."""
    group = rest.partition(" ")[0]
    if not is_group_name(group):
        raise ValueError("not a group")
    return group


def node_in(text: str) -> int:
    """Return a node number; ValueError if it is not one."""
    node = number_in(text)
    if not 1 <= node <= NODE_MAX:
        raise ValueError("not a node number")
    return node


def number_in(text: str) -> int:
    """Return a number; ValueError if it is not one, or too long."""
    if len(text) > DIGITS_MAX or not (text.isascii() and text.isdigit()):
        raise ValueError("not a number")
    return int(text)


class CounterTooLargeError(ValueError):
    """A counter that counting cannot reach: of a forged or garbled line."""


def counter_in(text: str) -> int:
    """Return an incarnation, a term or a status number that another node counted.

    Raises:
        CounterTooLargeError: it is COUNTED_MAX or more.
        ValueError: it is not a number.
    """
    number = number_in(text)
    if number >= COUNTED_MAX:
        raise CounterTooLargeError(f"{text}: counted too far")
    return number


def own_counter_in(text: str) -> int:
    """Return a counter that a node states about itself; ValueError if it is beyond NUMBER_MAX."""
    number = number_in(text)
    if number > NUMBER_MAX:
        raise ValueError(f"{text}: at most {NUMBER_MAX}")
    return number


def word_in(text: str) -> str:
    """Return a word; ValueError if it is too long."""
    if len(text) > WORD_MAX_CHARS:
        raise ValueError("too long a word")
    return text


def whole_in(text: str) -> int:
    """Return a number that may be negative; ValueError if it is not one, or too long."""
    return -number_in(text[1:]) if text.startswith("-") else number_in(text)
