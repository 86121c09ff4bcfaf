"""Asks systemd over the system bus, and hears from it: org.freedesktop.systemd1(5).

Signals only say that something has happened: what is, is read afterwards. So none that is lost or
late can deceive, as long as a lost connection is made again, and what is then is read again.

With jeepney: it needs no event loop and no compiled code, and is imported in a quarter of the time
that dbus-fast takes. There is a process with it for each unit.
"""

from __future__ import annotations

import select
from collections import deque
from pathlib import Path
from typing import Any

from jeepney import DBusAddress, HeaderFields, MatchRule, MessageType, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection
from jeepney.wrappers import DBusErrorResponse

CALL_LIMIT_S = 20.0
"""systemd answers within moments, unless it hangs or reads all units anew."""

RESULTS_MAX = 64
"""How many results of jobs are kept: there is one at a time that anybody waits for."""

_NAME = "org.freedesktop.systemd1"
_MANAGER = DBusAddress("/org/freedesktop/systemd1", _NAME, f"{_NAME}.Manager")
_PROPERTIES = "org.freedesktop.DBus.Properties"
_BUS = "org.freedesktop.DBus"
_AWAY = tuple(
    f"{_BUS}.Error.{name}"
    for name in ("NoReply", "ServiceUnknown", "NameHasNoOwner", "Disconnected", "Time", "Spawn")
)
"""What errors begin with that say nothing about the unit: nobody was asked, or answered."""


class BusLostError(Exception):
    """There is no connection, or no answer: connect again, and ask again."""


class RefusedError(Exception):
    """systemd does not do what it was asked for; the text is its own."""


class SystemdBus:
    """A connection, made when it is needed; `unit` is what its signals are about."""

    def __init__(self, unit: str) -> None:
        self._results: dict[str, str] = {}
        self._unit = unit
        self._path = ""
        self._connection: Any = None
        self._heard: deque[Any] = deque(maxlen=RESULTS_MAX)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def properties(self, interface: str = "Unit", unit: str = "") -> dict[str, Any]:
        """Return the properties of the unit, or of another one: those of an interface.

        Raises:
            BusLostError, RefusedError: see there.
        """
        self._connect()
        path = self._call(_MANAGER, "LoadUnit", "s", unit)[0] if unit else self._path
        address = DBusAddress(path, _NAME, _PROPERTIES)
        values = self._call(address, "GetAll", "s", f"{_NAME}.{interface}")[0]
        return {name: value for name, (_, value) in values.items()}

    def ask(self, member: str, signature: str = "", *arguments: str) -> str:
        """Call a method of systemd; return its answer if that is a job, else "".

        Raises:
            BusLostError, RefusedError: see there.
        """
        self._connect()
        return "".join(self._call(_MANAGER, member, signature, *arguments)[:1])

    def result(self, job: str) -> str:
        """Return how a job has ended: done, failed, canceled, timeout, assert ...; "" if unknown.

        Raises:
            BusLostError: see there.
        """
        self._connect()
        self._drain()
        return self._results.get(job, "")

    def wait(self, fd: int, limit_s: float | None = None) -> bool:
        """Return when the unit may have changed, when `fd` is readable, or after so long: False.

        It may have changed while there was no connection.

        Raises:
            BusLostError: see there.
        """
        if self._connection is None:
            self._connect()
            return True
        if self._drain():
            return True
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.register(self._connection.sock, select.POLLIN)
        ready = poll.poll(None if limit_s is None else limit_s * 1000)
        self._drain()
        return bool(ready)

    def _connect(self) -> None:
        if self._connection is not None:
            return
        try:
            self._connection = open_dbus_connection("SYSTEM", auth_timeout=CALL_LIMIT_S)
            self._heard.clear()
            self._path = self._call(_MANAGER, "LoadUnit", "s", self._unit)[0]
            manager = {"path": _MANAGER.object_path, "interface": _MANAGER.interface}
            jobs = MatchRule(type="signal", sender=_NAME, member="JobRemoved", **manager)
            jobs.add_arg_condition(2, self._unit)
            news = {"interface": _PROPERTIES, "member": "PropertiesChanged"}
            changes = MatchRule(type="signal", sender=_NAME, path=self._path, **news)
            owner = MatchRule(type="signal", sender=_BUS, member="NameOwnerChanged")
            owner.add_arg_condition(0, _NAME)
            for rule in (jobs, changes, owner):
                self._checked(message_bus.AddMatch(rule))
            # Only what the rules ask for comes here, by the unique name of its sender.
            self._connection.filter(MatchRule(type="signal"), queue=self._heard)
            self._call(_MANAGER, "Subscribe", "")
        except (BusLostError, RefusedError):
            self.close()
            raise
        except (OSError, ValueError, DBusErrorResponse) as error:
            self.close()
            raise BusLostError(f"no connection to the system bus: {error}") from error

    def _call(self, address: Any, member: str, signature: str, *arguments: str) -> tuple[Any, ...]:
        if signature:
            return self._checked(new_method_call(address, member, signature, arguments))
        return self._checked(new_method_call(address, member))

    def _checked(self, message: Any) -> tuple[Any, ...]:
        try:
            reply = self._connection.send_and_get_reply(message, timeout=CALL_LIMIT_S)
        except TimeoutError as error:
            self.close()
            raise BusLostError(f"systemd has not answered within {CALL_LIMIT_S:g} s") from error
        except OSError as error:
            self.close()
            raise BusLostError(f"the connection to the system bus is lost: {error}") from error
        body: tuple[Any, ...] = reply.body
        if reply.header.message_type is MessageType.error:
            name = reply.header.fields.get(HeaderFields.error_name, "")
            text = str(body[0]) if body else name
            if name.startswith(_AWAY):
                self.close()
                raise BusLostError(text)
            raise RefusedError(text)
        return body

    def _drain(self) -> bool:
        """Read all that has come; say whether the unit may have changed.

        Raises:
            BusLostError: the connection, or systemd at the other end of it, has ended.
        """
        try:
            while True:
                self._connection.recv_messages(timeout=0)
        except TimeoutError:
            pass
        except OSError as error:
            self.close()
            raise BusLostError(f"the connection to the system bus is lost: {error}") from error
        some = bool(self._heard)
        while self._heard:
            message = self._heard.popleft()
            member = message.header.fields.get(HeaderFields.member)
            if member == "NameOwnerChanged":
                self.close()
                raise BusLostError("systemd has been executed anew")
            if member == "JobRemoved":
                _, job, _, result = message.body
                if len(self._results) >= RESULTS_MAX:
                    self._results.clear()
                self._results[job] = result
        return some


def is_booted(path: str = "/run/systemd/system") -> bool:
    """Say whether systemd is the service manager of this machine: sd_booted(3)."""
    return Path(path).is_dir()
