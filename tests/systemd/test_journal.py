"""`mosha logs` on a real journald: it is found without being named, and followed."""

from __future__ import annotations

import itertools
import json

from tests.systemd.machine import OPT
from tests.systemd.node import CLINIT, MONITOR, Node
from tests.waiting import wait_until

MOSHA = f"{OPT}/bin/mosha"


def events(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_the_journal_is_read_with_the_lines_of_both_daemons_in_order(node: Node) -> None:
    found = events(node.machine.get(MOSHA, "logs", "--journal", "--json"))
    names = {line.get("event") for line in found}
    assert {"clinit_started", "monitor_started", "claim_granted", "entry_started"} <= names
    assert {line.get("unit") for line in found if "unit" in line} >= {MONITOR, CLINIT}
    stamps = [str(line["timestamp"]) for line in found]
    late = [b for a, b in itertools.pairwise(stamps) if b[:19] < a[:19]]
    assert late == []


def test_filters_and_times_hold_for_the_journal(node: Node) -> None:
    words = (MOSHA, "logs", "--journal", "--json", "--event", "claim_*", "--since", "1h")
    found = events(node.machine.get(*words))
    assert found
    assert {str(line["event"]).split("_")[0] for line in found} == {"claim"}


def test_the_journal_itself_knows_groups_events_and_priorities(node: Node) -> None:
    ask = ("journalctl", "-q", "-o", "cat", "--output-fields=MOSHA_JSON")
    started = events(node.machine.get(*ask, "-u", CLINIT, "MOSHA_EVENT=entry_started"))
    assert started
    group = str(started[0]["group"])
    told = events(node.machine.get(*ask, f"MOSHA_GROUP={group}", "-p", "info"))
    assert {line["group"] for line in told} == {group}
    assert not events(node.machine.get(*ask, f"MOSHA_GROUP={group}", "-p", "emerg"))
    assert events(node.machine.get(*ask, "-t", "clinit"))
    assert events(node.machine.get(*ask, "-t", "mosha"))


def test_people_read_sentences_in_the_journal_and_in_systemctl_status(node: Node) -> None:
    said = node.machine.get("journalctl", "-q", "-o", "cat", "-u", CLINIT).splitlines()
    assert any(": group changed " in line for line in said)
    assert [line for line in said if line.startswith("{")] == []
    assert "monitor started" in node.machine.get("systemctl", "status", "-n", "1000", MONITOR)


def test_a_followed_journal_shows_what_comes(node: Node) -> None:
    follow = f"timeout 20 {MOSHA} logs --journal -f --json --event settings_reloaded"
    node.machine.do("systemd-run", "--unit=follower", "sh", "-c", f"{follow} > /followed")
    wait_until(lambda: node.machine.show("follower.service", "ActiveState") == "active", 20)
    node.machine.get("systemctl", "reload", MONITOR)
    wait_until(lambda: '"settings_reloaded"' in node.machine.get("cat", "/followed"), 20)
    assert node.machine.show("follower.service", "ActiveState") == "active"
    node.machine.do("systemctl", "stop", "follower")
