"""The `clinit` script: a drop-in for that of Cluster::Init (catalogue C4, C8).

Exit status: 0 accepted, 1 refused or impossible here, 2 wrong usage, 3 no daemon answers.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TextIO, cast

import click

from mosha.cli import output
from mosha.cli.exits import AS_WANTED, NO_DAEMON, NOT_AS_WANTED, WRONG_USAGE, show_mistyped
from mosha.cli.gc_tuning import end, kept
from mosha.cli.help_text import Command
from mosha.errors import HostError, UsageError, used_up
from mosha.formats.log_limits import (
    LOG_FILE_KEEP_DEFAULT,
    LOG_FILE_MAX_BYTES_DEFAULT,
    LOG_FILE_MIN_BYTES,
    LOG_FILES_MAX,
)
from mosha.formats.spawn import SPAWN_WAYS

if TYPE_CHECKING:
    from pathlib import Path

    from mosha.control.calls import NoAnswerError
    from mosha.control.protocol import ClinitRequest

DEFAULT_CLTAB = "/etc/cltab"
DEFAULT_SOCKET = "/var/run/clinit/clinit.s"
DEFAULT_CLSTAT = "/var/run/clinit/clstat"
PATHS = ("cltab", "socket", "clstat", "state_dir", "watchdog", "log_file")  # of the options
# Longer than the daemon waits for a cltab on a file system that hangs.
CALL_LIMIT_S = 20.0
# "Re-read" in the original's documentation (C4.14), and in its script.
REREAD_WORDS = ((":::ALL:::", ":::REREAD:::"), ("::ALL::", "::REREAD::"))


class _Given(NamedTuple):
    """The command line, with what cltab overrides (C1.6)."""

    daemon: bool
    shutdown: bool
    cltab: Path
    socket: Path
    verbose: bool
    clstat: Path | None
    state_dir: Path | None
    cgroup: str | None
    managed: bool
    people: bool
    debug: bool
    node: str
    spawn: str
    watchdog: Path | None
    watchdog_timeout: int
    self_fence: str
    self_fence_after: float
    on_stop_failure: str
    words: tuple[str, ...]
    log_file: Path | None
    log_max_bytes: int
    log_keep: int
    log: Path | None = None


class _Script(Command):
    """The command as a script, with checked output streams (`output.py`)."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run this process's command line, or the given one."""
        output.prepare()
        try:
            sys.exit(super().main(*args, **(extra | {"standalone_mode": False})))
        except click.ClickException as error:
            show_mistyped(error, "clinit")
            end(error.exit_code)
        except HostError as error:  # its help or version could not be written
            _fail(str(error), NOT_AS_WANTED)


@click.command(cls=_Script)
@click.option("-d", "--daemon", is_flag=True, help="Run the daemon, in the foreground.")
@click.option("-k", "--shutdown", is_flag=True, help="Halt all groups and end the daemon.")
@click.option(
    "-c",
    "--cltab",
    type=click.Path(),
    default=DEFAULT_CLTAB,
    show_default=True,
    help="The table of groups and entries.",
)
@click.option(
    "-s",
    "--socket",
    type=click.Path(),
    default=DEFAULT_SOCKET,
    show_default=True,
    help="Where the daemon answers; `:::socket:PATH` in cltab overrides it.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print `group level state` lines afterwards.")
@click.option(
    "--clstat",
    type=click.Path(),
    help="With -d: where to write the status; `:::clstat:PATH` in cltab overrides it.  [default:"
    f" {DEFAULT_CLSTAT}, if the socket is at its default too]",
)
@click.option(
    "--state-dir",
    type=click.Path(),
    help="With -d: where to record the children; SOCKET.state if not given.",
)
@click.option(
    "--cgroup",
    help="With -d: the cgroup v2 directory to work in; `none` to do without.",
)
@click.option("--managed", is_flag=True, help="With -d: started by the monitor; ignore signals.")
@click.option("--people", is_flag=True, help="With -d: log for people, terminal or not.")
@click.option(
    "--debug", is_flag=True, help="With -d: also log states that groups only pass through."
)
@click.option("--node", default="", help="With -d: MOSHA_NODE of all commands.")
@click.option(
    "--spawn",
    type=click.Choice(SPAWN_WAYS),
    default=SPAWN_WAYS[0],
    help="With -d: how to start processes, if that works here; else the next of these.",
)
@click.option(
    "--watchdog",
    type=click.Path(),
    help="With -d: arm this watchdog device, and feed it while deadlines are kept.",
)
@click.option(
    "--watchdog-timeout",
    type=click.IntRange(1, 3600),
    default=10,
    show_default=True,
    help="Its time-out, at most, in seconds.",
)
@click.option(
    "--self-fence",
    default="off",
    show_default=True,
    help="With -d: if a group cannot be ended: `sysrq` reboots at once; or a command.",
)
@click.option(
    "--self-fence-after",
    type=click.FloatRange(0.0),
    default=0.0,
    help="How many seconds after kill_at, at least.",
)
@click.option(
    "--on-stop-failure",
    type=click.Choice(["hold", "fence"]),
    default="hold",
    show_default=True,
    help="`fence`: --self-fence counts for stops that have failed too.",
)
@click.option(
    "--log-file",
    type=click.Path(),
    help="With -d: log into this file, and rotate it, instead of stderr.",
)
@click.option(
    "--log-max-bytes",
    type=click.IntRange(LOG_FILE_MIN_BYTES),
    default=LOG_FILE_MAX_BYTES_DEFAULT,
    help="Rotate to FILE.1 at this size.",
)
@click.option(
    "--log-keep",
    type=click.IntRange(1, LOG_FILES_MAX),
    default=LOG_FILE_KEEP_DEFAULT,
    help="Keep this many old files.",
)
@click.version_option(package_name="mosha", prog_name="clinit", message="%(prog)s %(version)s")
@click.argument("words", nargs=-1, metavar="[[GROUP] LEVEL]")
def main(**options: Any) -> None:
    """Tell a GROUP to go to a LEVEL, or run the daemon that does it.

    With LEVEL alone the group has the name of this host. Without arguments cltab is read
    again: groups that are no longer in it are stopped.

    For example:
        clinit -d &          start the daemon
        clinit web start     start what cltab has for group web, level start
        clinit -v web stop   stop it, and show all groups
        clinit -k            halt all groups and end the daemon
    """
    # --help and a usage error need neither a protocol nor a daemon.
    from mosha.control.calls import NoAnswerError  # noqa: PLC0415

    try:
        status = _run(_with_variables(_given(options)))
        sys.stdout.flush()
    except UsageError as error:
        _fail(str(error), WRONG_USAGE)
    except NoAnswerError as error:
        _fail(f"{error}; {_remedy(error)}", NO_DAEMON)
    except HostError as error:
        _fail(str(error), NOT_AS_WANTED)
    except OSError as error:
        shortage = used_up(error)
        if shortage is None:
            raise
        _fail(str(shortage), NOT_AS_WANTED)
    else:
        end(status)


def _given(options: dict[str, Any]) -> _Given:
    from pathlib import Path  # noqa: PLC0415 - a quarter of what a question for help would load

    paths = {name: Path(value) for name in PATHS if (value := options[name]) is not None}
    return _Given(**(options | paths))


def _remedy(error: NoAnswerError) -> str:
    from mosha.control.calls import HungDaemonError, NotAllowedError  # noqa: PLC0415

    if isinstance(error, NotAllowedError):
        return "ask as the user that it runs as"
    if isinstance(error, HungDaemonError):
        return "it hangs: end it, and start one with `clinit -d`"
    return "start one with `clinit -d`"


def _fail(text: str, status: int) -> NoReturn:
    click.echo(f"clinit: {text}", err=True)
    end(status)


def _with_variables(given: _Given) -> _Given:
    """Let the variables of cltab override the command line; only the variables are read.

    Not for a clinit that a monitor started: the monitor expects it where it started it.
    """
    if given.managed:
        return given
    # --help needs neither.
    from pathlib import Path  # noqa: PLC0415

    from mosha.formats.cltab import parse_variables  # noqa: PLC0415

    try:
        variables = parse_variables(given.cltab.read_bytes())
    except OSError:
        return given
    paths: dict[str, Any] = {name: Path(value) for name, value in variables.items()}
    return given._replace(**paths)


def _run(given: _Given) -> int:
    if given.daemon:
        if given.shutdown or given.words:
            raise UsageError("-d takes neither -k nor a group nor a level")
        return _be_daemon(given)
    if len(given.words) > 2 or (given.shutdown and given.words):
        raise UsageError("give a group and a level, or a level, or nothing, or -k; see --help")
    from mosha.control.calls import call  # noqa: PLC0415

    reply = call(given.socket, _request(given), CALL_LIMIT_S)
    text, *more = reply.text.splitlines() or [""]
    # The original's words, and nothing before them (C4.1). It prints nothing for a re-read or a
    # shutdown: the same stdout here (C4.16).
    silent = given.shutdown or not given.words or given.words in REREAD_WORDS
    click.echo(text, err=silent or not reply.ok)
    for line in more:
        click.echo(line, err=True)
    if given.verbose:
        _print_groups(given.socket, may_be_gone=given.shutdown)
    return AS_WANTED if reply.ok else NOT_AS_WANTED


def clstat_of(given: Path | None, socket: Path, *, managed: bool) -> Path | None:
    """Return where a daemon writes its clstat, None for nowhere.

    Without an option it is the original's place, but only with the original's socket: two daemons
    must not write one file. Under a monitor, which writes a fuller status, there is none.
    """
    if given is not None or managed or str(socket) != DEFAULT_SOCKET:
        return given
    from pathlib import Path  # noqa: PLC0415

    return Path(DEFAULT_CLSTAT)


def _request(given: _Given) -> ClinitRequest:
    from mosha.control.protocol import Reread, Shutdown  # noqa: PLC0415
    from mosha.core.tell import Tell  # noqa: PLC0415

    if given.shutdown:
        return Shutdown()
    if not given.words or given.words in REREAD_WORDS:
        return Reread()
    group = given.words[0] if len(given.words) == 2 else os.uname().nodename  # C4.15
    return Tell(group=group, level=given.words[-1], node=given.node)


def _print_groups(path: Path, *, may_be_gone: bool) -> None:
    from mosha.control.calls import call  # noqa: PLC0415
    from mosha.control.protocol import Ask  # noqa: PLC0415

    try:
        update = call(path, Ask(), CALL_LIMIT_S).update
    except HostError:
        if not may_be_gone:
            raise
        return  # it has ended, and all groups with it
    for report in sorted(update.groups, key=lambda report: report.group) if update else ():
        click.echo(f"{report.group} {report.level} {report.state}")


def _be_daemon(given: _Given) -> int:
    # The client must not pay for the daemon's imports.
    with kept():
        import asyncio  # noqa: PLC0415

        from mosha.clinit.daemon import run_clinit  # noqa: PLC0415
        from mosha.clinit.options import ClinitOptions  # noqa: PLC0415
        from mosha.host import logs  # noqa: PLC0415
        from mosha.host.journal import Journal  # noqa: PLC0415
        from mosha.host.log_stream import LogStream, take_stderr  # noqa: PLC0415
        from mosha.host.logfile import LogFile  # noqa: PLC0415
        from mosha.host.loop_room import require_loop_room  # noqa: PLC0415

    stream = take_stderr()
    if given.log is not None:
        stream = LogStream(_open_log(given.log), str(given.log))
    file = None
    if given.log_file is not None:
        file = LogFile(given.log_file, max_bytes=given.log_max_bytes, keep=given.log_keep)
    logs.configure(
        people=given.people or stream.isatty(),
        level="debug" if given.debug else "info",
        stream=cast("TextIO", stream),
        file=file,
        journal=Journal.behind(stream.fileno(), "clinit") if given.log is None else None,
        fields={"node": int(given.node)} if given.node.isdecimal() else None,
        beside=given.managed,
    )
    options = ClinitOptions(
        cltab=given.cltab,
        socket=given.socket,
        clstat=clstat_of(given.clstat, given.socket, managed=given.managed),
        state_dir=given.state_dir or given.socket.with_name(f"{given.socket.name}.state"),
        cgroup=given.cgroup,
        managed=given.managed,
        node=given.node,
        spawn=given.spawn,
        watchdog=given.watchdog,
        watchdog_timeout_s=given.watchdog_timeout,
        self_fence=given.self_fence,
        self_fence_after_s=given.self_fence_after,
        on_stop_failure=given.on_stop_failure,
    )
    try:
        require_loop_room()
        return asyncio.run(run_clinit(options))
    finally:
        if file is not None:
            file.close()
        if given.log is not None:
            stream.drain()


def _open_log(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise HostError(f"cannot write the log {path}: {error.strerror}") from error


if __name__ == "__main__":
    main()
