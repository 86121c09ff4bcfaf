"""Whose fault an error is: the user's, the host's or ours.

The command line alone turns these into exit codes and text. A `UsageError` or a
`HostError` is shown as its message, without a traceback; a `BugError` keeps it.
"""

from __future__ import annotations


class MoshaError(Exception):
    """The parent of all errors that mosha raises on purpose."""


class UsageError(MoshaError):
    """Something the user wrote is wrong: a file, an option, an argument.

    The message names the place, what is wrong and what would be right.
    """


class HostError(MoshaError):
    """The machine does not give what is needed: cannot bind, fork, read or write."""


class BugError(MoshaError):
    """A broken invariant of mosha itself. The message carries the story of the thing."""
