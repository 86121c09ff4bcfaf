"""Runs clinit with options that its command line does not have.

Each is a process of its own, forked from one that has imported everything: the imports are three
quarters of what a start costs, and two hundred tests start a clinit. That one is the fork server of
`multiprocessing`; what comes from `mosha.cli.clinit` by exec is tested beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import resource
import stat
import sys
from collections.abc import Iterator, Mapping
from multiprocessing import forkserver, resource_tracker, util
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TextIO, cast

from mosha.clinit.daemon import run_clinit
from mosha.clinit.options import SYSRQ_TRIGGER, ClinitOptions
from mosha.core.escalation import Limits
from mosha.errors import MoshaError
from mosha.host import logs
from mosha.host.log_stream import of_stderr
from mosha.host.marks import RLIMIT_LOCKS
from tests import seccomp
from tests.clinit.fake_watchdog import FakeWatchdog
from tests.web.network import enter_network

CONTEXT = multiprocessing.get_context("forkserver")
TEMPORARY = -100
"""The priority at which `multiprocessing` removes its temporary directory."""

PATHS = ("cltab", "socket", "clstat", "state_dir", "watchdog", "sysrq_trigger")


@contextlib.contextmanager
def forking() -> Iterator[None]:
    """Have a fork server that has imported clinit; it is gone afterwards, and so is its tracker."""
    CONTEXT.set_forkserver_preload([__name__, "anyio._backends._asyncio"])
    yield
    # Else both live until this process ends, and would be taken for something left behind.
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]
    # The directory of its socket too.
    util._run_finalizers(TEMPORARY)  # type: ignore[attr-defined]


def start(options: Mapping[str, object], log: Path) -> BaseProcess:
    """Start a clinit that writes its log into a file."""
    given = (json.dumps(options), str(log), dict(os.environ))
    process = CONTEXT.Process(target=_be_clinit, args=given, daemon=True)
    process.start()
    return process


def _be_clinit(text: str, log: str, environ: dict[str, str]) -> None:
    """Be the clinit that the JSON text describes, in a process that has just been forked."""
    os.environ.update(environ)
    for fd, path in ((1, os.devnull), (2, log)):
        opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(opened, fd)
        os.close(opened)
    sys.exit(_run(text))


def _run(text: str) -> int:
    given = json.loads(text)
    if network := given.pop("network", ""):
        enter_network(network)
    refused = given.pop("clone3_refused", 0)  # by a seccomp filter, with this error
    if files := given.pop("open_files", 0):
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (files, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        )
    if locks := given.pop("file_locks", 0):
        resource.setrlimit(RLIMIT_LOCKS, (locks, locks))
    # Not the machine that the tests run on.
    assert given.setdefault("sysrq_trigger", os.devnull) != str(SYSRQ_TRIGGER)
    options: dict[str, Any] = {k: Path(v) if v and k in PATHS else v for k, v in given.items()}
    options["limits"] = Limits(**given.get("limits", {}))
    # Written at once and not by a thread: what has happened is in the log when a test looks.
    # A pipe is another thing: nobody may read it.
    piped = stat.S_ISFIFO(os.fstat(2).st_mode)
    stream = cast("TextIO", of_stderr()) if piped else sys.stderr
    logs.configure(people=False, stream=stream)
    if refused:
        seccomp.refuse(seccomp.CLONE3, refused)
    try:
        return asyncio.run(run_clinit(ClinitOptions(**options), FakeWatchdog))
    except MoshaError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
