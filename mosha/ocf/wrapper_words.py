"""The command line of the wrapper: how its words are made, and read.

    [--start=S] [--stop=S] [--timeout=S] [--monitor=DEPTH/S ...] AGENT [NAME=VALUE ...]

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

    `intervals` has the depths of monitors and their intervals, 0: as the agent says.
    """

    __slots__ = ("agent", "intervals", "limits", "parameters")

    def __init__(self, agent: AgentName) -> None:
        self.agent = agent
        self.parameters: dict[str, str] = {}
        self.limits: dict[str, float | None] = dict.fromkeys(LIMITS)
        self.intervals: list[tuple[int, float]] = []


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
            if name == "monitor":
                depth, _, interval = value.partition("/")
                found.intervals.append((int(depth), float(interval or 0)))
            elif name in LIMITS:
                found.limits[name] = float(value)
            else:
                raise UsageError(f"unknown option: {word}; there are --start --stop --timeout")
        except ValueError as error:
            raise UsageError(f"not a number: {word}") from error
    return found


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
