"""The rules for values in mosha.toml: one function per kind, which returns the value or raises.

A rule never shows a value that could be huge or deep: see `shown`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from mosha.core.durations import number_text
from mosha.core.self_fencing import OFF, SYSRQ
from mosha.formats.durations import seconds_in
from mosha.formats.names import NODE_MAX, nearest, node_number

NODES_MAX = 1024
"""How many nodes a cluster may list; a status has a line for each."""

STRING_MAX_CHARS = 4096
"""Longer paths do not exist on Linux, and longer commands belong in scripts."""

TABLES_MAX = 20
"""More fencing methods would take longer than anyone waits."""

SECONDS_MAX = 1e9

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
QUORUM_POLICIES = ("majority", "adaptive")
WATCHES = ("auto", "events", "poll")


class WrongValue(ValueError):  # noqa: N818 - it describes the value
    """A value breaks the rule of its key; `problem` reads on from the key's name."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(problem)


Rule = Callable[[object], object]


def shown(value: object) -> str:
    """Return a short text of a value; what can nest or be huge is only named."""
    if isinstance(value, str):
        return value[:STRING_MAX_CHARS]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "a huge number"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if "e" not in short and float(short) == value else repr(value)
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list | tuple) else type(value).__name__


def text(value: object) -> str:
    """A string of one line."""
    if not isinstance(value, str) or not value.strip():
        raise WrongValue("must be a string that is not empty", "write it in quotes")
    if len(value) > STRING_MAX_CHARS or not value.isprintable():
        limit = f"printable, on one line, at most {STRING_MAX_CHARS} characters"
        raise WrongValue("must be an ordinary string", f"write it {limit}")
    return value


def absolute_path(value: object) -> str:
    """A path from the root."""
    path = text(value)
    if not path.startswith("/"):
        # What a shell or a working directory would make of it is not known here.
        guess = f'"/{path}" or another' if path[0] not in "~.$" else "the"
        raise WrongValue("must be an absolute path", f"write {guess} full path")
    return path


def path_or_nothing(value: object) -> str:
    """A path from the root, or the empty string for the default."""
    return "" if value == "" else absolute_path(value)


def relative_path(value: object) -> str:
    """A path that stays below another one."""
    path = text(value).strip("/")
    if not path or ".." in path.split("/") or str(value).startswith("/"):
        raise WrongValue(
            "must be a path below the directory of a node",
            'write it without a "/" before it and without "..", as in "var/mosix-ha"',
        )
    return path


def node(value: object) -> int:
    """The number of a node."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= NODE_MAX:
        digits = node_number(value) if isinstance(value, str) else None
        example = digits or 1
        raise WrongValue(f"must be a node number, 1 to {NODE_MAX}", f"write it as in {example}")
    return value


def nodes(value: object) -> tuple[int, ...]:
    """A list of nodes, each once."""
    if not isinstance(value, list | tuple) or len(value) > NODES_MAX:
        raise WrongValue(f"must be a list of at most {NODES_MAX} nodes", "write [1, 2, 3]")
    found: list[int] = []
    for index, item in enumerate(value, 1):
        try:
            found.append(node(item))
        except WrongValue as wrong:
            problem = f"must be a list of node numbers, but item {index} is {shown(item)!r:.40}"
            raise WrongValue(problem, f"a node is a number from 1 to {NODE_MAX}") from wrong
    if len(set(found)) != len(found):
        twice = next(number for number in found if found.count(number) > 1)
        raise WrongValue(f"must have each node once, but has {twice} again", "remove one of them")
    return tuple(found)


def seconds(value: object) -> float:
    """A number of seconds; `mosha.core.cluster.timing` checks its range."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongValue("must be a number of seconds", _seconds_remedy(value))
    if not -SECONDS_MAX <= value <= SECONDS_MAX:  # NaN too
        raise WrongValue(
            f"must be a number of seconds, at most {number_text(SECONDS_MAX)}", "86400 is a day"
        )
    return float(value)


def _seconds_remedy(value: object) -> str:
    if not isinstance(value, str):
        return "write a number, as in 2.5"
    try:
        return f"write it without quotes or a unit: {number_text(seconds_in(value))}"
    except ValueError:
        return "write it without quotes, as in 2.5"


def whole_number(least: int, most: int) -> Callable[[object], int]:
    """A number without a fraction, within bounds."""

    def rule(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            how = "it without quotes" if isinstance(value, str) else "a number"
            raise WrongValue("must be a whole number", f"write {how}, as in {least}")
        if not least <= value <= most:
            raise WrongValue(f"must be {least} to {most}", "write a number within that")
        return value

    return rule


def yes_or_no(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        how = "it without quotes" if isinstance(value, str) else "true or false"
        raise WrongValue("must be true or false", f"write {how}")
    return value


def one_of(words: tuple[str, ...]) -> Callable[[object], str]:
    """One of a few words."""

    def rule(value: object) -> str:
        if value not in words:
            quoted = ", ".join(f'"{word}"' for word in words)
            meant = nearest(value, words) if isinstance(value, str) else ""
            remedy = meant.strip() or f'write one of them, as in "{words[0]}"'
            raise WrongValue(f"must be one of {quoted}", remedy)
        return str(value)

    return rule


def table(value: object) -> Mapping[str, object]:
    """A table of TOML."""
    if not isinstance(value, Mapping):
        raise WrongValue("must be a table", "write it under a [header] of its own")
    return value


def tables(value: object) -> list[Mapping[str, object]]:
    """A list of tables of TOML."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
        raise WrongValue("must be tables", "write a [[header]] before each")
    if len(value) > TABLES_MAX:
        raise WrongValue(f"must be at most {TABLES_MAX} tables", "remove some")
    return list(value)


def command(value: object) -> tuple[str, ...]:
    """A program and its arguments: a command line as one string, or a list of words.

    A command line is split here, as a shell would: one that cannot be split is a mistake when it is
    read, not when it is needed.
    """
    if isinstance(value, list | tuple):
        if len(value) > NODES_MAX:
            raise WrongValue("has too many arguments", "put them into a script")
        words = tuple(text(item) for item in value)
    elif isinstance(value, str):
        words = _split(text(value))
    else:
        raise WrongValue("must be a string or a list of strings", 'write "/path/of/program"')
    if not words or not words[0].strip():
        raise WrongValue("must name a program", 'write ["/path/of/program", "argument"]')
    if words[0].startswith("#"):
        raise WrongValue("is a comment and names no program", "remove the line, or the '#'")
    return words


def self_fence(value: object) -> str:
    """How a node fences itself: a word, or a command line whose program has a path from the root.

    So a misspelt word is not taken for a command.
    """
    words = (OFF, SYSRQ)
    if isinstance(value, str) and value in words:
        return value
    line = command(value)
    if not line[0].startswith("/"):
        quoted = ", ".join(f'"{word}"' for word in words)
        meant = nearest(line[0], words).strip()
        raise WrongValue(
            f"must be one of {quoted}, or a command with a path from the root",
            meant or 'write "/usr/bin/systemctl reboot --force --force"',
        )
    return shlex.join(line)


def _split(line: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(line))
    except ValueError as error:
        problem = str(error)
        reason = f"cannot be split into words: {problem[:1].lower()}{problem[1:]}"
        remedy = 'close the quote, or write a list, as in ["/path/of/program", "argument"]'
        raise WrongValue(reason, remedy) from error
