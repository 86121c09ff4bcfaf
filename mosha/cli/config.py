"""Which mosha.toml a command uses: --config, else $MOSHA_CONFIG, else the default path."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mosha.errors import HostError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

CONFIG_VARIABLE = "MOSHA_CONFIG"
CONFIG_FILE = "/etc/mosha/mosha.toml"


def _of_group(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Treat `mosha --config FILE status` as `mosha status --config FILE`."""
    del param
    return ctx.find_root().params.get("config") if value is None else value


def _option(text: str) -> Callable[[CommandT], CommandT]:
    return click.option("--config", metavar="FILE", callback=_of_group, help=text)


config_option = _option(
    f"The settings. Default: ${CONFIG_VARIABLE}, or {CONFIG_FILE} if there is one."
)
new_config_option = _option(f"The file to write. Default: {CONFIG_FILE}.")


def config_path(given: str | None) -> Path | None:
    """Return the file with the settings, None if the defaults apply.

    A named file must exist; `read_config` raises if it does not.
    """
    from pathlib import Path  # noqa: PLC0415 - a tenth of what a question for help would cost

    named = given or os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    usual = Path(CONFIG_FILE)
    return usual if usual.exists() else None


def hand_down(given: str | None) -> None:
    """Let the commands that this process starts, entries and fencing, find the same settings."""
    path = config_path(given)
    if path is not None:
        os.environ[CONFIG_VARIABLE] = str(path.absolute())


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file that the user named.

    Raises:
        UsageError: there is no such file, or it is a directory.
        HostError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{path}: no such file{_named_by(path)}") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path}: a directory, not a file") from error
    except OSError as error:
        raise HostError(f"{path}: cannot be read: {error.strerror}") from error


def _named_by(path: Path) -> str:
    """Say where a name comes from that is not in the command line."""
    from pathlib import Path  # noqa: PLC0415

    named = os.environ.get(CONFIG_VARIABLE)
    if not named or Path(named) != path:
        return ""
    here = "" if path.is_absolute() else " here"
    return f"{here}; ${CONFIG_VARIABLE} names it"
