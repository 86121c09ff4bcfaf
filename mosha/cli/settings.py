"""Reads the settings for a command, with every mistake that is in them."""

from __future__ import annotations

import click

from mosha.cli.config import config_path, read_bytes
from mosha.formats.mistakes import Mistakes
from mosha.formats.names import nearest
from mosha.formats.settings import Settings, SettingsReading, parse_settings, read_settings

OF_THE_SOCKET = frozenset({"rundir", "varpath"})
"""The settings that say where the monitor is asked."""


def load_settings(given: str | None) -> Settings:
    """Return the settings of `--config FILE`, or of the usual places, or the defaults.

    Raises:
        UsageError: no such file, or mistakes in it, all of them.
        HostError: it cannot be read.
    """
    path = config_path(given)
    return Settings() if path is None else parse_settings(read_bytes(path), str(path))


def settings_to_ask(given: str | None) -> Settings:
    """Return settings by which the running monitor of this node is asked.

    A monitor lives on with the settings that it started with: mistakes in the file since then are
    told, and it is asked all the same, if the file says where.

    Raises:
        UsageError: no such file, or mistakes in it and no monitor that it tells of.
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
    text = "the monitor runs on with the settings of before and is asked all the same"
    click.echo(f"mosha: {mistakes}\nmosha: {text}", err=True)
    return reading.settings


def _says_where(reading: SettingsReading) -> bool:
    """Say whether a monitor, and no other node's, has its socket where the settings say."""
    misspelled = (m.text for m in reading.mistakes if nearest(m.text, OF_THE_SOCKET))
    if reading.unknown & OF_THE_SOCKET or any(misspelled):
        return False
    try:
        return reading.settings.monitor_socket_path.is_socket()
    except OSError:
        return False
