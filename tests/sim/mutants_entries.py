"""Breaks of the rules of entries: when one counts as started, and what restarts it."""

from __future__ import annotations

from tests.sim.mutant import Mutant

ENTRIES: tuple[Mutant, ...] = (
    Mutant(
        "what comes next does not wait until a service is ready",
        "C3",
        "mosha.core.supervision.unit",
        "if ends or process.awaited:",
        "if ends:",
    ),
    Mutant(
        "a service may take for ever to be ready",
        "C3",
        "mosha.core.tables",
        "limit_s = self.options.start_s if self.awaited else self.options.timeout_s",
        "limit_s = self.options.timeout_s",
        scenario="a-service-that-is-not-ready-moves",
    ),
    Mutant(
        "a service that is not ready in time has not failed",
        "placement",
        "mosha.core.supervision.process_record",
        "process = _counted(process, now, well=False)\n"
        "            return replace(_without_leader(process), said=_said(event))",
        "return replace(_without_leader(process), said=_said(event))",
        scenario="a-service-that-is-not-ready-moves",
    ),
    Mutant(
        "a service that is ready is ended at its limit",
        "C3",
        "mosha.core.supervision.process",
        "return replace(process, due=None), (Ready(process.entry, after_s),)",
        "return process, (Ready(process.entry, after_s),)",
        scenario="a-service-that-is-not-ready-moves",
    ),
    Mutant(
        "an end before it was ready is no failure",
        "placement",
        "mosha.core.supervision.process_record",
        "well=ended.well and not early",
        "well=ended.well",
        test="test_ready.py::test_an_end_before_it_was_ready_is_a_failure_whatever_its_exit",
    ),
    Mutant(
        "a run is ready because the one before it was",
        "C3",
        "mosha.core.supervision.process",
        "ready=not process.entry.awaited,",
        "ready=process.ready or not process.entry.awaited,",
        test="test_ready.py::test_a_run_that_has_ended_is_not_ready_and_neither_is_the_next",
        more=(
            (
                "mosha.core.supervision.process_record",
                "return replace(process, leader=False, pid=0, ready=False, asks=False)",
                "return replace(process, leader=False, pid=0)",
            ),
        ),
    ),
    Mutant(
        "a run is ready because an earlier one says so",
        "C3",
        "mosha.core.supervision.process",
        "return run != process.run or not running or process.ready",
        "return not running or process.ready",
        test="test_ready.py::test_what_another_run_says_is_not_heard",
    ),
    Mutant(
        "a run that waits in vain keeps its ready= for ever",
        "C5",
        "mosha.core.supervision.process_record",
        "return same and (ready or not process.awaited)",
        "return same",
        test="test_ready.py::test_a_new_ready_restarts_a_run_that_is_awaited",
    ),
    Mutant(
        "what an agent could not stop is in the way of the next run",
        "C3",
        "mosha.core.supervision.process",
        "event.in_session or (process.unstopped and event.elsewhere)",
        "event.in_session",
        test="test_ocf_entries.py::"
        "test_what_an_agent_could_not_stop_is_ended_before_it_is_started_again",
    ),
    Mutant(
        "what an agent could not stop is sought in the session of its wrapper only",
        "C3",
        "mosha.core.supervision.ending",
        "process.prevented or process.unstopped else",
        "process.prevented else",
        test="test_ocf_entries.py::"
        "test_what_an_agent_could_not_stop_is_ended_before_it_is_started_again",
    ),
    Mutant(
        "a start whose wrapper was killed goes on beside the next one",
        "C3",
        "mosha.core.supervision.failures",
        "(code == STOP_FAILED or (early and code < 0))",
        "code == STOP_FAILED",
        test="test_ocf_entries.py::"
        "test_what_may_run_of_a_start_whose_wrapper_was_killed_is_ended_before_the_next_one",
    ),
    Mutant(
        "a service is signalled as its wrapper was killed",
        "C3",
        "mosha.core.supervision.failures",
        "(early and code < 0))",
        "code < 0)",
        test="test_ocf_entries.py::"
        "test_what_is_left_otherwise_is_stopped_by_its_agent_in_the_next_run",
    ),
    Mutant(
        "a service that has failed is signalled as its wrapper was killed",
        "C3",
        "mosha.core.supervision.process_record",
        "is_unstopped(mode, code, early=early)",
        "is_unstopped(mode, code, early=process.awaited)",
        test="test_ocf_entries.py::"
        "test_what_a_failed_agent_has_left_is_not_ended_with_a_wrapper_that_waits_to_stop_it",
    ),
    Mutant(
        "a monitor that fails is no failure of its group",
        "placement",
        "mosha.core.supervision.process_record",
        "return failed(process, now) if process.failures % most == 0 else process",
        "return process",
        test="test_monitor_entries.py::"
        "test_so_many_failures_in_a_row_are_one_failure_of_the_group_and_so_are_as_many_more",
    ),
    Mutant(
        "a process keeps the user that it was started as",
        "C5",
        "mosha.core.tables",
        "return self.command, self.mode, self.options.process",
        "return self.command, self.mode, None",
        test="test_time_limits.py::test_another_attribute_of_the_process_restarts_it",
    ),
    Mutant(
        "a group whose mounts were killed has stopped",
        "C5",
        "mosha.core.supervision.unit",
        "return judged(self._all(), agent_traces.unproven(self.unit.traces) if spent else ())",
        "return judged(self._all(), ())",
        test="test_ocf_entries.py::"
        "test_a_group_whose_agents_were_killed_before_their_stop_has_not_stopped",
    ),
    Mutant(
        "an agent has stopped because its process has ended",
        "C5",
        "mosha.core.supervision.agent_traces",
        "case Exited(_, ended) if ended.well and before.state is ProcessState.STOPPING:",
        "case Exited(_, ended) if before.state is ProcessState.STOPPING:",
        test="test_ocf_entries.py::"
        "test_an_agent_that_has_stopped_in_time_needs_no_proof_after_the_kill",
    ),
    Mutant(
        "an agent that has run may refuse its stop",
        "C5",
        "mosha.core.supervision.agent_traces",
        "    clean = entry.tag not in traces or refused(traces, entry.tag)",
        "    clean = True",
        test="test_ocf_entries.py::"
        "test_an_agent_that_runs_for_all_that_is_known_is_asked_to_stop_too",
    ),
    Mutant(
        "an agent that cannot run here is tried for ever",
        "C3",
        "mosha.core.supervision.process",
        "    if process.severity is not Severity.SOFT:",
        "    if process.severity is Severity.FATAL:",
        test="test_ocf_entries.py::"
        "test_an_agent_that_is_in_vain_fails_the_level_at_once_and_is_not_started_again",
    ),
    Mutant(
        "what needs an agent that cannot run here is started",
        "C3",
        "mosha.core.supervision.unit",
        "            if process.in_vain:\n                return True",
        "            if process.in_vain:\n                continue",
        test="test_ocf_entries.py::"
        "test_an_agent_that_is_in_vain_fails_the_level_at_once_and_is_not_started_again",
    ),
    Mutant(
        "what can run nowhere is tried on every node",
        "placement",
        "mosha.core.cluster.group_rules",
        "lambda f: f.granted and _failed(f) and f.nowhere, Action.EXHAUST)",
        "lambda f: f.granted and _failed(f) and False, Action.EXHAUST)",
        test="test_ladder.py::test_a_group_that_can_run_nowhere_is_stopped_for_good_at_once",
    ),
    Mutant(
        "what a killed clinit has left is gone when its cltab lacks it",
        "C7",
        "mosha.core.supervision.supervisor",
        "            if unit.recovers:\n                continue",
        "            if unit.removed:\n                continue",
        test="test_recovered_agents.py::"
        "test_a_group_that_cltab_does_not_have_is_stopped_too_and_can_be_given_up",
    ),
    Mutant(
        "an agent is remembered when it runs already",
        "C7",
        "mosha.core.supervision.unit",
        "self.effects += agent_traces.news(self.unit.group.name, self.unit.traces, traces)",
        "self.effects += () if len(traces) > len(self.unit.traces) else"
        " agent_traces.news(self.unit.group.name, self.unit.traces, traces)",
        test="test_recovered_agents.py::test_what_has_to_be_remembered_is_said_before_it_is_started",
    ),
    Mutant(
        "an agent whose entry has left cltab is forgotten",
        "C7",
        "mosha.core.supervision.unit",
        "    entries += agent_traces.stops_of_others(unit.traces, entries)",
        "",
        test="test_recovered_agents.py::test_an_agent_that_cltab_has_lost_is_stopped_with_its_group",
    ),
    Mutant(
        "a group of which a mount is left is released",
        "C7",
        "mosha.core.supervision.unit",
        "return judged(self._all(), agent_traces.unproven(self.unit.traces) if spent else ())",
        "return judged(self._all(), ())",
        storm="stuck,cut",
        seeds_max=1200,
    ),
    Mutant(
        "a clinit stops nothing that another one has left",
        "C7",
        "mosha.core.supervision.supervisor",
        "self._take(units.tell(left, Tell(group, STOP_LEVEL), stops, self.now, self.limits))",
        "del left, stops",
        scenario="a-clinit-that-dies-with-a-mount",
    ),
    Mutant(
        "an agent that can run nowhere is tried everywhere",
        "placement",
        "mosha.core.cluster.group_rules",
        "lambda f: f.granted and _failed(f) and f.nowhere, Action.EXHAUST)",
        "lambda f: f.granted and _failed(f) and False, Action.EXHAUST)",
        scenario="an-agent-that-can-run-nowhere",
    ),
    Mutant(
        "a node that cannot run a group tries it again at once",
        "placement",
        "mosha.core.cluster.group_step",
        "    record.ban_until = now + ban_s",
        "    record.ban_until = now",
        storm="refuse",
    ),
    Mutant(
        "a mount goes before what uses it has ended",
        "C4",
        "mosha.core.supervision.stop_order",
        "if found and process.entry.wrapped:",
        "if found and not process.entry.wrapped:",
        test="test_ocf_entries.py::"
        "test_agents_stop_in_reverse_order_after_what_was_started_after_them",
    ),
    Mutant(
        "what needs a mount runs on when the mount has failed",
        "C3",
        "mosha.core.supervision.group_table",
        "(_G.DONE, _T.LOST): _G.STOPPING,",
        "(_G.DONE, _T.LOST): _G.DONE,",
        test="test_lost_entries.py::"
        "test_what_comes_after_it_is_started_in_order_when_it_is_ready_again",
    ),
    Mutant(
        "an agent that has failed is not told that it may stop",
        "C3",
        "mosha.core.supervision.lost_entries",
        "for p in processes if p.asks)",
        "for p in processes if p.asks and p.ready)",
        test="test_lost_entries.py::"
        "test_an_agent_that_fails_is_told_to_stop_when_all_that_comes_after_it_is_gone",
    ),
    Mutant(
        "what needs a mount is started before the mount is there again",
        "C3",
        "mosha.core.supervision.process_record",
        "return replace(process, ready=False, lost=True, asks=True)",
        "return replace(process, lost=True, asks=True)",
        test="test_lost_entries.py::"
        "test_in_no_order_of_events_is_anything_started_that_needs_what_is_lost",
    ),
    Mutant(
        "an agent that has failed stops before what needs it has ended",
        "C3",
        "mosha.core.supervision.unit",
        "            self.group(groups.EntryLost(lost_entries.cause_of(process)))\n",
        "            self.group(groups.EntryLost(lost_entries.cause_of(process)))\n"
        "            self.effects += lost_entries.told_to_stop(self._all())\n",
    ),
    Mutant(
        "what comes right after a failed agent is not stopped",
        "C3",
        "mosha.core.supervision.lost_entries",
        "lambda p: not goes(p), processes), 1, None)",
        "lambda p: not goes(p), processes), 2, None)",
    ),
    Mutant(
        "what comes before a failed agent is stopped in place of what comes after it",
        "C3",
        "mosha.core.supervision.lost_entries",
        "itertools.dropwhile(lambda p: not goes(p), processes)",
        "itertools.takewhile(lambda p: not goes(p), processes)",
    ),
    Mutant(
        "an agent that waits for its turn is never told",
        "C3",
        "mosha.core.supervision.lost_entries",
        '"TERM", Scope.LEADER) for p in processes if p.asks)',
        '"TERM", Scope.LEADER) for p in processes if p.asks and p.leader is None)',
    ),
    Mutant(
        "what a killed agent has left is stopped under what needs it",
        "C3",
        "mosha.core.supervision.process",
        "return EntryTrigger.TURN if process.entry.wrapped else EntryTrigger.RESPAWN",
        "return EntryTrigger.RESPAWN",
        scenario="a-mount-whose-supervisor-is-killed",
    ),
    Mutant(
        "a service is signalled before its agent stops it",
        "C6",
        "mosha.core.supervision.ending",
        "alone = process.entry.wrapped and process.leader and name != KILL",
        "alone = False",
        test="test_ocf_entries.py::test_a_stop_signals_the_leader_alone_and_leaves_the_rest_to_it",
    ),
    Mutant(
        "a unit that is refused here is tried for ever",
        "C3",
        "mosha.core.supervision.failures",
        "if mode in WRAPPED else",
        "if mode is Mode.OCF else",
        test="test_systemd_entries.py::test_a_unit_that_is_refused_here_is_in_vain_on_this_node",
    ),
)
