"""`mosha install-units`: writes the systemd units with the paths of this installation."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

import click

from mosha.cli.config import CONFIG_FILE, config_option, config_path
from mosha.cli.exits import AS_WANTED
from mosha.cli.help_text import Command
from mosha.errors import HostError, UsageError
from mosha.host.files import write_atomically

UNITS = ("mosha.service", "mosha-clinit.service")
UNIT_DIR = "etc/systemd/system"
# What the units contain before they are installed.
PLAIN_PROGRAM = "/usr/local/bin/mosha"

INIT_STEP = """\
next:
  mosha init                            a first mosha.toml"""
NEXT_STEPS = """\
  systemctl daemon-reload
  systemctl enable --now mosha          now, and at every boot; it brings mosha-clinit along
  systemctl status mosha mosha-clinit
the rule: `systemctl restart mosha` keeps the groups running, `systemctl stop mosha` leaves"""


@click.command("install-units", cls=Command, short_help="The units for systemd.")
@config_option
@click.option("--root", default="/", show_default=True, help="Write below this directory.")
@click.option("--prefix", help="mosha is in PREFIX/bin. Default: where this one is.")
def command(config: str | None, *, root: str, prefix: str | None) -> int:
    """The units for systemd.

    Writes mosha.service and mosha-clinit.service into /etc/systemd/system, with the path of
    this mosha in them, and prints what to do next. It starts nothing. Existing units are
    replaced: make your changes with `systemctl edit`.

    Examples:
        mosha install-units
        mosha install-units --config /srv/cluster/mosha.toml
        mosha install-units --root ./image --prefix /usr

    Exit status: 0 written; 1 could not be written; 2 this mosha has no program to start.
    """
    program = _program(prefix)
    settings = config_path(config) or Path(CONFIG_FILE)
    directory = Path(root) / UNIT_DIR
    texts = {directory / name: unit_text(name, program, settings.absolute()) for name in UNITS}
    for path, text in texts.items():
        click.echo(f"{_write(path, text)} {path}")
    # The named file may go into the image later.
    named = config is not None and settings.exists()
    if not named and not (Path(root) / settings.absolute().relative_to("/")).exists():
        click.echo(f"warning: there is no {settings}: the units start nothing without it", err=True)
        click.echo(INIT_STEP)
    else:
        click.echo("next:")
    check = "mosha check" if config is None else f"mosha check --config {config}"
    click.echo(f"  {check:<37} the settings and tables, before anything runs\n{NEXT_STEPS}")
    return AS_WANTED


def unit_text(name: str, program: Path, settings: Path) -> str:
    """Return a unit that starts `program` with `settings`."""
    plain = (resources.files("mosha") / "units" / name).read_text(encoding="utf-8")
    return plain.replace(PLAIN_PROGRAM, _quoted(program)).replace(
        f"={CONFIG_FILE}\n", f"={_quoted(settings)}\n"
    )


def _program(prefix: str | None) -> Path:
    """Return the program that the units start.

    Raises:
        UsageError: there is none: mosha runs from its sources.
    """
    if prefix is not None:  # may not exist yet, or be in an image
        return Path(prefix).absolute() / "bin" / "mosha"
    program = Path(sys.prefix) / "bin" / "mosha"
    if not program.exists():
        raise UsageError(f"there is no {program} to start; give --prefix DIR for DIR/bin/mosha")
    return program


def _quoted(path: Path) -> str:
    """Return a path as units accept it (systemd.unit(5)).

    Raises:
        UsageError: systemd would parse it as something else.
    """
    text = str(path)
    if any(character.isspace() or character in "\"'\\$;" for character in text):
        raise UsageError(f"{text!r}: not for a unit: it has a blank, a quote, \\, $ or ;")
    return text.replace("%", "%%")


def _write(path: Path, text: str) -> str:
    """Write a unit if it differs; return what was done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
            return "unchanged"
        done = "replaced" if path.exists() else "written"
        write_atomically(path, text.encode())
    except OSError as error:
        raise HostError(f"cannot write {path}: {error.strerror}") from error
    return done
