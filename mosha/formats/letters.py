"""Cuts UTF-8 bytes between characters, not within one.

Bytes that are not UTF-8 are cut at the limit.
"""

from __future__ import annotations

LETTER_MAX_BYTES = 4


def cut(data: bytes, limit: int) -> int:
    """Return how many of the first `limit` bytes to take, so that no character is split."""
    if len(data) <= limit:
        return len(data)
    for end in range(limit, max(limit - LETTER_MAX_BYTES, 0), -1):
        if not _goes_on(data[end]):
            return end
    return limit


def whole(data: bytes) -> bytes:
    """Return a piece without partial characters at its start and end."""
    start = 0
    while start < min(LETTER_MAX_BYTES - 1, len(data)) and _goes_on(data[start]):
        start += 1
    for end in range(len(data) - 1, max(len(data) - LETTER_MAX_BYTES, start - 1), -1):
        if not _goes_on(data[end]):
            torn = end + _length(data[end]) > len(data)
            return data[start:end] if torn else data[start:]
    return data[start:]


def _goes_on(byte: int) -> bool:
    """Say whether a byte is a continuation byte."""
    return byte & 0xC0 == 0x80


def _length(first: int) -> int:
    """Return how many bytes the character with this first byte has."""
    return 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
