"""Checks for commands that hand their work to another service.

A container runtime, a service manager or a job scheduler starts the work in its own cgroup, below
its own daemon. clinit ends the client and the service goes on, so it can run on two nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from mosha.cli.check.files import Finding
from mosha.core.tables import Cltab, Mode

_OWN = "run the program itself, in the foreground"
_CONTAINER = f"{_OWN} (bwrap, unshare), not a client of a container runtime"
_MANAGER = f"write the program of the unit (its ExecStart), and {_OWN}"
_SCHEDULER = f"{_OWN}; a loop with sleep does what a schedule does"
REMEDIES = {
    **dict.fromkeys(("docker", "podman", "nerdctl", "ctr", "crictl", "lxc"), _CONTAINER),
    **dict.fromkeys(("systemctl", "systemd-run", "machinectl", "service"), _MANAGER),
    **dict.fromkeys(("at", "batch", "crontab", "cron", "crond"), _SCHEDULER),
}
_LOGIN = "pam_systemd moves a login into a scope of its own: use setpriv --reuid=USER --init-groups"

_BETWEEN = re.compile(r"[;&|(){}\n]+")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_BEFORE = frozenset({"exec", "nohup", "env", "command", "then", "do", "else", "if", "while", "!"})


def handed_findings(cltab: Cltab, file: str) -> Iterator[Finding]:
    """Warn of each entry whose command only asks another service to do the work."""
    for entry in cltab.entries:
        if entry.mode is Mode.OFF or entry.wrapped:
            continue
        for program, words in _programs(entry.command):
            remedy = REMEDIES.get(program, "")
            if program == "su" and {"-", "-l", "--login"} & set(words):
                remedy = _LOGIN
            if remedy:
                text = f"{entry.tag} hands its work to {program}: clinit cannot end what it starts"
                yield Finding("warning", f"{file}:{entry.line}", text, remedy)
                break


def _programs(command: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each program of a command, and the words after it."""
    for part in _BETWEEN.split(command):
        words = part.replace('"', " ").replace("'", " ").split()
        while words and (words[0] in _BEFORE or _ASSIGNMENT.match(words[0])):
            words.pop(0)
        if words:
            yield PurePath(words[0]).name, words[1:]
