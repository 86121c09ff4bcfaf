"""What a fence agent says of itself: the XML that `action=metadata` prints."""

from __future__ import annotations

from msgspec import Struct

from mosha.formats.agent_xml import read_agent_xml
from mosha.formats.fence_options import same_option


class AgentOption(Struct, frozen=True):
    """One option. `kind` is `string`, `boolean`, `integer`, `second` or `select`."""

    name: str
    required: bool = False
    deprecated: bool = False
    obsoletes: str = ""
    kind: str = "string"
    choices: frozenset[str] = frozenset()


class AgentMetadata(Struct, frozen=True):
    """The options of an agent by name (with `_` for `-`), and its actions."""

    options: dict[str, AgentOption]
    actions: frozenset[str]
    unfences: bool = False
    """Whether it wants `on` to be run before a node uses its storage (`automatic`)."""

    @property
    def switches_power(self) -> bool:
        """Whether `off` switches a machine off; else it cuts it off its storage or network."""
        return "reboot" in self.actions

    def newer(self, name: str) -> str:
        """Return the name that has taken the place of a deprecated one, "" if there is none."""
        plain = same_option(name)
        successors = (it.name for it in self.options.values() if same_option(it.obsoletes) == plain)
        return next((name for name in successors if same_option(name) != plain), "")


def parse_metadata(data: bytes) -> AgentMetadata:
    """Read the metadata of an agent.

    Raises:
        MetadataError: as `read_agent_xml`.
    """
    reading = _Reading()
    read_agent_xml(data, reading)
    return AgentMetadata(reading.options, frozenset(reading.actions), reading.unfences)


class _Reading:
    """What has been read so far."""

    def __init__(self) -> None:
        self.options: dict[str, AgentOption] = {}
        self.actions: set[str] = set()
        self.unfences = False
        self._about: dict[str, str] | None = None
        self._kind = "string"
        self._choices: set[str] = set()

    def begin(self, tag: str, about: dict[str, str]) -> None:
        if tag == "parameter":
            self._about, self._kind, self._choices = about, "string", set()
        elif tag == "content" and self._about is not None:
            self._kind = about.get("type", "string")
        elif tag == "option" and self._about is not None:
            self._choices.add(about.get("value", ""))
        elif tag == "action":
            self.actions.add(about.get("name", ""))
            self.unfences |= about.get("name") == "on" and about.get("automatic") == "1"

    def text(self, text: str) -> None:
        """Take no notice: what is needed is in the attributes."""

    def end(self, tag: str) -> None:
        about = self._about
        if tag != "parameter" or about is None:
            return
        self._about = None
        name = about.get("name", "")
        self.options[same_option(name)] = AgentOption(
            name=name,
            required=about.get("required") == "1",
            deprecated=about.get("deprecated") == "1",
            obsoletes=about.get("obsoletes", ""),
            kind=self._kind,
            choices=frozenset(self._choices),
        )
