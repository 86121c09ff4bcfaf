"""Asks an agent what it is, without starting anything: `meta-data` needs no privilege."""

from __future__ import annotations

import os

from mosha.formats.agent_xml import METADATA_MAX_BYTES, MetadataError
from mosha.host import killable
from mosha.ocf.action import META_DATA
from mosha.ocf.agents import AgentName, path_of, why_no_agent
from mosha.ocf.environment import Resource, action_environment
from mosha.ocf.metadata import OcfMetadata, parse_metadata
from mosha.ocf.results import told_result

LIMIT_S = 10.0
"""An agent in Python imports the library of its cloud before it says anything."""


async def describe(name: AgentName, root: str) -> OcfMetadata:
    """Return what an agent says of itself.

    Raises:
        MetadataError: it is not there, cannot be run, fails, is late, or prints something else.
    """
    problem = why_no_agent(name, root)
    if problem:
        raise MetadataError(problem)
    resource = Resource(name, name.type, {}, root)
    path = path_of(name, root)
    environment = action_environment(resource, META_DATA, limit_s=LIMIT_S, inherited=os.environ)
    try:
        ended = await killable.run(
            [path, META_DATA],
            limit_s=LIMIT_S,
            environment=environment,
            output_max_bytes=METADATA_MAX_BYTES + 1,
            with_stderr=False,
            kills_rest=True,
        )
    except OSError as error:
        raise MetadataError(f"cannot execute {path}: {error.strerror}") from error
    if ended.status != 0:
        raise MetadataError(told_result(META_DATA, ended.status, limit_s=LIMIT_S))
    return parse_metadata(ended.output)
