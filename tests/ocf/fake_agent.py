"""A resource agent for tests, and the wrapper that runs it as a process of its own.

The service is a process of `sleep`. What is in the file HOOKS/ACTION is done first in that action;
`calls` has a line for each action: its name, interval, time-out (ms; `unset`) and depth.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

from mosha.core.agent_exits import TURN_VARIABLE
from mosha.host.programs import PACKAGES, command_of
from tests.leftovers import all_pids, read_process
from tests.waiting import LIMIT_S, wait_until

MARK = "MOSHA_OCF_TEST"

AGENT = r"""#!/bin/sh
interval=${OCF_RESKEY_CRM_meta_interval-unset}
timeout=${OCF_RESKEY_CRM_meta_timeout-unset}
echo "$1 $interval $timeout ${OCF_CHECK_LEVEL-0}" >> calls
fail() { echo "ocf-exit-reason:$2" >&2; exit "$1"; }
runs() { [ -f service ] && kill -0 "$(cat service)" 2>/dev/null; }
[ ! -f "hooks/$1" ] || . "./hooks/$1"
case $1 in
meta-data) cat metadata ;;
start)
    exec 9>lock; flock 9
    runs || { sleep 1000 >/dev/null 2>&1 9>&- & echo $! >service; }
    ;;
stop)
    if runs; then kill "$(cat service)"; while runs; do :; done; fi
    rm -f service
    ;;
monitor) runs || fail 7 "no process" ;;
validate-all) ;;
*) exit 3 ;;
esac
"""

METADATA = """<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="Sleeper" version="2.1">
<version>1.0</version>
<longdesc lang="en">Sleeps,
and that is all.</longdesc>
<shortdesc lang="en">Runs a
 sleep</shortdesc>
<parameters>
<parameter name="state" unique="1" required="1">
<shortdesc lang="en">State file</shortdesc><content type="string" default="/run/s"/>
</parameter>
<parameter name="rounds"><content type="integer"/></parameter>
<parameter name="loud"><deprecated/><content type="boolean" default="false"/></parameter>
</parameters>
<actions>
<action name="start" timeout="30s"/>
<action name="stop" timeout="40"/>
<action name="monitor" timeout="1min" interval="5s" depth="0"/>
<action name="monitor" timeout="20s" interval="300000ms" depth="10"/>
<action name="monitor" timeout="7s" interval="9s" role="Promoted"/>
<action name="meta-data" timeout="5s"/>
<action name="validate-all" timeout="soon"/>
</actions>
</resource-agent>
"""


class FakeAgent:
    """An agent in a directory of its own; nothing of it runs any more after `with`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "ocf"
        self._hooks = directory / "hooks"
        self._hooks.mkdir()
        place = self.root / "resource.d/heartbeat"
        place.mkdir(parents=True)
        self.path = place / "Sleeper"
        self.path.write_text(AGENT)
        self.path.chmod(0o755)
        (directory / "metadata").write_text(METADATA)
        self.address = directory / "notify"
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(self.address))
        self.notified.settimeout(LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.notified.close()
        wait_until(self._kill_all)

    def _kill_all(self) -> bool:
        pids = self.processes()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    def processes(self, having: str = MARK) -> list[int]:
        """Return all live processes of the agent and of its wrapper, or those with a variable."""
        found = []
        for pid in all_pids():
            seen = read_process(pid)
            if seen is not None and seen[0].get(MARK) == str(self.directory) and having in seen[0]:
                found.append(pid)
        return found

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            MARK: str(self.directory),
            "OCF_ROOT": str(self.root),
            "HA_RSCTMP": str(self.directory / "rsctmp"),
            "NOTIFY_SOCKET": str(self.address),
            TURN_VARIABLE: "1",
        }

    def hook(self, action: str, script: str) -> None:
        """Have this done first in an action."""
        (self._hooks / action).write_text(f"{script}\n")

    def unhook(self, action: str) -> None:
        (self._hooks / action).unlink()

    def calls(self, action: str = "") -> list[str]:
        """Return a line for each action so far, or for each of one name."""
        path = self.directory / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.split()[0] != "meta-data" and action in line]

    def service(self) -> int:
        """Return the process of the service."""
        path = self.directory / "service"
        return int(wait_until(lambda: path.read_text().strip() if path.exists() else ""))

    def wrapped(self, *words: str, without: str = "") -> subprocess.Popen[str]:
        """Run the wrapper, with the words of its command line before the agent.

        `without`: a variable that is not in its environment.
        """
        return subprocess.Popen(
            [*command_of("mosha.ocf.wrapper"), "--instance=asleep", *words, "Sleeper", "state=x"],
            cwd=self.directory,
            env={name: it for name, it in self.environment().items() if name != without},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def heard(self) -> str:
        """Return the next message to the service manager."""
        return self.notified.recv(4096).decode()

    def python(self, program: str) -> subprocess.CompletedProcess[str]:
        """Run a program that works with the agent; `result` is to print what it returns."""
        return subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.append({PACKAGES!r})\n{program}"],
            cwd=self.directory,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
        )
