"""A fence agent for tests: it speaks the protocol of fence-agents, and keeps "power" in files.

Only the standard library: it is run as a program of its own (`installed`). In the directory of its
option `room` there is a file for each plug, which says `on` or `off`; a file `password`, if one is
needed; a file `list`, if it is to list something else than its plugs; and `asked`, a line of JSON
for each time that it was run. A file `PLUG.pids` has the processes that need the power of a plug:
they are killed when it is switched off. A file `PLUG.off` has lines of shell that are run then,
and have to succeed. The option `mode` names a way to fail.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ON, OFF, FAILED = 0, 2, 1
FLOOD_BYTES = 3_000_000

METADATA = """<?xml version="1.0" ?>
<resource-agent name="fence_switch" shortdesc="Power in files">
<longdesc>For tests.</longdesc>
<parameters>
<parameter name="action" required="1"><content type="string" default="reboot"/></parameter>
<parameter name="room" required="1"><content type="string"/></parameter>
<parameter name="plug" required="1" obsoletes="port"><content type="string"/></parameter>
<parameter name="port" required="1" deprecated="1"><content type="string"/></parameter>
<parameter name="username" required="0" obsoletes="login"><content type="string"/></parameter>
<parameter name="login" required="0" deprecated="1"><content type="string"/></parameter>
<parameter name="password" required="0"><content type="string"/></parameter>
<parameter name="mode" required="0"><content type="string"/></parameter>
<parameter name="power_wait" required="0"><content type="second"/></parameter>
<parameter name="lanplus" required="0"><content type="boolean"/></parameter>
<parameter name="ssl" required="0"><content type="select">
<option value="yes"/><option value="no"/></content></parameter>
</parameters>
<actions><action name="on" automatic="0"/><action name="off"/><action name="reboot"/>
<action name="status"/><action name="list"/><action name="monitor"/><action name="metadata"/>
</actions>
</resource-agent>
"""


def installed(directory: Path, name: str = "fence_switch", text: str = "") -> Path:
    """Install this agent, or another program for Python, as an executable; return its path."""
    path = directory / name
    path.write_text(f"#!{sys.executable} -I\n{text or Path(__file__).read_text(encoding='utf-8')}")
    path.chmod(0o755)
    return path


def main() -> int:
    """Read the options and do what they ask for."""
    options = dict(line.strip().partition("=")[::2] for line in sys.stdin if "=" in line)
    action = options.get("action", "reboot")
    if action == "metadata":
        print(METADATA)
        return 0
    room = Path(options["room"])
    record = {"options": options, "arguments": sys.argv[1:], "environment": dict(os.environ)}
    with (room / "asked").open("a") as file:
        file.write(json.dumps(record) + "\n")
    mode = MODES[options.get("mode", "good")]
    return mode(action, room / options["plug"], options)


def switch_off(plug: Path) -> None:
    """Cut the power, and end all that needs it."""
    needing = plug.with_name(f"{plug.name}.pids")
    for pid in needing.read_text().split() if needing.exists() else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    script = plug.with_name(f"{plug.name}.off")
    if script.exists():
        subprocess.run(["/bin/sh", "-e", str(script)], check=True)
    plug.write_text("off")


def good(action: str, plug: Path, _options: dict[str, str]) -> int:
    """Do what is asked for."""
    if action == "status":
        power = plug.read_text()
        print(f"Status: {power.upper()}")
        return OFF if power == "off" else ON
    if action == "off":
        switch_off(plug)
        print("Success: Powered OFF")
    if action == "on":
        plug.write_text("on")
        print("Success: Powered ON")
    if action == "list":
        written = plug.with_name("list")
        plugs = (each.name for each in sorted(plug.parent.glob("p[0-9]")))
        text = written.read_text() if written.exists() else ",\n".join([*plugs, ""])
        print(text, end="")
    return 0


def with_password(action: str, plug: Path, options: dict[str, str]) -> int:
    """Do it for those who know the password, and say what others have tried."""
    given = options.get("password", "")
    if given != (plug.parent / "password").read_text():
        user = options.get("username", "")
        print(f"Unable to connect/login as {user} with {given!r}", file=sys.stderr)
        return FAILED
    return good(action, plug, options)


def lies(action: str, plug: Path, options: dict[str, str]) -> int:
    """Say that it has switched off, and do not."""
    if action == "off":
        print("Success: Powered OFF")
        return 0
    return good(action, plug, options)


def lies_on(action: str, plug: Path, options: dict[str, str]) -> int:
    """Say that it has switched on, and do not."""
    if action == "on":
        print("Success: Powered ON")
        return 0
    return good(action, plug, options)


def silent_two(action: str, plug: Path, options: dict[str, str]) -> int:
    """End as Python does that cannot read its program."""
    if action == "status":
        print("can't open file '/usr/sbin/fence_off': Input/output error", file=sys.stderr)
        return OFF
    return good(action, plug, options)


def unsure(action: str, plug: Path, options: dict[str, str]) -> int:
    """Know nothing of the power."""
    if action == "status":
        print("Status: OFF, or not", file=sys.stderr)
        return FAILED
    return good(action, plug, options)


def late(action: str, plug: Path, options: dict[str, str]) -> int:
    """Be off when asked for the third time: on, then no answer, then off."""
    asked = (plug.parent / "asked").read_text().count('"action": "status"')
    if action == "status" and asked < 3:
        print("Status: ON" if asked == 1 else "Connection timed out")
        return ON if asked == 1 else FAILED
    return good(action, plug, options)


def at_second_try(action: str, plug: Path, options: dict[str, str]) -> int:
    """Refuse the first order."""
    if action == "off" and (plug.parent / "asked").read_text().count('"action": "off"') == 1:
        print("no free session", file=sys.stderr)
        return FAILED
    return good(action, plug, options)


def at_second_off(action: str, plug: Path, options: dict[str, str]) -> int:
    """Refuse the first order for this plug."""
    mark = plug.with_name(f"{plug.name}.refused")
    if action == "off" and not mark.exists():
        mark.touch()
        print("no free session", file=sys.stderr)
        return FAILED
    return good(action, plug, options)


def flood(action: str, plug: Path, options: dict[str, str]) -> int:
    """Write far more than a pipe holds."""
    print("x" * FLOOD_BYTES)
    return good(action, plug, options)


def chokes(_action: str, _plug: Path, _options: dict[str, str]) -> int:
    """Write far more than a pipe holds, and fail."""
    print("no such plug\n" * (FLOOD_BYTES // 13))
    return FAILED


def garbage(action: str, plug: Path, _options: dict[str, str]) -> int:
    """Write what is no text, and exit with 2 at each status."""
    sys.stdout.buffer.write(bytes(range(256)) * 8)
    if action == "off":
        switch_off(plug)
    return OFF if action == "status" else 0


def stays(action: str, plug: Path, options: dict[str, str]) -> int:
    """Leave a process that holds the output, in a session of its own, with nothing in common."""
    child = (
        f"setsid sh -c 'echo $$ >> {plug.parent}/pids; read -r _ < {plug.parent}/gate' &"
        f" while ! [ -s {plug.parent}/pids ]; do :; done"
    )
    subprocess.run(["/bin/sh", "-c", child], env={"PATH": "/usr/bin:/bin"}, check=True)
    return good(action, plug, options)


def hangs(action: str, plug: Path, options: dict[str, str]) -> int:
    """Leave the same process, and never end."""
    stays(action, plug, options)
    signal.pause()
    return 0


def lists_nothing(action: str, plug: Path, options: dict[str, str]) -> int:
    """Fail to list."""
    if action == "list":
        print("too many machines", file=sys.stderr)
        return FAILED
    return good(action, plug, options)


def at_second_monitor(action: str, plug: Path, options: dict[str, str]) -> int:
    """Refuse the first session."""
    if action == "monitor" and (plug.parent / "asked").read_text().count('"monitor"') == 1:
        print("no free session", file=sys.stderr)
        return FAILED
    return good(action, plug, options)


def half_a_secret(_action: str, _plug: Path, options: dict[str, str]) -> int:
    """Write the password over and over, more than is kept, and fail."""
    print(options["password"] * 10_000 + options["password"][:-1], end="")
    return FAILED


Mode = Callable[[str, Path, dict[str, str]], int]

MODES: dict[str, Mode] = {
    mode.__name__: mode
    for mode in (
        *(good, with_password, chokes, lies, silent_two, unsure, late, at_second_try),
        *(flood, garbage, stays, hangs, half_a_secret, lists_nothing, at_second_monitor),
        at_second_off,
        lies_on,
    )
}

if __name__ == "__main__":
    sys.exit(main())
