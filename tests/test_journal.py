"""The native protocol of journald, against a socket of our own; tests/systemd has a real one."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from mosha.cli.logs.journal import is_entry, journal_line
from mosha.host import logs
from mosha.host.journal import Journal


@pytest.fixture
def journald(short_dir: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(short_dir / "journal"))
        made.setblocking(False)
        yield made


@pytest.fixture
def journal(short_dir: Path, journald: socket.socket) -> Iterator[Journal]:
    del journald
    made = Journal("clinit", str(short_dir / "journal"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def logging_again() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def fields_of(data: bytes) -> dict[str, str]:
    """Read a datagram: NAME=value, or NAME, its length and a value with line ends."""
    found = {}
    while data:
        head, _, data = data.partition(b"\n")
        name, is_short, value = head.partition(b"=")
        if not is_short:
            (length,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + length], data[9 + length :]
        found[name.decode()] = value.decode()
    return found


def test_people_read_the_sentence_and_programs_find_all_fields_and_the_line(
    journal: Journal, journald: socket.socket, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure(people=False, journal=journal, fields={"node": 3})
    logs.get().warning("group_banned", group="web", reason="a b\nc", nodes=[1, 2], late=True)
    fields = fields_of(journald.recv(1 << 16))
    line = json.loads(fields.pop("MOSHA_JSON"))
    assert fields.pop("MOSHA_TIMESTAMP") == line["timestamp"]
    assert fields == {
        "MESSAGE": "web: group banned reason=a b\\x0ac nodes=[1, 2] late=True",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "clinit",
        "MOSHA_EVENT": "group_banned",
        "MOSHA_LEVEL": "warning",
        "MOSHA_NODE": "3",
        "MOSHA_GROUP": "web",
        "MOSHA_REASON": "a b\nc",
        "MOSHA_NODES": "[1, 2]",
        "MOSHA_LATE": "true",
    }
    assert (line["event"], line["reason"], line["node"]) == ("group_banned", "a b\nc", 3)
    assert capfd.readouterr().err == ""


def test_what_journalctl_prints_of_a_line_is_read_by_mosha_logs(
    journal: Journal, journald: socket.socket
) -> None:
    logs.configure(people=False, journal=journal)
    logs.get().info("output", group="web", text='\udcff "quoted" é\n')
    fields = fields_of(journald.recv(1 << 16))
    printed = json.dumps(fields | {"__REALTIME_TIMESTAMP": "1763807462123456"}).encode()
    assert is_entry(printed)
    assert journal_line(printed).decode() == fields["MOSHA_JSON"]
    assert not is_entry(json.dumps({"text": printed.decode()}).encode())


@pytest.mark.parametrize(
    ("level", "priority"),
    [("info", "6"), ("warning", "4"), ("error", "3"), ("critical", "2")],
)
def test_the_priority_is_that_of_syslog(
    level: str, priority: str, journal: Journal, journald: socket.socket
) -> None:
    logs.configure(people=False, journal=journal)
    getattr(logs.get(), level)("output")
    assert fields_of(journald.recv(1 << 16))["PRIORITY"] == priority


@pytest.mark.parametrize("why", ["gone", "full", "too long"])
def test_what_journald_does_not_take_goes_to_stderr(
    why: str, journal: Journal, journald: socket.socket, capfd: pytest.CaptureFixture[str]
) -> None:
    text = "x"
    if why == "gone":
        journald.close()
    elif why == "full":
        while journal.send("{}"):
            pass
    else:
        text = "x" * (1 << 22)
    logs.configure(people=False, journal=journal)
    logs.get().info("output", text=text)
    assert json.loads(capfd.readouterr().err)["text"] == text


def test_a_field_of_two_lines_cannot_make_up_another_field(
    journal: Journal, journald: socket.socket
) -> None:
    assert journal.send(json.dumps({"group": "web\nPRIORITY=0", "a=b": 1, "x" * 99: 2, "ä": 3}))
    fields = fields_of(journald.recv(1 << 16))
    names = {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "MOSHA_JSON", "MOSHA_GROUP"}
    assert fields.keys() == names
    assert fields["PRIORITY"] == "6"


def test_only_a_stderr_that_leads_to_the_journal_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "stream").open("wb") as stream:
        facts = os.fstat(stream.fileno())
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
        assert Journal.behind(stream.fileno(), "mosha") is None
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{facts.st_ino + 1}")
        assert Journal.behind(stream.fileno(), "mosha") is None
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{facts.st_ino}")
        found = Journal.behind(stream.fileno(), "mosha")
        assert found is not None
        found.close()
