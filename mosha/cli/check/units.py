"""Checks the entries of mode `systemd`: asks systemd about their units, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from mosha.cli.check.files import Finding
from mosha.core.tables import Cltab, Entry, Mode

NO_SYSTEMD = "it is not the service manager of this machine"


def unit_findings(cltab: Cltab, file: str) -> Iterator[Finding]:
    """Judge the units of all entries of mode `systemd`, as this machine has them."""
    entries = [entry for entry in cltab.entries if entry.mode is Mode.SYSTEMD]
    if entries:
        yield from _judged(entries, file)


def _judged(entries: list[Entry], file: str) -> Iterator[Finding]:
    # D-Bus costs a check of a table without units a tenth of its time.
    from mosha.systemd.bus import (  # noqa: PLC0415
        BusLostError,
        RefusedError,
        SystemdBus,
        is_booted,
    )
    from mosha.systemd.fitness import objections_to  # noqa: PLC0415

    for entry in entries:
        where = f"{file}:{entry.line}"
        if not is_booted():
            text = f"{entry.tag} could not run on this machine: systemd is missing"
            yield Finding("warning", where, text, NO_SYSTEMD)
            return
        bus = SystemdBus(entry.command)
        try:
            for found in objections_to(entry.command, bus):
                text = f"{entry.tag} could not run on this machine: {found.text}"
                yield Finding("warning", where, text, found.remedy)
        except (BusLostError, RefusedError) as error:
            text = f"systemd cannot be asked about {entry.tag}: {error}"
            yield Finding("warning", where, text, f"systemctl status {entry.command}")
        finally:
            bus.close()
