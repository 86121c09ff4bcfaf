"""SIGHUP and `reload`: mosha.toml is read again; what can change while running, does."""

from __future__ import annotations

import msgspec

from mosha import logs
from mosha.formats.settings import Settings
from mosha.monitor.daemon import Monitor

# Everything else decides who this node is or what others count on: restart the monitor for
# that; groups go on meanwhile.
LIVE = ("ban", "start_grace", "fencing", "log_level")


def reload(monitor: Monitor) -> str:
    """Read the settings again and return, in a line, what that changed.

    Raises:
        UsageError: mistakes, all of them. Nothing has changed then.
    """
    monitor.replicator.look()
    if monitor.read_settings is None:
        return "no settings file: only the tables were looked at"
    new = monitor.read_settings()
    changed = [name for name in Settings.__struct_fields__ if _differs(monitor.settings, new, name)]
    live = [name for name in changed if name in LIVE]
    later = [name for name in changed if name not in LIVE]
    _apply(monitor, new, live)
    text = f"in force now: {', '.join(live) or 'nothing new'}"
    if later:
        text += f"; after a restart of the monitor: {', '.join(later)}"
    logs.get().info("settings_reloaded", node=monitor.me, text=text)
    return text


def _differs(old: Settings, new: Settings, name: str) -> bool:
    return bool(getattr(old, name) != getattr(new, name))


def _apply(monitor: Monitor, new: Settings, live: list[str]) -> None:
    values = {name: getattr(new, name) for name in live}
    monitor.settings = msgspec.structs.replace(monitor.settings, **values)
    mind = monitor.node.mind
    mind.timing = monitor.settings.timing
    mind.fencing = monitor.fencing_rules()
    monitor.fencing.methods = monitor.settings.fencing.methods
    if "log_level" in live:
        logs.configure(people=logs.for_people(), level=new.log_level, file=logs.file_in_force())
    monitor.fencing.wake()
    monitor.settle()
