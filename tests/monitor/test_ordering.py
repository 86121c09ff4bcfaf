"""Orders to several nodes: who has to obey, and who is named if one does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosha.control.protocol import GiveOrder
from mosha.core.replication import judging
from mosha.core.status import Stamp, Verb
from mosha.errors import HostError
from mosha.host.clock import boottime
from mosha.monitor import ordering
from tests.core.story import status
from tests.monitor.house import prepared, write_tables


async def test_of_the_nodes_that_an_order_concerns_those_that_did_not_obey_are_named(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "SPREAD_MIN_S", 0.0)
    write_tables(short_dir)
    async with prepared(short_dir, nodes=(1, 2, 3)) as monitor:
        state = monitor.node.state
        first = state.order_number + 1
        for node, number in ((2, first - 1), (3, first)):
            now = boottime()
            heard = status(node, obeyed={1: Stamp(state.inc, number)})
            monitor.node.peer_read(node, heard, began=now, now=now)
        with pytest.raises(HostError, match=r"^node 2 has not obeyed within 0\.8 s: "):
            await ordering.give(monitor, GiveOrder(Verb.CLEANUP, "g"))
