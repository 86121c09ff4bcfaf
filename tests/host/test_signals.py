"""Signals of a daemon do not depend on its parent."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A fencing command that fails must not be taken for one that has succeeded.
CHILD = """
import signal, subprocess
from mosha.host import signals
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
{}
print(subprocess.run(["/bin/sh", "-c", "exit 7"]).returncode)
"""
STATE = """
import signal
from mosha.host import signals
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
signals.reset()
signal.raise_signal(signal.SIGHUP)
ignored = [n for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN]
print(sorted(map(int, ignored)), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def output_of(program: str) -> str:
    run = [sys.executable, "-P", "-c", program]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(("reset", "status"), [("", "0"), ("signals.reset()", "7")])
def test_an_ignored_sigchld_hides_exit_statuses_until_it_is_reset(reset: str, status: str) -> None:
    assert output_of(CHILD.format(reset)) == status


def test_nothing_is_blocked_or_ignored_but_what_python_ignores_and_sighup_does_not_kill() -> None:
    assert output_of(STATE) == "[13, 25] set()"
