"""A test process without a free file descriptor, and how many it has open."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator

from mosha.clinit import descriptors


@contextlib.contextmanager
def without_descriptors(*, but_spares: bool = False) -> Iterator[None]:
    """Leave this process no descriptor that is free, or none but those that clinit holds back."""
    before, taken = resource.getrlimit(resource.RLIMIT_NOFILE), []
    held = len(descriptors._spares)
    if but_spares:
        descriptors.hold_spares()
    try:
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
        with contextlib.suppress(OSError):  # those below the lowest free one are taken
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for fd in (*taken, *descriptors._spares[held:]):
            os.close(fd)
        del descriptors._spares[held:]


def open_files() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
