"""SIGHUP and `reload`: reads mosha.toml again and applies what can change while running."""

from __future__ import annotations

import msgspec

from mosha.core.cluster.events import SettingsChanged
from mosha.errors import HostError, UsageError
from mosha.formats.mistakes import Mistakes
from mosha.formats.settings import Settings
from mosha.host import logs
from mosha.monitor.daemon import Monitor

# Everything else is this node's identity or what others rely on: restart the monitor for that;
# groups go on meanwhile.
LIVE = ("ban", "start_grace", "fencing", "log_level", "capacity")


TROUBLE = "settings"


def refusal(error: UsageError | HostError) -> str:
    """Return in one line that settings are refused: the first mistake, and how many there are."""
    first, *more = str(error).splitlines()
    many = f"{error.total} mistakes, the first: " if isinstance(error, Mistakes) and more else ""
    return (
        f"the settings are refused, those of before stay in force: {many}{first}; then have them"
        " read again (systemctl reload mosha, or SIGHUP)"
    )


def reload(monitor: Monitor) -> str:
    """Read the settings again and return, in a line, what that changed.

    Raises:
        UsageError: all mistakes. Nothing has changed then, and this is a problem of the host until
            settings without mistakes are read.
        HostError: they cannot be read; likewise.
    """
    monitor.look_at_tables()
    if monitor.read_settings is None:
        return "no settings file: only the tables were looked at"
    try:
        new = monitor.read_settings()
    except (UsageError, HostError) as error:
        monitor.trouble(TROUBLE, refusal(error))
        raise
    monitor.trouble(TROUBLE, "")
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
    if "log_level" in live:
        logs.configure(people=logs.for_people(), level=new.log_level, file=logs.file_in_force())
    if "fencing" in live:
        monitor.fence_schedule.settings_changed()
    timing, capacity = monitor.settings.timing, monitor.settings.capacity
    monitor.report_event(SettingsChanged(timing, monitor.fencing_rules(), capacity))
