"""hactl: which group is to run at which level, and where (catalogue H4.3).

A line is ``group level [option=value …]``; `core.wish_options` has the options. A `#` at the
beginning of a word makes the rest of the line a comment. The last line for a group wins. Words
after the level that are not options were always ignored; they still are, with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from mosha.core.replication.judging import HACTL
from mosha.core.tables import STOP_LEVEL, Hactl, Wish, WishEdit
from mosha.core.wish_options import ANY, NAMES, NONE, OPTIONS, ValueKind, option_words
from mosha.errors import UsageError
from mosha.formats.hactl_relations import Line, check_line, check_table
from mosha.formats.hactl_values import READERS, Word
from mosha.formats.mistakes import BLANKS, Findings, Mistake, readable_lines
from mosha.formats.names import NAME_RULE, is_name, nearest

NO_BLANKS = "write it without blanks"
IGNORED = "a word that is ignored"
LEFT_OUT = "prefer names a node that only leaves out"

_OPTION_FORM = f"options are written {' '.join(option.form for option in OPTIONS)}"

_LISTS = {ValueKind.NODES: ("node", ANY), ValueKind.GROUPS: ("group", NONE)}
_EMPTY = {f"{option.name}=": _LISTS[option.kind] for option in OPTIONS if option.kind in _LISTS}

_WORD = re.compile(rf"[^{BLANKS}]+")


def parse_hactl(data: bytes, file: str) -> Hactl:
    """Parse a hactl; `file` is its name in messages.

    Raises:
        Mistakes: with every mistake of the file.
    """
    return read_hactl(data, file)[0]


def read_hactl(data: bytes, file: str) -> tuple[Hactl, tuple[Mistake, ...]]:
    """Read a hactl and what is in it and hardly meant; there the table is called `hactl`.

    Raises:
        Mistakes: with every mistake of the file.
    """
    mistakes, warnings = Findings(file), Findings(HACTL)
    wishes = _read(data, mistakes, warnings)
    mistakes.raise_if_any()
    return Hactl(wishes), warnings.mistakes


def hactl_warnings(
    data: bytes, file: str, others: Collection[str] = frozenset()
) -> tuple[Mistake, ...]:
    """Return what is allowed in a hactl but hardly intended: ignored words, a group twice.

    `others` are groups whose lines are left out of it, for mistakes: hactl names them as well.
    """
    warnings = Findings(file)
    _read(data, Findings(file), warnings, others)
    return warnings.mistakes


def parse_change(words: list[str]) -> WishEdit:
    """Parse a change of a wish from the words of a command line: GROUP LEVEL [option=value …].

    `prefer=any` and `only=any` drop the option.

    Raises:
        Mistakes: columns are those of the words joined by blanks. A word that is not an option
            is a mistake here: no existing use relies on its being ignored.
    """
    line = " ".join(words)
    mistakes, warnings = Findings("command line"), Findings("command line")
    if not words or line.lstrip(BLANKS).startswith("#"):
        mistakes.add(1, 1, line, "no group", "write GROUP LEVEL [option=value ...]")
    found = _read_line(1, line, mistakes, warnings, any_node=True)
    for warning in warnings.mistakes:
        problem = "not an option" if warning.problem == IGNORED else warning.problem
        remedy = _OPTION_FORM if warning.problem == IGNORED else warning.remedy
        mistakes.add(1, warning.column, warning.text, problem, remedy)
    known = {mistake.column for mistake in mistakes.mistakes}
    for word in _said(line)[2:]:
        if word.text in _EMPTY and word.column not in known:
            kind, dropped = _EMPTY[word.text]
            remedy = f"write {word.text}{dropped} to drop the option"
            mistakes.add(1, word.column, word.text, f"names no {kind}", remedy)
    mistakes.raise_if_any()
    if found is None:
        raise UsageError("no group given; write GROUP LEVEL [option=value ...]")
    said = {word.text.partition("=")[0] for word in _said(line)[2:]}
    return WishEdit(
        found.wish, frozenset(option.field for option in OPTIONS if option.name in said)
    )


def parse_wish(words: list[str]) -> Wish:
    """Parse a whole wish from words as `parse_change` does, with defaults for the rest."""
    return parse_change(words).wish


def render_hactl(hactl: Hactl) -> str:
    """Return a hactl as text, a line per wish, in their order."""
    return "".join(f"{render_wish(wish)}\n" for wish in hactl.wishes.values())


def render_wish(wish: Wish) -> str:
    """Return one wish as a line without its end; options at their defaults are left out."""
    return " ".join((wish.group, wish.level, *option_words(wish)))


def set_wish(text: str, wish: Wish) -> str:
    """Return the text of a hactl with `wish` in force for its group.

    The effective line (the last one of the group) is replaced, or else one is appended. All other
    lines stay byte for byte; the replaced line keeps its leading blanks, its comment and its line
    end. A line that already has the wish stays too.

    Raises:
        UsageError: the group or the level is not a name: the line could not be parsed again.
    """
    for word, name in (("group", wish.group), ("level", wish.level)):
        if not is_name(name):
            raise UsageError(f"not the name of a {word}: {name!r}; {NAME_RULE}")
    lines = text.split("\n")
    last = max((i for i, line in enumerate(lines) if hactl_group(line) == wish.group), default=-1)
    if last < 0:
        return _append(text, render_wish(wish))
    lines[last] = _replace(lines[last], wish)
    return "\n".join(lines)


def _append(text: str, line: str) -> str:
    end = "\r\n" if text.endswith("\r\n") else "\n"
    missing = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{missing}{line}{end}"


def _replace(line: str, wish: Wish) -> str:
    mistakes = Findings("")
    said = _read_line(wish.line, line, mistakes, mistakes)
    if said is not None and said.wish == wish and not mistakes.total:
        return line
    body = line.rstrip(BLANKS)
    blanks_before = body[: len(body) - len(body.lstrip(BLANKS))]
    end = "\r" if line.endswith("\r") else ""
    note = next((word for word in _words(body) if word.text.startswith("#")), None)
    comment = f" {body[note.column - 1 :]}" if note else ""
    return f"{blanks_before}{render_wish(wish)}{comment}{end}"


def _read(
    data: bytes, mistakes: Findings, warnings: Findings, others: Collection[str] = frozenset()
) -> dict[str, Wish]:
    lines: dict[str, Line] = {}
    for number, text in readable_lines(data, mistakes):
        line = _read_line(number, text, mistakes, warnings)
        if line is None:
            continue
        group = line.wish.group
        earlier = lines.pop(group, None)
        if earlier is not None:
            problem = f"this line wins over line {earlier.wish.line} of the same group"
            warnings.add(number, 1, group, problem, "keep one line for each group")
        lines[group] = line
    check_table(lines, mistakes, warnings, others)
    return {group: line.wish for group, line in lines.items()}


def _read_line(
    number: int, line: str, mistakes: Findings, warnings: Findings, *, any_node: bool = False
) -> Line | None:
    words = _said(line)
    if not words:
        return None
    before = mistakes.total
    group = words[0]
    if len(words) == 1:  # H4.4
        first, _, level = group.text.replace(":", "=", 1).partition("=")
        guess, level = first or "GROUP", level if is_name(level) else "start"
        others = f", or '{guess} stop'" if level != STOP_LEVEL else ""
        remedy = f"write '{guess} {level}'{others}, with a blank between"
        mistakes.add(number, group.column, group.text, "group without level", remedy)
        return None
    for kind, word in (("group", group), ("level", words[1])):
        if not is_name(word.text):
            mistakes.add(number, word.column, word.text, f"not the name of a {kind}", NAME_RULE)
    options = _read_options(number, words[2:], mistakes, warnings)
    values = {
        option.field: READERS[option.kind](number, options[option.name], mistakes, any_node)
        for option in OPTIONS
        if option.name in options
    }
    if mistakes.total > before:
        return None
    found = Line(Wish(group.text, words[1].text, line=number, **values), options)
    check_line(found, mistakes)
    if mistakes.total > before:
        return None
    _warn(found, warnings)
    return found


def _warn(line: Line, warnings: Findings) -> None:
    """Add what is allowed in a line but hardly intended."""
    wish, number, options = line.wish, line.wish.line, line.options
    if wish.only and not set(wish.prefer) <= set(wish.only):
        at = options["prefer"]
        warnings.add(number, at.column, at.text, LEFT_OUT, "name it in only=, too, or in neither")
    ladder = wish.on_failure
    if ladder is not None and ladder.moves == 0 and not ladder.stops:
        at = options["on-failure"]
        problem = "nothing follows the restarts: the group stays, as with stay"
        warnings.add(number, at.column, at.text, problem, "add move, stop or both")
    if ladder is not None and ladder.moves != 0 and wish.on_all:
        at = options["on-failure"]
        problem = "with on=all there is no other node to move to"
        warnings.add(number, at.column, at.text, problem, "write restart:N/TIME,stop")
    elif ladder is not None and ladder.moves != 0 and len(wish.only) == 1:
        at = options["on-failure"]
        problem = "only= leaves no other node to move to"
        warnings.add(number, at.column, at.text, problem, "name another node in only=, or drop one")


def _read_options(
    number: int, words: list[Word], mistakes: Findings, warnings: Findings
) -> dict[str, Word]:
    """Return the value of each option with its column; values are not checked yet."""
    options: dict[str, Word] = {}
    for word in _without_spaced(number, words, mistakes):
        key, equals, value = word.text.partition("=")
        if not equals:  # H4.3, HC-07
            remedy = "remove it, or put a '#' before it"
            if word.text.startswith(","):
                remedy = f"{NO_BLANKS}, or {remedy}"
            warnings.add(number, word.column, word.text, IGNORED, remedy)
        elif key not in NAMES:
            remedy = f"{nearest(key, NAMES)}the options are {', '.join(NAMES)}"
            mistakes.add(number, word.column, word.text, "unknown option", remedy)
        elif key in options:
            mistakes.add(number, word.column, word.text, f"{key} is given twice", "keep one")
        else:
            options[key] = Word(value, word.column + len(key) + 1)
    return options


def _without_spaced(number: int, words: list[Word], mistakes: Findings) -> list[Word]:
    """Return the words without options that have blanks around their `=` or `,`: mistakes.

    A list that goes on with a word `,3` is none: that word was always ignored.
    """
    left: list[Word] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        joined, parts = word.text, [word.text]
        while (
            rest
            and joined.partition("=")[0] in NAMES
            and _goes_on(joined, rest[0].text, spaced=len(parts) > 1)
        ):
            parts.append(rest.pop(0).text)
            joined += parts[-1]
        if len(parts) == 1:
            left.append(word)
        else:
            text, problem = " ".join(parts), "blanks within an option"
            mistakes.add(number, word.column, text, problem, f"{NO_BLANKS}: {joined}")
    return left


def _goes_on(joined: str, following: str, *, spaced: bool) -> bool:
    """Say whether a word belongs to the option before it; `spaced`: another one does already."""
    if "=" not in joined:
        return following.startswith("=")
    if following in NAMES or "=" in following:
        return False
    return joined.endswith(("=", ",")) or (spaced and following.startswith(","))


def _words(line: str) -> list[Word]:
    return [Word(found.group(), found.start() + 1) for found in _WORD.finditer(line)]


def _said(line: str) -> list[Word]:
    """Return the words of a line before its comment."""
    words = _words(line)
    for index, word in enumerate(words):
        if word.text.startswith("#"):
            return words[:index]
    return words


def hactl_group(line: str) -> str:
    """Return the group of a line, "" for a remark."""
    words = _said(line)
    return words[0].text if words else ""
