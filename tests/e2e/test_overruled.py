"""Real daemons: what two operators order at one moment, and what the first of them is told."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_verbs import home, say
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("stop", "start", "hactl was changed meanwhile and wants it at start now, not stopped"),
        ("restart", "stop", "is not started again: its claim"),
    ],
)
def test_who_waits_is_told_that_another_operator_has_overruled_the_order(
    patient: Cluster, first: str, second: str, told: str
) -> None:
    patient.write_tables(("a",), cltab="a:a-slow:stop:wait:sleep 2\n")
    patient.start()
    patient.wait_running(("a",))
    owner = home(patient, "a")
    asker, other = 1 + owner % 3, 1 + (owner + 1) % 3
    words = [first, "a", "--wait", "--config", str(patient.nodes[asker].config)]
    with subprocess.Popen(
        [sys.executable, "-m", "mosha", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        try:
            if first == "stop":  # an edit that all nodes have; earlier it would be refused
                assert command.stdout is not None
                assert "now says: a stop" in command.stdout.readline()
            wait_until(lambda: "a" not in patient.places())
            assert say(patient, other, second, "a")[0] == 0
            _, said = command.communicate(timeout=60)
        finally:
            command.kill()
    assert (command.returncode, told in said) == (1, True), said
