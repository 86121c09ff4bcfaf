"""Runs an agent: passes it events one by one, and its effects to their ports.

It decides nothing. The same runtime drives the agent in the monitor, where the ports are threads,
mounts, sockets and processes, and in the simulator, where they are simulated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol, get_args

from mosha.core.cluster.agent import Agent
from mosha.core.cluster.effects import Effect
from mosha.core.cluster.events import Event, TimePassed
from mosha.errors import BugError

Ports = Mapping[type, Callable[[Any], None]]
"""The function that carries out each kind of effect (`core.cluster.effects.Effect`)."""


class Clock(Protocol):
    """The time and randomness of an agent."""

    def now(self) -> float:
        """Return the time, in seconds of boottime."""

    def chance(self) -> float:
        """Return a number in [0, 1) that no other node has at the same time."""

    def wake_at(self, when: float) -> None:
        """Call `Runtime.wake` at a time, soon if it has passed; replaces the former time."""


class Runtime:
    """Runs one agent. Events that come while one is handled are handled after it."""

    def __init__(self, agent: Agent, ports: Ports, clock: Clock) -> None:
        if missing := {kind.__name__ for kind in get_args(Effect)} - {p.__name__ for p in ports}:
            raise BugError(f"there is no port for {', '.join(sorted(missing))}")
        self.agent = agent
        self.due = agent.due  # of the agent, when it came to rest last
        self._handle, self._now = agent.handle, clock.now
        self._ports = ports
        self._clock = clock
        self._events: deque[Event] = deque()
        self._handling = False

    def report(self, event: Event) -> None:
        """Pass an event to the agent."""
        events = self._events
        events.append(event)
        if self._handling:
            return
        self._handling = True
        try:
            while events:
                for effect in self._handle(events.popleft(), self._now()):
                    self._ports[type(effect)](effect)
        finally:
            self._handling = False
        self.due = self.agent.due
        self._clock.wake_at(self.due)

    def wake(self) -> None:
        """Make the agent do what is due."""
        if self.due <= self._now():
            self.report(TimePassed(self._clock.chance()))
        else:
            self._clock.wake_at(self.due)
