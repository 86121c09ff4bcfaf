"""Decodes what is typed at a terminal into keys (console_codes(4), xterm's control sequences)."""

from __future__ import annotations

import codecs
from enum import Enum


class Key(Enum):
    """A key that is not a letter."""

    UP = "up"
    DOWN = "down"
    PAGE_UP = "page up"
    PAGE_DOWN = "page down"
    HOME = "home"
    END = "end"
    ENTER = "enter"
    ESCAPE = "escape"
    BACKSPACE = "backspace"


Typed = Key | str
"""A key, or one letter."""

_ESCAPE = "\x1b"
_SEQUENCES = {
    "[A": Key.UP,
    "OA": Key.UP,
    "[B": Key.DOWN,
    "OB": Key.DOWN,
    "[5~": Key.PAGE_UP,
    "[6~": Key.PAGE_DOWN,
    "[H": Key.HOME,
    "OH": Key.HOME,
    "[1~": Key.HOME,
    "[7~": Key.HOME,
    "[F": Key.END,
    "OF": Key.END,
    "[4~": Key.END,
    "[8~": Key.END,
}
_CONTROLS = {"\r": Key.ENTER, "\n": Key.ENTER, "\x7f": Key.BACKSPACE, "\b": Key.BACKSPACE}


class KeyReader:
    """Decodes bytes as they come; an incomplete sequence is kept."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    @property
    def pending(self) -> bool:
        """Whether an escape was read that may be the key itself, or begin a sequence."""
        return bool(self._rest)

    def keys(self, data: bytes) -> list[Typed]:
        """Return the keys that are complete now."""
        self._rest += self._decoder.decode(data)
        found: list[Typed] = []
        while self._rest:
            if self._rest[0] != _ESCAPE:
                letter, self._rest = self._rest[0], self._rest[1:]
                if letter in _CONTROLS or letter.isprintable():
                    found.append(_CONTROLS.get(letter, letter))
                continue
            length = _length(self._rest)
            if length == 0:
                break
            sequence, self._rest = self._rest[1:length], self._rest[length:]
            key = _SEQUENCES.get(sequence) if sequence else Key.ESCAPE
            found += [key] if key else []
        return found

    def late(self) -> list[Typed]:
        """Return the key for an escape that nothing has followed for a while."""
        self._rest = ""
        return [Key.ESCAPE]


def _length(text: str) -> int:
    """Return the length of the sequence at the start of a text, 0 if it is incomplete."""
    if len(text) == 1:
        return 0
    if text[1] == "O":
        return 3 if len(text) > 2 else 0
    if text[1] != "[":
        return 1  # the key, and then another one
    for place, letter in enumerate(text[2:], 2):
        if "@" <= letter <= "~":
            return place + 1
    return 0
