"""Checks the entries of mode `address`: their interfaces, and whether the times leave room."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from mosha.address.lifetime import LATE_ALONE_S, LATE_S, ROOM_S, SURE_ROOM_S
from mosha.address.messages import PACKAGE, address_message
from mosha.cli.check.files import Finding
from mosha.cli.check.libraries import install, why_missing
from mosha.core.durations import number_text
from mosha.core.tables import Cltab, Mode
from mosha.formats.address_command import address_command
from mosha.formats.settings import Settings


def address_findings(cltab: Cltab, settings: Settings | None, file: str) -> Iterator[Finding]:
    """Judge the addresses of all groups, as this machine and its settings are."""
    groups: dict[str, str] = {}
    interfaces = {name for _, name in socket.if_nameindex()}
    entries = [entry for entry in cltab.entries if entry.mode is Mode.ADDRESS]
    missing = why_missing(PACKAGE, address_message) if entries else ""
    for entry in entries:
        where = f"{file}:{entry.line}"
        if missing:
            text = f"{entry.tag} could not run on this machine: {missing}"
            yield Finding("warning", where, text, install(PACKAGE))
        command = address_command(entry.command)
        if command.interface not in interfaces:
            text = f"{entry.tag}: this machine has no interface {command.interface}"
            remedy = "`ip link` shows which it has; every node of the group needs it"
            yield Finding("warning", where, text, remedy)
        first = groups.setdefault(command.address, entry.group)
        if first != entry.group:
            text = f"{entry.tag}: {first} has the address {command.address} too"
            remedy = "give each group an address of its own: two nodes may run them"
            yield Finding("warning", where, text, remedy)
    if groups and settings is not None:
        yield from _room(settings, file)


def _room(settings: Settings, file: str) -> Iterator[Finding]:
    """Warn if the lifetime of an address may end while its lease is still being renewed."""
    timing = settings.timing
    left_s = timing.lease_s + timing.stop_budget_s - timing.heartbeat_s
    if left_s < ROOM_S:
        text = (
            f"an address may disappear between two renewals: lease + stop_budget - heartbeat is"
            f" {number_text(left_s)} s, and its lifetime needs {number_text(ROOM_S)} s"
        )
        yield Finding("warning", file, text, "raise timeout to 2 s or more")
    elif left_s < SURE_ROOM_S:
        text = (
            f"an address may outlive kill_at by up to {number_text(LATE_S - LATE_ALONE_S)} s if"
            " this machine is frozen and has other addresses with a lifetime: lease + stop_budget -"
            f" heartbeat is {number_text(left_s)} s"
        )
        remedy = f"for {number_text(SURE_ROOM_S)} s raise timeout to 3.2 s or more"
        yield Finding("warning", file, text, remedy)
