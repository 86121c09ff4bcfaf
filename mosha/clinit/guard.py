"""The guard: what ends everything at once if clinit dies without a word.

A shell that waits on a pipe which only clinit holds open. A word means that clinit left in
good order; the end of the pipe means that it was killed. Then the guard kills the whole
cgroup, daemons that forked away included, which a parent-death signal would not reach. It
costs nothing per spawn (a wrapper that sets the signal costs 1.4 ms, a preexec_fn 4.3 ms).

Without cgroups it is told the process groups, and kills those.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from mosha.clinit.command import SHELL

# rmdir fails as long as something is dying; the next clinit would clean up as well.
_KILL_CGROUP = """
trap "" HUP INT QUIT TERM
read -r word && exit 0
echo 1 > "$0/cgroup.kill"
for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  rmdir "$0"/*/*/ 2>/dev/null; rmdir "$0"/*/ 2>/dev/null; rmdir "$0" 2>/dev/null
  [ -d "$0" ] || exit 0
  sleep 0.05
done
"""

_KILL_PROCESS_GROUPS = """
trap "" HUP INT QUIT TERM
alive=" "
while read -r word pid; do
  case $word in
    started) alive="$alive$pid " ;;
    ended) alive="${alive%% $pid *} ${alive#* $pid }" ;;
    left) exit 0 ;;
  esac
done
for pid in $alive; do kill -KILL -- "-$pid" 2>/dev/null; done
"""


class Guard:
    """A running guard. It is clinit's child; whoever reaps it must call `restart`."""

    def __init__(self, cgroup: Path | None) -> None:
        self._cgroup = cgroup
        self._told: dict[int, bytes] = {}
        self._start()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def restart(self) -> None:
        """Start another one: somebody ended the guard."""
        os.close(self._pipe)
        self._start()
        for line in self._told.values():
            self._say(line)

    def started(self, pid: int) -> None:
        """Tell it a process group that shall not outlive clinit."""
        self._told[pid] = b"started %d\n" % pid
        self._say(self._told[pid])

    def ended(self, pid: int) -> None:
        """Tell it that a process group is gone: its number may be somebody else's soon."""
        if self._told.pop(pid, None):
            self._say(b"ended %d\n" % pid)

    def dismiss(self) -> None:
        """Let it go without killing anything; it can be waited for afterwards."""
        self._say(b"left 0\n")
        os.close(self._pipe)

    def give_up(self) -> None:
        """Have it kill everything now."""
        os.close(self._pipe)

    def _start(self) -> None:
        read_end, self._pipe = os.pipe2(os.O_CLOEXEC)
        script = _KILL_PROCESS_GROUPS if self._cgroup is None else _KILL_CGROUP
        try:
            self._process = subprocess.Popen(
                [SHELL, "-c", script, str(self._cgroup or "guard")],
                stdin=read_end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            os.close(read_end)
        # Children are reaped in one place (`reaper.py`); to Popen this one is settled.
        self._process.returncode = 0

    def _say(self, line: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died; `restart` says it all again
            os.write(self._pipe, line)
