"""Breaks of what operators and hosts rely on: orders, kills that take time, starts that fail."""

from __future__ import annotations

from tests.sim.mutant import Mutant

OPERATIONS: tuple[Mutant, ...] = (
    # --- orders ---
    Mutant(
        "a restart keeps what runs",
        "orders",
        "mosha.core.cluster.group_rules",
        "lambda f: f.kept and f.here and not f.stopping, Action.STOP)",
        "lambda f: f.kept and f.here and not f.stopping, Action.TEST)",
        storm="restart",
    ),
    Mutant(
        "a later order makes a restart seem obeyed",
        "orders",
        "mosha.core.cluster.orders",
        "for issuer, stamp in record.restarts\n    }",
        "for issuer, stamp in ()\n    }",
        test="test_orders.py::"
        "test_a_later_order_of_the_same_node_does_not_make_a_restart_seem_obeyed",
    ),
    Mutant(
        "an order that was not heard seems obeyed",
        "orders",
        "mosha.core.cluster.orders",
        "*range(max(first, last - ORDERS_MAX), last)",
        "",
        test="test_orders.py::"
        "test_an_order_that_stood_while_its_node_was_not_heard_is_not_obeyed_by_a_later_one",
    ),
    Mutant(
        "a node on standby takes groups",
        "orders",
        "mosha.core.cluster.eligibility",
        "lambda c: not on_standby(c.state, c.node),",
        "lambda c: True,",
        storm="standby,move",
    ),
    Mutant(
        "a failure that a watcher reports bans nobody",
        "orders",
        "mosha.core.cluster.orders",
        "now + state.timing.ban_s, reason, None",
        "now, reason, None",
        storm="fail",
    ),
    Mutant(
        "cleanup forgets no ban",
        "orders",
        "mosha.core.cluster.orders",
        "    if record.ban_until != NEVER:\n        lift(state, record)\n",
        "",
        storm="fail,cleanup",
    ),
    Mutant(
        "a stop that failed waits for a lease for ever",
        "orders",
        "mosha.core.cluster.group_step",
        "return record.stops_again and not record.granted and waited",
        "return False",
        storm="failstop,cut,cleanup",
    ),
    # --- orders for single entries ---
    Mutant(
        "an operator's order starts what its group ends",
        "orders",
        "mosha.core.supervision.process",
        "            ended = process.state is ProcessState.STOPPING and process.then is Then.WAIT",
        "            ended = False",
        test="test_entry_orders.py::test_an_entry_that_its_group_ends_takes_no_order",
    ),
    Mutant(
        "an operator's restart is the work of the throttle",
        "orders",
        "mosha.core.supervision.process",
        "process = afresh(process) if trigger in _AFRESH else process",
        "process = replace(process, then=Then.WAIT)",
        test="test_entry_orders.py::test_a_restart_is_no_failure_and_not_the_work_of_the_throttle",
    ),
    Mutant(
        "an order for an entry is obeyed before it is carried out",
        "orders",
        "mosha.core.supervision.process_record",
        "return process.state in _NOT_YET or (unstarted",
        "return (unstarted",
        test="test_entry_orders.py::"
        "test_an_order_is_obeyed_when_it_has_been_carried_out_and_not_before",
    ),
    Mutant(
        "a start is obeyed before there is a process",
        "orders",
        "mosha.core.supervision.process_record",
        "return process.state in _NOT_YET or (unstarted and not answered)",
        "return process.state in _NOT_YET",
        test="test_entry_orders.py::"
        "test_a_start_is_obeyed_when_there_is_a_process_or_it_is_known_why_there_is_none",
    ),
    Mutant(
        "a start is obeyed before the entry is ready",
        "orders",
        "mosha.core.supervision.process_record",
        "unstarted = running and (not process.pid or process.awaited)",
        "unstarted = running and not process.pid",
        test="test_entry_orders.py::test_an_entry_with_ready_has_started_when_it_is_ready",
    ),
    Mutant(
        "an entry is started again beside what it left",
        "orders",
        "mosha.core.supervision.ending",
        "if process.state not in ENDING and not process.leader:",
        "if process.state is ProcessState.CLEARING:",
        test="test_entry_orders.py::"
        "test_what_has_ended_by_itself_runs_once_more_without_what_it_left",
    ),
    Mutant(
        "an order of another term is obeyed",
        "orders",
        "mosha.core.supervision.entry_refusals",
        "    if order.term != group.term:\n",
        "    if False:\n",
        test="test_entry_orders.py::test_an_order_under_another_term_is_refused",
    ),
    Mutant(
        "an order is obeyed after stop_at",
        "orders",
        "mosha.core.supervision.unit",
        "    work.time_passed()\n    group, process = work",
        "    group, process = work",
        test="test_entry_orders.py::"
        "test_an_order_after_a_deadline_that_nobody_has_noticed_yet_is_refused",
    ),
    Mutant(
        "an entry stays stopped when its group starts anew",
        "orders",
        "mosha.core.supervision.lost_entries",
        "if lost or not (p.held or p.in_vain))",
        "if lost or not p.in_vain)",
        test="test_entry_orders.py::test_a_stop_of_an_entry_ends_with_the_next_tell_to_its_group",
    ),
    Mutant(
        "an order for an entry without a lease",
        "orders",
        "mosha.core.cluster.entry_orders",
        "if record.claim is None or not (record.granted and record.activated):",
        "if record.claim is None:",
        test="test_orders_for_entries.py::"
        "test_without_a_lease_or_clinit_an_order_is_refused_at_once",
    ),
    Mutant(
        "an order for an entry waits for ever",
        "orders",
        "mosha.core.cluster.entry_orders",
        "elif (report.term, report.wanted) != (waits.term, waits.level):",
        "elif False:",
        test="test_orders_for_entries.py::"
        "test_an_order_is_void_when_its_group_was_stopped_or_started_anew",
    ),
    Mutant(
        "a stopped entry is as wanted",
        "orders",
        "mosha.core.explain.verdicts",
        "return GroupVerdict(False, why, next_step(group, place.troubles), kind)",
        "return GroupVerdict(deliberate, why, next_step(group, place.troubles), kind)",
        test="test_orders_for_entries.py::"
        "test_a_group_with_a_stopped_entry_is_not_as_wanted_and_the_way_back_is_named",
    ),
    # --- kills that take time, and signals that fail ---
    Mutant(
        "what has got its kill counts as gone",
        "C7",
        "mosha.core.supervision.group_report",
        "        if self.alive:\n            return True\n",
        "        if self.cause == 'lease ended: killed':\n            return False\n",
        storm="slowkill,cut",
    ),
    Mutant(
        "a kill that failed counts as sent",
        "C6",
        "mosha.core.escalation",
        "return KILL, min(limits.kill_again_s + more_s, limits.kill_again_max_s)",
        "return KILL, min(limits.kill_again_s + more_s, limits.kill_again_max_s) * 1e9",
        storm="nosignal,cut",
    ),
    # --- starts that fail ---
    Mutant(
        "a test that could not be started has passed",
        "C3",
        "mosha.core.supervision.process",
        "return EntryTrigger.LOSE if lost else EntryTrigger.RETRY",
        "test = process.entry.mode is Mode.TEST\n            "
        "return EntryTrigger.LOSE if lost else EntryTrigger.PASS if test else EntryTrigger.RETRY",
        storm="nostart,crash,fail",
    ),
    Mutant(
        "what was lost at its start is started again at once",
        "C3",
        "mosha.core.supervision.process",
        "return EntryTrigger.LOSE if lost else EntryTrigger.RETRY",
        "return EntryTrigger.RETRY",
        storm="nostart,slowkill,crash",
    ),
    # --- changes of a cluster that runs ---
    Mutant(
        "a clinit that halts obeys",
        "C4",
        "mosha.core.supervision.supervisor",
        "        if self._halting:\n            self.effects.append(TellReply",
        "        if False:\n            self.effects.append(TellReply",
        storm="stopclinit,hangstop",
    ),
)
