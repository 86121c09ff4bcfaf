"""The screen of `mosha status --watch`, as lines: problems first, whatever the size.

    the verdict                                    always
    problems, groups, bans …                       as much as there is room, scrolled by keys
    nodes, quorum, lease                           always
    the keys, or the filter                        where there is room, and while it is typed

Groups with problems come before those that are well.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.text import Text

from mosha.cli.status.groups import grid
from mosha.cli.status.keys import Key, Typed
from mosha.cli.status.layout import OLD, TITLE, plain
from mosha.cli.status.nodes import lease_line, nodes_grid, nodes_in_words, quorum_line
from mosha.cli.status.page import items_of, sections, troubles, verdict
from mosha.formats.hastat import Report

ROOMY_LINES = 16
"""From this height on there are blank lines, and long sentences may take two lines."""

FILTER_MAX_CHARS = 60

KEYS = "arrows PgUp PgDn Home End: scroll   /: filter by name (Esc: all)   q: quit"


class ScreenView(Struct):
    """What the reader has chosen. `page` is how many lines PgUp and PgDn scroll."""

    offset: int = 0
    filter: str = ""
    typing: bool = False
    help: bool = False
    quit: bool = False
    page: int = 10

    def take(self, key: Typed) -> None:
        """Apply a key."""
        if self.typing:
            self._type(key)
        elif key in _STEPS:
            lines, pages = _STEPS[key]
            self.offset = max(self.offset + lines + pages * self.page, 0)
        elif key == "/":
            self.typing, self.help = True, False
        elif key is Key.ESCAPE:
            self.filter, self.help = "", False
        elif key == "?":
            self.help = not self.help
        elif key == "q":
            self.quit = True

    def _type(self, key: Typed) -> None:
        if key is Key.ENTER:
            self.typing = False
        elif key is Key.ESCAPE:
            self.typing, self.filter = False, ""
        elif key is Key.BACKSPACE:
            self.typing, self.filter = bool(self.filter), self.filter[:-1]
        elif isinstance(key, str) and len(self.filter) < FILTER_MAX_CHARS:
            self.filter, self.offset = self.filter + key, 0


_ALL = 1 << 30
_STEPS: Mapping[Typed, tuple[int, int]] = {
    Key.UP: (-1, 0),
    "k": (-1, 0),
    Key.DOWN: (1, 0),
    "j": (1, 0),
    Key.PAGE_UP: (0, -1),
    "b": (0, -1),
    Key.PAGE_DOWN: (0, 1),
    " ": (0, 1),
    Key.HOME: (-_ALL, 0),
    "g": (-_ALL, 0),
    Key.END: (_ALL, 0),
    "G": (_ALL, 0),
}
"""By how many lines, and by how many pages."""


class Body(Struct, frozen=True):
    """The scrolled part; the heads of the table at `table` stay while its rows are shown."""

    lines: list[Text]
    table: range
    shown: int
    groups: int


def shape(report: Report) -> object:
    """Return the part of a report whose changes matter: all but ages, counts and times."""
    return (
        (report.quorum.has, report.quorum.seen, report.quorum.needed, bool(report.margin.warning)),
        [(it.kind, it.subjects) for it in report.problem_list] or report.problems,
        [
            (
                *(view.group, view.wanted, view.ok),
                [
                    (i.node, i.level, i.state, i.claim_term, [(t.tag, t.kind) for t in i.troubles])
                    for i in view.instances
                ],
                [ban.node for ban in view.bans],
            )
            for view in report.groups
        ],
        [
            (
                *(n.node, n.state, bool(n.late), n.standby, n.cut_off, n.confirmed),
                *(n.silent, n.error, n.refused),
            )
            for n in report.nodes
        ],
        [(shot.node, shot.method, shot.outcome) for shot in report.shots],
        report.refused,
    )


def body(report: Report, console: Console, wanted: str) -> Body:
    """Return the scrolled part of a report, with the groups that have `wanted` in their name."""
    word = wanted.lower()
    groups = [view for view in report.groups if word in view.group.lower()]
    found = [
        it for it in troubles(report) if not it.groups or any(word in g.lower() for g in it.groups)
    ]
    lines = [line for item in items_of(found) for line in item.lines(console, console.width)]
    first = last = 0
    if groups:
        lines += [Text()] if lines or console.height >= ROOMY_LINES else []
        first = len(lines)
        groups.sort(key=lambda view: view.ok)
        lines += grid(report, groups, console.width).as_lines(console.width)
        last = len(lines)
    part = msgspec.structs.replace(report, groups=groups)
    for title, told in sections(part):
        lines += [Text(), title]
        lines += [line for text in told for line in plain(text).lines(console, console.width)]
    return Body(lines, range(first, last), len(groups), len(report.groups))


def screen(
    report: Report, scrolled: Body, view: ScreenView, console: Console, doubt: Text | None = None
) -> list[Text]:
    """Return a screen full of lines; the choices in `view` are brought within bounds.

    Args:
        report: what is shown.
        scrolled: the scrolled part of it.
        view: what the reader has chosen.
        console: gives the size of the screen.
        doubt: why the report may be out of date; then the rest is grey.
    """
    width, height = console.size
    top = [_cut(line, width) for line in verdict(report, width).split("\n")]
    below = _standing(report, console)
    if height < ROOMY_LINES:
        top = top[:1]
    else:
        below.insert(0, Text())
    head = _folded(doubt, console, 2 if height >= ROOMY_LINES else 1) if doubt is not None else []
    room = height - len(head) - len(top) - len(below)
    keyed = room > 1 or view.typing
    shown = _window(scrolled, view, max(room - keyed, 0))
    lines = [*top, *shown, *below]
    if doubt is not None:
        lines = [Text(line.plain, OLD, no_wrap=True) for line in lines]
    lines = [*head, *lines][: height - keyed]
    return [*lines, _cut(_last_line(scrolled, view), width)] if keyed else lines


def _window(scrolled: Body, view: ScreenView, room: int) -> list[Text]:
    """Return `room` lines of the scrolled part, from where the reader is."""
    view.page = max(room - 2, 1)
    view.offset = max(min(view.offset, len(scrolled.lines) - room), 0)
    shown = scrolled.lines[view.offset : view.offset + room]
    if shown and view.offset in scrolled.table:
        shown[0] = scrolled.lines[scrolled.table.start]
    return [*shown, *(Text() for _ in range(room - len(shown)))]


def _standing(report: Report, console: Console) -> list[Text]:
    """Return nodes, quorum and lease: in a table if there are few nodes, else in words."""
    width, height = console.size
    roomy = height >= ROOMY_LINES
    if len(report.nodes) + 1 <= height // 4:
        lines = nodes_grid(report).as_lines(width)
    else:
        most = max(height // 8, 1)
        lines = _folded(nodes_in_words(report, most * (width - 2)), console, most)
    lines += _folded(quorum_line(report), console, 2 if roomy else 1)
    if lease := lease_line(report):
        lines.append(_cut(lease, width))
    return lines


def _last_line(scrolled: Body, view: ScreenView) -> Text:
    if view.typing:
        return Text.assemble(("/", TITLE), view.filter, "_")
    if view.help:
        return Text(KEYS, OLD)
    first, count = view.offset + 1, len(scrolled.lines)
    last = min(view.offset + view.page + 2, count)
    text = f"lines {first}-{last} of {count}   " if count > last or view.offset else ""
    if view.filter:
        text += f"{scrolled.shown} of {scrolled.groups} groups have '{view.filter}'   Esc: all   "
    return Text(f"{text}?: keys   /: filter   q: quit", OLD)


def _folded(text: Text, console: Console, most: int) -> list[Text]:
    """Return a text in at most `most` lines."""
    lines = list(text.wrap(console, console.width))
    if len(lines) > most:
        rest = Text(" ").join(lines[most - 1 :])
        lines = [*lines[: most - 1], _cut(rest, console.width)]
    return [_cut(line, console.width) for line in lines]


def _cut(line: Text, width: int) -> Text:
    made = line.copy()
    made.rstrip()
    made.truncate(width, overflow="ellipsis")
    made.no_wrap, made.overflow = True, "ignore"
    return made
