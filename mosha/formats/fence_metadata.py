"""What a fence agent says of itself: the XML that `action=metadata` prints.

Read as events, without a tree and without a document type: no entity is ever defined.
"""

from __future__ import annotations

from xml.parsers import expat  # no entities: a document type is refused, and the size is bounded

from msgspec import Struct

from mosha.errors import UsageError
from mosha.formats.fence_options import same_option

METADATA_MAX_BYTES = 256 << 10
"""The longest of fence-agents 4.12 has 12 kB."""


class MetadataError(UsageError):
    """A text is no metadata of a fence agent."""


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
        MetadataError: it is no XML, has a document type, is too long, or is something else.
    """
    if len(data) > METADATA_MAX_BYTES:
        raise MetadataError(f"more than {METADATA_MAX_BYTES} bytes")
    reading = _Reading()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = reading.begin
    parser.EndElementHandler = reading.end
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise MetadataError(f"no XML: {error}") from error
    if reading.root != "resource-agent":
        raise MetadataError(f"the XML is of {reading.root or 'nothing'}, not of a resource-agent")
    return AgentMetadata(reading.options, frozenset(reading.actions))


def _refuse(*_: object) -> None:
    raise MetadataError("it has a document type, which no agent needs")


class _Reading:
    """What has been read so far."""

    def __init__(self) -> None:
        self.root = ""
        self.options: dict[str, AgentOption] = {}
        self.actions: set[str] = set()
        self._about: dict[str, str] | None = None
        self._kind = "string"
        self._choices: set[str] = set()

    def begin(self, tag: str, about: dict[str, str]) -> None:
        self.root = self.root or tag
        if tag == "parameter":
            self._about, self._kind, self._choices = about, "string", set()
        elif tag == "content" and self._about is not None:
            self._kind = about.get("type", "string")
        elif tag == "option" and self._about is not None:
            self._choices.add(about.get("value", ""))
        elif tag == "action":
            self.actions.add(about.get("name", ""))

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
