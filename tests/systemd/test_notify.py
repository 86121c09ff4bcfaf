"""What is told to a service manager, without one: a socket that listens."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mosha.cli.commands.install_units import UNITS, command, unit_text
from mosha.host import notify

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, short_dir: Path) -> Iterator[tuple[str, socket.socket]]:
    """An address as in $NOTIFY_SOCKET, and what listens there."""
    abstract = f"@mosha-test-{secrets.token_hex(8)}"
    address = abstract if request.param == "abstract" else str(short_dir / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1))
        listener.setblocking(False)
        yield address, listener


def heard(listener: socket.socket) -> list[str]:
    """Return the lines of the oldest datagram that waits."""
    return listener.recv(4096).decode().split("\n")


def test_ready_is_heard_with_its_status_in_one_line(manager: tuple[str, socket.socket]) -> None:
    address, listener = manager
    notifier = notify.take({"NOTIFY_SOCKET": address})
    assert notifier.ready("all\nis well")
    assert heard(listener) == ["READY=1", "STATUS=all is well"]


def test_a_status_is_told_once_until_it_changes(manager: tuple[str, socket.socket]) -> None:
    address, listener = manager
    notifier = notify.take({"NOTIFY_SOCKET": address})
    for text in ("a", "a", "b"):
        notifier.status(text)
    assert [heard(listener), heard(listener)] == [["STATUS=a"], ["STATUS=b"]]
    with pytest.raises(BlockingIOError):
        heard(listener)


def test_a_reload_and_the_end_are_told(manager: tuple[str, socket.socket]) -> None:
    address, listener = manager
    notifier = notify.take({"NOTIFY_SOCKET": address})
    notifier.reloading()
    first, second = heard(listener)
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")
    notifier.stopping("bye")
    assert heard(listener) == ["STOPPING=1", "STATUS=bye"]


def test_the_watchdog_is_fed_and_changed_where_there_is_one(
    manager: tuple[str, socket.socket],
) -> None:
    address, listener = manager
    environ = {"NOTIFY_SOCKET": address, **notify.watchdog_environment(3.0)}
    notifier = notify.take(environ)
    assert notifier.watchdog_s == 3.0
    notifier.alive()
    notifier.watch(3.0)
    notifier.watch(1.5)
    assert [heard(listener), heard(listener)] == [["WATCHDOG=1"], ["WATCHDOG_USEC=1500000"]]


@pytest.mark.parametrize(
    "more", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}]
)
def test_a_watchdog_of_somebody_else_is_not_fed(
    manager: tuple[str, socket.socket], more: dict[str, str]
) -> None:
    address, listener = manager
    notifier = notify.take({"NOTIFY_SOCKET": address, **more})
    assert notifier.watchdog_s is None
    notifier.alive()
    notifier.watch(1.0)
    with pytest.raises(BlockingIOError):
        heard(listener)


def test_what_was_taken_is_not_there_for_children() -> None:
    environ = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getpid())}
    notify.take(environ)
    assert environ == {}


@pytest.mark.parametrize("address", ["", "vsock:2:1", "relative"])
def test_without_a_socket_nothing_is_told(address: str) -> None:
    notifier = notify.take({"NOTIFY_SOCKET": address})
    assert not notifier.heard
    assert not notifier.ready("x")


def test_a_manager_that_went_away_or_does_not_read_stops_nobody(short_dir: Path) -> None:
    assert not notify.take({"NOTIFY_SOCKET": str(short_dir / "gone")}).ready("x")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(short_dir / "s"))
        notifier = notify.take({"NOTIFY_SOCKET": str(short_dir / "s")})
        assert not all(notifier.ready("x") for _ in range(10_000))


# --- install-units -----------------------------------------------------------------------------


def test_units_are_written_once_and_name_the_program_and_the_settings(tmp_path: Path) -> None:
    words = ["--root", str(tmp_path), "--prefix", "/srv/mosha", "--config", "/srv/m%.toml"]
    first = CliRunner().invoke(command, words, catch_exceptions=False)
    again = CliRunner().invoke(command, words, catch_exceptions=False)
    assert first.output.count("written ") == again.output.count("unchanged ") == len(UNITS)
    for name in UNITS:
        text = (tmp_path / "etc/systemd/system" / name).read_text()
        assert "\nExecStart=/srv/mosha/bin/mosha " in text
        assert "\nEnvironment=MOSHA_CONFIG=/srv/m%%.toml\n" in text
        assert "/usr/local/bin" not in text


def test_a_path_that_a_unit_cannot_hold_is_refused(tmp_path: Path) -> None:
    words = ["--root", str(tmp_path), "--prefix", "/srv/my mosha"]
    said = CliRunner().invoke(command, words)
    assert said.exit_code != 0
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize("name", UNITS)
def test_the_units_in_conf_are_those_that_are_installed(name: str) -> None:
    text = (ROOT / "conf" / name).read_text()
    assert text == unit_text(name, Path("/usr/local/bin/mosha"), Path("/etc/mosha/mosha.toml"))
