"""What tests of fencing come to: as `mosha fence --test --json` prints it, and on the disk."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

FORMAT = 1

T = TypeVar("T")

TestedAs = Literal["good", "failed", "untested"]


class FenceTest(msgspec.Struct, frozen=True, kw_only=True):
    """What a test of one method for one node has come to.

    `number` is the place of the method in mosha.toml, 0 for the callable of the Python API; some
    methods cannot be tested without a shot. Not `answered`: it failed since the device did not
    answer as it should.
    """

    node: int
    number: int
    method: str
    outcome: TestedAs
    text: str
    answered: bool = True

    @property
    def key(self) -> tuple[int, int, str]:
        """The node, and the method."""
        return self.node, self.number, self.method


class FenceTests(msgspec.Struct, frozen=True, kw_only=True):
    """All tests of one call of `mosha fence --test`; `ok`: none of them failed."""

    ok: bool
    tests: list[FenceTest]


class FenceNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node that fencing methods can shoot; its tests take at most `limit_s` seconds."""

    node: int
    limit_s: float


class FenceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of the tests of one method for one node.

    `good_at` is when it was last good, in seconds of the epoch, None if that is not known;
    `failure` is why the last test failed, "" if it was good. `answered` as in a test.
    """

    node: int
    number: int
    method: str
    good_at: float | None = None
    failure: str = ""
    answered: bool = True

    @property
    def key(self) -> tuple[int, int, str]:
        """The node, and the method."""
        return self.node, self.number, self.method


class _Kept(msgspec.Struct, kw_only=True):
    format: int
    tests: list[FenceRecord]


_TESTS = msgspec.json.Decoder(list[FenceTest])
_NODES = msgspec.json.Decoder(list[FenceNode])
_KEPT = msgspec.json.Decoder(_Kept)


def _decoded(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    try:
        return decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def parse_tests(data: bytes) -> list[FenceTest]:
    """Parse the tests that a monitor has made.

    Raises:
        ValueError: it is no list of tests.
    """
    return _decoded(_TESTS, data)


def parse_nodes(data: bytes) -> list[FenceNode]:
    """Parse the nodes that a monitor can test.

    Raises:
        ValueError: it is no list of nodes.
    """
    return _decoded(_NODES, data)


def render_records(records: list[FenceRecord]) -> bytes:
    """Return what is remembered of tests as JSON."""
    return msgspec.json.encode(_Kept(format=FORMAT, tests=records)) + b"\n"


def parse_records(data: bytes) -> list[FenceRecord]:
    """Parse what is remembered of tests.

    Raises:
        ValueError: torn, not JSON, or another format.
    """
    kept = _decoded(_KEPT, data)
    if kept.format != FORMAT:
        raise ValueError(f"format {kept.format}, this mosha reads format {FORMAT}")
    return kept.tests
