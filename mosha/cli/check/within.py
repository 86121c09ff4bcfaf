"""Queries to a file system that may hang: made in a thread that is abandoned if they do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

ANSWER_LIMIT_S = 5.0
"""A healthy file system answers within milliseconds, a hung one never."""

T = TypeVar("T")


def within(question: Callable[[], T], otherwise: T, limit_s: float = ANSWER_LIMIT_S) -> T:
    """Return the answer, or `otherwise` if there is none within `limit_s`."""
    answers: list[T] = []
    asker = threading.Thread(target=lambda: answers.append(question()), daemon=True)
    asker.start()
    asker.join(limit_s)
    return answers[0] if answers else otherwise
