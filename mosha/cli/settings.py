"""Reads the settings for a command, and reports every mistake in them."""

from __future__ import annotations

import click

from mosha.cli.config import config_path, read_bytes
from mosha.formats.mistakes import Mistakes
from mosha.formats.names import nearest
from mosha.formats.settings import Settings, SettingsReading, parse_settings, read_settings

OF_THE_SOCKET = frozenset({"rundir", "varpath"})
"""The settings that give the monitor's socket."""


def load_settings(given: str | None) -> Settings:
    """Return the settings of `--config FILE`, or of the default places, or the defaults.

    Raises:
        UsageError: no such file, or mistakes in it: all of them.
        HostError: it cannot be read.
    """
    path = config_path(given)
    return Settings() if path is None else parse_settings(read_bytes(path), str(path))


def settings_to_ask(given: str | None) -> Settings:
    """Return the settings with which to ask this node's running monitor.

    A monitor keeps the settings that it started with: later mistakes in the file are reported,
    and the monitor is asked nevertheless, if the file gives its socket.

    Raises:
        UsageError: no such file, or mistakes in it and no monitor on the socket that it gives.
        HostError: it cannot be read.
    """
    path = config_path(given)
    if path is None:
        return Settings()
    reading = read_settings(read_bytes(path), str(path))
    if not reading.total:
        return reading.settings
    mistakes = Mistakes(reading.mistakes, reading.total)
    if not _says_where(reading):
        raise mistakes
    text = "asking the running monitor all the same: it keeps its former settings"
    click.echo(f"mosha: {mistakes}\nmosha: {text}", err=True)
    return reading.settings


def _says_where(reading: SettingsReading) -> bool:
    """Say whether this node's monitor has its socket where the settings say."""
    misspelled = (m.text for m in reading.mistakes if nearest(m.text, OF_THE_SOCKET))
    if reading.unknown & OF_THE_SOCKET or any(misspelled):
        return False
    try:
        return reading.settings.monitor_socket_path.is_socket()
    except OSError:
        return False
