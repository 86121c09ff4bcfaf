"""The exit statuses of a process that runs a resource agent or a unit: what its supervisor is told.

Part of that process (`mosha.ocf.wrapper`, `mosha.systemd.wrapper`): it imports next to nothing.
"""

from __future__ import annotations

STOPPED_WELL = 0
FAILED = 1
"""The service has failed, and was stopped; or the agent took too long, or was killed."""
UNUSABLE_HERE = 2
"""The agent cannot run the service, or the unit, on this node; the last line says why."""
STOP_FAILED = 3
"""Nobody knows what of the service is left."""
UNUSABLE_ANYWHERE = 6
"""The agent cannot run the service on any node: its parameters are wrong."""
