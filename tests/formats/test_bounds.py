"""What a broken or forged file of a peer may cost, and how far what is written can be read back."""

from __future__ import annotations

import zlib

import msgspec
import pytest

from mosha.core.replication.lineage import PAST_MAX
from mosha.core.status import GroupState, NodeState, Status, Trouble, TroubleKind
from mosha.formats import clstat_lines
from mosha.formats.clstat import parse_clstat, render_clstat
from mosha.formats.cltab import parse_cltab, parse_variables
from mosha.formats.hastat import GroupView, Instance
from mosha.formats.hastat_perl import render_perl
from mosha.formats.mistakes import FILE_MAX_BYTES, Mistakes
from tests.formats.test_hastat import FULL

STATUS = Status(node=2, inc=5, run="r", boot="b", seq=7, state=NodeState.UP)


def with_line(line: str) -> bytes:
    """Return the status with a line more, sealed."""
    body = render_clstat(STATUS).rpartition("Mosha::End")[0] + f"{line}\n"
    return f"{body}Mosha::End seq=7 crc32={zlib.crc32(body.encode()):08x}\n".encode()


def test_of_a_past_no_more_is_read_than_a_node_would_write() -> None:
    versions = " ".join(f"{n}.{n:x}" for n in range(1, 10 * PAST_MAX))
    assert len(parse_clstat(with_line(f"Mosha::Past cltab {versions}")).pasts["cltab"]) == PAST_MAX


def test_a_long_line_takes_no_room_in_the_memory_of_lines() -> None:
    parse_clstat(with_line(f"Mosha::Ban g 5 {'x' * 300}"))
    before = clstat_lines._remembered.cache_info()
    for letter in "abc":
        parse_clstat(with_line(f"Mosha::Ban g 5 {letter * 300}"))
    after = clstat_lines._remembered.cache_info()
    assert (after.misses, after.currsize) == (before.misses, before.currsize)


def test_an_entry_that_was_restarted_without_end_does_not_make_its_node_unreadable() -> None:
    trouble = Trouble("a", TroubleKind.FAILING, restarts=10**12, for_s=10**12, text="exit 1")
    status = msgspec.structs.replace(STATUS, troubles={("g", "a"): trouble})
    read = parse_clstat(render_clstat(status).encode()).troubles["g", "a"]
    assert (read.restarts, read.for_s, read.text) == (10**9 - 1, 10**9 - 1, "exit 1")


def test_the_variables_of_a_cltab_that_is_too_big_are_read_all_the_same() -> None:
    text = b":::socket:/run/s\n" + b"# a remark\n" * (FILE_MAX_BYTES // 10)
    with pytest.raises(Mistakes, match="too big"):
        parse_cltab(text, "cltab")
    assert parse_variables(text) == {"socket": "/run/s"}


def test_a_list_of_levels_may_end_with_one_comma_and_with_no_more() -> None:
    assert parse_cltab(b"g:a:1,2,:wait:true\n", "cltab").entries[0].level
    with pytest.raises(Mistakes, match="not the name of a level"):
        parse_cltab(b"g:a:1,2,,:wait:true\n", "cltab")


def test_what_runs_on_a_node_that_is_leaving_still_runs_there() -> None:
    running = Instance(node=2, level="start", state=GroupState.DONE, said_by=2)
    group = GroupView(group="g", wanted="start", ok=True, instances=[running])
    for state, told in (("leaving", True), ("fresh", True), ("stale", False), ("left", False)):
        nodes = [msgspec.structs.replace(FULL.nodes[1], state=state)]
        report = msgspec.structs.replace(FULL, nodes=nodes, groups=[group])
        assert ("g => " in render_perl(report)) is told
