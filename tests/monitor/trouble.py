"""Real trouble for tests: an open that hangs, a mount that is full or goes away, no threads."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

_LIBC = ctypes.CDLL(None, use_errno=True)
_FAN_CLASS_CONTENT, _FAN_CLOEXEC = 0x4, 0x1
_FAN_MARK_ADD, _AT_FDCWD = 0x1, -100
_FAN_OPEN_PERM, _FAN_ONDIR = 0x1_0000, 0x4000_0000


@contextmanager
def hanging(path: Path) -> Iterator[ExitStack]:
    """Make every open of a file or directory hang in the kernel, until the stack is closed.

    fanotify asks for a permission that nobody gives: the nearest thing to a dead server
    that a local file system has.
    """
    group = _LIBC.fanotify_init(_FAN_CLASS_CONTENT | _FAN_CLOEXEC, os.O_RDONLY)
    if group < 0:
        pytest.skip(f"needs fanotify: {os.strerror(ctypes.get_errno())}")
    with ExitStack() as stack:
        stack.callback(os.close, group)
        mask = ctypes.c_uint64(_FAN_OPEN_PERM | _FAN_ONDIR)
        if _LIBC.fanotify_mark(group, _FAN_MARK_ADD, mask, _AT_FDCWD, os.fsencode(path)) < 0:
            pytest.skip(f"needs fanotify permissions: {os.strerror(ctypes.get_errno())}")
        yield stack


def mount(*arguments: object) -> None:
    _run("mount", *arguments)


def unmount(point: Path) -> None:
    _run("umount", point)


def _run(program: str, *arguments: object) -> None:
    path = shutil.which(program, path=os.defpath + ":/usr/sbin:/sbin")
    assert path is not None, f"there is no {program}"
    subprocess.run([path, *map(str, arguments)], check=True)


@contextmanager
def tmpfs(point: Path, size: str = "64k") -> Iterator[Path]:
    """Mount a small file system; it is gone afterwards, if not before."""
    point.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", point)
    try:
        yield point
    finally:
        while os.path.ismount(point):
            unmount(point)


@contextmanager
def no_thread_to_be_had() -> Iterator[None]:
    """Let every start of a thread fail in this process, as beyond pids.max or TasksMax=."""
    before = threading.stack_size(1 << 46)  # more than there are addresses
    try:
        yield
    finally:
        threading.stack_size(before)


@contextmanager
def no_descriptor_to_be_had() -> Iterator[None]:
    """Leave this process without a descriptor for anything new."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    os.close(lowest)
    taken = []
    try:
        while True:
            try:
                taken.append(os.dup(0))
            except OSError:
                break
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
