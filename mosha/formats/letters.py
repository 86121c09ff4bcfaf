"""Bytes of UTF-8 that are cut somewhere: between letters, not within one.

What is no UTF-8 is cut where the limit is.
"""

from __future__ import annotations

LETTER_MAX_BYTES = 4


def cut(data: bytes, limit: int) -> int:
    """Return how many of the first `limit` bytes to take, so that no letter is cut in two."""
    if len(data) <= limit:
        return len(data)
    for end in range(limit, max(limit - LETTER_MAX_BYTES, 0), -1):
        if not _goes_on(data[end]):
            return end
    return limit


def whole(data: bytes) -> bytes:
    """Return a piece without what it has of a letter that began before it, or ends after it."""
    start = 0
    while start < min(LETTER_MAX_BYTES - 1, len(data)) and _goes_on(data[start]):
        start += 1
    for end in range(len(data) - 1, max(len(data) - LETTER_MAX_BYTES, start - 1), -1):
        if not _goes_on(data[end]):
            torn = end + _length(data[end]) > len(data)
            return data[start:end] if torn else data[start:]
    return data[start:]


def _goes_on(byte: int) -> bool:
    """Say whether a byte is the second or a later one of its letter."""
    return byte & 0xC0 == 0x80


def _length(first: int) -> int:
    """Return how many bytes a letter has that begins so."""
    return 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
