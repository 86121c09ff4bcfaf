r"""The command of an entry of mode `systemd`, and the slices that its unit is started in.

A slice is named after the clinit that started the unit (its PLACE, `clinit/trees.py`), the group
and the tag. systemd reads a `-` in such a name as "below" and allows no `@`, so those of groups and
tags are written `\x2d` and `\x40` (systemd.slice(5)). So the cgroups of all units of an entry, of a
group and of a clinit are known by their names alone, and one write to each kills what is below it.
"""

from __future__ import annotations

import re

FORM = "write the name of one service: nginx.service"
NAME_MAX_CHARS = 255
"""Of a unit, and of a directory."""

PLACE_DIGITS = 12
"""How long the PLACE of a clinit is."""

SLICE_VARIABLE = "MOSHA_SLICE"
"""The variable with the cgroup of the slice for the unit of an entry, or nothing."""

_SPECIAL = re.compile(r"[^A-Za-z0-9_.]")
_UNIT = re.compile(r"[A-Za-z0-9_.:\\-]+(@[A-Za-z0-9_.:\\-]+)?\.service")


def unit_named(command: str) -> str:
    """Return the unit that the command of an entry names.

    Raises:
        ValueError: it names none; the text says what is wrong.
    """
    if len(command) > NAME_MAX_CHARS:
        raise ValueError("the name of the unit is too long")
    if not _UNIT.fullmatch(command):
        raise ValueError(f"not the name of a service of systemd: {command}")
    return command


def slice_named(place: str, *names: str) -> str:
    """Return the slice of a clinit, of a group of it, or of an entry of that."""
    return "-".join(["mosha", place, *map(_escaped, names)]) + ".slice"


def _escaped(name: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\x{ord(found[0]):02x}", name)


def slice_path(place: str, *names: str) -> str:
    """Return the cgroup of a slice, below that of systemd itself."""
    levels = [slice_named(place, *names[:count]) for count in range(len(names) + 1)]
    return "/".join(["mosha.slice", *levels])
