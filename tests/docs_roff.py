"""Markdown into roff, as man pages are written (man(7)): what the pages of this manual use.

Whatever it does not know raises: a page that says something new must not lose it silently.
A table becomes a list of its first column, since three columns of sentences cannot be read in
80 characters.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

LITERAL_WIDTH = 67
"""What fits into a line of an example: 78, less the indentation of text and of the example."""

NARROW_WIDTH = 4
"""A column of nothing longer is told in brackets."""

SOURCE_WIDTH = 78

PLAIN_COLUMNS = ("meaning", "value", "what it is", "what it may be", "how it comes about", "reply")
"""Columns that need no name before what they say."""

COLUMNS_OF_THE_TERM = {"default": " (default: {})", "value": ": {}"}
"""Columns that are told beside the first one."""

PRINTED_KINDS = ("text", "console")
"""Kinds of examples that are what a program prints."""

Linked = Callable[[str, str], str]
"""What the text of a link and its target become, in Markdown without links."""

_SPECIAL = {"\\": "\\e", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}
_SPECIAL_IN_CODE = _SPECIAL | {"-": "\\-", "'": "\\(aq"}
_SENTENCE_END = re.compile(r"(?<=[.?!]) (?=[A-Z\\])")
_MARKDOWN = MarkdownIt("commonmark").enable("table")


def parsed(markdown: str) -> SyntaxTreeNode:
    """Return the tree of a text."""
    return SyntaxTreeNode(_MARKDOWN.parse(markdown))


def roff(markdown: str, linked: Linked) -> str:
    """Return the body of a man page; a heading of level 2 is a section, one of 3 a part of it."""
    lines = [line for node in parsed(markdown).children for line in _Page(linked).block(node)]
    after_heading = (before.startswith((".SH", ".SS")) for before in ("", *lines))
    kept = (
        line
        for line, after in zip(lines, after_heading, strict=False)
        if not (after and line == ".PP")  # the heading makes the paragraph
    )
    return "\n".join(kept) + "\n"


def escaped(text: str, *, code: bool = False) -> str:
    """Return a text as roff; in code no character becomes a nicer one."""
    special = _SPECIAL_IN_CODE if code else _SPECIAL
    made = "".join(
        special.get(char, char if char.isascii() else f"\\[u{ord(char):04X}]") for char in text
    )
    return made if code else made.replace(" - ", " \\- ")


class _Page:
    """The blocks of a page, as lines of roff."""

    def __init__(self, linked: Linked) -> None:
        self._linked = linked

    def block(self, node: SyntaxTreeNode, *, first: bool = False) -> Iterator[str]:
        """Yield a block; the first one of a list's item stands beside its mark."""
        if node.type == "heading":
            yield from self._heading(node)
        elif node.type == "paragraph":
            yield from () if first else (".PP",)
            yield from self._text(node.children[0])
        elif node.type == "fence":
            yield from _literal(node)
        elif node.type in ("bullet_list", "ordered_list"):
            yield from self._list(node)
        elif node.type == "blockquote":
            yield ".RS 4"
            for child in node.children:
                yield from self.block(child)
            yield ".RE"
        elif node.type == "table":
            yield from self._table(node)
        elif node.type != "html_block":  # a comment
            raise ValueError(f"no roff for {node.type}: {node.content!r}")

    def _heading(self, node: SyntaxTreeNode) -> Iterator[str]:
        text, macro = plain(node), {"h2": ".SH", "h3": ".SS"}[node.tag]
        text = escaped(text.upper() if node.tag == "h2" else text)
        yield macro + ' "' + text.replace('"', "\\(dq") + '"'

    def _list(self, node: SyntaxTreeNode) -> Iterator[str]:
        for number, item in enumerate(node.children, 1):
            ordered = node.type == "ordered_list"
            yield f'.IP "{number}." 4' if ordered else ".IP \\(bu 2"
            for place, child in enumerate(item.children):
                nested = child.type != "paragraph"
                yield from (".RS",) if nested else (".IP",) if place else ()
                yield from self.block(child, first=not nested)
                yield from (".RE",) if nested else ()

    # --- tables --------------------------------------------------------------------------

    def _table(self, node: SyntaxTreeNode) -> Iterator[str]:
        first, *rows = (
            [cell.children[0] for cell in row.children]
            for part in node.children
            for row in part.children
        )
        heads = [plain(cell) for cell in first]
        narrow = [
            head
            for n, head in enumerate(heads)
            if all(len(plain(row[n])) <= NARROW_WIDTH for row in rows)
        ]
        for row in rows:
            cells = dict(zip(heads[1:], (self._inline(cell) for cell in row[1:]), strict=True))
            term = self._inline(row[0])
            for column, form in COLUMNS_OF_THE_TERM.items():
                if column in cells and len(cells) > 1:
                    told = cells.pop(column)
                    term += form.format(told) if told else ""
            if term:
                yield from (".TP 7", _guarded(term))
            else:
                yield ".br"  # one more of the row above
            for place, text in enumerate(_told(cells, narrow)):
                yield from (".br",) if place else ()
                yield from wrapped(text)

    # --- text ----------------------------------------------------------------------------

    def _text(self, node: SyntaxTreeNode) -> Iterator[str]:
        return wrapped(self._inline(node))

    def _inline(self, node: SyntaxTreeNode, font: str = "R") -> str:
        return "".join(self._span(child, font) for child in node.children)

    def _span(self, node: SyntaxTreeNode, font: str) -> str:
        if node.type == "text":
            return escaped(node.content)
        if node.type in ("softbreak", "hardbreak"):
            return " "
        if node.type == "code_inline":
            return _in_font("B", escaped(node.content.strip(), code=True), font)
        if node.type == "strong":
            return _in_font("B", self._inline(node, "B"), font)
        if node.type == "em":
            return _in_font("I", self._inline(node, "I"), font)
        if node.type == "link":
            return self._link(node, font)
        raise ValueError(f"no roff for {node.type}: {node.content!r}")

    def _link(self, node: SyntaxTreeNode, font: str) -> str:
        text = plain(node)
        told = self._linked(text, str(node.attrs["href"]))
        if not told.startswith(text):
            return self._inline(parsed(told).children[0].children[0], font)
        after = parsed(f".{told.removeprefix(text)}").children[0].children[0]
        return self._inline(node, font) + self._inline(after, font).removeprefix(".")


def plain(node: SyntaxTreeNode) -> str:
    """Return the text of a node without its marks."""
    if node.type in ("softbreak", "hardbreak"):
        return " "
    return node.content if not node.children else "".join(plain(child) for child in node.children)


def wrapped(text: str) -> Iterator[str]:
    """Yield lines of a bearable length, a sentence beginning a new one, none taken for a macro."""
    for sentence in _SENTENCE_END.split(text):
        lines = textwrap.wrap(
            sentence, SOURCE_WIDTH, break_long_words=False, break_on_hyphens=False
        )
        yield from (_guarded(line) for line in lines)


def _told(cells: Mapping[str, str], narrow: Sequence[str]) -> Sequence[str]:
    """Return what a row says after its first cell, as lines."""
    plain_ones = [text for head, text in cells.items() if head in PLAIN_COLUMNS and text]
    named = {head: text for head, text in cells.items() if head not in PLAIN_COLUMNS and text}
    beside = "".join(f" ({escaped(head)}: {named.pop(head)})" for head in narrow if head in named)
    lines = [f"{escaped(head[:1].upper() + head[1:])}: {text}" for head, text in named.items()]
    return [*(text + beside for text in plain_ones[:1]), *plain_ones[1:], *lines]


def _in_font(font: str, text: str, outside: str) -> str:
    return text if font == outside else f"\\f{font}{text}\\f{outside}"


def _guarded(line: str) -> str:
    return f"\\&{line}" if line.startswith((".", "'")) else line


def _literal(node: SyntaxTreeNode) -> Iterator[str]:
    lines = (part for line in node.content.rstrip("\n").split("\n") for part in _folded(line, node))
    yield from (".PP", ".RS 4", ".EX")
    yield from (_guarded(escaped(line, code=True)) for line in lines)
    yield from (".EE", ".RE")


def _folded(line: str, node: SyntaxTreeNode) -> Sequence[str]:
    """Return a line of an example in pieces that fit: of output anywhere, of shell after a pipe."""
    indentation = " " * (len(line) - len(line.lstrip()) + 4)
    if len(line) <= LITERAL_WIDTH:
        return (line,)
    if node.info in PRINTED_KINDS:
        return textwrap.wrap(
            line, LITERAL_WIDTH, subsequent_indent=indentation, break_on_hyphens=False
        )
    before, pipe, after = line[:LITERAL_WIDTH].rpartition(" | ")
    return (f"{before} |", indentation + after + line[LITERAL_WIDTH:]) if pipe else (line,)


def head_of(title: str, section: int, fields: Mapping[str, str]) -> str:
    """Return the first lines of a man page; `fields` are its date, source and manual."""
    quoted = " ".join(f'"{fields[name]}"' for name in ("date", "source", "manual"))
    return f'\'\\" t\n.nr HY 0\n.TH "{title.upper()}" {section} {quoted}\n.nh\n.ad l\n'
