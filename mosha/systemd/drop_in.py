"""What a unit gets before it is started, until the next boot: a drop-in of systemd.unit(5).

- `Slice=`: its processes are in the slice of its entry, which clinit kills.
- `Restart=no`: mosha decides whether it is started again, and where. What was killed stays dead.
- `AssertPathExists=`: a link to the process of this wrapper in /proc. While there is none, systemd
  refuses every start: one by hand, and one that was on its way when the wrapper was killed.
- `Before=mosha-clinit.service`: at a shutdown systemd does not stop the unit before mosha has.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path("/run/systemd/system")
"""Where units are until the next boot."""

NAME = "zzz-mosha.conf"
"""Drop-ins count in the order of their names: after override.conf of `systemctl edit`."""

LINK = "mosha"


class DropIn:
    """The drop-in of one unit for one slice, and the link, below `root`."""

    def __init__(self, unit: str, slice_: str, root: Path = ROOT) -> None:
        self._slice = slice_
        self._directory = root / f"{unit}.d"
        self._link = self._directory / LINK
        self.text = (
            f"# Of mosha, which runs {unit}; it is gone after a boot.\n"
            "[Unit]\n"
            "Before=mosha-clinit.service\n"
            f"AssertPathExists={self._link}\n"
            "[Service]\n"
            "Restart=no\n"
            f"Slice={slice_}\n"
        )

    def write(self) -> bool:
        """Write it; say whether systemd has to read it.

        Raises:
            OSError: it cannot be written.
        """
        self._directory.mkdir(exist_ok=True)
        path = self._directory / NAME
        if path.exists() and path.read_text(encoding="utf-8") == self.text:
            return False
        draft = self._directory / f".{os.getpid()}"
        draft.write_text(self.text, encoding="utf-8")
        draft.replace(path)
        return True

    def allow(self) -> None:
        """Let systemd start the unit, for as long as this process lives.

        Raises:
            OSError: it cannot be linked.
        """
        self.forbid()
        self._link.symlink_to(f"/proc/{os.getpid()}")

    def forbid(self) -> None:
        """Have systemd refuse every start of the unit.

        Raises:
            OSError: the link cannot be removed.
        """
        self._link.unlink(missing_ok=True)

    def why_not_in_force(self, facts: Mapping[str, Any]) -> str:
        """Return what of it another drop-in overrides, "" if nothing."""
        if facts["NeedDaemonReload"]:
            return "systemd has not read it"
        if facts["Restart"] != "no":
            return f"Restart={facts['Restart']} stands in another file"
        if facts["Slice"] != self._slice:
            return f"Slice={facts['Slice']} stands in another file"
        # name, trigger, negate, parameter, state
        asserted = {(name, path) for name, _, negate, path, _ in facts["Asserts"] if not negate}
        if ("AssertPathExists", str(self._link)) not in asserted:
            return "AssertPathExists= is emptied in another file"
        return ""
