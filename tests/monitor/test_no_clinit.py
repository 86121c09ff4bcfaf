"""A witness runs nothing, and no clinit: unless something may be left of a life as a member."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosha.control.protocol import AskReport
from mosha.core.cluster.memory import Memory
from mosha.core.tell import Tell
from mosha.formats.hastat import parse_hastat
from mosha.host.clock import boot_id
from mosha.host.lock_file import CLINIT_RECORD
from mosha.monitor import identity
from mosha.monitor.no_clinit import NoClinit, needs_clinit
from tests.monitor.house import House, prepared, settings, write_tables
from tests.waiting import until

HERE, BEFORE = boot_id(), "0badb007"


@pytest.mark.parametrize(
    ("more", "record", "memory", "needed"),
    [
        ({}, None, None, True),
        ({"role": "witness"}, None, None, False),
        ({"role": "witness", "watchdog": "/dev/watchdog"}, None, None, True),
        ({"role": "witness"}, f'{{"boot":"{HERE}","pid":7}}', None, True),
        ({"role": "witness"}, f'{{"boot":"{BEFORE}","pid":7}}', None, False),
        ({"role": "witness"}, "{", None, True),
        ({"role": "witness"}, None, Memory(boot=HERE, claims={"g": 3}), True),
        ({"role": "witness"}, None, Memory(boot=BEFORE, claims={"g": 3}), False),
        ({"role": "witness"}, None, Memory(boot=HERE, votes={}), False),
    ],
)
def test_only_a_witness_with_nothing_left_of_a_former_life_does_without(
    tmp_path: Path, more: dict[str, str], record: str | None, memory: Memory | None, *, needed: bool
) -> None:
    own = settings(tmp_path, **more)
    own.state_path.mkdir(parents=True)
    if record is not None:
        (own.state_path / CLINIT_RECORD).write_text(record)
    if memory is not None:
        identity.save(own.state_path, memory)
    assert needs_clinit(own) is needed


def test_a_record_that_cannot_be_read_may_be_of_a_clinit(tmp_path: Path) -> None:
    own = settings(tmp_path, role="witness")
    (own.state_path / CLINIT_RECORD).mkdir(parents=True)
    assert needs_clinit(own)


async def test_a_witness_answers_votes_and_leaves_without_clinit(short_dir: Path) -> None:
    write_tables(short_dir)
    async with prepared(short_dir, role="witness") as monitor:
        house = House(monitor)
        try:
            await until(lambda: monitor.node.state.published is not None)
            reply = await house.ask(AskReport())
            assert reply.report is not None
            (node,) = parse_hastat(bytes(reply.report)).nodes
            assert (node.witness, node.state) == (True, "self")
            assert not monitor.settings.socket_path.exists()
            assert monitor.troubles == []
        finally:
            monitor.leave()
            await house.task
        assert house.status == 0


async def test_what_only_clinit_can_do_is_refused_there() -> None:
    none = NoClinit(lambda _: None)
    for reply in (
        await none.tell(Tell(group="g", level="start")),
        await none.apart(AskReport(), 1.0),  # type: ignore[arg-type]
    ):
        assert reply is not None
        assert (reply.ok, "witness" in reply.text) == (False, True)
    assert await none.everything(1.0) == {}
