"""Tests whether fencing methods would work for a node: all that a shot needs, but the shot.

An agent is run with the options and secrets of a shot: `monitor` says whether the device can be
reached, `status` whether it knows the plug, and `list`, where there is one, whether the plug is
listed, for this node alone. A plug that is off while its node is alive is that of another machine.
A command has a `test` of its own, or cannot be tested.

Programs and files of secrets are first looked at in a thread: a test must not hold up a monitor
whose file system hangs.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from msgspec import Struct

from mosha.formats.agent_xml import MetadataError
from mosha.formats.fence_metadata import AgentMetadata
from mosha.formats.fence_outlets import (
    SEPARATOR,
    OutletMap,
    Outlets,
    listed_plug,
    outlets_of,
    parse_outlets,
)
from mosha.formats.fence_tests import FenceTest, TestedAs
from mosha.formats.fencing_methods import FencingMethod
from mosha.host import killable
from mosha.host.abandonable import Abandonable
from mosha.monitor.fence_agent import (
    METADATA_LIMIT_S,
    Prepared,
    ask,
    is_off,
    is_on,
    metadata_of,
    outlets_in,
    prepared,
    told,
)
from mosha.monitor.fence_outcome import how_ended, one_line, why_not_started

LIST_MAX_BYTES = 1 << 20
"""A cloud of ten thousand machines lists less."""

ACTIONS_MAX = 3
"""monitor, status, list: each has the limit of an attempt."""

LOOK_LIMIT_S = 5.0
"""A healthy file system shows programs and secrets within milliseconds."""

CALLABLE = "callable"

OF_ANOTHER = "the plug is that of another machine"
OF_ANOTHER_OR_LOST = "it runs on its other devices alone, or the plug is that of another machine"
NOT_REGISTERED = "its key is not registered at the device, or is that of another machine"
OWN_DEVICE = "others shoot this node: see whether it answers them"
HITS_BOTH = "a shot would hit both"


class Witness(Protocol):
    """Knows which nodes are alive."""

    me: int

    def is_fresh(self, node: int) -> bool:
        """Say whether a node is heard, or is this one."""

    async def is_heard_again(self, node: int) -> bool:
        """Wait until a node is heard once more, or no longer fresh; return whether it is heard."""


_Placed = Sequence[tuple[int, Outlets]]
"""The outlets of other nodes."""


class _Said(Struct, frozen=True):
    """What a test has come to; not `answered`: the device may answer at another attempt."""

    outcome: TestedAs
    text: str
    answered: bool = True


def limit_s(node: int, methods: Sequence[FencingMethod], hearing_s: float) -> float:
    """Return how long the tests of a node may take, in seconds.

    `hearing_s` is how long it may take until a node is heard again, or is not fresh.
    """
    return sum(_limit_s(method, hearing_s) for method in methods if method.reaches(node))


def _limit_s(method: FencingMethod, hearing_s: float) -> float:
    if method.type == "agent":
        asking_s = (1 + method.retries) * ACTIONS_MAX * method.limit
        return LOOK_LIMIT_S + METADATA_LIMIT_S + asking_s + hearing_s
    return LOOK_LIMIT_S + method.limit


_UNTESTED = {
    "print": "it only prints a line for an operator",
    "poison": "it is an order to a node that lives: only a shot would tell",
}


async def run_tests(
    node: int,
    methods: Sequence[FencingMethod],
    witness: Witness,
    files: Abandonable,
    *,
    with_callable: bool = False,
) -> list[FenceTest]:
    """Test all methods that could shoot a node, in their order; a callable comes first.

    `files` is the thread that looks at programs and secrets.
    """
    found = [_of_callable(node)] if with_callable else []
    for number, method in enumerate(methods, 1):
        if not method.reaches(node):
            continue
        if method.type == "agent":
            said = await _AgentTest(node, method, methods, witness).run(files)
        elif method.type == "command":
            said = await _test_command(node, method, files)
        else:
            said = _Said("untested", _UNTESTED[method.type])
        found.append(
            FenceTest(
                node=node,
                number=number,
                method=method.name,
                outcome=said.outcome,
                text=said.text,
                answered=said.answered,
            )
        )
    return found


def _of_callable(node: int) -> FenceTest:
    text = "only a shot would tell: it is a callable of the Python API"
    return FenceTest(node=node, number=0, method=CALLABLE, outcome="untested", text=text)


def _why_not_executed(*programs: str) -> str:
    """Return which of these programs cannot be executed, "" if all can."""
    missing = next((program for program in programs if shutil.which(program) is None), "")
    return missing and f"there is no {missing} that can be executed"


async def _test_command(node: int, method: FencingMethod, files: Abandonable) -> _Said:
    program = method.command[0]
    look = partial(_why_not_executed, program, *method.test[:1])
    try:
        missing = await files.run(look, LOOK_LIMIT_S)
    except OSError as error:  # the thread: the look itself has no errors
        missing = str(error)
    if missing:
        return _Said("failed", missing)
    if not method.test:
        return _Said(
            "untested", f"only a shot would tell: no test is set; {program} can be executed"
        )
    try:
        words = (*method.test, str(node))
        ended = await killable.run(words, limit_s=method.limit, kills_rest=True)
    except (OSError, ValueError) as error:
        return _Said("failed", f"test: {why_not_started(error)}")
    text = f"test: {how_ended(ended.status, method.limit)}: {one_line(ended.output)}".rstrip(": ")
    return _Said("good" if ended.status == 0 else "failed", text)


class _AgentTest:
    """The test of one agent for one node."""

    def __init__(
        self,
        node: int,
        method: FencingMethod,
        methods: Sequence[FencingMethod],
        witness: Witness,
    ) -> None:
        self._node, self._method, self._methods = node, method, methods
        self._witness = witness

    async def run(self, files: Abandonable) -> _Said:
        """Make the test; what a shot would try again is tried again here."""
        try:
            agent, others = await files.run(self._look, LOOK_LIMIT_S)
        except OSError as error:
            return _Said("failed", str(error))
        if isinstance(agent, str):
            return _Said("failed", agent)
        try:
            metadata = await metadata_of(agent.path)
        except MetadataError as error:
            text = f"it does not describe itself (action=metadata): {error}"
            return _Said("failed", text)
        said = await self._attempt(agent, metadata, others)
        for _ in range(self._method.retries):
            if said.answered:
                break
            said = await self._attempt(agent, metadata, others)
        return said

    def _look(self) -> tuple[Prepared | str, _Placed]:
        """Return the agent, or why it cannot be run, and the outlets of the other nodes."""
        agent = prepared(self._node, self._method)
        if isinstance(agent, Prepared):
            agent = _why_not_executed(agent.path) or agent
        placed = outlets_in(self._methods)
        return agent, [(node, outlets) for node, outlets, _ in placed if node != self._node]

    async def _attempt(self, agent: Prepared, metadata: AgentMetadata, others: _Placed) -> _Said:
        try:
            return await self._asked(agent, metadata, others)
        except (OSError, ValueError) as error:
            return _Said("failed", why_not_started(error))

    async def _asked(self, agent: Prepared, metadata: AgentMetadata, others: _Placed) -> _Said:
        limit = self._method.limit
        if "monitor" in metadata.actions:
            ended = await ask(agent, "monitor", limit)
            if ended.status != 0:
                return self._unanswered(told(agent, "monitor", ended, limit))
        answer = await ask(agent, "status", limit)
        if not is_on(answer) and not is_off(answer):
            return self._unanswered(told(agent, "status", answer, limit))
        if is_off(answer) and await self._witness.is_heard_again(self._node):
            return _Said("failed", f"{self._heard()}, but status says OFF: {self._why(metadata)}")
        said = f"status says {'ON' if is_on(answer) else 'OFF'}, {self._heard()}"
        own = outlets_of(self._method.agent, agent.options, self._method.targets[self._node].plug)
        if (other := _sharing(own, others)) is not None:
            return _Said("failed", f"node {other} is at the same plug: {HITS_BOTH}")
        if "list" not in metadata.actions:
            return _Said("good", said)
        ended = await ask(agent, "list", limit, shown_max_bytes=LIST_MAX_BYTES, with_stderr=False)
        if ended.status != 0 or ended.cut:
            how = "it is too long" if ended.cut else how_ended(ended.status, limit)
            return _Said("good", f"{said}; its list of plugs could not be compared: {how}")
        separator = agent.options.get("separator", SEPARATOR)
        listed = parse_outlets(ended.output.decode("utf-8", "replace"), separator)
        return _compared(own, others, listed, said) if listed else _Said("good", said)

    def _why(self, metadata: AgentMetadata) -> str:
        """Return in words why the device of a node that is alive may be off."""
        if not metadata.switches_power:
            return NOT_REGISTERED
        level = self._method.level
        shared = level and sum(method.level == level for method in self._methods) > 1
        return OF_ANOTHER_OR_LOST if shared else OF_ANOTHER

    def _unanswered(self, text: str) -> _Said:
        if self._node == self._witness.me:
            text = f"{text}; {OWN_DEVICE}"
        return _Said("failed", text, answered=False)

    def _heard(self) -> str:
        """Return in words whether the node is alive."""
        if self._node == self._witness.me:
            return f"node {self._node} is this one"
        heard = "is" if self._witness.is_fresh(self._node) else "is not"
        return f"node {self._node} {heard} heard"


def _sharing(own: Outlets, others: _Placed) -> int | None:
    """Return another node that a shot at these outlets would hit, None if there is none."""
    known = OutletMap()
    for node, outlets in others:
        known.add(node, outlets)
    return known.other(0, own)


def _compared(own: Outlets, others: _Placed, listed: Mapping[str, str], said: str) -> _Said:
    """Compare the plugs of a node with those that the device lists, by plug or by alias."""
    for plug in sorted(own.plugs):
        if listed_plug(plug, listed) is None:
            return _Said("failed", f"{said}; the device does not list the plug {plug!r}")
    meant = frozenset(listed_plug(plug, listed) for plug in own.plugs)
    for node, outlets in others:
        theirs = {plug: listed_plug(plug, listed) for plug in outlets.plugs}
        same = [plug for plug in sorted(theirs) if theirs[plug] in meant]
        if outlets.same_device(own) and same:
            text = f"plug {same[0]!r} of node {node} is the same by the list: {HITS_BOTH}"
            return _Said("failed", text)
    return _Said("good", f"{said}; its plug is listed")
