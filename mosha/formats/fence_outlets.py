"""Which outlets of which device are those of a node, and what a device lists of its outlets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from msgspec import Struct

from mosha.formats.fence_options import PLUG_NAMES, device_of

SEPARATOR = ","
"""Between plug and alias in a list of outlets, unless the option `separator` is another one."""

PLUG_SEPARATOR = ","
"""Between the plugs of a node that has several, unless `plug_separator` is another one."""


class Outlets(Struct, frozen=True):
    """What one method switches for one node: the agent, its options of the device, the plugs.

    An agent without plugs has the one that is called "".
    """

    agent: str
    device: frozenset[tuple[str, str]]
    plugs: frozenset[str]

    def same_device(self, other: Outlets) -> bool:
        """Say whether both are at one device."""
        return self.agent == other.agent and self.device == other.device


class OutletMap:
    """Which node has which outlet. What is at one device is told apart by `apart` too."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[Outlets, str, object], int] = {}

    def add(self, node: int, outlets: Outlets, apart: object = None) -> None:
        """Remember the outlets of a node; those that another one has already stay with that one."""
        for key in self._keys(outlets, apart):
            self._nodes.setdefault(key, node)

    def other(self, node: int, outlets: Outlets, apart: object = None) -> int | None:
        """Return another node that a shot at this one would hit too, None if there is none."""
        found = (self._nodes.get(key, node) for key in self._keys(outlets, apart))
        return next((other for other in found if other != node), None)

    @staticmethod
    def _keys(outlets: Outlets, apart: object) -> list[tuple[Outlets, str, object]]:
        device = Outlets(outlets.agent, outlets.device, frozenset())
        return [(device, plug, apart) for plug in sorted(outlets.plugs)]


def outlets_of(agent: str, options: Mapping[str, str], plug: str) -> Outlets:
    """Return the outlets that an agent switches with these options and this plug."""
    device = {k: value for k, value in device_of(options).items() if k not in PLUG_NAMES}
    # The key of fence_scsi is an option of the device, and takes the place of the plug.
    names = [""] if "key" in device else plug.split(device.get("plug_separator") or PLUG_SEPARATOR)
    plugs = frozenset(name.strip() for name in names)
    return Outlets(PurePath(agent).name, frozenset(device.items()), plugs)


def parse_outlets(text: str, separator: str = SEPARATOR) -> dict[str, str]:
    """Return each plug that an agent lists (`action=list`) with its alias, "" if it has none.

    Other lines are notices.
    """
    pairs = (line.partition(separator) for line in text.splitlines())
    return {plug.strip(): alias.strip() for plug, found, alias in pairs if found and plug.strip()}


def listed_plug(plug: str, outlets: Mapping[str, str]) -> str | None:
    """Return the plug that is meant in a list of outlets, by its name or its alias."""
    if plug in outlets:
        return plug
    found = [name for name, alias in outlets.items() if alias == plug]
    return found[0] if len(found) == 1 else None
