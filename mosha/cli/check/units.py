"""Checks the entries of mode `systemd`: asks systemd about their units, and changes nothing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence

from mosha.cli.check.files import Finding
from mosha.cli.check.libraries import install, why_missing
from mosha.core.tables import Cltab, Entry, Mode

BUS = "mosha.systemd.bus"
LIBRARY = "jeepney"
NO_SYSTEMD = "it is not the service manager of this machine"
NO_BUS = "see whether the system bus runs: systemctl status dbus.socket"


def unit_findings(cltab: Cltab, file: str) -> Iterator[Finding]:
    """Judge the units of all entries of mode `systemd`, as this machine has them."""
    entries = [entry for entry in cltab.entries if entry.mode is Mode.SYSTEMD]
    if not entries:
        return
    # D-Bus costs a check of a table without units a tenth of its time.
    if problem := why_missing(LIBRARY, lambda: importlib.import_module(BUS)):
        yield from (_unable(entry, file, problem, install(LIBRARY)) for entry in entries)
    else:
        yield from _judged(entries, file)


def _judged(entries: Sequence[Entry], file: str) -> Iterator[Finding]:
    from mosha.systemd.bus import (  # noqa: PLC0415
        BusLostError,
        RefusedError,
        SystemdBus,
        is_booted,
    )
    from mosha.systemd.fitness import objections_to  # noqa: PLC0415

    if not is_booted():
        missing = "systemd is missing"
        yield from (_unable(entry, file, missing, NO_SYSTEMD) for entry in entries)
        return
    for place, entry in enumerate(entries):
        bus = SystemdBus(entry.command)
        try:
            for found in objections_to(entry.command, bus):
                yield _unable(entry, file, found.text, found.remedy)
        except BusLostError as error:  # each of them would wait for an answer as long as this one
            yield from (_unasked(it, file, str(error), NO_BUS) for it in entries[place:])
            return
        except RefusedError as error:
            yield _unasked(entry, file, str(error), f"systemctl status {entry.command}")
        finally:
            bus.close()


def _unable(entry: Entry, file: str, problem: str, remedy: str) -> Finding:
    text = f"{entry.tag} could not run on this machine: {problem}"
    return Finding("warning", f"{file}:{entry.line}", text, remedy)


def _unasked(entry: Entry, file: str, problem: str, remedy: str) -> Finding:
    text = f"systemd cannot be asked about {entry.tag}: {problem}"
    return Finding("warning", f"{file}:{entry.line}", text, remedy)
