"""Mutants of a node that fences itself: by its watchdog, by a reboot, by a command."""

from __future__ import annotations

from tests.mutants.mutant import M, ShellMutant

TESTS = "clinit/test_watchdog.py::"
FENCE_TESTS = "clinit/test_self_fence.py::"

WATCHDOG: tuple[ShellMutant, ...] = (
    M(
        "the watchdog is fed by the event loop alone, which may hang",
        "clinit/watchdog.py",
        "        self._timer = asyncio.get_running_loop().call_later(pause_s, self._go_on)\n",
        "        loop = asyncio.get_running_loop()\n"
        "        later = lambda: __import__('time').sleep(pause_s) or self._device.feed()\n"
        "        loop.run_in_executor(None, later)\n"
        "        self._timer = loop.call_later(pause_s, self._go_on)\n",
        f"{TESTS}test_a_loop_that_hangs_feeds_it_no_more",
    ),
    M(
        "it is not fed while something outlives kill_at",
        "clinit/watchdog.py",
        "left = self._outliving(engine)",
        "left = list[str]()",
        f"{TESTS}test_it_is_not_fed_while_a_process_outlives_kill_at",
    ),
    M(
        "before each feed the engine does what is due",
        "clinit/watchdog.py",
        "        engine.happen(GroupTimePassed())\n",
        "",
        f"{TESTS}test_the_engine_does_what_is_due_before_each_feed",
    ),
    M(
        "it is fed three times per time-out and more",
        "clinit/watchdog.py",
        "FEEDS_PER_TIMEOUT = 4",
        "FEEDS_PER_TIMEOUT = 2",
        f"{TESTS}test_it_is_fed_three_times_per_time_out_and_more",
    ),
    M(
        "a clinit that leaves something behind does not disarm it",
        "clinit/watchdog.py",
        "        if left:\n            text =",
        "        if left and False:\n            text =",
        f"{TESTS}test_it_stays_armed_if_a_process_of_any_group_is_left",
    ),
    M(
        "an error later on leaves it armed",
        "clinit/watchdog.py",
        "        if self._engine is None:\n            self.end([])\n",
        "        if True:\n            self.end([])\n",
        f"{TESTS}test_an_error_later_on_leaves_it_armed",
    ),
    M(
        "of the watchdog of a clinit that is gone nothing is said",
        "monitor/clinit_link.py",
        "            self.watchdog = None\n",
        "            pass\n",
        "monitor/test_watchdog.py::test_what_clinit_says_of_its_watchdog_is_in_the_status",
    ),
    M(
        "an orderly end disarms it",
        "clinit/daemon.py",
        "        watchdog.end(engine.left())\n",
        "        pass\n",
        f"{TESTS}test_an_orderly_end_disarms_it",
    ),
    M(
        "the time-out that counts is the one that the device has accepted",
        "clinit/watchdog.py",
        "accepted_s = device.timeout()",
        "accepted_s = timeout_s",
        f"{TESTS}test_a_time_out_that_the_device_has_shortened_is_the_one_that_counts",
    ),
    M(
        "a device that would reset the machine too late is refused",
        "clinit/watchdog.py",
        "<= accepted_s <= timeout_s:",
        "<= accepted_s:",
        f"{TESTS}test_a_device_whose_time_out_is_too_long_is_refused_and_disarmed",
    ),
    M(
        "a device that is refused is disarmed",
        "clinit/watchdog.py",
        "        _disarm(device, path)\n        text",
        "        text",
        f"{TESTS}test_a_device_whose_time_out_is_too_long_is_refused_and_disarmed",
    ),
    M(
        "a device that a kill of clinit would disarm is refused",
        "clinit/watchdog.py",
        "if not ability.magic_close:",
        "if False:",
        f"{TESTS}test_a_device_that_every_close_disarms_is_refused",
    ),
    M(
        "no program that is started gets the device",
        "host/watchdog_device.py",
        "    return os.open(path, os.O_WRONLY | os.O_CLOEXEC)\n",
        "    fd = os.open(path, os.O_WRONLY)\n    os.set_inheritable(fd, True)\n    return fd\n",
        f"{TESTS}test_no_program_that_is_started_gets_the_device",
    ),
    M(
        "a clinit without its watchdog does not start",
        "clinit/daemon.py",
        "        if options.watchdog is not None:\n",
        "        if False:\n",
        f"{TESTS}test_without_its_watchdog_clinit_does_not_start",
    ),
    M(
        "the kill has its time before the reset",
        "core/watchdog.py",
        "limit_s - timing.lease_s - timing.stop_budget_s - kill_s(groups)",
        "limit_s - timing.lease_s - timing.stop_budget_s - 0 * groups",
        "core/test_watchdog.py::test_the_kill_of_many_groups_has_its_time_before_the_reset",
    ),
    M(
        "a node whose watchdog is missing does not start",
        "monitor/daemon.py",
        "        startup.check_watchdog(self.settings)\n",
        "",
        "monitor/test_watchdog.py::test_a_monitor_does_not_start_without_the_watchdog_that_is_set",
    ),
    # --- self_fence ---
    M(
        "a group of which nothing is alive costs no machine",
        "clinit/self_fence.py",
        "            elif self._engine.alive(group.name):\n",
        "            else:\n",
        f"{FENCE_TESTS}test_what_is_known_to_be_gone_is_no_reason",
    ),
    M(
        "a process has some time to die after kill_at",
        "core/supervision/overdue.py",
        "StuckGroup(name, group.deadlines.kill_at + after_s, outlives=True)",
        "StuckGroup(name, group.deadlines.kill_at, outlives=True)",
        f"{FENCE_TESTS}test_a_node_reboots_some_time_after_a_kill_that_did_not_work",
    ),
    M(
        "SIGKILL has its time where it came late",
        "clinit/self_fence.py",
        "        return max(group.since, ",
        "        return min(group.since, ",
        f"{FENCE_TESTS}test_a_late_kill_has_its_time_before_the_machine_is_given_up",
    ),
    M(
        "a kill at kill_at is looked after",
        "clinit/engine.py",
        "            if killed:\n                self.on_danger()\n",
        "",
        f"{FENCE_TESTS}test_a_node_reboots_some_time_after_a_kill_that_did_not_work",
    ),
    M(
        "a failed stop is held unless the settings say otherwise",
        "core/supervision/overdue.py",
        "elif with_failed_stops and (",
        "elif (",
        "core/test_overdue.py::test_a_failed_stop_is_held_unless_it_is_to_end_the_machine",
    ),
    M(
        "a stop that has failed is heard of",
        "clinit/engine.py",
        "        if (after.level, after.state) == (STOP_LEVEL, GroupState.FAILED):\n"
        "            self.on_danger()\n",
        "",
        f"{FENCE_TESTS}test_a_living_clinit_fences_its_node_for_a_failed_stop_if_told_to",
    ),
    M(
        "a machine that is still there is fenced again",
        "clinit/self_fence.py",
        "                    await asyncio.sleep(self._again_s)\n",
        "                    return\n",
        f"{FENCE_TESTS}test_a_machine_that_is_still_there_is_fenced_again",
    ),
    M(
        "clinit does not reap the process of a command as an orphan",
        "clinit/self_fence.py",
        "            self._leaders.add(pid)\n",
        "",
        f"{FENCE_TESTS}test_the_process_of_a_command_is_reaped_by_nobody_else",
    ),
    M(
        "a misspelt word is no command",
        "formats/settings_rules.py",
        '    if not line[0].startswith("/"):\n',
        "    if False:\n",
        "formats/test_settings.py::test_a_mistake_names_place_key_rule_and_remedy",
    ),
)
