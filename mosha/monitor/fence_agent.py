"""The fencing method `agent`: any program of the package fence-agents, unchanged.

What they have in common (lib/fencing.py.py and doc/FenceAgentAPI.md of fence-agents): options are
`key=value` lines on standard input, read only if there is no argument; every failure is exit 1; the
action `status` exits with 2 if the power is off, and prints it. A receipt is a `status` that says
off after an `off` that said it had succeeded, both within the limit of one attempt. Exit 2 alone
does not do: a shell and Python end so when they cannot read their program.

The action `reboot` is not used: it exits with 0 too when the power did not come on again, and a
machine that comes back is no proof that it went. The environment is empty but for the paths: with
PCMK_service an agent would wait without limits.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio
from msgspec import Struct

from mosha.core.status import Grade
from mosha.formats.agent_xml import METADATA_MAX_BYTES, MetadataError
from mosha.formats.fence_metadata import AgentMetadata, parse_metadata
from mosha.formats.fence_options import (
    PLUG_NAMES,
    SECRETS_MAX_BYTES,
    parse_secrets,
    same_option,
)
from mosha.formats.fence_outlets import Outlets, outlets_of
from mosha.formats.fencing_methods import FencingMethod
from mosha.formats.mistakes import Mistakes
from mosha.host import abandonable, killable
from mosha.host.clock import boottime
from mosha.host.killable import RunEnded
from mosha.host.masking import Mask
from mosha.host.secret_file import read_secret
from mosha.monitor.fence_outcome import (
    ShotOutcome,
    how_ended,
    is_unknown,
    one_line,
    why_not_started,
)

SYSTEM_DIRECTORIES = ("/usr/sbin", "/sbin")
"""Where packages put agents; they are not in the PATH of every service."""

STATUS_PAUSE_S = 1.0
"""Management cards take a second for an answer, and dislike to be asked faster."""

SHOWN_MAX_BYTES = 500
"""How much of what an agent wrote is shown of each action; the cause is in the last line."""

DETAIL_MAX_CHARS = 2000
"""How much is shown of a shot with many attempts: the last of it."""

FILES_LIMIT_S = 5.0
"""A shot does not wait longer for the file system of an agent and its secrets."""

METADATA_LIMIT_S = 10.0
"""An agent imports the library of its cloud before it says anything."""

ON_STATUS, OFF_STATUS = 0, 2
_SAYS_ON = re.compile(r"^\s*(status\s*[:=]?\s*)?on\.?\s*$", re.IGNORECASE | re.MULTILINE)
_WAITED_FOR_OFF = re.compile(r"timed out waiting to power off", re.IGNORECASE)
"""An agent's `off` fails with this after it has ordered it (EC_WAITING_OFF of fencing.py)."""
_SAYS_OFF = re.compile(r"^\s*(status\s*[:=]?\s*)?off\.?\s*$", re.IGNORECASE | re.MULTILINE)


class Attempt(NamedTuple):
    """What an attempt to shoot a node has come to; `may_be_off`: also if it is not proven."""

    proven: bool
    text: str
    may_be_off: bool


_SWITCH_POWER: set[str] = set()
"""The agents that have said, when they were asked last, that they switch power."""


class Prepared(Struct, frozen=True):
    """An agent and all that it gets for one node, except the action."""

    path: str
    options: dict[str, str]
    mask: Mask


def search_path() -> str:
    """Return the directories in which agents are searched, and their PATH."""
    own = [place for place in os.environ.get("PATH", os.defpath).split(":") if place]
    return ":".join([*own, *(place for place in SYSTEM_DIRECTORIES if place not in own)])


def find_agent(agent: str) -> str | None:
    """Return the path of an agent, None if there is none."""
    return agent if agent.startswith("/") else shutil.which(agent, path=search_path())


def agent_environment() -> dict[str, str]:
    """Return the whole environment of an agent."""
    return {
        "PATH": search_path(),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
    }


def secrets_of(method: FencingMethod, node: int) -> dict[str, str]:
    """Return the secrets of a method for a node, read from their files.

    Raises:
        OSError: a file cannot be read, or others may read it.
        Mistakes: of a file, without its text.
    """
    found: dict[str, str] = {}
    for name in (method.secrets, method.targets[node].secrets):
        if name:
            found |= parse_secrets(read_secret(Path(name), SECRETS_MAX_BYTES), name)
    return found


def options_of(method: FencingMethod, node: int, secrets: Mapping[str, str]) -> dict[str, str]:
    """Return the options for a node: what is set for it alone goes before what is set for all."""
    target = method.targets[node]
    found: dict[str, tuple[str, str]] = {}
    for options in (method.options, target.options, secrets):
        found |= {same_option(name): (name, value) for name, value in options.items()}
    return dict(found.values())


def outlets_in(methods: Iterable[FencingMethod]) -> Iterator[tuple[int, Outlets, tuple[str, str]]]:
    """Yield each node, its outlets and its files of secrets, for each agent.

    Not those whose secrets are refused: it is not known which device theirs is.
    """
    for method in methods:
        known: dict[str, Mapping[str, str] | None] = {}
        for node, target in method.targets.items():
            if target.secrets not in known:
                try:
                    known[target.secrets] = secrets_of(method, node)
                except (OSError, Mistakes):  # that node's own test says why
                    known[target.secrets] = None
            secrets = known[target.secrets]
            if secrets is not None:
                options = options_of(method, node, secrets)
                outlets = outlets_of(method.agent, options, target.plug)
                yield node, outlets, (method.secrets, target.secrets)


async def shoot_by_agent(node: int, method: FencingMethod) -> ShotOutcome:
    """Switch a node off with a fence agent, and make sure that it is off."""
    agent = await prepared_in_time(node, method)
    if isinstance(agent, str):
        return ShotOutcome("failed", method.name, agent)

    async def attempt() -> Attempt:
        shot = AgentShot(agent, method.limit)
        proven = await shot.switched() and await shot.confirmed()
        return Attempt(proven, shot.text, shot.may_be_off)

    proven, detail, may_be_off = await attempted(method.attempts, attempt)
    if not proven:
        return ShotOutcome("failed", method.name, detail, may_be_off=may_be_off)
    return ShotOutcome("receipt", method.name, detail, await grade_of(agent))


async def attempted(attempts: int, attempt: Callable[[], Awaitable[Attempt]]) -> Attempt:
    """Make attempts until one succeeds; return that, or all failures as one."""
    failures: list[str] = []
    may_be_off = False
    for _ in range(attempts):
        made = await attempt()
        if made.proven:
            return made
        failures.append(made.text)
        may_be_off |= made.may_be_off
    if len(failures) > 1:
        failures = [f"attempt {number}: {text}" for number, text in enumerate(failures, 1)]
    detail = "; ".join(failures)
    shown = detail if len(detail) <= DETAIL_MAX_CHARS else f"… {detail[-DETAIL_MAX_CHARS:]}"
    return Attempt(False, shown, may_be_off)


async def prepared_in_time(node: int, method: FencingMethod) -> Prepared | str:
    """Return what is needed to shoot a node, or why it cannot be shot: files may hang."""
    subject = f"the program and secrets of {method.name}"
    try:
        return await abandonable.ask(subject, partial(prepared, node, method), FILES_LIMIT_S)
    except OSError as error:
        return str(error)


def prepared(node: int, method: FencingMethod) -> Prepared | str:
    """Return what is needed to shoot a node, or why it cannot be shot; in a thread."""
    try:
        return _prepare(node, method)
    except Mistakes as mistakes:
        return str(mistakes.mistakes[0])
    except OSError as error:
        return f"{error.filename}: {error.strerror}"


def _prepare(node: int, method: FencingMethod) -> Prepared | str:
    target = method.targets.get(node)
    if target is None:
        return f"targets has no node {node}"
    path = find_agent(method.agent)
    if path is None:
        return f"there is no {method.agent} in {search_path()}"
    secrets = secrets_of(method, node)
    options = options_of(method, node, secrets)
    users = [value for name, value in options.items() if name in ("username", "login")]
    if target.plug:
        # An agent ignores the name that it does not know.
        options |= dict.fromkeys(PLUG_NAMES, target.plug)
    return Prepared(path, options, Mask(secrets.values(), users))


class AgentShot:
    """One attempt to switch a node off: the order, later the proof, both within `limit_s`.

    Time that passes between the two does not count. `text` is what came of it so far, and
    `may_be_off` whether the device may have done something by then.
    """

    def __init__(self, agent: Prepared, limit_s: float) -> None:
        self.text = ""
        self.may_be_off = False
        self._agent = agent
        self._limit_s = self._left_s = limit_s

    async def switched(self) -> bool:
        """Order `off`; return whether the agent says that it succeeded."""
        began = boottime()
        try:
            ordered = await ask(self._agent, "off", self._limit_s)
        except (OSError, ValueError) as error:
            self.text = why_not_started(error)
            return False
        self._left_s = self._limit_s - (boottime() - began)
        self.text = told(self._agent, "off", ordered, self._limit_s)
        self.may_be_off = (
            ordered.status == 0
            or is_unknown(ordered.status)
            or _WAITED_FOR_OFF.search(self.text) is not None
        )
        return ordered.status == 0

    async def confirmed(self) -> bool:
        """Ask for the `status` until it says off; return whether it did."""
        agent, limit_s = self._agent, self._limit_s
        until = boottime() + self._left_s
        asked, last = 0, ""
        try:
            while True:
                asked += 1
                left_s = until - boottime()
                answer = await ask(agent, "status", left_s) if left_s > 0 else None
                if answer is None or answer.status is None:
                    self.text += f"; status did not say off in {limit_s:g} s{last}"
                    return False
                if is_off(answer):
                    self.text += f"; {told(agent, 'status', answer, limit_s)}"
                    return True
                last = f", asked {asked} times: {told(agent, 'status', answer, limit_s)}"
                await anyio.sleep(min(STATUS_PAUSE_S, max(0.0, until - boottime())))
        except (OSError, ValueError) as error:
            self.text = why_not_started(error)
            return False


async def ask(
    agent: Prepared,
    action: str,
    limit_s: float,
    *,
    shown_max_bytes: int = SHOWN_MAX_BYTES,
    with_stderr: bool = True,
) -> RunEnded:
    """Run an agent for one action; nothing that it started is left when it has ended.

    Raises:
        OSError: it cannot be run.
        ValueError: likewise.
    """
    lines = [f"{name}={value}\n" for name, value in agent.options.items()]
    # Last, for the last of two lines counts.
    lines.append(f"action={action}\n")
    return await killable.run(
        [agent.path],
        limit_s=limit_s,
        given="".join(lines).encode(),
        environment=agent_environment(),
        output_max_bytes=shown_max_bytes + agent.mask.reach,
        with_stderr=with_stderr,
        kills_rest=True,
    )


async def metadata_of(path: str) -> AgentMetadata:
    """Ask an agent for its metadata, which needs no device.

    Raises:
        MetadataError: it cannot be run, fails, is late, or prints something else.
    """
    agent = Prepared(path, {}, Mask(()))
    limit_s, most = METADATA_LIMIT_S, METADATA_MAX_BYTES
    try:
        ended = await ask(agent, "metadata", limit_s, shown_max_bytes=most, with_stderr=False)
    except OSError as error:
        raise MetadataError(error.strerror or str(error)) from error
    except ValueError as error:
        raise MetadataError(str(error)) from error
    if ended.status != 0:
        raise MetadataError(how_ended(ended.status, limit_s))
    if ended.cut:
        raise MetadataError(f"more than {most} bytes")
    metadata = parse_metadata(ended.output)
    (_SWITCH_POWER.add if metadata.switches_power else _SWITCH_POWER.discard)(path)
    return metadata


async def grade_of(agent: Prepared) -> Grade:
    """Return what a `status` that says off proves: storage that is cut off is no power off."""
    try:
        switches_power = (await metadata_of(agent.path)).switches_power
    except MetadataError:  # perhaps this time only: its tests have asked before
        switches_power = agent.path in _SWITCH_POWER
    return Grade.OFF_CONFIRMED if switches_power else Grade.COMMAND_SAID_SO


def is_off(answer: RunEnded) -> bool:
    """Say whether the answer to `status` proves that the power is off."""
    text = answer.output.decode("utf-8", "replace")
    return answer.status == OFF_STATUS and _SAYS_OFF.search(text) is not None


def is_on(answer: RunEnded) -> bool:
    """Say whether the answer to `status` is that the power is on."""
    text = answer.output.decode("utf-8", "replace")
    return answer.status == ON_STATUS and _SAYS_ON.search(text) is not None


def told(agent: Prepared, action: str, ended: RunEnded, limit_s: float) -> str:
    """Return in words how an action ended, with the end of what the agent wrote."""
    how = how_ended(ended.status, limit_s)
    if ended.status is not None:
        how = f"{how} in {ended.took_s:.1f} s"
    output = one_line(agent.mask.of(ended.output, cut=ended.cut > 0))
    return f"{action}: {how}: {output}".rstrip(": ")
