"""Checks the entries of mode `ocf`; their agents are run for their metadata and nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mosha.cli.check.files import Finding, Level
from mosha.core.lasting import is_known, lasting_effect
from mosha.core.status import Grade
from mosha.core.tables import Cltab, Entry, Hactl, Mode
from mosha.formats.agent_xml import MetadataError
from mosha.formats.ocf_command import ocf_words
from mosha.formats.settings import Settings
from mosha.ocf.agents import (
    DEFAULT_PROVIDER,
    AgentName,
    agent_named,
    path_of,
    root_of,
    why_no_agent,
)
from mosha.ocf.describe import describe
from mosha.ocf.metadata import OcfMetadata
from mosha.ocf.parameters import parameter_findings
from mosha.ocf.wrapper_words import parameters_in

Described = Mapping[str, OcfMetadata | str]
"""What agents say of themselves, by their names in cltab; or why one says nothing."""


def described_agents(cltab: Cltab) -> Described:
    """Ask the agents of all entries of mode `ocf`, as this machine has them."""
    root = root_of(os.environ)
    found: dict[str, OcfMetadata | str] = {}
    for entry in cltab.entries:
        if entry.mode is Mode.OCF and (name := ocf_words(entry.command)[0]) not in found:
            found[name] = _described(agent_named(name), root)
    return found


def ocf_findings(
    cltab: Cltab, hactl: Hactl | None, settings: Settings | None, described: Described, file: str
) -> Iterator[Finding]:
    """Judge the agents of all entries of mode `ocf`."""
    for entry in cltab.entries:
        if entry.mode is not Mode.OCF:
            continue
        where = f"{file}:{entry.line}"
        name, *words = ocf_words(entry.command)
        agent, metadata = agent_named(name), described[name]
        if isinstance(metadata, str):
            text = f"{entry.tag} could not run on this machine: {metadata}"
            yield Finding("warning", where, text, _remedy_of_missing(agent))
        else:
            for level, text, remedy in _of_parameters(metadata, words):
                yield Finding(level, where, f"{entry.tag} ({agent}): {text}", remedy)
        yield from _of_the_unknown(entry, agent, where)
        if settings is not None and entry.lasts and _may_be_left(entry, hactl, settings):
            yield _of_what_lasts(entry, agent, where)


def _remedy_of_missing(agent: AgentName) -> str:
    """Return what to install: all agents of the usual provider are in one package."""
    directory = Path(path_of(agent, root_of(os.environ))).parent
    if agent.provider == DEFAULT_PROVIDER and not directory.is_dir():
        return "install the package resource-agents on each node of the group"
    return "install its package, or mend the name"


def _described(agent: AgentName, root: str) -> OcfMetadata | str:
    """Return what an agent says of itself, or why it says nothing."""
    problem = why_no_agent(agent, root)
    if problem:
        return problem
    try:
        return asyncio.run(describe(agent, root))
    except MetadataError as error:
        return f"{agent} does not describe itself: {error}"


def _of_parameters(metadata: OcfMetadata, words: list[str]) -> Iterator[tuple[Level, str, str]]:
    for found in parameter_findings(metadata, parameters_in(words)):
        yield "mistake" if found.grave else "warning", found.text, found.remedy


def _of_the_unknown(entry: Entry, agent: AgentName, where: str) -> Iterator[Finding]:
    """Say that an agent is none of those whose effects are known, and that nobody has said it."""
    if entry.options.lasts is None and not is_known(agent.provider, agent.type):
        text = (
            f"nothing is known of what outlives the processes of {entry.tag} ({agent}): where its"
            f" stop is cut short, {entry.group} counts as stopped all the same"
        )
        remedy = f"mosha ocf test {agent} finds it out: then write ocf(lasts=yes) or ocf(lasts=no)"
        yield Finding("warning", where, text, remedy)


def _may_be_left(entry: Entry, hactl: Hactl | None, settings: Settings) -> bool:
    """Say whether another node may start the group without evidence that this one is dead."""
    wish = hactl.wishes.get(entry.group) if hactl is not None else None
    if wish is None:
        return False
    if wish.fence is not None:
        return wish.fence is Grade.LEASE_ELAPSED
    return not settings.fencing.is_required()


def _of_what_lasts(entry: Entry, agent: AgentName, where: str) -> Finding:
    effect = lasting_effect(agent.type) or "what is made by the agent"
    text = (
        f"{effect} of {entry.tag} ({agent}) does not end with the processes of {entry.group}:"
        " where a stop is cut short, it stays, and another node may start the group"
    )
    remedy = f"write fence=off-confirmed on the line of {entry.group} in hactl"
    return Finding("warning", where, text, remedy)
