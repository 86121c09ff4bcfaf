"""Checks the fence agents of mosha.toml: they are run for their metadata, and for nothing else.

Otherwise a misspelt option is found at night: an agent ignores what it does not know.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from mosha.cli.check.commands import why_not_run
from mosha.cli.check.files import Finding, Level
from mosha.formats.agent_xml import MetadataError
from mosha.formats.fence_metadata import AgentMetadata, AgentOption
from mosha.formats.fence_options import PLUG_NAMES, same_option
from mosha.formats.fence_outlets import OutletMap
from mosha.formats.fencing_methods import SHARED_REMEDY, Fencing, FencingMethod
from mosha.formats.mistakes import Mistakes
from mosha.formats.names import nearest
from mosha.monitor.fence_agent import (
    find_agent,
    metadata_of,
    options_of,
    outlets_in,
    search_path,
    secrets_of,
)

NEEDED_ACTIONS = ("off", "status")

_BOOLEANS = frozenset({"1", "0", "yes", "no", "on", "off", "true", "false"})
_NUMBERS = frozenset({"integer", "second"})


def agent_findings(fencing: Fencing, nodes: Sequence[int], where: str) -> Iterator[Finding]:
    """Judge all methods of type agent, and whether each of `nodes` can be shot by some method."""
    for number, method in enumerate(fencing.methods, 1):
        if method.type == "agent":
            name = f"method {number} ({PurePath(method.agent).name})"
            for level, text, remedy in _of_method(method):
                yield Finding(level, where, f"{name}: {text}", remedy)
    for text in _shared(fencing.methods):
        yield Finding("mistake", where, text, SHARED_REMEDY)
    methods = [method for method in fencing.methods if method.gives_receipts]
    missed = [node for node in nodes if not any(method.reaches(node) for method in methods)]
    if methods and missed:
        listed = ", ".join(map(str, missed))
        text = f"no method can shoot node{'s' * (len(missed) > 1)} {listed}"
        yield Finding("mistake", where, text, f"write targets = {{{missed[0]} = …}}")


def _shared(methods: Sequence[FencingMethod]) -> Iterator[str]:
    """Yield which nodes have the same outlet by different files of secrets.

    With the same files it was a mistake when the settings were read.
    """
    known: dict[tuple[str, str], OutletMap] = {}
    for node, outlets, secrets in outlets_in(methods):
        for its_secrets, its_outlets in known.items():
            other = its_outlets.other(node, outlets)
            if other is not None and its_secrets != secrets:
                yield f"nodes {other} and {node} are at the same plug of {outlets.agent}"
        known.setdefault(secrets, OutletMap()).add(node, outlets)


_Said = tuple[Level, str, str]
"""Level, text and remedy of a finding."""


def _of_method(method: FencingMethod) -> Iterator[_Said]:
    path = find_agent(method.agent)
    if path is None:
        text = f"could not run on this machine: it is not in {search_path()}"
        yield "mistake", text, "install the package fence-agents, or mend the name"
        return
    problem = why_not_run(path)
    if problem:
        yield "mistake", f"could not run on this machine: {problem}", "install it, or mend the path"
        return
    try:
        metadata = asyncio.run(metadata_of(path))
    except MetadataError as error:
        text = f"does not describe itself (action=metadata): {error}"
        yield "mistake", text, "see what it needs; only a fence agent can be a method of type agent"
        return
    yield from _of_actions(metadata)
    yield from _of_unfencing(method, metadata)
    yield from _once(_of_node(method, node, metadata) for node in sorted(method.targets))


def _once(findings: Iterator[Iterator[_Said]]) -> Iterator[_Said]:
    """Yield each finding once: most are the same for every node."""
    known: set[_Said] = set()
    for found in findings:
        for said in found:
            if said not in known:
                known.add(said)
                yield said


def _of_actions(metadata: AgentMetadata) -> Iterator[_Said]:
    missing = [action for action in NEEDED_ACTIONS if action not in metadata.actions]
    if missing:
        text = f"it has no action {' and no action '.join(missing)}: it can prove nothing"
        yield "mistake", text, "use another agent, or a command that makes sure"
    elif not metadata.switches_power:
        text = "it cuts a node off its storage or network: the node itself runs on"
        yield "warning", text, "use it only for groups that need nothing but that storage"


def _of_unfencing(method: FencingMethod, metadata: AgentMetadata) -> Iterator[_Said]:
    if not method.unfence:
        if metadata.unfences and not metadata.switches_power:
            text = "a node that it has cut off stays so: nobody has it let in again (on)"
            yield "warning", text, "write unfence = true"
    elif metadata.switches_power:
        text = "it switches power: a node that runs needs no unfence"
        yield "mistake", text, "remove unfence"
    elif "on" not in metadata.actions:
        yield "mistake", "it has no action on, which unfence needs", "remove unfence"


def _of_node(method: FencingMethod, node: int, metadata: AgentMetadata) -> Iterator[_Said]:
    try:
        secrets: Mapping[str, str] = secrets_of(method, node)
    except Mistakes as mistakes:
        yield "mistake", str(mistakes.mistakes[0]), "mend the file"
        return
    except OSError as error:
        text = f"{error.filename}: {error.strerror}"
        if error.errno == errno.EACCES:
            yield "warning", text, "check it as root"
        else:
            yield "mistake", text, "write the file, for root alone"
        return
    options = options_of(method, node, secrets)
    for name, value in options.items():
        yield from _of_option(name, value, metadata)
    yield from _of_missing(options, method.targets[node].plug, node, metadata)


def _of_option(name: str, value: str, metadata: AgentMetadata) -> Iterator[_Said]:
    known = metadata.options.get(same_option(name))
    if known is None:
        remedy = nearest(name, metadata.options) or "see what it has: action=metadata on its stdin"
        yield "mistake", f"it has no option {name}", remedy.strip()
        return
    if known.deprecated:
        newer = metadata.newer(name)
        yield (
            "warning",
            f"its option {name} is deprecated",
            f"write {newer}" if newer else "remove it",
        )
    if not _fits(value, known):
        # The value may be a secret.
        allowed = " or ".join(sorted(known.choices)) if known.choices else f"a {known.kind}"
        yield "mistake", f"its option {name} has a wrong value", f"write {allowed}"


def _fits(value: str, option: AgentOption) -> bool:
    if option.kind == "boolean":
        return value.lower() in _BOOLEANS
    if option.kind in _NUMBERS:
        return value.removeprefix("-").isdecimal()
    return option.kind != "select" or value in option.choices


def _of_missing(
    options: Mapping[str, str], plug: str, node: int, metadata: AgentMetadata
) -> Iterator[_Said]:
    given = {same_option(name) for name in options}
    given |= {same_option(metadata.newer(name)) for name in given}
    has_plug = any(name in metadata.options for name in PLUG_NAMES)
    if plug and not has_plug:
        yield "mistake", f"it has no plugs, node {node} has the plug {plug!r}", "write its address"
    for option in metadata.options.values():
        name = same_option(option.name)
        if not option.required or option.deprecated or name == "action":
            continue
        if name in PLUG_NAMES:
            # A key takes the place of the plug of fence_scsi.
            if not plug and "key" not in given:
                remedy = f'write targets = {{{node} = "its plug"}}'
                yield "mistake", f"node {node} has no plug, which it requires", remedy
        elif name not in given:
            remedy = f"write {option.name} under options or targets, or into the file of secrets"
            yield "mistake", f"it requires the option {option.name}", remedy
