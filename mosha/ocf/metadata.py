"""What a resource agent says of itself: the XML that the action `meta-data` prints.

Part of the wrapper: it imports next to nothing.
"""

from __future__ import annotations

from mosha.formats.agent_xml import read_agent_xml

DEFAULT_LIMIT_S = 20.0
"""How long an action may take whose time-out the agent does not give, as with Pacemaker."""

SPAN_MAX_S = 86400.0 * 31
"""No action takes longer; an interval of more than this is none."""

_UNITS_S = {
    "us": 1e-6,
    "usec": 1e-6,
    "ms": 1e-3,
    "msec": 1e-3,
    "": 1.0,
    "s": 1.0,
    "sec": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
}
_DIGITS_MAX = 9
_YES = frozenset({"1", "true", "yes", "on"})


class OcfParameter:
    """A parameter. `kind` is `string`, `integer`, `boolean` or a word of the agent's own."""

    __slots__ = ("about", "default", "deprecated", "kind", "name", "required", "unique")

    def __init__(self, name: str, *, required: bool, unique: bool) -> None:
        self.name = name
        self.required = required
        self.unique = unique
        self.kind = "string"
        self.default = ""
        self.about = ""
        self.deprecated = False


class OcfAction:
    """An action as the agent recommends it; an interval of 0 is none. `depth` is of a monitor."""

    __slots__ = ("depth", "interval_s", "limit_s", "name", "role")

    def __init__(
        self, name: str, *, limit_s: float, interval_s: float, depth: int, role: str
    ) -> None:
        self.name = name
        self.limit_s = limit_s
        self.interval_s = interval_s
        self.depth = depth
        self.role = role


class OcfMetadata:
    """An agent's name, what it is in a line and at length, its parameters and its actions."""

    __slots__ = ("about", "actions", "description", "name", "parameters", "version")

    def __init__(self) -> None:
        self.name = ""
        self.version = ""
        self.about = ""
        self.description = ""
        self.parameters: dict[str, OcfParameter] = {}
        self.actions: list[OcfAction] = []

    def limit_s(self, action: str, depth: int = 0) -> float:
        """Return how many seconds an action may take."""
        found = self._find(action, depth) or self._find(action, 0)
        return found.limit_s if found else DEFAULT_LIMIT_S

    def interval_s(self, depth: int) -> float:
        """Return the seconds from one monitor of a depth to the next; 0 if the agent gives none."""
        found = self._find("monitor", depth)
        return found.interval_s if found else 0.0

    def depths(self) -> list[int]:
        """Return the depths of its monitors, ascending."""
        return sorted({each.depth for each in self.actions if each.name == "monitor"})

    def _find(self, action: str, depth: int) -> OcfAction | None:
        """Return an action; of the monitors of several roles that of what is not promoted."""
        found = [each for each in self.actions if (each.name, each.depth) == (action, depth)]
        return min(found, key=lambda each: each.role in {"Master", "Promoted"}, default=None)


def parse_metadata(data: bytes) -> OcfMetadata:
    """Read the metadata of an agent.

    Raises:
        MetadataError: as `read_agent_xml`.
    """
    reading = _Reading()
    read_agent_xml(data, reading)
    return reading.found


def span_s(text: str, otherwise_s: float) -> float:
    """Return the seconds of a time such as `20`, `20s`, `2min` or `500ms`, else `otherwise_s`."""
    word = text.strip().lower()
    digits = word[: len(word) - len(word.lstrip("0123456789"))]
    unit_s = _UNITS_S.get(word[len(digits) :].strip())
    if unit_s is None or not 0 < len(digits) <= _DIGITS_MAX:
        return otherwise_s
    return min(int(digits) * unit_s, SPAN_MAX_S)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX else 0


class _Reading:
    """What has been read so far."""

    def __init__(self) -> None:
        self.found = OcfMetadata()
        self._parameter: OcfParameter | None = None
        self._words: list[str] = []

    def begin(self, tag: str, about: dict[str, str]) -> None:
        self._words.clear()
        if tag == "resource-agent":
            self.found.name, self.found.version = about.get("name", ""), about.get("version", "")
        elif tag == "parameter":
            self._parameter = OcfParameter(
                about.get("name", ""),
                required=about.get("required", "").lower() in _YES,
                unique=about.get("unique", "").lower() in _YES or "unique-group" in about,
            )
        elif tag == "content" and self._parameter is not None:
            self._parameter.kind = about.get("type", "string")
            self._parameter.default = about.get("default", "")
        elif tag == "deprecated" and self._parameter is not None:
            self._parameter.deprecated = True
        elif tag == "action":
            self._note_action(about)

    def text(self, text: str) -> None:
        self._words.append(text)

    def end(self, tag: str) -> None:
        text = "".join(self._words).strip()
        self._words.clear()
        if tag == "shortdesc":
            owner = self._parameter or self.found
            owner.about = " ".join(text.split())
        elif tag == "longdesc" and self._parameter is None:
            self.found.description = text
        elif tag == "parameter" and self._parameter is not None:
            if self._parameter.name:
                self.found.parameters[self._parameter.name] = self._parameter
            self._parameter = None

    def _note_action(self, about: dict[str, str]) -> None:
        name = about.get("name", "")
        if name:
            action = OcfAction(
                name,
                # An agent that gives 0 has no limit of its own: it needs one nevertheless.
                limit_s=span_s(about.get("timeout", ""), DEFAULT_LIMIT_S) or DEFAULT_LIMIT_S,
                interval_s=span_s(about.get("interval", ""), 0.0),
                depth=_number(about.get("depth", "")),
                role=about.get("role", ""),
            )
            self.found.actions.append(action)
