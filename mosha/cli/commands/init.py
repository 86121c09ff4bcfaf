"""`mosha init`: a first mosha.toml for this node, and the examples that belong to it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import click

from mosha.cli import config as places
from mosha.cli.commands.install_units import program_to_start, start_units, write_units
from mosha.cli.completion import NodeNumber
from mosha.cli.config import new_config_option, read_bytes
from mosha.cli.exits import AS_WANTED
from mosha.cli.help_text import Command
from mosha.errors import HostError, UsageError
from mosha.formats.names import NODE_MAX, node_number
from mosha.formats.settings import Settings, read_settings
from mosha.host.files import write_atomically
from mosha.monitor.files.membership import HOST_NAME_COMMAND, own_number

ROLE = """
# This node votes, and never runs a group. The settings of the others have no such line.
role = "witness"

# Make `timeout` that of the other nodes. Copy their [fencing] too, with the programs and files
# that it names: a witness shoots as any other node does. Without methods it only prints a line.
"""
EXECUTABLE = frozenset({"watch-network"})


@click.command("init", cls=Command, short_help="A first mosha.toml for this node.")
@new_config_option
@click.option("--mfsbase", default="/mfs", show_default=True, help="The cluster file system.")
@click.option("--nodes", default="1,2,3", show_default=True, help="All nodes of the cluster.")
@click.option("--rundir", help="Sockets and memory of this node. Default: /var/mosix-ha.")
@click.option(
    "--mynode",
    type=NodeNumber(),
    help="The number of this node. Default: the digits in the name of the host.",
)
@click.option("--witness", is_flag=True, help="This node only votes, and never runs a group.")
@click.option("--start", is_flag=True, help="Install the units too, and start them (systemd).")
def command(
    config: str | None,
    *,
    mfsbase: str,
    nodes: str,
    rundir: str | None,
    mynode: int | None,
    witness: bool,
    start: bool,
) -> int:
    """A first mosha.toml for this node.

    Writes the settings that each cluster needs, and `examples` beside them: a cltab, a hactl,
    a mosha.toml with every setting explained, and the scripts of the how-to guides. No existing
    file is replaced, and nothing is started without --start, which does what `mosha install-units`
    and `systemctl enable --now mosha` do. Each node on the same machine needs its own --rundir, on
    a local disk.

    Examples:
        mosha init
        mosha init --nodes 1,2,3,4,5 --mfsbase /srv/cluster
        mosha init --mynode 2 --config ./node2.toml --rundir ./run2
        mosha init --witness --start

    Exit status: 0 written, and with --start running; 1 could not be written, or does not start; 2
    it exists already, an option is wrong (no such --mfsbase), or this node has no number.
    """
    path = Path(config or places.CONFIG_FILE)
    numbers = _numbers(nodes)
    base = Path(mfsbase).absolute()
    if path.exists():
        raise UsageError(f"{path} exists already; to check it: mosha check --config {path}")
    if not base.is_dir():
        raise UsageError(
            f"{base} is not a directory: mount the cluster file system first, or name it"
            " with --mfsbase"
        )
    path = path.absolute()
    program = program_to_start() if start else None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        examples = path.parent / "examples"
        text = _settings_text(base, numbers, mynode, rundir) + ROLE * witness
        count = write_examples(examples)
        write_atomically(path, text.encode())
    except OSError as error:
        raise HostError(f"cannot write {path}: {error.strerror}") from error
    click.echo(f"written {path}")
    click.echo(f"written {examples}/" if count else f"kept {examples}/, it existed")
    for note in _notes(path, rundir):
        click.echo(f"note: {note}")
    if program is not None:
        write_units(Path("/"), program, path)
        start_units()
        click.echo("started: mosha status shows this node")
    else:
        click.echo(_next_steps(path, witness=witness))
    return AS_WANTED


def write_examples(directory: Path) -> int:
    """Write the examples that come with mosha; existing files stay. Return how many were written.

    Raises:
        OSError: it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    count = 0
    for source in (resources.files("mosha") / "examples").iterdir():
        target = directory / source.name
        if source.is_file() and not target.exists():
            mode = 0o755 if source.name in EXECUTABLE else 0o644
            write_atomically(target, source.read_bytes(), mode=mode)
            count += 1
    return count


def _notes(path: Path, rundir: str | None) -> Iterator[str]:
    """Yield what a second node on this machine needs to be told."""
    if rundir is None and path != Path(places.CONFIG_FILE):
        yield (
            f"its rundir is {Settings().rundir_path}; a second node on this machine needs"
            " one of its own (--rundir)"
        )
    for other in _same_rundir(path):
        yield f"{other} has the same rundir; two nodes on this machine need two"


def _same_rundir(path: Path) -> Iterator[Path]:
    """Yield the other settings beside a file that have its rundir."""
    own = read_settings(read_bytes(path), str(path)).settings.rundir_path
    for other in sorted(path.parent.glob("*.toml")):
        if other != path and other.is_file():
            reading = read_settings(read_bytes(other), str(other))
            if "rundir" not in reading.unknown and reading.settings.rundir_path == own:
                yield other


def _numbers(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    strange = next((word for word in words if node_number(word) is None), None)
    if strange is not None:
        raise UsageError(
            f"--nodes {text!r}: {strange!r} is not a node; nodes are numbers from 1 to {NODE_MAX}, "
            "as in 1,2,3"
        )
    found = tuple(number for word in words if (number := node_number(word)) is not None)
    if len(set(found)) != len(found):
        raise UsageError(f"--nodes {text!r}: write each node once, as in 1,2,3")
    return found


def _settings_text(
    base: Path, nodes: tuple[int, ...], mynode: int | None, rundir: str | None
) -> str:
    """Return the settings.

    Raises:
        UsageError: the node number cannot be determined, or it is not among the nodes.
    """
    if mynode is None:
        try:
            own_number(Settings(mwhois=HOST_NAME_COMMAND, nodes=nodes))
        except UsageError as error:
            raise UsageError(f"{error}; or give --mynode N") from error
        who = (
            "# The number of this node: the first digits in the name of the host.\n"
            f'mwhois = "{HOST_NAME_COMMAND}"\n'
        )
    elif mynode in nodes:
        who = f"# The number of this node, another one on each.\nmynode = {mynode}\n"
    else:
        raise UsageError(f"--mynode {mynode} is not among --nodes; add it there")
    run = ""
    if rundir is not None:
        run = (
            "# Sockets and memory of this node only, on a local disk.\n"
            f'rundir = "{_quoted(Path(rundir).absolute())}"\n\n'
        )
    return (
        "# Settings of mosha; examples/mosha.toml beside this file explains all of them.\n\n"
        "# The cluster file system: node N publishes in MFSBASE/N/var/mosix-ha.\n"
        f'mfsbase = "{_quoted(base)}"\n\n'
        f"{run}"
        "# All nodes, the same on all of them: a majority is a majority of these.\n"
        f"nodes = [{', '.join(map(str, nodes))}]\n\n"
        f"{who}\n"
        "# Seconds without a new status after which a node counts as dead. The default is safe\n"
        "# on slow file systems; 10 is enough on most.\n"
        "timeout = 60.0\n"
    )


def _quoted(path: Path) -> str:
    """Return a path escaped for a TOML basic string, without the quotes."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def _next_steps(path: Path, *, witness: bool) -> str:
    named = "" if path == Path(places.CONFIG_FILE) else f" --config {path}"
    tables = "\n  write cltab and hactl, as in examples, into the directory that check names"
    return (
        "next:\n"
        f"  mosha check{named}\n"
        f"  mosha install-units{named}    with systemd; or: mosha run{named}"
        f"{'' if witness else tables}"
    )
