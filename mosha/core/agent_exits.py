"""How a process that runs a resource agent or a unit ends, as it and its supervisor agree.

Part of that process (`mosha.ocf.wrapper`, `mosha.systemd.wrapper`): it imports next to nothing.
"""

from __future__ import annotations

TURN_VARIABLE = "MOSHA_TURN"
"""In the environment of a resource agent's process whose supervisor answers `STOPPING=1`.

It sends SIGTERM when what needs the service is gone. An older clinit does not.
"""

STOPPED_WELL = 0
FAILED = 1
"""The service has failed, and was stopped; or the agent took too long, or was killed."""
UNUSABLE_HERE = 2
"""The agent cannot run the service, or the unit, on this node; the last line says why."""
STOP_FAILED = 3
"""Nobody knows what of the service is left."""
UNUSABLE_ANYWHERE = 6
"""The agent cannot run the service on any node: its parameters are wrong."""
