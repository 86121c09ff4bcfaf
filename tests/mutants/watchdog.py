"""Mutants of the watchdog: when it is fed, when it is disarmed, and what is refused."""

from __future__ import annotations

from tests.mutants.mutant import M, ShellMutant

TESTS = "clinit/test_watchdog.py::"

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
        "left = engine.outliving(kill_s(len(engine.supervisor.units)))",
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
)
