"""What `mosha ocf --json` prints."""

from __future__ import annotations

from msgspec import Struct

from mosha.ocf.agents import AgentName
from mosha.ocf.metadata import OcfMetadata
from mosha.ocf.trial import TrialStep


class OcfAgent(Struct, frozen=True, kw_only=True):
    """An agent in a list; with a `problem` it does not describe itself."""

    agent: str
    about: str
    problem: str = ""


class OcfList(Struct, frozen=True, kw_only=True):
    """The agents that are installed."""

    agents: list[OcfAgent]


class OcfInfoParameter(Struct, frozen=True, kw_only=True):
    """A parameter; `kind` is `string`, `integer`, `boolean` or a word of the agent's own."""

    name: str
    kind: str
    required: bool
    default: str
    deprecated: bool
    about: str


class OcfInfoAction(Struct, frozen=True, kw_only=True):
    """An action, with the limit and the interval that the agent recommends; 0 is none."""

    name: str
    depth: int
    limit_s: float
    interval_s: float


class OcfInfo(Struct, frozen=True, kw_only=True):
    """What an agent says of itself."""

    agent: str
    version: str
    about: str
    description: str
    parameters: list[OcfInfoParameter]
    actions: list[OcfInfoAction]


class OcfTest(Struct, frozen=True, kw_only=True):
    """All steps of a test."""

    ok: bool
    agent: str
    steps: list[TrialStep]


def info_of(name: AgentName, metadata: OcfMetadata) -> OcfInfo:
    """Return what an agent says of itself, as it is printed."""
    return OcfInfo(
        agent=str(name),
        version=metadata.version,
        about=metadata.about,
        description=metadata.description,
        parameters=[
            OcfInfoParameter(
                name=it.name,
                kind=it.kind,
                required=it.required,
                default=it.default,
                deprecated=it.deprecated,
                about=it.about,
            )
            for it in metadata.parameters.values()
        ],
        actions=[
            OcfInfoAction(
                name=it.name, depth=it.depth, limit_s=it.limit_s, interval_s=it.interval_s
            )
            for it in metadata.actions
        ],
    )
