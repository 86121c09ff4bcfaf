"""`mosha ocf`: resource agents: which there are, what they want, whether they keep the standard."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from collections.abc import Sequence

import click
import msgspec

from mosha.cli.config import config_option
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.help_text import Command
from mosha.cli.output import go_on
from mosha.errors import HostError, UsageError
from mosha.formats.agent_xml import MetadataError
from mosha.formats.names import nearest
from mosha.ocf.agents import AgentName, agent_named, installed_agents, root_of
from mosha.ocf.describe import describe
from mosha.ocf.environment import Resource, rsctmp_of
from mosha.ocf.forms import OcfAgent, OcfInfo, OcfList, OcfTest, info_of
from mosha.ocf.kin import adopt_orphans
from mosha.ocf.metadata import OcfMetadata
from mosha.ocf.rsctmp import make_rsctmp
from mosha.ocf.signals import Signals
from mosha.ocf.trial import Trial, TrialStep
from mosha.ocf.wrapper_words import parameters_in

ASKED_AT_ONCE = 4
INSTANCE = "mosha-ocf-test"
TEXT_COLUMNS = 80

_MARKS = {"good": "ok", "failed": "FAILED", "skipped": "skipped"}


@click.command("ocf", cls=Command, short_help="Resource agents: list, explain and test them.")
@config_option
@click.option("-v", "--verbose", is_flag=True, help="With test: print what the agent prints too.")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
@click.argument("what", type=click.Choice(["list", "info", "test"]))
@click.argument("agent", required=False)
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
def command(
    config: str | None,
    *,
    verbose: bool,
    as_json: bool,
    what: str,
    agent: str | None,
    parameters: tuple[str, ...],
) -> int:
    """Resource agents: list, explain and test them.

    `list` prints all agents that are installed ($OCF_ROOT/resource.d), or those with AGENT in their
    names. `info` prints what AGENT (TYPE or PROVIDER:TYPE) does, its parameters, and its actions.

    `test` starts AGENT on this machine with these parameters and stops it again, several times. It
    does what the standard asks of an agent (each action, twice and in the wrong order), and what a
    cluster does to one: the service is killed, a start and a stop are killed in the middle, and two
    actions run at once. After each stop nothing may be left: no process, mount, address, interface,
    route or device. What runs already is left alone. The machine should have nothing else to do.

    The settings of this machine (--config) are not used.

    Examples:
        mosha ocf list ip
        mosha ocf info Filesystem
        mosha ocf test Dummy
        mosha ocf test IPaddr2 ip=192.0.2.80 cidr_netmask=24

    Exit status: 0 no step failed; 1 one did, or there is no agent; 2 wrong usage: no such agent.
    """
    del config
    root = root_of(os.environ)
    if what == "list":
        return _list(root, agent or "", as_json=as_json)
    if agent is None:
        raise click.UsageError(f"say which agent: mosha ocf {what} AGENT")
    name = agent_named(agent)
    metadata = _described(name, root)
    if what == "info":
        _info(info_of(name, metadata), as_json=as_json)
        return AS_WANTED
    resource = Resource(name, INSTANCE, parameters_in(parameters), root)
    return _test(resource, metadata, as_json=as_json, verbose=verbose)


def _described(name: AgentName, root: str) -> OcfMetadata:
    """Return what an agent says of itself.

    Raises:
        UsageError: there is no such agent.
        HostError: it does not describe itself.
    """
    known = [str(each) for each in installed_agents(root)]
    if str(name) not in known:
        hint = nearest(str(name), known) or "see mosha ocf list"
        raise UsageError(f"there is no resource agent {name} in {root}; {hint}".rstrip())
    try:
        return asyncio.run(describe(name, root))
    except MetadataError as error:
        raise HostError(f"{name} does not describe itself: {error}") from error


# --- list ----------------------------------------------------------------------------------


def _list(root: str, word: str, *, as_json: bool) -> int:
    names = [it for it in installed_agents(root) if word.lower() in str(it).lower()]
    agents = asyncio.run(_all_described(names, root))
    if as_json:
        click.echo(msgspec.json.encode(OcfList(agents=agents)))
    for each in [] if as_json else agents:
        about = f"does not describe itself: {each.problem}" if each.problem else each.about
        width = max(len(it.agent) for it in agents)
        click.echo(f"{each.agent:{width}}  {about}".rstrip())
    if not agents:
        text = f"no resource agent in {root} has {word!r} in its name" if word else ""
        text = text or f"no resource agents in {root}: install the package resource-agents"
        click.echo(f"mosha: {text}", err=True)
    return AS_WANTED if agents else NOT_AS_WANTED


async def _all_described(names: Sequence[AgentName], root: str) -> list[OcfAgent]:
    turns = asyncio.Semaphore(ASKED_AT_ONCE)

    async def one(name: AgentName) -> OcfAgent:
        async with turns:
            try:
                metadata = await describe(name, root)
            except MetadataError as error:
                return OcfAgent(agent=str(name), about="", problem=str(error))
        return OcfAgent(agent=str(name), about=metadata.about)

    return list(await asyncio.gather(*map(one, names)))


# --- info ----------------------------------------------------------------------------------


def _info(info: OcfInfo, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(info))
        return
    click.echo(f"{info.agent} {info.version}: {info.about}\n")
    for paragraph in info.description.split("\n\n"):
        click.echo(f"{textwrap.fill(' '.join(paragraph.split()), TEXT_COLUMNS)}\n")
    click.echo("parameters:")
    for it in info.parameters:
        about = [it.kind, *(["required"] if it.required else [])]
        about += [f"default {it.default}"] if it.default else []
        about += ["deprecated"] if it.deprecated else []
        click.echo(f"  {it.name} ({', '.join(about)})")
        if it.about:
            click.echo(f"      {it.about}")
    click.echo("actions:")
    for action in info.actions:
        name = f"{action.name}, depth {action.depth}" if action.depth else action.name
        text = f"  {name:20} within {action.limit_s:g} s"
        click.echo(text + (f", every {action.interval_s:g} s" if action.interval_s else ""))


# --- test ----------------------------------------------------------------------------------


def _test(resource: Resource, metadata: OcfMetadata, *, as_json: bool, verbose: bool) -> int:
    place = rsctmp_of(os.environ)
    try:
        adopt_orphans()
        make_rsctmp(place)
    except OSError as error:
        raise HostError(f"cannot make {place}, which agents need: {error.strerror}") from error
    steps: list[TrialStep] = []

    def report(step: TrialStep) -> None:
        steps.append(step)
        if not as_json:
            click.echo(f"{_MARKS[step.outcome]:8}{step.took_s:6.2f} s  {step.step}: {step.text}")
            go_on()

    def says(line: str) -> None:
        if verbose:
            sys.stderr.write(f"{line}\n")

    trial = Trial(resource, metadata, Signals(), says=says, report=report)
    good = trial.run()
    if as_json:
        click.echo(msgspec.json.encode(OcfTest(ok=good, agent=str(resource.agent), steps=steps)))
    else:
        failed = sum(step.outcome == "failed" for step in steps)
        click.echo(f"{len(steps)} steps, {failed} failed")
    return AS_WANTED if good else NOT_AS_WANTED
