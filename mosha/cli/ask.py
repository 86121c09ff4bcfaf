"""Sends a request to this node's monitor over its socket."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from mosha.cli.exits import NoDaemonError
from mosha.control.calls import (
    CALL_LIMIT_S,
    HungDaemonError,
    NoAnswerError,
    NotAllowedError,
    call_for,
)
from mosha.control.protocol import (
    MALFORMED,
    AskEvents,
    AskReport,
    Explain,
    MonitorReply,
    MonitorRequest,
)
from mosha.errors import HostError, UsageError
from mosha.formats.hastat import Report, UnreadableReport, parse_hastat
from mosha.formats.settings import Settings
from mosha.host.proc import is_stopped

SYSTEMD = Path("/run/systemd/system")
UNIT_PLACES = tuple(map(Path, ("/etc/systemd/system", "/usr/lib/systemd/system")))
UNIT = "mosha.service"
QUESTIONS = (AskReport, AskEvents, Explain)


def ask(settings: Settings, request: MonitorRequest, limit_s: float = CALL_LIMIT_S) -> MonitorReply:
    """Send one request to the monitor and return its reply, which may be a refusal.

    A query is answered at once; if it is not, a line on stderr says what this command waits for.
    An order may take longer, but nobody waits for a monitor that is stopped (SIGSTOP): when it goes
    on it drops what it then finds of a client that has gone.

    Raises:
        NoDaemonError: no monitor answers within `limit_s`.
        HostError: its socket cannot be used, its reply cannot be parsed, or it does not know such a
            request.
    """
    path = settings.monitor_socket_path

    def on_wait(pid: int) -> None:
        who = f"the monitor (process {pid})" if pid else f"the monitor at {path}"
        click.echo(f"mosha: {who} does not answer; waiting for up to {limit_s:g} s", err=True)

    def on_delay(pid: int) -> None:
        with contextlib.suppress(OSError):
            if pid and is_stopped(pid):
                text = f"the monitor at {path} is stopped: it drops the order unless it had read it"
                raise HungDaemonError(text, pid, stopped=True)

    delayed = on_wait if isinstance(request, QUESTIONS) else on_delay
    try:
        reply = call_for(path, request, MonitorReply, limit_s, delayed)
    except NoAnswerError as error:
        raise no_daemon(path, error) from error
    if not reply.ok and reply.text.startswith(MALFORMED):
        raise HostError(
            "the monitor of this node is of an older version, which does not know this request:"
            f" start it again in the new one, as in upgrade.md ({reply.text})"
        )
    return reply


def no_daemon(path: Path, error: Exception) -> NoDaemonError:
    """Return the error for a monitor that does not answer, with what to do."""
    text = error if isinstance(error, NoAnswerError) else f"no daemon answers at {path}"
    return NoDaemonError(f"{text}; {remedy(error, systemd=has_unit())}")


def remedy(error: Exception, *, systemd: bool) -> str:
    """Return what to do about a monitor that does not answer; `systemd`: it is a unit here."""
    if isinstance(error, NotAllowedError):
        return "ask as the user that mosha runs as, as in `sudo mosha status`"
    if isinstance(error, HungDaemonError):
        return _wake_or_end(error, systemd=systemd)
    start = "systemctl start mosha" if systemd else "mosha run"
    return f"start the monitor ({start}), or name its settings (--config FILE)"


def _wake_or_end(error: HungDaemonError, *, systemd: bool) -> str:
    """Return what to do about a monitor that hangs; its signal handlers hang with it."""
    number = str(error.pid) if error.pid else "PID"
    if error.stopped:
        return f"its process {number} is stopped: kill -CONT {number}"
    end = "systemctl kill -s KILL mosha" if systemd else f"kill -KILL {number}"
    start = "systemd starts it again" if systemd else "start it again (mosha run)"
    return (
        f"it hangs: end it ({end}), and {start}; its groups run on until the lease ends, and then "
        "elsewhere"
    )


def has_unit() -> bool:
    """Say whether systemd runs this machine (sd_booted(3)) and has a unit of mosha."""
    return SYSTEMD.is_dir() and any((place / UNIT).exists() for place in UNIT_PLACES)


def ask_report(
    settings: Settings, limit_s: float = CALL_LIMIT_S, *, group: str = ""
) -> tuple[Report, bytes]:
    """Return the consolidated view, of one `group` if it is named, and its JSON text as sent.

    Raises:
        UsageError: no node knows the group.
        NoDaemonError, HostError: as `ask`, or the monitor refuses.
    """
    reply = ask(settings, AskReport(group), limit_s)
    if group and not reply.ok:
        raise UsageError(reply.text)
    data = bytes(reply.report)
    if not reply.ok or not data:
        raise HostError(f"the monitor has no report: {reply.text}")
    try:
        return parse_hastat(data), data
    except UnreadableReport as error:
        raise HostError(f"the monitor's report cannot be read: {error}") from error
