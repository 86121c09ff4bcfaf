"""The XML in which fence agents and resource agents describe themselves, read defensively.

Read as events, without a tree. A document type may be named, as old agents do, and is never
fetched; it may declare nothing, so no entity is ever defined. Agents print what they like: the
size is bounded, and whatever the bytes are, the answer is what was read or a `MetadataError`.

Part of the resource agents' wrapper: it imports next to nothing.
"""

from __future__ import annotations

from xml.parsers import expat  # no entities: none can be declared, and the size is bounded

from mosha.errors import UsageError

TYPE_CHECKING = False  # as in typing, which the wrapper does not import
if TYPE_CHECKING:
    from typing import Protocol

    class AgentXmlReading(Protocol):
        """What is told of each element, in the order of the text."""

        def begin(self, tag: str, about: dict[str, str]) -> None:
            """Note the beginning of an element and its attributes."""

        def text(self, text: str) -> None:
            """Note a piece of the text within the element that began last."""

        def end(self, tag: str) -> None:
            """Note the end of an element."""


METADATA_MAX_BYTES = 256 << 10
"""The longest of fence-agents 4.12 has 12 kB, the longest of resource-agents 4.12 has 13 kB."""

ROOT = "resource-agent"


class MetadataError(UsageError):
    """A text is no metadata of an agent."""


def read_agent_xml(data: bytes, reading: AgentXmlReading) -> None:
    """Tell `reading` of each element of the metadata of an agent.

    Raises:
        MetadataError: it is no XML, declares a document type, is too long, or is something else.
    """
    if len(data) > METADATA_MAX_BYTES:
        raise MetadataError(f"more than {METADATA_MAX_BYTES} bytes")
    root = ""

    def begin(tag: str, about: dict[str, str]) -> None:
        nonlocal root
        root = root or tag
        reading.begin(tag, about)

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _judge_doctype
    parser.StartElementHandler = begin
    parser.CharacterDataHandler = reading.text
    parser.EndElementHandler = reading.end
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise MetadataError(f"no XML: {error}") from error
    if root != ROOT:
        raise MetadataError(f"the XML is of {root or 'nothing'}, not of a {ROOT}")


def _judge_doctype(_name: str, _system: str | None, _public: str | None, declares: int) -> None:
    if declares:
        raise MetadataError("its document type declares something, which no agent needs")
