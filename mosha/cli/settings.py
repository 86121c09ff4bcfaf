"""Reads the settings for a command, with every mistake that is in them."""

from __future__ import annotations

from mosha.cli.config import config_path, read_bytes
from mosha.formats.settings import Settings, parse_settings


def load_settings(given: str | None) -> Settings:
    """Return the settings of `--config FILE`, or of the usual places, or the defaults.

    Raises:
        UsageError: no such file, or mistakes in it, all of them.
        HostError: it cannot be read.
    """
    path = config_path(given)
    return Settings() if path is None else parse_settings(read_bytes(path), str(path))
