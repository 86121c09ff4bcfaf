"""Breaks of when an agent does what, and of the runtime that lets it live."""

from __future__ import annotations

from tests.sim.mutant import Mutant

AGENT: tuple[Mutant, ...] = (
    Mutant(
        "a write began when it ended",
        "C4",
        "mosha.core.cluster.agent",
        "began=self._publishing.began",
        "began=now",
        scenario="a-write-that-takes-long",
    ),
    Mutant(
        "a read began when it ended",
        "O3",
        "mosha.core.cluster.agent",
        "self.node.peer_read(event.node, None, began=reading.began, now=now, error=error)",
        "self.node.peer_read(event.node, None, began=now, now=now, error=error)",
        test="test_agent.py::test_o3_a_node_is_stale_by_a_look_that_was_ordered_after_its_time",
    ),
    Mutant(
        "a read that hangs is no attempt",
        "O3",
        "mosha.core.cluster.agent",
        "        if reading.hung_since is not None:\n",
        "        if reading.hung_since is not None:\n            return\n        if False:\n",
        test="test_agent.py::test_a_read_that_hangs_says_for_how_long",
    ),
    Mutant(
        "a node that writes nothing is not read again",
        "O3",
        "mosha.core.cluster.reading",
        "when = reading.began + (self._poll_s if often else self._reread_s)",
        "when = math.inf",
        test="test_reading.py::test_all_are_read_at_the_start_and_then_about_once_a_heartbeat",
    ),
    Mutant(
        "a status is written before what it shows is remembered",
        "V4b",
        "mosha.core.cluster.agent",
        "WriteStatus(status, self.node.memory(status))",
        "WriteStatus(status, type(self.node.memory(status))())",
        test="test_agent.py::test_v4b_a_status_comes_with_what_has_to_be_remembered_first",
    ),
    Mutant(
        "a mute node speaks",
        "N1",
        "mosha.core.cluster.agent",
        "        if self.node.state.displaced or self.node.mute(now):\n"
        "            self._publishing.begin(now)\n",
        "        if self.node.state.displaced:\n            self._publishing.begin(now)\n",
        test="test_agent.py::test_n1_a_mute_node_writes_nothing_and_does_all_the_rest",
    ),
    Mutant(
        "two writes at a time",
        "O1",
        "mosha.core.cluster.pace",
        "        self.began, self.under_way, self.due = now, True, math.inf\n",
        "        self.began, self.under_way, self.due = now, True, self._beat_at\n",
        test="test_agent.py::test_one_write_at_a_time_at_each_heartbeat",
    ),
    Mutant(
        "a group has two orders at a time",
        "C7",
        "mosha.core.cluster.group_steps",
        "        if group in self._told:\n",
        "        if False:\n",
        test="test_agent.py::test_a_group_has_one_order_at_a_time",
    ),
    Mutant(
        "votes are counted at heartbeats alone",
        "C4",
        "mosha.core.cluster.agent",
        "        if news and self._state.claimed:\n",
        "        if False:\n",
        test="test_agent.py::test_leases_are_counted_at_each_heartbeat_and_not_with_each_vote",
    ),
    Mutant(
        "who leaves does not wait for its groups",
        "V4",
        "mosha.core.cluster.leaving",
        "        return -math.inf if node.halted() else self._lost_at + WITHOUT_CLINIT_S\n",
        "        return -math.inf\n",
        test="test_agent.py::test_h6_4_a_node_leaves_when_nothing_is_left_and_says_so_last",
    ),
    Mutant(
        "what is due is done when something else happens",
        "runtime",
        "mosha.monitor.runtime",
        "        self.due = self.agent.due\n        self._clock.wake_at(self.due)\n",
        "        self.due = self.agent.due\n",
        scenario="node-dies",
    ),
)
