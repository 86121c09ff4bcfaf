"""Checks the watchdog of the settings without opening it: to open a watchdog arms it."""

from __future__ import annotations

import os
from pathlib import Path

from mosha.cli.check.files import Finding
from mosha.control.calls import call
from mosha.control.protocol import Ask
from mosha.core import watchdog as watchdogs
from mosha.core.watchdog import ArmedWatchdog
from mosha.errors import HostError
from mosha.formats.settings import Settings
from mosha.host.abandonable import ANSWER_LIMIT_S
from mosha.host.watchdog_device import why_no_watchdog

WHERE = "watchdog"
SYSTEM = Path("/sys")
_MISC_MAJOR, _WATCHDOG_MINOR = 10, 130  # of /dev/watchdog, the older name of /dev/watchdog0
RESETS_AT_END = (
    "its driver cannot be disarmed (nowayout): this machine is reset whenever clinit ends, also"
    " after `mosha shutdown`"
)
IN_USE = (
    "it is armed already, and not by this node's clinit: another program has it, or a clinit was"
    " killed just now"
)


def watchdog_findings(settings: Settings, system: Path = SYSTEM) -> list[Finding]:
    """Judge the device, and what this node's clinit has armed; `system` is where sysfs is."""
    if not settings.watchdog:
        return []
    path = Path(settings.watchdog)
    if problem := why_no_watchdog(path):
        remedy = "load its driver (modprobe softdog, if the machine has none), or correct the path"
        return [Finding("mistake", WHERE, problem, remedy)]
    of_device = _of_device(path, system)
    answers, armed = _of_clinit(settings)
    found = []
    if answers:
        trouble = watchdogs.trouble(settings.watchdog, settings.watchdog_s, armed)
        if trouble:
            found.append(Finding("mistake", WHERE, trouble, ""))
    if armed is None and of_device.get("state") == "active":
        remedy = "is it systemd, by RuntimeWatchdogSec=? give that another device"
        found.append(Finding("warning", WHERE, IN_USE, remedy))
    if of_device.get("nowayout") == "1":
        remedy = "load the driver with nowayout=0, or live with it"
        found.append(Finding("warning", WHERE, RESETS_AT_END, remedy))
    if not found:
        name = of_device.get("identity", "")
        text = f"{path}{f' ({name})' * bool(name)}: time-out {settings.watchdog_s} s"
        text += ", armed" if armed else ", armed by clinit when it starts"
        found.append(Finding("ok", WHERE, text, ""))
    return found


def _of_clinit(settings: Settings) -> tuple[bool, ArmedWatchdog | None]:
    """Return whether clinit answers, and the watchdog that it has armed."""
    try:
        update = call(settings.socket_path, Ask(), ANSWER_LIMIT_S).update
    except HostError:
        return False, None
    return update is not None, update.watchdog if update is not None else None


def _of_device(path: Path, system: Path) -> dict[str, str]:
    """Return what sysfs has of a watchdog, as far as the kernel shows it."""
    number = path.stat().st_rdev
    major, minor = os.major(number), os.minor(number)
    legacy = (major, minor) == (_MISC_MAJOR, _WATCHDOG_MINOR)
    place = "class/watchdog/watchdog0" if legacy else f"dev/char/{major}:{minor}"
    found = {}
    for name in ("identity", "state", "nowayout"):
        try:
            found[name] = (system / place / name).read_text(encoding="utf-8").strip()
        except OSError:  # the kernel was built without these files
            continue
    return found
