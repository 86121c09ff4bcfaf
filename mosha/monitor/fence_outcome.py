"""What one use of a fencing method has come to."""

from __future__ import annotations

from msgspec import Struct

from mosha.core.status import Grade
from mosha.formats.letters import whole


class ShotOutcome(Struct, frozen=True):
    """How a shot ended: `receipt`, `no receipt` or `failed`, by which method, its output.

    `grade` is that of the receipt. `may_be_off`: it has failed, and may all the same have switched
    something off.
    """

    outcome: str
    method: str
    detail: str = ""
    grade: Grade = Grade.LEASE_ELAPSED
    may_be_off: bool = False


def one_line(output: bytes) -> str:
    """Return the output of a program in one line, without the torn characters of a cut."""
    words = whole(output).decode("utf-8", "replace").split()
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(words))


def how_ended(status: int | None, limit_s: float) -> str:
    """Return in words how a program ended; None: not within its limit."""
    if status is None:
        return f"no answer in {limit_s:g} s"
    return f"signal {-status}" if status < 0 else f"exit {status}"


def is_unknown(status: int | None) -> bool:
    """Say whether a program did not come to its own end: nobody knows what it has done."""
    return status is None or status < 0


def why_not_started(error: OSError | ValueError) -> str:
    """Return why a program could not be run; a ValueError is an argument with a NUL byte."""
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    return f"cannot run it: {reason}"
