"""Mutants of units of systemd."""

from __future__ import annotations

from tests.mutants.mutant import M, ShellMutant

TRACKER = "clinit/test_unit_tracker.py::"
FITNESS = "systemd/test_fitness.py::"

UNITS: tuple[ShellMutant, ...] = (
    M(
        "what systemd starts after a kill does not run",
        "clinit/unit_tracker.py",
        '        _freeze(cgroup, b"1")\n',
        "        pass\n",
        f"{TRACKER}test_what_is_put_into_a_slice_after_a_kill_does_not_run_until_the_next_start",
    ),
    M(
        "a unit that cannot be frozen is killed all the same",
        "clinit/unit_tracker.py",
        '        _freeze(cgroup, b"1")\n    finally:\n        cgroups.kill(cgroup)\n',
        '        _freeze(cgroup, b"1")\n    finally:\n        pass\n',
        f"{TRACKER}test_a_slice_that_cannot_be_frozen_is_not_taken_for_frozen",
    ),
    M(
        "a unit runs again after a kill",
        "clinit/unit_tracker.py",
        "        thaw(self._slice(key.group))\n",
        "",
        f"{TRACKER}test_what_is_put_into_a_slice_after_a_kill_does_not_run_until_the_next_start",
    ),
    M(
        "a unit is killed with its group",
        "clinit/unit_tracker.py",
        "                kill(self._slice(group))\n",
        "                pass\n",
        f"{TRACKER}test_what_is_put_into_a_slice_after_a_kill_does_not_run_until_the_next_start",
    ),
    M(
        "a unit is killed with its entry",
        "clinit/unit_tracker.py",
        "        if number is Signals.SIGKILL and scope is Scope.ENTRY:\n",
        "        if number is Signals.SIGTERM and scope is Scope.SESSION:\n",
        f"{TRACKER}test_a_kill_of_an_entry_freezes_it_too_and_not_the_others",
    ),
    M(
        "an entry is not gone while its unit runs",
        "clinit/unit_tracker.py",
        "        quiet = scope is not Scope.ENTRY or self._is_quiet(key.group, key.tag)\n",
        "        quiet = True\n",
        f"{TRACKER}test_an_entry_is_not_empty_while_its_unit_runs",
    ),
    M(
        "a group is not gone while one of its units runs",
        "clinit/unit_tracker.py",
        "        quiet = all(self._is_quiet(group, tag) for tag in tags)\n",
        "        quiet = True\n",
        f"{TRACKER}test_an_entry_is_not_empty_while_its_unit_runs",
    ),
    M(
        "the units of a former clinit end before the next one answers",
        "clinit/state_dir.py",
        "            _end_units(units, ended, deadline)\n",
        "            pass\n",
        f"{TRACKER}test_what_an_earlier_clinit_had_started_is_ended_and_the_slices_are_usable_again",
    ),
    M(
        "the second guard kills units too",
        "clinit/guard.py",
        'echo 1 > "$UNITS/cgroup.kill"',
        ":",
        f"{TRACKER}test_the_second_guard_kills_and_freezes_the_units_too",
    ),
    M(
        "the first guard kills units too",
        "clinit/forkserver.py",
        '            for name in ("cgroup.freeze", "cgroup.kill"):\n',
        "            for name in ():\n",
        f"{TRACKER}test_the_first_guard_kills_and_freezes_the_units_too",
    ),
    M(
        "an enabled unit is refused",
        "systemd/fitness.py",
        'if enabled in {"enabled", "enabled-runtime"}:',
        'if enabled == "enabled-runtime":',
        f"{FITNESS}test_a_unit_that_is_not_mosha_s_alone_is_refused",
    ),
    M(
        "a unit is refused that its socket starts",
        "systemd/fitness.py",
        '        on = its["ActiveState"] not in {"inactive", "failed"}\n',
        "        on = False\n",
        f"{FITNESS}test_a_trigger_counts_if_it_is_on_or_will_be_or_is_started_with_the_unit",
    ),
    M(
        "a drop-in that is overridden is not trusted",
        "systemd/drop_in.py",
        '        if facts["Slice"] != self._slice:\n',
        "        if False:\n",
        f"{FITNESS}test_what_another_drop_in_overrides_is_named",
    ),
    M(
        "no start is allowed once the wrapper has stopped the unit",
        "systemd/drop_in.py",
        "        self._link.unlink(missing_ok=True)\n",
        "        pass\n",
        f"{FITNESS}test_the_drop_in_is_written_once_and_allows_starts_while_its_process_lives",
    ),
    M(
        "a unit belongs to one entry",
        "formats/cltab.py",
        '        problem = f"another entry has the unit {unit} (first in line {first})"\n',
        "        return True\n",
        "formats/test_units.py::test_a_mistake_is_told_with_its_place_and_remedy",
    ),
)
