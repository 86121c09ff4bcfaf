"""`mosha install-units`: writes the systemd units with the paths of this installation."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import click

from mosha.cli.config import CONFIG_FILE, config_option, config_path, read_bytes
from mosha.cli.exits import AS_WANTED
from mosha.cli.help_text import Command
from mosha.errors import HostError, UsageError
from mosha.formats.settings import WITNESS, read_settings
from mosha.host.files import write_atomically

MONITOR_UNIT, CLINIT_UNIT = UNITS = ("mosha.service", "mosha-clinit.service")
UNIT_DIR = "etc/systemd/system"
# What the units contain before they are installed.
PLAIN_PROGRAM = "/usr/local/bin/mosha"
# What a witness does not need, because it has no clinit.
CLINIT_WORDS = (f"{CLINIT_UNIT} ", " --no-clinit")
SYSTEMCTL_LIMIT_S = 300.0
"""More than TimeoutStartSec= of the unit, the longest that systemctl waits for."""

INIT_STEP = """\
next:
  mosha init                            a first mosha.toml"""
NEXT_STEPS = """\
  systemctl daemon-reload
  systemctl enable --now mosha          now, and at every boot; it brings mosha-clinit along
  systemctl status mosha mosha-clinit
the rule: `systemctl restart mosha` keeps the groups running, `systemctl stop mosha` leaves"""
WITNESS_STEPS = """\
  systemctl daemon-reload
  systemctl enable --now mosha          now, and at every boot
  systemctl status mosha"""


@click.command("install-units", cls=Command, short_help="The units for systemd.")
@config_option
@click.option("--root", default="/", show_default=True, help="Write below this directory.")
@click.option("--prefix", help="mosha is in PREFIX/bin. Default: where this one is.")
def command(config: str | None, *, root: str, prefix: str | None) -> int:
    """The units for systemd.

    Writes mosha.service and mosha-clinit.service into /etc/systemd/system, with the path of
    this mosha in them, and prints what to do next. It starts nothing. Existing units are
    replaced: make your changes with `systemctl edit`. A witness (`role` in the settings) gets
    mosha.service alone, which needs no clinit: run this again if you change the role.

    Examples:
        mosha install-units
        mosha install-units --config /srv/cluster/mosha.toml
        mosha install-units --root ./image --prefix /usr

    Exit status: 0 written; 1 could not be written; 2 this mosha has no program to start.
    """
    program = program_to_start(prefix)
    settings = config_path(config) or Path(CONFIG_FILE)
    witness = write_units(Path(root), program, settings)
    # The named file may go into the image later.
    named = config is not None and settings.exists()
    if not named and not (Path(root) / settings.absolute().relative_to("/")).exists():
        click.echo(f"warning: there is no {settings}: the units start nothing without it", err=True)
        click.echo(INIT_STEP)
    else:
        click.echo("next:")
    check = "mosha check" if config is None else f"mosha check --config {config}"
    steps = WITNESS_STEPS if witness else NEXT_STEPS
    click.echo(f"  {check:<37} the settings and tables, before anything runs\n{steps}")
    return AS_WANTED


def write_units(root: Path, program: Path, settings: Path) -> bool:
    """Write the units of a node with these settings; return whether it is a witness.

    Raises:
        HostError: they cannot be written.
        UsageError: a path that is not for a unit; settings that cannot be read.
    """
    witness = settings.exists() and _is_witness(settings)
    directory = root / UNIT_DIR
    for name in (MONITOR_UNIT,) if witness else UNITS:
        text = unit_text(name, program, settings.absolute(), witness=witness)
        click.echo(f"{_write(directory / name, text)} {directory / name}")
    return witness


def start_units() -> None:
    """Have systemd read the units, and start this node, now and at every boot.

    It returns when the node has published its first status.

    Raises:
        HostError: there is no systemd, or the node does not start.
    """
    program = shutil.which("systemctl")
    if program is None:
        raise HostError(
            "there is no systemctl here: start `mosha run` with what starts services here"
        )
    for words in (("daemon-reload",), ("enable", "--now", MONITOR_UNIT)):
        command = shlex.join(["systemctl", *words])
        try:
            subprocess.run([program, *words], check=True, timeout=SYSTEMCTL_LIMIT_S)
        except subprocess.CalledProcessError as error:
            raise HostError(
                f"{command} failed with status {error.returncode}; see systemctl status mosha, and"
                " start it again with that command"
            ) from error
        except subprocess.TimeoutExpired:
            raise HostError(
                f"{command} took longer than {SYSTEMCTL_LIMIT_S:g} s; see systemctl status mosha"
            ) from None


def _is_witness(settings: Path) -> bool:
    """Say whether settings are those of a node without clinit."""
    reading = read_settings(read_bytes(settings), str(settings))
    return reading.settings.role == WITNESS and not reading.settings.watchdog


def unit_text(name: str, program: Path, settings: Path, *, witness: bool = False) -> str:
    """Return a unit that starts `program` with `settings`."""
    plain = (resources.files("mosha") / "units" / name).read_text(encoding="utf-8")
    for words in CLINIT_WORDS if witness else ():
        plain = plain.replace(words, "")
    return plain.replace(PLAIN_PROGRAM, _quoted(program)).replace(
        f"={CONFIG_FILE}\n", f"={_quoted(settings)}\n"
    )


def program_to_start(prefix: str | None = None) -> Path:
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
