"""What an agent gets for one action: everything is in its environment.

Beside what the standard has there are variables that it does not have and agents need. Without
OCF_RESKEY_CRM_meta_interval, or with 0, a monitor is a *probe*, to which many agents answer
differently; from OCF_RESKEY_CRM_meta_timeout some derive limits of their own (both in ms).

Part of the wrapper: it imports next to nothing.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as in typing, which the wrapper does not import
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mosha.ocf.agents import AgentName

REASON_PREFIX = "ocf-exit-reason:"
"""An agent tells the cause of a failure in a line of its standard error that begins so."""

SYSTEM_DIRECTORIES = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""What agents expect in their PATH; a service may have less."""

RSCTMP = "/run/resource-agents"
"""Where Debian's agents keep what is true until the next boot; $HA_RSCTMP overrides it."""

_NOT_PASSED = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "PCMK_", "OCF_", "HA_LOGTAG")
"""What belongs to mosha, or to another agent: variables that begin so."""


class Resource:
    """One use of an agent: which, how it is called here, its parameters, and where agents are."""

    __slots__ = ("agent", "instance", "parameters", "root")

    def __init__(
        self, agent: AgentName, instance: str, parameters: Mapping[str, str], root: str
    ) -> None:
        self.agent = agent
        self.instance = instance
        self.parameters = parameters
        self.root = root


def rsctmp_of(environment: Mapping[str, str]) -> str:
    """Return the directory HA_RSCTMP."""
    return environment.get("HA_RSCTMP") or RSCTMP


def action_environment(
    resource: Resource,
    action: str,
    *,
    limit_s: float,
    interval_s: float = 0.0,
    depth: int = 0,
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """Return the whole environment of an action.

    `interval_s` 0 makes a monitor a probe. `inherited` is that of the caller, of which most is
    passed on: the mark of clinit is in it, and what the entry was given.
    """
    kept = {name: it for name, it in inherited.items() if not name.startswith(_NOT_PASSED)}
    own = [place for place in kept.get("PATH", "").split(":") if place]
    missing = [place for place in SYSTEM_DIRECTORIES if place not in own]
    return {
        **kept,
        "PATH": ":".join([*own, *missing]),
        "LC_ALL": "C",
        "HA_RSCTMP": rsctmp_of(inherited),
        "OCF_ROOT": resource.root,
        "OCF_RA_VERSION_MAJOR": "1",
        "OCF_RA_VERSION_MINOR": "1",
        "OCF_RESOURCE_INSTANCE": resource.instance,
        "OCF_RESOURCE_TYPE": resource.agent.type,
        "OCF_RESOURCE_PROVIDER": resource.agent.provider,
        "OCF_EXIT_REASON_PREFIX": REASON_PREFIX,
        **{f"OCF_RESKEY_{name}": value for name, value in resource.parameters.items()},
        **({"OCF_CHECK_LEVEL": str(depth)} if depth else {}),
        "OCF_RESKEY_CRM_meta_name": action,
        "OCF_RESKEY_CRM_meta_on_node": os.uname().nodename,
        "OCF_RESKEY_CRM_meta_timeout": _ms(limit_s),
        "OCF_RESKEY_CRM_meta_interval": _ms(interval_s),
    }


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))
