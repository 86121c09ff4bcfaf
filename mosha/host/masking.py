"""Keeps secrets out of what a program has written, in whatever form it wrote them.

A program may quote a password for a shell, escape it for a URL or for JSON, or send it in base64;
and a text of which only the end was kept may begin in the middle of one.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = b"***"

PREFIX_MIN_BYTES = 3
"""A text may also end within a secret; fewer bytes of one are no help to anybody."""


class Mask:
    """Replaces secrets. `reach` is how far into a text a secret may go on that began before it."""

    def __init__(self, secrets: Iterable[str], users: Iterable[str] = ()) -> None:
        users = tuple(users)
        forms = {form.encode() for secret in secrets for form in _forms(secret, users)} - {b""}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._forms = longest_first
        self._any = re.compile(b"|".join(map(re.escape, longest_first))) if forms else None
        self.reach = len(longest_first[0]) if forms else 0

    def of(self, text: bytes, *, cut: bool) -> bytes:
        """Return a text without the secrets; `cut`: bytes before it are missing, drop `reach`."""
        if self._any is None:
            return text
        start = self.reach if cut else 0
        pieces: list[bytes] = []
        at = start
        for found in self._any.finditer(text):
            if found.end() > start:
                pieces += [text[at : max(at, found.start())], MASK]
                at = found.end()
        return b"".join([*pieces, self._without_prefix(text[at:])])

    def _without_prefix(self, end: bytes) -> bytes:
        for form in self._forms:
            for length in range(min(len(form), len(end)), PREFIX_MIN_BYTES - 1, -1):
                if end.endswith(form[:length]):
                    return end[:-length] + MASK
        return end


def _forms(secret: str, users: tuple[str, ...]) -> Iterator[str]:
    yield secret
    yield from (shlex.quote(secret), shlex.quote(shlex.quote(secret)))
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (repr(secret)[1:-1], html.escape(secret), html.escape(secret, quote=False))
    for text in (secret, *(f"{user}:{secret}" for user in users)):
        yield base64.b64encode(text.encode()).decode()
