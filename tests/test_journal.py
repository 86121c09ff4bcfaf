"""The native protocol of journald, against a socket of our own; tests/systemd has a real one."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from mosha import logs
from mosha.journal import Journal


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
    return dict(line.split("=", 1) for line in data.decode().splitlines())


def test_a_line_goes_to_the_journal_with_its_fields_and_not_to_stderr(
    journal: Journal, journald: socket.socket, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure(people=False, journal=journal, fields={"node": 3})
    logs.get().warning("group_banned", group="web", reason="a b\nc")
    fields = fields_of(journald.recv(1 << 16))
    line = json.loads(fields.pop("MESSAGE"))
    assert fields == {
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "clinit",
        "MOSHA_EVENT": "group_banned",
        "MOSHA_NODE": "3",
        "MOSHA_GROUP": "web",
    }
    assert (line["event"], line["reason"], line["node"]) == ("group_banned", "a b\nc", 3)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("why", ["gone", "full", "too long"])
def test_what_journald_does_not_take_goes_to_stderr(
    why: str, journal: Journal, journald: socket.socket, capfd: pytest.CaptureFixture[str]
) -> None:
    text = "x"
    if why == "gone":
        journald.close()
    elif why == "full":
        while journal.send("{}", {}):
            pass
    else:
        text = "x" * (1 << 22)
    logs.configure(people=False, journal=journal)
    logs.get().info("output", text=text)
    assert json.loads(capfd.readouterr().err)["text"] == text


def test_a_field_of_two_lines_cannot_make_up_another_field(journal: Journal) -> None:
    assert not journal.send("{}", {"group": "web\nPRIORITY=0"})


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
