"""The command line of the wrapper: how its words are made, and read.

    [--instance=NAME] [--stop-only] [--start=S] [--stop=S] [--timeout=S] [--monitor=DEPTH/S ...]
    AGENT [NAME=VALUE ...]

Part of the wrapper: it imports next to nothing.
"""

from __future__ import annotations

from mosha.errors import UsageError
from mosha.ocf.agents import AgentName, agent_named

TYPE_CHECKING = False  # as in typing, which the wrapper does not import
if TYPE_CHECKING:
    from collections.abc import Sequence

LIMITS = ("start", "stop", "timeout")


class WrapperWords:
    """What the wrapper is told: limits are in seconds, None: as the agent says.

    `intervals` has the depths of monitors and their intervals, 0: as the agent says. `instance` is
    how the service is called here, "" if it has no name.
    """

    __slots__ = ("agent", "instance", "intervals", "limits", "parameters", "stop_only")

    def __init__(self, agent: AgentName) -> None:
        self.agent = agent
        self.parameters: dict[str, str] = {}
        self.limits: dict[str, float | None] = dict.fromkeys(LIMITS)
        self.intervals: list[tuple[int, float]] = []
        self.instance = ""
        self.stop_only = False


def read_wrapper_words(words: Sequence[str]) -> WrapperWords:
    """Parse a command line.

    Raises:
        UsageError: a word is none of those above.
    """
    options = []
    for word in words:
        if not word.startswith("--"):
            break
        options.append(word)
    rest = words[len(options) :]
    if not rest:
        raise UsageError("no resource agent is named; write TYPE NAME=VALUE ...")
    found = WrapperWords(agent_named(rest[0]))
    found.parameters = parameters_in(rest[1:])
    for word in options:
        name, _, value = word.removeprefix("--").partition("=")
        try:
            if name == "instance":
                found.instance = value
            elif name == "stop-only":
                found.stop_only = True
            elif name == "monitor":
                depth, _, interval = value.partition("/")
                found.intervals.append((int(depth), float(interval or 0)))
            elif name in LIMITS:
                found.limits[name] = float(value)
            else:
                raise UsageError(f"unknown option: {word}; there are --start --stop --timeout")
        except ValueError as error:
            raise UsageError(f"not a number: {word}") from error
    return found


STOP_PART = 0.9
"""How much of the time until SIGKILL an agent's stop gets: the rest is for what it says then."""


def wrapper_words(
    agent: Sequence[str],
    *,
    instance: str,
    stop_only: bool,
    start_s: float | None,
    stop_s: float | None,
    timeout_s: float | None,
    intervals: Sequence[tuple[int, float]],
) -> list[str]:
    """Return the words for an agent and its parameters; `stop_s` is the time until SIGKILL."""
    limits = {"start": start_s, "stop": stop_s and stop_s * STOP_PART, "timeout": timeout_s}
    return [
        f"--instance={instance}",
        *(["--stop-only"] if stop_only else []),
        *(f"--{name}={limit_s:g}" for name, limit_s in limits.items() if limit_s),
        *(f"--monitor={depth}/{interval_s:g}" for depth, interval_s in intervals),
        *agent,
    ]


def parameters_in(words: Sequence[str]) -> dict[str, str]:
    """Return the parameters in the words NAME=VALUE.

    Raises:
        UsageError: a word is none, or a name occurs twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(f"not a parameter: {word!r}; write NAME=VALUE")
        if name in found:
            raise UsageError(f"the parameter {name} is given twice; keep one")
        found[name] = value
    return found
