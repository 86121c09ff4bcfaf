"""The second guard: ends clinit's processes if clinit and the fork server are killed together.

The fork server is the first. Both have mosha and Python in their command lines, and `pkill -9 -f`
of either hits both. So this one is a shell that shares nothing with them: it reads a pipe that only
clinit holds, and if that closes without a dismissal, it kills.

With cgroups its stdout is the tree's `cgroup.kill`. Without, the shell looks in /proc for the mark
of this clinit (`host/marks.py`), in limits and environments, and for the sessions and orphans that
clinit has reported. It ignores all signals of a terminal or an administrator except SIGKILL; if it
dies that is logged, and another one is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path

from mosha.host import logs, proc
from mosha.host.marks import limit_of

SHELL = "/bin/sh"
RETRY_S = 1.0
LEFT = b"left\n"

_IGNORE = ": 'ends all services if their supervisor is killed'; trap '' HUP INT QUIT TERM; "

# What systemd still starts in a frozen slice does not run. Without a unit there is no such file.
_KILL_UNITS = 'echo 1 > "$UNITS/cgroup.freeze"; echo 1 > "$UNITS/cgroup.kill"'

TREE_SCRIPT = f'{_IGNORE}read -r word || {{ echo 1; test -z "$UNITS" || {{ {_KILL_UNITS}; }}; }}'

# Words of a line: `mark NAME=VALUE LIMIT`, `+ PID START`, `- PID START`, `left`. In `known` there
# is ` PID:START ` for each session and orphan, in `limited` the file of each process whose limit is
# the mark. Two rounds in a row that find nothing are the end (`marks.QUIET_LOOKS`). Fields of
# /proc/PID/stat from the state on (proc(5)): 1 state, 4 session, 20 start. A process of a session
# is not older than its leader.
SESSION_SCRIPT = (
    _IGNORE
    + r"""
known=' '
mark=
limit=
while read -r word pid start; do
    case $word in
    mark) mark=$pid limit=$start ;;
    +) known="$known$pid:$start " ;;
    -) case $known in
        *" $pid:$start "*) known="${known%%" $pid:$start "*} ${known#*" $pid:$start "}" ;;
        esac ;;
    left) exit 0 ;;
    esac
done
"""
    + f'test -z "$UNITS" || {{ {_KILL_UNITS}; }}'
    + r"""
round=0
quiet=0
while test $round -lt 50; do
    found=
    limited=
    test "$limit" && limited=$(grep -lsF -e " $limit " /proc/[0-9]*/limits)
    for file in /proc/[0-9]*/stat; do
        { read -r line < "$file"; } 2>/dev/null || continue
        pid=${line%% *}
        set -- ${line##*) }
        case $1:${18} in [ZXx]:[01]) continue ;; esac
        ours=
        case $known in
        *" $pid:${20} "*) ours=1 ;;
        *" $4:"*)
            start=${known#*" $4:"}
            test "${20}" -ge "${start%% *}" && ours=1 ;;
        esac
        case $limited in *"/$pid/"*) ours=1 ;; esac
        test "$ours" && kill -s KILL "$pid" && found=1
    done
    for file in $(grep -lzxF -e "$mark" /proc/[0-9]*/environ 2>/dev/null); do
        pid=${file#/proc/}
        kill -s KILL "${pid%/environ}" && found=1
    done
    quiet=$((quiet + 1))
    test "$found" && quiet=0
    test $quiet -lt 2 || exit 0
    round=$((round + 1))
    sleep 0.1
done
"""
)


class Guard:
    """A running guard; needs a running loop."""

    def __init__(self, mark: str, tree: Path | None, units: Path | None = None) -> None:
        """Start it. One that cannot be started is logged, and tried again every second.

        `units` is the cgroup of what systemd runs for clinit; it need not exist.
        """
        self.pid = 0
        # Not among its words: the name has mosha in it.
        self._environment = {**os.environ, "UNITS": str(units or "")}
        self._mark = mark
        self._tree = tree
        self._watched: dict[int, int] = {}
        self._retry: asyncio.TimerHandle | None = None
        self._pipe = self._exit = -1
        self._start()

    def watch(self, pid: int) -> None:
        """Make it end this session, or this orphan; needed only without a cgroup."""
        if self._tree is not None or pid in self._watched:
            return
        with contextlib.suppress(OSError):  # it cannot be read: the mark can still find it
            seen = proc.see(pid)
            if seen is not None:
                self._watched[pid] = seen.start
                self._say(b"+ %d %d\n" % (pid, seen.start))

    def unwatch(self, pid: int) -> None:
        """Make it forget a session or an orphan that is gone."""
        start = self._watched.pop(pid, None)
        if start is not None:
            self._say(b"- %d %d\n" % (pid, start))

    def dismiss(self) -> None:
        """Let it go: there is nothing left to guard."""
        self._say(LEFT)
        self._close()

    def give_up(self) -> None:
        """Have it kill everything now, as if clinit were dead."""
        self._close()

    def _start(self) -> None:
        self._retry = None
        kill = -1
        ours, theirs = -1, -1
        try:
            theirs, ours = os.pipe2(os.O_CLOEXEC)
            if self._tree is None:
                script, kill = SESSION_SCRIPT, os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            else:
                path = self._tree / "cgroup.kill"
                script, kill = TREE_SCRIPT, os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            process = subprocess.Popen(
                [SHELL, "-c", script],
                stdin=theirs,
                stdout=kill,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=self._environment,
                start_new_session=True,
            )
            process.returncode = 0  # it is reaped here or by `reaper.py`, not by Popen
            self.pid = process.pid
            self._exit = os.pidfd_open(self.pid)
        except OSError as error:
            if ours >= 0:
                # It may have started: closing the pipe without a dismissal would make it kill all.
                os.write(ours, LEFT)
                os.close(ours)
            self._fail(error.strerror or str(error))
            return
        finally:
            for fd in (theirs, kill):
                if fd >= 0:
                    os.close(fd)
        os.set_blocking(ours, False)
        self._pipe = ours
        asyncio.get_running_loop().add_reader(self._exit, self._ended)
        if self._tree is None:
            limit = limit_of(self._mark) or ""
            self._say(f"mark MOSHA_RUN={self._mark} {limit}\n".encode())
            for pid, start in self._watched.items():
                self._say(b"+ %d %d\n" % (pid, start))

    def _say(self, line: bytes) -> None:
        if self._pipe < 0:
            return
        try:
            os.write(self._pipe, line)
        except BlockingIOError:  # it is stopped and guards nothing; its end starts another one
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._exit, signal.SIGKILL)
        except BrokenPipeError:
            return  # its end is noticed at once

    def _ended(self) -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG)
        self._close()
        self._fail("it was killed")

    def _fail(self, reason: str) -> None:
        logs.get().error("guard_failed", reason=reason)
        self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._start)

    def _close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        if self._exit >= 0:
            asyncio.get_running_loop().remove_reader(self._exit)
            os.close(self._exit)
        if self._pipe >= 0:
            os.close(self._pipe)
        self._exit = self._pipe = -1
