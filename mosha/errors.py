"""Whose fault an error is: the user's, the host's or ours.

The command line alone turns these into exit codes and text. A `UsageError` or a
`HostError` is shown as its message, without a traceback; a `BugError` keeps it.
"""

from __future__ import annotations

import errno

_USED_UP = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})


class MoshaError(Exception):
    """The base of all errors that mosha raises on purpose."""


class UsageError(MoshaError):
    """Something that the user wrote is wrong: a file, an option, an argument.

    The message says where, what is wrong and what would be right.
    """


class HostError(MoshaError):
    """The machine cannot provide what is needed: cannot bind, fork, read or write."""


class BugError(MoshaError):
    """A broken invariant of mosha itself. The message has the history of the object."""


def used_up(error: BaseException) -> HostError | None:
    """Return the error to show if the host has used up its descriptors, processes or memory.

    It may occur anywhere, most of all at a start, and is no bug of ours; else None.
    """
    if not isinstance(error, OSError) or error.errno not in _USED_UP:
        return None
    where = f" ({error.filename})" if error.filename else ""
    return HostError(f"the host has used up what is needed: {error.strerror}{where}")
