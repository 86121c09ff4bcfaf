"""Mutants of what runs resource agents."""

from __future__ import annotations

from tests.mutants.mutant import M, ShellMutant

WRAPPER = "ocf/test_wrapper.py::"
ACTION = "ocf/test_action.py::"

OCF: tuple[ShellMutant, ...] = (
    M(
        "what the probe finds running is stopped first",
        "ocf/wrapper.py",
        '        say("it was not started by this process: stopped first")\n        self._stop()\n',
        '        say("it was not started by this process: stopped first")\n',
        f"{WRAPPER}test_what_the_probe_finds_running_is_stopped_and_started_anew",
    ),
    M(
        "a service is not in the session of its wrapper",
        "ocf/action.py",
        "_OWN_SESSION if words[1] == START",
        "_OWN_GROUP if words[1] == START",
        "clinit/test_ocf.py::"
        "test_a_killed_wrapper_is_followed_by_one_that_stops_its_service_first[session]",
    ),
    M(
        "what has failed is stopped before it is started again",
        "ocf/wrapper.py",
        "        stopped = self._try_to_stop()\n        _end_rest()\n",
        "        stopped = None if not text else 0\n        _end_rest()\n",
        f"{WRAPPER}test_a_start_that_fails_is_followed_by_a_stop",
    ),
    M(
        "what a stop leaves is not in the way of a new start",
        "ocf/wrapper.py",
        "        stopped = self._try_to_stop()\n        _end_rest()\n",
        "        stopped = self._try_to_stop()\n",
        f"{WRAPPER}test_what_the_stop_of_a_failed_service_leaves_is_killed",
    ),
    M(
        "a stop may lie",
        "ocf/wrapper.py",
        "        if ended.status not in STOPPED:\n            say(told_result",
        "        if ended.status is None:\n            say(told_result",
        f"{WRAPPER}test_with_stop_only_it_stops_and_makes_sure_of_it",
    ),
    M(
        "a process of the service that ends is looked after at once",
        "ocf/wrapper.py",
        "            elif self._sleep(left_s):\n",
        "            elif self._sleep(left_s) and not left_s:\n",
        f"{WRAPPER}test_a_service_whose_process_dies_is_found_dead_at_once",
    ),
    M(
        "who waits for the end of a service sees it: the dead are buried during an action",
        "ocf/action.py",
        "                signals.take(_running)\n",
        "                os.read(signals.fd, 512)\n",
        f"{ACTION}test_a_service_outlives_its_start_and_is_buried_while_its_stop_waits",
    ),
    M(
        "a late action is killed with what has cut its ties",
        "ocf/kin.py",
        "    tops = (adopted | {leader}) & table.keys()\n",
        "    tops = {leader} & (adopted | table.keys())\n",
        f"{ACTION}test_at_its_limit_an_action_is_killed_with_all_it_has_started",
    ),
    M(
        "a late monitor does not end the service",
        "ocf/kin.py",
        "{kin.pid for kin in table.values() if kin.parent == me} - set(before)\n",
        "{kin.pid for kin in table.values() if kin.parent == me}\n",
        f"{ACTION}test_a_monitor_that_hangs_is_killed_and_the_service_is_not",
    ),
    M(
        "a stop that the agent refuses has not stopped the service",
        "ocf/wrapper.py",
        "        if self._try_to_stop() != 0:\n",
        "        if self._try_to_stop() not in {0, *HARD}:\n",
        f"{WRAPPER}test_a_stop_that_fails_or_is_refused_has_a_status_of_its_own",
    ),
    M(
        "a promoted service runs",
        "ocf/results.py",
        "frozenset({SUCCESS, RUNNING_PROMOTED, DEGRADED, DEGRADED_PROMOTED})",
        "frozenset({SUCCESS, DEGRADED, DEGRADED_PROMOTED})",
        f"{WRAPPER}test_a_service_that_is_promoted_runs_and_is_stopped_if_the_probe_finds_it",
    ),
    M(
        "a late action ends no other one",
        "ocf/action.py",
        "self._before | _running - {pid}",
        "self._before",
        f"{ACTION}test_of_two_actions_at_once_the_late_one_alone_is_killed",
    ),
    M(
        "what agents keep until the next boot is gone after it",
        "ocf/rsctmp.py",
        "    if is_old:\n        _empty(directory)\n",
        "",
        "ocf/test_rsctmp.py::test_it_is_emptied_once_after_a_boot_and_nothing_outside_of_it",
    ),
)
