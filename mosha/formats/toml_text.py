"""Parses the lines of a TOML file, with more than the first syntax error.

The standard parser stops at the first. If that is in a line `key = value`, the line is removed and
the rest is parsed again, so that one run of `mosha check` shows all errors.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, NamedTuple

from mosha.core.durations import number_text
from mosha.formats.durations import seconds_in
from mosha.formats.mistakes import Findings

READINGS_MAX = 10
"""How many lines with errors are reported; each costs a parse of the whole file."""

_AT = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_ASSIGNMENT = re.compile(r"""\s*(?:"([^"\\]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*=\s*(.*)""")
_BARE = re.compile(r"""(?!true\b|false\b)([^\s\d"'\[{#+=-][^"'\[\]{}#]*?)\s*(?:#.*)?""")
_SPAN = re.compile(r"(\d[\d.]*[smhdw])\s*(?:#.*)?")
_CURLY_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb"
"""What word processors and web pages make of the quotes of a value."""

_YES_OR_NO = {"true": "true", "yes": "true", "on": "true"} | dict.fromkeys(
    ("false", "no", "off"), "false"
)
_TWICE = "Cannot"
"""How the parser's message about a duplicate key begins."""

TOML_REMEDY = "see https://toml.io for its rules"

Lines = list[tuple[int, str]]


class Parsed(NamedTuple):
    """`values`: what could be parsed, None if nothing. `broken`: keys in removed lines."""

    values: dict[str, Any] | None
    broken: frozenset[str] = frozenset()


def parse_toml(lines: Lines, findings: Findings) -> Parsed:
    """Return the values; syntax errors go to `findings`."""
    texts = [text for _number, text in lines]
    broken: set[str] = set()
    last = -1
    for _ in range(READINGS_MAX):
        try:
            return Parsed(tomllib.loads("\n".join(texts)), frozenset(broken))
        except RecursionError:
            findings.add(0, 0, "", "nested too deeply", "settings need two levels at most")
            return Parsed(None)
        # Besides its own errors the parser lets those of int() through.
        except ValueError as error:
            message, at, column = _place(error, texts)
        # What precedes a removed line is valid, or the line was not the error.
        if at <= last:
            return Parsed(None)
        text = texts[at] if 0 <= at < len(texts) else ""
        number = lines[at][0] if 0 <= at < len(lines) else 0
        findings.add(number, column, text, f"not TOML: {message}", _remedy(text))
        found = _ASSIGNMENT.fullmatch(text)
        if found is None or (_is_toml(text) and not message.startswith(_TWICE)):
            return Parsed(None)  # an earlier line has an open bracket or quote
        broken.add(found[1] or found[2] or found[3])
        texts[at] = ""
        last = at
    return Parsed(None)


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _place(error: ValueError, texts: list[str]) -> tuple[str, int, int]:
    """Return the message, the index of its line and its column; -1 and 0 if it has none."""
    found = _AT.fullmatch(str(error))
    if found is None:
        return str(error), -1, 0
    if found[2]:
        return found[1], int(found[2]) - 1, int(found[3])
    return found[1], len(texts) - 1, len(texts[-1]) + 1 if texts else 0


def _remedy(text: str) -> str:
    """Return what to write instead, where a value was written without its quotes."""
    found = _ASSIGNMENT.fullmatch(text)
    span = _SPAN.fullmatch(found[4]) if found else None
    if found and span:
        return _span_remedy(found[1] or found[2] or found[3], span[1])
    bare = _BARE.fullmatch(found[4]) if found else None
    if found is None or bare is None:
        return TOML_REMEDY
    key, value = found[1] or found[2] or found[3], bare[1]
    if value.lower() in _YES_OR_NO:
        return f"write {key} = {_YES_OR_NO[value.lower()]}"
    straight = value.strip(_CURLY_QUOTES)
    if straight != value:
        return f'write straight quotes: {key} = "{straight}"'
    return f'put it in quotes: {key} = "{value}"'


def _span_remedy(key: str, span: str) -> str:
    """Return what to write for a time with its unit: mosha.toml has seconds."""
    try:
        seconds = seconds_in(span)
    except ValueError:
        return TOML_REMEDY
    return f"write seconds, without a unit: {key} = {number_text(seconds)}"
