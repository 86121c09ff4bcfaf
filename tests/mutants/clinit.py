"""Mutants of the supervisor: deadlines, births, kills, what is left, what is said."""

from __future__ import annotations

from tests.mutants.mutant import M, ShellMutant

CLINIT: tuple[ShellMutant, ...] = (
    M(
        "no agent is started before all that is noted of agents is on disk",
        "clinit/agents_left.py",
        "        while self._dirty:\n",
        "        if self._dirty:\n",
        "clinit/test_agents_left.py::test_what_is_noted_while_a_thread_writes_is_written_too",
    ),
    # --- deadlines ---
    M(
        "an entry that was stopped before its turn waits for it again",
        "core/supervision/unit.py",
        "if waits and self.unit.group.state is not GroupState.STARTING:",
        "if waits:",
        "core/test_entry_orders.py::"
        "test_an_entry_that_was_stopped_before_its_turn_waits_for_it_again",
    ),
    M(
        "C5: the alarm is of the clock that goes on while the machine sleeps",
        "clinit/alarm.py",
        "timerfd_create(time.CLOCK_BOOTTIME,",
        "timerfd_create(time.CLOCK_MONOTONIC,",
        "clinit/test_pieces.py::"
        "test_an_alarm_is_of_the_clock_that_goes_on_while_the_machine_sleeps",
    ),
    M(
        "C5: an alarm rings at the earliest deadline after each event",
        "clinit/engine.py",
        "self._alarm.set(self.supervisor.due)",
        "pass",
        "clinit/test_leases.py::test_kill_at_ends_everything_of_the_group_at_once",
    ),
    M(
        "C5: an alarm that rang can be set to the same time again",
        "clinit/alarm.py",
        "            return\n        self._when = None\n",
        "            return\n",
        "clinit/test_pieces.py::test_an_alarm_that_rang_can_be_set_to_the_same_time_again",
    ),
    M(
        "C5: nothing is started whose kill_at has passed",
        "clinit/forkserver.py",
        "time.clock_gettime(time.CLOCK_BOOTTIME) >= until",
        "False",
        "clinit/test_forkserver.py::test_nothing_is_started_whose_kill_at_has_passed",
    ),
    M(
        "C5: a start gets the kill_at of its lease along",
        "clinit/entry.py",
        ", until=launch.kill_at",
        "",
        "clinit/test_entry.py::test_a_start_that_comes_after_kill_at_starts_nothing",
    ),
    # --- ready ---
    M(
        "what a process of another entry says to the socket is not believed",
        "clinit/run_watch.py",
        "if refusal:",
        "if False:",
        "clinit/test_ready.py::test_a_process_of_another_entry_is_not_believed_either",
    ),
    M(
        "descriptors that come with a message are closed: who waits at a barrier goes on",
        "clinit/notify_socket.py",
        "                for fd in fds:\n                    os.close(fd)\n",
        "                pass\n",
        "clinit/test_ready.py::test_who_asks_for_a_barrier_is_answered",
    ),
    M(
        "the frozen process of an agent, a unit or an address is killed",
        "clinit/run_watch.py",
        "if looks < STOPPED_LOOKS:",
        "if True:",
        "clinit/test_ocf.py::test_a_stop_ends_although_the_wrapper_is_frozen",
    ),
    M(
        "the frozen process that stops an agent at level stop is killed",
        "clinit/run_watch.py",
        'launch.entry.wrapped or launch.entry.stops != ""',
        "launch.entry.wrapped",
        "clinit/test_ocf.py::test_a_frozen_stop_at_level_stop_fails_and_nothing_of_it_is_left",
    ),
    M(
        "what a run says of itself is forgotten with it",
        "clinit/run_watch.py",
        "self.said, self._leader, self._refused = Notification(), 0, False",
        "self._leader, self._refused = 0, False",
        "clinit/test_ready.py::test_what_a_run_says_is_forgotten_with_it",
    ),
    M(
        "an old pid file of somebody else does not count",
        "clinit/readiness.py",
        "return is_own(pid)",
        "return pid > 0",
        "clinit/test_ready.py::test_a_pid_file_counts_if_it_names_a_process_of_the_entry",
    ),
    M(
        "a socket that is bound and does not listen is not ready",
        "clinit/readiness.py",
        "if state != LISTEN:",
        "if False:",
        "clinit/test_ready.py::test_a_connection_from_a_port_is_no_socket_that_listens",
    ),
    # --- what a process has ---
    M(
        "who becomes another user has none of the groups of root",
        "clinit/preparing.py",
        'if "groups" in wanted:',
        "if False:",
        "clinit/test_forkserver.py::test_a_child_is_who_it_is_to_be_and_has_those_groups_alone",
    ),
    M(
        "who becomes another user still dies with clinit",
        "clinit/preparing.py",
        '("prctl", (PR_SET_PDEATHSIG, SIGKILL), None),',
        "",
        "clinit/test_attributes.py::test_who_became_another_user_dies_with_clinit[shared]",
    ),
    M(
        "the OOM score of a process is not that of the fork server",
        "clinit/spawn_ways.py",
        "way = COPIED if self.way == SHARED and private else self.way",
        "way = self.way",
        "clinit/test_attributes.py::"
        "test_an_ordinary_process_has_its_limits_its_mask_its_priority_and_its_place[shared]",
    ),
    M(
        "another user can open its own /dev/stdout",
        "clinit/child.py",
        "os.fchown(fd, resolved.uid, -1)",
        "pass",
        "clinit/test_attributes.py::"
        "test_another_user_has_its_groups_its_variables_and_its_output[shared]",
    ),
    M(
        "a step that fails keeps the command from being executed",
        "clinit/child_steps.py",
        "prepare += ((call, arguments, result, 2), fail, GIVEN_UP)",
        "prepare += ((call, arguments, result, 0), (call, arguments, result, 0), GIVEN_UP)[:1]",
        "clinit/test_attributes.py::test_what_cannot_be_is_said_and_the_command_is_not_executed",
    ),
    # --- births and signals ---
    M(
        "C6: a signal that came while a child was being born reaches it",
        "clinit/entry.py",
        "for number, scope in self._late_signals:",
        "for number, scope in ():",
        "clinit/test_processes.py::"
        "test_a_signal_meant_for_what_is_being_born_reaches_it_after_its_birth",
    ),
    M(
        "a stop signals a leader that has left its cgroup, by its pidfd",
        "clinit/entry.py",
        "and not inside and self._signal_leader(number)",
        "and not inside and False",
        "clinit/test_faults.py::test_a_leader_that_leaves_its_cgroup_is_ended_all_the_same",
    ),
    M(
        "C6: a cgroup that cgroup.kill was used on is made anew before a start",
        "clinit/cgroup_tracker.py",
        '        self._made.get(group, set()).discard(path.name.removeprefix("e."))\n',
        "",
        "clinit/test_killed_cgroups.py::test_what_is_started_again_after_a_kill_lives",
    ),
    M(
        "C6.6: a shell is signalled before its command",
        "clinit/cgroups.py",
        "key=lambda pid: still.get(pid) != pid)",
        "key=lambda pid: still.get(pid) == pid)",
        "clinit/test_processes.py::test_a_shell_hears_of_a_stop_before_its_command_c6_6",
    ),
    M(
        "C6.9: a child has the signals of a login",
        "clinit/forkserver.py",
        "for number in (SIGPIPE, SIGXFSZ):",
        "for number in ():",
        "clinit/test_processes.py::"
        "test_children_have_default_signals_though_clinit_ignores_some_c6_9",
    ),
    # --- errors are no emptiness, and no exception is lost ---
    M(
        "what cannot be looked into may be alive",
        "clinit/cgroups.py",
        "        return error.errno not in GONE\n",
        "        return False\n",
        "clinit/test_pieces.py::test_what_cannot_be_looked_into_does_not_count_as_empty",
    ),
    M(
        "descriptors are held back for what kills",
        "clinit/descriptors.py",
        "error.errno not in EXHAUSTED or not _spares",
        "True",
        "clinit/test_faults.py::test_what_kills_gets_a_descriptor_when_no_other_is_left",
    ),
    M(
        "a process that may not be signalled keeps no other from its signal",
        "clinit/cgroups.py",
        "        except OSError as error:\n            sent.failed[pid] = explained(error)\n"
        "        finally:",
        "        finally:",
        "clinit/test_faults.py::"
        "test_a_process_that_may_not_be_signalled_keeps_no_other_from_its_signal",
    ),
    M(
        "an exception of a callback ends clinit",
        "clinit/faults.py",
        "            self.end(error)\n            return",
        "            return",
        "clinit/test_faults.py::"
        "test_an_exception_of_a_callback_has_everything_killed_before_clinit_ends",
    ),
    M(
        "before clinit ends everything is killed",
        "clinit/faults.py",
        "        self._kill_everything()\n",
        "",
        "clinit/test_faults.py::"
        "test_an_exception_of_a_callback_has_everything_killed_before_clinit_ends",
    ),
    M(
        "a thread that cannot be started is an error like any other",
        "host/abandonable.py",
        "except NoThreadError as error:",
        "except KeyError as error:",
        "clinit/test_faults.py::test_a_thread_that_cannot_be_started_is_an_error_like_any_other",
    ),
    # --- nothing survives clinit ---
    M(
        "C7: the fork server ends what a killed clinit had",
        "clinit/forkserver.py",
        "                self._kill_all()\n",
        "",
        "clinit/test_guard.py::test_clinit_and_guard_killed_at_once_leave_nothing",
    ),
    M(
        "a second guard ends what both had, if both are killed",
        "clinit/guard.py",
        "read -r word || {{ echo 1; ",
        "read -r word || {{ ",
        "clinit/test_guard.py::test_clinit_and_fork_server_killed_at_once_leave_nothing[cgroup]",
    ),
    M(
        "without cgroups too",
        "clinit/guard.py",
        'kill -s KILL "$pid" && found=1',
        "found=",
        "clinit/test_guard.py::test_clinit_and_fork_server_killed_at_once_leave_nothing[session]",
    ),
    M(
        "without cgroups children inherit a mark that they do not take off",
        "clinit/forker.py",
        "            resource.prlimit(self._process.pid, RLIMIT_LOCKS, (limit, limit))\n",
        "            pass\n",
        "clinit/test_marks.py::test_what_has_cut_all_ties_ends_with_clinit[nobody else-plain]",
    ),
    M(
        "the fork server ends who has the mark as a limit alone",
        "clinit/forkserver.py",
        "        until_quiet(self._kill_limited)\n",
        "",
        "clinit/test_marks.py::test_what_has_cut_all_ties_ends_with_clinit[guard-plain]",
    ),
    M(
        "a fork server that may open nothing ends nothing",
        "clinit/forkserver.py",
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))\n",
        "    pass\n",
        "clinit/test_guard.py::test_a_fork_server_that_may_open_nothing_is_still_a_guard[session]",
    ),
    M(
        "so does the second guard",
        "clinit/guard.py",
        'case $limited in *"/$pid/"*) ours=1 ;; esac',
        "",
        "clinit/test_marks.py::test_what_has_cut_all_ties_ends_with_clinit[fork server-plain]",
    ),
    M(
        "so does the next clinit, whoever was killed with the last one",
        "clinit/state_dir.py",
        "        if limit is not None and marks.has_limit(pid, limit):\n",
        "        if False:\n",
        "clinit/test_marks.py::test_if_both_guards_are_killed_too_the_next_clinit_ends_it",
    ),
    M(
        "the mark of a clinit inside another one can be set",
        "host/marks.py",
        "HIGHEST if hard is None else min(hard, HIGHEST)",
        "HIGHEST",
        "clinit/test_marks.py::"
        "test_a_mark_inside_another_is_lower_for_nobody_but_root_raises_a_limit",
    ),
    M(
        "the dead have no mark: a guard need not wait for their burial",
        "host/marks.py",
        " and not _is_dead(pid)",
        "",
        "clinit/test_marks.py::test_the_dead_and_strangers_have_no_mark",
    ),
    M(
        "a guard looks again after it has found nothing",
        "clinit/forkserver.py",
        "        quiet = 0 if kill() else quiet + 1\n",
        "        quiet = 0 if kill() else QUIET_LOOKS\n",
        "clinit/test_marks.py::test_one_look_that_finds_nothing_is_no_end",
    ),
    M(
        "so does the next clinit",
        "clinit/state_dir.py",
        "        quiet = 0 if left else quiet + 1\n",
        "        quiet = 0 if left else looks\n",
        "clinit/test_marks.py::test_one_look_that_finds_nothing_is_no_end",
    ),
    M(
        "C7: what a former clinit left ends before the next one answers",
        "clinit/daemon.py",
        "in state_dir.end_orphans(options.orphan_limit_s, units):",
        "in ():",
        "clinit/test_life.py::test_what_a_killed_daemon_left_ends_before_the_next_one_answers_c8_9",
    ),
    M(
        "C7: a child dies with clinit",
        "clinit/child_steps.py",
        '("prctl", (PR_SET_PDEATHSIG, SIGKILL), NEVER, 0)',
        '("prctl", (PR_SET_PDEATHSIG, 0), NEVER, 0)',
        "clinit/test_forkserver.py::test_a_child_dies_with_its_parent_even_without_the_server",
    ),
    M(
        "C6: clinit is the parent of what loses its own",
        "clinit/daemon.py",
        "    _adopt_orphans()\n    tracker",
        "    tracker",
        "clinit/test_processes.py::test_a_daemon_that_ends_by_itself_is_reported_and_buried",
    ),
    M(
        "C8.2: one clinit at a time has a state directory",
        "host/lock_file.py",
        "fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        "clinit/test_pieces.py::test_a_state_directory_has_one_clinit_at_a_time",
    ),
    # --- without cgroups ---
    M(
        "a process whose first thread has ended lives as long as another does",
        "host/proc.py",
        " and int(fields[_THREADS]) <= 1",
        "",
        "clinit/test_session_tracker.py::test_a_process_whose_first_thread_has_ended_is_alive",
    ),
    M(
        "what belongs to nobody counts for every group that it may be of",
        "clinit/session_tracker.py",
        "lambda look: [*of_group(look, group, spared), *maybe_of(look, group)]",
        "lambda look: [*of_group(look, group, spared)]",
        "clinit/test_session_tracker.py::"
        "test_a_nameless_daemon_that_may_be_anothers_keeps_a_stop_from_its_end",
    ),
    M(
        "at kill_at it is killed",
        "clinit/session_tracker.py",
        "return [*of_group(look, group), *nobodys]",
        "return [*of_group(look, group)]",
        "clinit/test_session_tracker.py::"
        "test_a_nameless_daemon_is_killed_at_the_kill_at_of_a_group_it_may_be_of",
    ),
    # --- monitors that die and follow each other ---
    M(
        "what a former monitor asked for is not done any more",
        "clinit/requests.py",
        "        if self._is_superseded(client):  # checked after",
        "        if False:  # checked after",
        "clinit/test_monitors.py::"
        "test_a_tell_of_a_dead_monitor_does_not_outlive_the_next_subscription",
    ),
    M(
        "of all effects the kills come first",
        "clinit/engine.py",
        "            self._kill(killed)\n",
        "",
        "clinit/test_monitors.py::"
        "test_of_300_due_groups_each_is_killed_once_and_all_before_anything_else",
    ),
    M(
        "a kill takes along what was put off: nothing is born after it",
        "clinit/engine.py",
        "self._urgent = self._urgent or bool(killed)",
        "pass",
        "clinit/test_monitors.py::"
        "test_a_kill_comes_before_what_was_put_off_and_takes_all_of_it_along",
    ),
    M(
        "a report that was put off says how it is now",
        "clinit/engine.py",
        "            group = unit.group if self._late else after\n",
        "            group = after\n",
        "clinit/test_monitors.py::test_no_report_that_was_put_off_takes_a_listener_back",
    ),
    M(
        "that one group cannot be killed spares no other",
        "clinit/engine.py",
        "                failed = error\n",
        "                raise\n",
        "clinit/test_monitors.py::"
        "test_that_one_group_cannot_be_killed_spares_no_other_and_ends_clinit",
    ),
    # --- what waits ---
    M(
        "a file that hangs is given up",
        "host/abandonable.py",
        "            self._hung = True\n",
        "            self._hung = False\n",
        "clinit/test_pieces.py::"
        "test_a_file_that_hangs_is_given_up_and_is_free_again_when_it_comes_back",
    ),
    # --- a host that is short of something ---
    M(
        "what a dead leader left is not gone because nobody can look",
        "clinit/cgroup_tracker.py",
        "return Leftovers(in_session=True, elsewhere=True)",
        "return Leftovers(in_session=False, elsewhere=False)",
        "clinit/test_cgroup_tracker.py::"
        "test_what_cannot_be_looked_into_for_want_of_descriptors_counts_as_alive",
    ),
    M(
        "an entry is not empty because nobody can look",
        "clinit/cgroup_tracker.py",
        "        except OSError:  # it may have processes\n            return False",
        "        except OSError:  # it may have processes\n            return True",
        "clinit/test_cgroup_tracker.py::"
        "test_what_cannot_be_looked_into_for_want_of_descriptors_counts_as_alive",
    ),
    M(
        "a group is not stopped because nobody can look",
        "clinit/cgroup_tracker.py",
        "        except OSError:  # it is not known what is in there\n            return False",
        "        except OSError:  # it is not known what is in there\n            return True",
        "clinit/test_cgroup_tracker.py::"
        "test_what_cannot_be_looked_into_for_want_of_descriptors_counts_as_alive",
    ),
    M(
        "a group is not reported as having nothing alive because nobody can look",
        "clinit/cgroup_tracker.py",
        "        except OSError:  # something is\n            return 1",
        "        except OSError:  # something is\n            return 0",
        "clinit/test_cgroup_tracker.py::"
        "test_what_cannot_be_looked_into_for_want_of_descriptors_counts_as_alive",
    ),
    M(
        "a stop that could signal nobody says why",
        "clinit/cgroup_tracker.py",
        "        sent = Sent([], {0: explained(error)})",
        "        sent = Sent([], {})",
        "clinit/test_cgroup_tracker.py::"
        "test_signals_that_could_not_be_sent_are_logged_with_the_reason",
    ),
    M(
        "a group with more processes than descriptors gets all its signals",
        "clinit/cgroups.py",
        "                _send_some(cgroup, sending, chosen[chosen.index(pid) :], sent)\n",
        "",
        "clinit/test_cgroup_tracker.py::"
        "test_the_spare_descriptors_are_enough_for_all_processes_of_a_group",
    ),
    M(
        "a kill takes a spare descriptor",
        "clinit/cgroups.py",
        '        with_spare(lambda: (cgroup / "cgroup.kill").write_bytes(b"1"))',
        '        (cgroup / "cgroup.kill").write_bytes(b"1")',
        "clinit/test_cgroup_tracker.py::"
        "test_the_spare_descriptors_are_enough_for_all_processes_of_a_group",
    ),
    M(
        "who leads a process group gets a signal once, with it",
        "clinit/process_groups.py",
        "NOTHING if self.had_by(group) else self.number)",
        "self.number)",
        "clinit/test_process_groups.py::test_the_leader_of_a_process_group_gets_a_signal_once",
    ),
    M(
        "so do its members",
        "clinit/process_groups.py",
        "        if not self.had_by(group):\n",
        "        if True:\n",
        "clinit/test_process_groups.py::test_each_process_of_an_entry_gets_a_signal_once[cgroup]",
    ),
    M(
        "C6.4: a stranger with a number that was used gets no signal",
        "clinit/cgroups.py",
        "            if pid in still:\n                sending.to(pid, still[pid], fd)\n",
        "            if True:\n                sending.to(pid, still.get(pid, 0), fd)\n",
        "clinit/test_cgroup_tracker.py::"
        "test_a_process_that_has_left_the_box_meanwhile_gets_no_signal",
    ),
    M(
        "a parent that is no cgroup is left as it was",
        "clinit/cgroup_tracker.py",
        "        except OSError:\n            self.close()\n            raise",
        "        except OSError:\n            raise",
        "clinit/test_cgroup_tracker.py::test_a_parent_that_is_no_cgroup_is_left_as_it_was",
    ),
    M(
        "a look that fails keeps no descriptor",
        "clinit/cgroups.py",
        '    fd = os.open(f"{cgroup}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)\n'
        "    try:\n"
        "        return os.read(fd, EVENTS_MAX_BYTES)\n"
        "    finally:\n"
        "        os.close(fd)",
        '    fd = os.open(f"{cgroup}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)\n'
        "    text = os.read(fd, EVENTS_MAX_BYTES)\n"
        "    os.close(fd)\n"
        "    return text",
        "clinit/test_cgroup_tracker.py::test_a_look_that_fails_keeps_no_descriptor",
    ),
    M(
        "a kill that could not be done is an error",
        "clinit/cgroups.py",
        '        with_spare(lambda: (cgroup / "cgroup.kill").write_bytes(b"1"))\n'
        "    except OSError as error:\n"
        "        if error.errno not in GONE:\n"
        "            raise",
        '        with_spare(lambda: (cgroup / "cgroup.kill").write_bytes(b"1"))\n'
        "    except OSError:\n"
        "        return",
        "clinit/test_cgroup_tracker.py::"
        "test_a_kill_that_could_not_be_done_is_an_error_unless_the_cgroup_is_gone",
    ),
    M(
        "spares that were given up for a moment are held again",
        "clinit/descriptors.py",
        "    try:\n        return function()\n    finally:\n        hold_spares()",
        "    return function()",
        "clinit/test_faults.py::test_what_kills_gets_a_descriptor_when_no_other_is_left",
    ),
    M(
        "children keep the limit of open files that clinit was started with",
        "clinit/descriptors.py",
        "    hold_spares()\n    return former",
        "    hold_spares()\n    return resource.getrlimit(resource.RLIMIT_NOFILE)",
        "clinit/test_faults.py::"
        "test_clinit_raises_its_limit_of_open_files_and_its_children_keep_theirs",
    ),
    M(
        "a file that has come back is asked again",
        "host/abandonable.py",
        "if self._hung and worker.busy is not None:",
        "if self._hung:",
        "clinit/test_pieces.py::"
        "test_a_file_that_hangs_is_given_up_and_is_free_again_when_it_comes_back",
    ),
    M(
        "a clstat that cannot be written is logged each time that begins",
        "clinit/clstat.py",
        "        else:\n            self._failed = False",
        "        else:\n            pass",
        "clinit/test_pieces.py::test_a_clstat_that_cannot_be_written_again_is_logged_again",
    ),
    # --- orphans ---
    M(
        "an orphan with the number of a former one is another",
        "clinit/adopted.py",
        "if one is None or one.start != start:",
        "if one is None:",
        "clinit/test_adopted.py::test_an_orphan_with_the_number_of_one_before_is_another_one",
    ),
    M(
        "a newborn is asked for its name until it has one",
        "clinit/adopted.py",
        "one.tries += not one.fresh",
        "one.tries += 1",
        "clinit/test_adopted.py::"
        "test_a_child_is_asked_for_its_name_until_it_has_executed_its_command",
    ),
    M(
        "families are forgotten with their group",
        "clinit/adopted.py",
        "            del self._families[key]",
        "            continue",
        "clinit/test_adopted.py::test_a_family_is_known_until_nothing_of_its_group_is_alive",
    ),
    M(
        "C6.4: without cgroups a stranger gets no signal either",
        "clinit/descendants.py",
        "            if now is None or now.start != seen.start:",
        "            if now is None:",
        "clinit/test_descendants.py::test_a_process_that_has_the_number_of_another_one_gets_no_signal",
    ),
    M(
        "a dead child counts as no child that was signalled",
        "clinit/descendants.py",
        "        if self.is_dead(child):\n            return False\n        with",
        "        with",
        "clinit/test_descendants.py::test_a_child_that_is_dead_and_not_buried_is_not_signalled",
    ),
    # --- births ---
    M(
        "a child that gave up before its command has not run",
        "clinit/child.py",
        "if status.si_code != os.CLD_EXITED or status.si_status == EXEC_FAILED:",
        "if status.si_code != os.CLD_EXITED:",
        "clinit/test_forkserver.py::"
        "test_a_child_that_gives_up_is_told_from_a_command_that_ends_like_it",
    ),
    M(
        "a child that is buried gets no signal",
        "clinit/child.py",
        "        if self._reaped:\n            return False\n        try:",
        "        try:",
        "clinit/test_forkserver.py::"
        "test_a_child_that_gives_up_is_told_from_a_command_that_ends_like_it",
    ),
    M(
        "a signal for a start that failed is for no later one",
        "clinit/entry.py",
        "        self._late_signals.clear()\n",
        "",
        "clinit/test_prevented.py::test_a_signal_for_a_birth_that_failed_reaches_no_later_one",
    ),
    M(
        "a start that was prevented tells what is left of the run before",
        "clinit/entry.py",
        "self._tell(SpawnPrevented(run, reason, lost=lost, left=self._has_left()))",
        "self._tell(SpawnPrevented(run, reason, lost=lost, left=False))",
        "clinit/test_entry.py::test_an_error_of_the_host_is_not_one_of_the_program",
    ),
    M(
        "a start that failed tells what is left of the run before",
        "clinit/entry.py",
        "self._tell(SpawnFailed(run, reason, left=self._has_left()))",
        "self._tell(SpawnFailed(run, reason, left=False))",
        "clinit/test_entry.py::test_an_empty_command_fails_and_says_what_is_left",
    ),
    M(
        "want of memory or of processes is no fault of the program",
        "clinit/entry.py",
        "errno.ENFILE, errno.ENOMEM, errno.EAGAIN,",
        "errno.ENFILE,",
        "clinit/test_entry.py::test_an_error_of_the_host_is_not_one_of_the_program",
    ),
    M(
        "a run that is withdrawn before it began is told",
        "clinit/entry.py",
        "            self._order = None\n"
        '            self._prevent(run, "it was stopped before")\n'
        "            return []",
        "            self._order = None\n            return []",
        "clinit/test_entry.py::"
        "test_an_order_that_has_not_begun_is_withdrawn_by_a_signal_for_its_run_alone",
    ),
    M(
        "a signal withdraws the run that it is for, and no other",
        "clinit/entry.py",
        "if self._order is not None and self._order.run == run:",
        "if self._order is not None:",
        "clinit/test_entry.py::"
        "test_an_order_that_has_not_begun_is_withdrawn_by_a_signal_for_its_run_alone",
    ),
    M(
        "what may have been born unseen keeps an entry from being empty",
        "clinit/entry.py",
        "        if self._lost and self._tracker.has_fresh_child():\n            return False\n",
        "",
        "clinit/test_entry.py::test_while_a_lost_process_may_be_a_newborn_nothing_is_called_empty",
    ),
    M(
        "a cgroup that somebody removed is made again",
        "clinit/entry.py",
        "            self._tracker.forget(self.key.group)\n        self._prevent",
        "            pass\n        self._prevent",
        "clinit/test_entry.py::test_the_box_of_a_group_that_somebody_removed_is_forgotten",
    ),
    # --- the engine ---
    M(
        "at kill_at a leader that left its box is killed at once",
        "clinit/engine.py",
        "            for loop in self._of(group).values():\n                loop.kill_leader()\n",
        "",
        "clinit/test_faults.py::"
        "test_a_leader_that_leaves_its_cgroup_is_ended_all_the_same[kill_at]",
    ),
    M(
        "a leader that left its box counts as alive",
        "clinit/engine.py",
        "return max(self._tracker.alive(group), leaders)",
        "return self._tracker.alive(group)",
        "clinit/test_faults.py::"
        "test_a_leader_that_leaves_its_cgroup_is_ended_all_the_same[kill_at]",
    ),
    M(
        "a stop that is late is no such kill",
        "clinit/engine.py",
        'ended.deadline == "kill_at" and ended.late_s',
        "ended.deadline and ended.late_s",
        "clinit/test_leases.py::test_a_late_stop_within_the_time_of_its_lease_is_a_warning_alone",
    ),
    M(
        "a kill that is late may mean two owners, and is critical",
        "clinit/engine.py",
        "ended.late_s > kill_s(len(self.supervisor.units)):",
        "ended.late_s > kill_s(len(self.supervisor.units)) + 60:",
        "clinit/test_leases.py::test_what_fell_due_while_clinit_stood_still_is_done_when_it_wakes",
    ),
    M(
        "a group is not empty while something of it is being born",
        "clinit/engine.py",
        "        if any(loop.occupied for tag, loop in loops.items() if tag not in spared):\n"
        "            return False\n",
        "",
        "clinit/test_monitors.py::test_a_group_is_not_empty_while_something_of_it_is_being_born",
    ),
    M(
        "who connects during a halt hears of it",
        "clinit/engine.py",
        "            halting=self.supervisor.halting,\n",
        "",
        "clinit/test_monitors.py::"
        "test_who_asks_for_everything_hears_of_a_halt_and_of_missing_cgroups",
    ),
    M(
        "who connects hears that there are no cgroups",
        "clinit/engine.py",
        "            no_cgroups=self._tracker.no_cgroups,\n",
        "",
        "clinit/test_monitors.py::"
        "test_who_asks_for_everything_hears_of_a_halt_and_of_missing_cgroups",
    ),
    M(
        "a clinit of root says why it has no cgroups",
        "clinit/daemon.py",
        "            return SessionTracker(mark, no_cgroups=reason)\n",
        '            return SessionTracker(mark, no_cgroups="")\n',
        "clinit/test_life.py::test_only_root_is_told_that_there_are_no_cgroups",
    ),
    M(
        "the pipes of a group that is gone are closed",
        "clinit/engine.py",
        "        for loop in self._entries.pop(group, {}).values():\n            loop.close()",
        "        self._entries.pop(group, {})",
        "clinit/test_monitors.py::test_the_pipes_of_a_group_that_is_gone_are_closed",
    ),
    # --- the state directory ---
    M(
        "a state directory that was lost has the sessions again",
        "clinit/state_keeper.py",
        "                for leader in engine.leaders:\n"
        "                    state_dir.note_session(leader)\n",
        "",
        "clinit/test_lost_state.py::"
        "test_a_lost_state_directory_is_made_again_with_all_that_the_next_clinit_needs[session]",
    ),
    M(
        "each trouble with the state directory is logged",
        "clinit/state_keeper.py",
        "            if trouble != str(error):\n                logs",
        "            if not trouble:\n                logs",
        "clinit/test_lost_state.py::"
        "test_each_trouble_with_the_state_directory_is_logged_once_and_again_when_it_returns",
    ),
    M(
        "a trouble with the state directory that returns is logged again",
        "clinit/state_keeper.py",
        '        else:\n            trouble = ""',
        "        else:\n            pass",
        "clinit/test_lost_state.py::"
        "test_each_trouble_with_the_state_directory_is_logged_once_and_again_when_it_returns",
    ),
    M(
        "a state directory that cannot be looked at may be there",
        "clinit/daemon.py",
        "        except OSError:  # a directory that cannot be read may still exist\n"
        "            continue",
        "        except OSError:\n            other = 1",
        "clinit/test_lost_state.py::"
        "test_a_state_directory_that_cannot_be_looked_at_is_no_reason_to_end",
    ),
    M(
        "a state directory that was only removed is not another clinit's",
        "clinit/state_dir.py",
        "0 if self.is_own() else holder_of(self.path / CLINIT_LOCK)",
        "0 if self.is_own() else 1",
        "clinit/test_lost_state.py::"
        "test_a_state_directory_that_no_other_clinit_has_is_no_reason_to_end",
    ),
    M(
        "a copy of the state directory is not another clinit's",
        "clinit/state_dir.py",
        "return holder if holder != os.getpid() else 0",
        "return holder",
        "clinit/test_lost_state.py::"
        "test_a_state_directory_that_no_other_clinit_has_is_no_reason_to_end",
    ),
    M(
        "another clinit's record is left alone",
        "clinit/state_dir.py",
        "            if self.is_own():\n                if self.agents.idle",
        "            if True:\n                if self.agents.idle",
        "clinit/test_lost_state.py::test_an_ending_clinit_leaves_the_record_of_another_one_alone",
    ),
    M(
        "to make the state directory again takes no descriptor",
        "clinit/state_dir.py",
        "        if former is not None:\n            os.close(former)\n",
        "",
        "clinit/test_lost_state.py::"
        "test_a_lost_state_directory_is_made_again_with_all_that_the_next_clinit_needs[session]",
    ),
    # --- without cgroups: whose is it? ---
    M(
        "what may be of a group that runs again is not ended with another",
        "clinit/session_tracker.py",
        "        self._present.add(key.group)\n        self._swept.discard(key.group)",
        "        self._present.add(key.group)",
        "clinit/test_nobodys.py::"
        "test_it_is_not_ended_with_one_group_while_another_that_it_may_be_of_runs_again",
    ),
    M(
        "what holds up a stop is logged once",
        "clinit/session_tracker.py",
        "                if (group, one.pid) in self._blamed:\n                    continue\n",
        "",
        "clinit/test_nobodys.py::test_it_is_blamed_once_for_each_group",
    ),
    M(
        "a group in which nothing is alive is a suspect no more",
        "clinit/session_tracker.py",
        "        if empty and not spared:\n"
        "            self._present.discard(group)\n"
        "            self._orphans.forget(group)",
        "        if empty and not spared:\n            self._orphans.forget(group)",
        "clinit/test_nobodys.py::test_it_is_of_no_group_in_which_nothing_was_alive_when_it_came",
    ),
    M(
        "a newborn of another group is not killed at kill_at",
        "clinit/session_tracker.py",
        "nobodys = [one.pid for one in look.nobodys if one.may_be_of(group) and not one.fresh]",
        "nobodys = [one.pid for one in look.nobodys if one.may_be_of(group)]",
        "clinit/test_nobodys.py::test_a_newborn_is_not_killed_with_a_group_that_it_may_not_be_of",
    ),
    M(
        "what is forked during a kill is killed too",
        "clinit/session_tracker.py",
        "            if not self._doomed:\n"
        "                asyncio.get_running_loop().call_soon(self._kill_again, 1)\n"
        "            self._doomed.append((chosen, sent))",
        "            pass",
        "clinit/test_nobodys.py::test_what_comes_to_a_group_while_it_is_killed_is_killed_too",
    ),
    M(
        "a count of a moment ago never says that nobody is alive",
        "clinit/session_tracker.py",
        "        return max(1, count.number)",
        "        return count.number",
        "clinit/test_nobodys.py::test_a_group_has_somebody_alive_whatever_the_last_count_was",
    ),
    M(
        "what another boot has noted is left alone",
        "clinit/state_dir.py",
        "return record if record.boot == boot_id() else None",
        "return record",
        "clinit/test_left_behind.py::test_what_was_of_another_boot_is_left_alone",
    ),
    M(
        "a stranger with the number of a former leader lives",
        "clinit/state_dir.py",
        "pid for pid, start in leaders if pid not in everybody or everybody[pid].start == start",
        "pid for pid, start in leaders",
        "clinit/test_left_behind.py::test_a_leader_is_known_by_its_start",
    ),
    M(
        "a session that is older than the leader of its number is a stranger's",
        "clinit/state_dir.py",
        "                    and seen.start >= min(s for p, s in leaders if p == seen.session)\n",
        "",
        "clinit/test_left_behind.py::"
        "test_a_session_whose_leader_is_gone_is_a_strangers_if_it_is_older",
    ),
    M(
        "half a line of the sessions says nothing",
        "clinit/state_dir.py",
        "for pair in words if len(pair) == 2]",
        "for pair in words]",
        "clinit/test_left_behind.py::test_half_a_line_says_nothing",
    ),
    M(
        "a former clinit's process that does not end is an error",
        "clinit/state_dir.py",
        "        if left and time.monotonic() > deadline:\n            pids",
        "        if False:\n            pids",
        "clinit/test_left_behind.py::test_what_does_not_end_is_an_error_and_no_endless_wait",
    ),
    M(
        "trees of other users are left alone",
        "clinit/trees.py",
        "                if path.stat().st_uid == os.geteuid():\n                    lock",
        "                if True:\n                    lock",
        "clinit/test_trees.py::test_trees_of_other_users_are_left_alone",
    ),
    M(
        "a tree is locked that is there",
        "clinit/trees.py",
        "        if os.stat(path).st_ino == os.fstat(lock).st_ino:  # noqa: PTH116 - as fstat\n"
        "            return lock",
        "        return lock",
        "clinit/test_trees.py::test_a_lock_on_a_directory_that_was_replaced_meanwhile_is_none",
    ),
    # --- the guard and the fork server ---
    M(
        "a second guard that replaces another knows its sessions",
        "clinit/guard.py",
        "            for pid, start in self._watched.items():\n"
        '                self._say(b"+ %d %d\\n" % (pid, start))\n',
        "",
        "clinit/test_guard_alone.py::"
        "test_one_that_replaces_another_knows_its_sessions_but_those_that_are_gone",
    ),
    M(
        "it forgets those that are gone",
        "clinit/guard.py",
        '            self._say(b"- %d %d\\n" % (pid, start))',
        "            pass",
        "clinit/test_guard_alone.py::"
        "test_a_session_that_is_gone_is_forgotten_by_the_guard_that_knew_it",
    ),
    M(
        "one that is stopped is replaced",
        "clinit/guard.py",
        "            with contextlib.suppress(ProcessLookupError):\n"
        "                signal.pidfd_send_signal(self._exit, signal.SIGKILL)\n",
        "            return\n",
        "clinit/test_guard_alone.py::test_one_that_is_stopped_and_takes_nothing_in_is_replaced",
    ),
    M(
        "one that was started in part kills nothing",
        "clinit/guard.py",
        "                os.write(ours, LEFT)\n                os.close(ours)",
        "                os.close(ours)",
        "clinit/test_guard_alone.py::test_one_that_could_be_started_in_part_only_kills_nothing",
    ),
    M(
        "the fork server keeps no descriptor of a cgroup",
        "clinit/forkserver.py",
        "            if place >= 0:\n                os.close(place)\n",
        "            pass\n",
        "clinit/test_forkserver_alone.py::"
        "test_it_keeps_no_descriptor_of_the_children_that_it_has_made",
    ),
    M(
        "children keep their place in the kernel's choice",
        "clinit/forkserver.py",
        "            if int(score.read()) < 0:",
        "            if int(score.read()) > 0:",
        "clinit/test_forkserver_alone.py::"
        "test_children_keep_what_makes_them_the_first_to_go_when_memory_is_short",
    ),
    M(
        "no fork server is started for a clinit that ends",
        "clinit/forker.py",
        "        if self._retry is not None:\n"
        "            self._retry.cancel()\n"
        "        if not self._closed",
        "        if not self._closed",
        "clinit/test_forkserver_alone.py::test_none_is_started_any_more_for_a_clinit_that_ends",
    ),
    M(
        "the fork server has the limit of open files that its children get",
        "clinit/forker.py",
        "            resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE, self._files)",
        "            pass",
        "clinit/test_faults.py::"
        "test_clinit_raises_its_limit_of_open_files_and_its_children_keep_theirs",
    ),
    M(
        "a request without its descriptors is refused, and the server lives",
        "clinit/forkserver.py",
        "        if len(fds) < FDS:  # there was no room for them here\n"
        "            return -errno.EMFILE\n",
        "",
        "clinit/test_forkserver_alone.py::"
        "test_a_request_whose_descriptors_do_not_fit_is_refused_and_the_server_lives",
    ),
    M(
        "second guards that are replaced keep no descriptor",
        "clinit/guard.py",
        "            for fd in (theirs, kill):\n",
        "            for fd in (theirs,):\n",
        "clinit/test_guard_alone.py::test_guards_that_are_replaced_keep_no_descriptor",
    ),
    M(
        "nor do they keep hold of the former one",
        "clinit/guard.py",
        "            os.close(self._exit)\n",
        "",
        "clinit/test_guard_alone.py::test_guards_that_are_replaced_keep_no_descriptor",
    ),
    # --- cltab, news, output, turns ---
    M(
        "a look answers no tell that came after it had begun",
        "clinit/table.py",
        "        self._looked_at = began\n        if",
        "        self._looked_at = asyncio.get_running_loop().time()\n        if",
        "clinit/test_pieces.py::test_a_look_answers_no_tell_that_came_after_it_had_begun",
    ),
    M(
        "another file of the same size and time is read",
        "clinit/table.py",
        "version = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev)",
        "version = (status.st_mtime_ns, status.st_size, 0, status.st_dev)",
        "clinit/test_pieces.py::test_a_file_of_the_same_size_and_time_is_read_if_it_is_another_one",
    ),
    M(
        "a managed clinit that never had a good cltab refuses",
        "clinit/requests.py",
        "if self._errors and not (self._managed and self._loaded):",
        "if self._errors and not self._managed:",
        "clinit/test_cltab_file.py::test_a_managed_one_that_never_had_a_good_file_refuses",
    ),
    M(
        "of all monitors the last one is obeyed",
        "clinit/requests.py",
        "                self._monitor = client\n                async with",
        "                self._monitor = self._monitor or client\n                async with",
        "clinit/test_between.py::test_of_three_monitors_only_the_last_is_obeyed",
    ),
    M(
        "who listens hears at once of a halt",
        "clinit/requests.py",
        "        self._engine.news.tell(Update(halting=True))\n",
        "",
        "clinit/test_between.py::test_who_listens_hears_at_once_that_clinit_begins_to_halt",
    ),
    M(
        "small changes are reported again and again",
        "clinit/subscribers.py",
        "        self._timer = None\n        names",
        "        names",
        "clinit/test_between.py::test_small_changes_are_reported_each_time_that_some_have_gathered",
    ),
    M(
        "no child is buried before its pid is known",
        "clinit/reaper.py",
        "        if self._forker.busy:\n"
        "            # A child whose pid is not known yet would count as an orphan.\n"
        "            self._timer = asyncio.get_running_loop()"
        ".call_later(REAP_DELAY_S, self._reap_later)\n"
        "            return\n",
        "",
        "clinit/test_between.py::test_no_child_is_buried_before_its_entry_can_know_its_pid",
    ),
    M(
        "the dead are buried when there are descriptors again",
        "clinit/reaper.py",
        "        except OSError:  # no descriptor is left: the dead can wait, clinit must not end"
        " for that\n"
        "            self._timer = asyncio.get_running_loop()"
        ".call_later(REAP_DELAY_S, self._reap_later)\n"
        "            return",
        "        except OSError:\n            return",
        "clinit/test_between.py::test_the_dead_are_buried_when_there_are_descriptors_again",
    ),
    M(
        "what was put off is overtaken by nothing",
        "clinit/time_slices.py",
        "        if not self._put_off and not self.over:",
        "        if not self.over:",
        "clinit/test_between.py::test_what_was_put_off_is_overtaken_by_nothing_that_comes_later",
    ),
    M(
        "the watchdog is fed when what was due is done",
        "clinit/systemd.py",
        "        engine.happen(GroupTimePassed())\n",
        "",
        "clinit/test_between.py::test_the_watchdog_is_fed_only_when_clinit_has_done_what_was_due",
    ),
    M(
        "an entry that is being stopped shows no pause",
        "clinit/reports.py",
        "until=process.due if process.state is ProcessState.PAUSING else None",
        "until=process.due",
        "clinit/test_levels.py::test_an_entry_that_is_being_stopped_shows_no_pause",
    ),
    M(
        "after a flood an entry is read again",
        "clinit/output.py",
        "            self._full = False\n"
        "            for pipe in self._pipes:\n"
        "                self._watch(pipe)",
        "            self._full = False",
        "clinit/test_output.py::test_after_a_flood_an_entry_is_read_again",
    ),
    M(
        "the pipes of runs that left something are bounded",
        "clinit/output.py",
        "        while len(self._pipes) + 2 > 2 * RUNS_MAX:\n"
        "            self._close(self._pipes[0])\n",
        "",
        "clinit/test_output.py::test_of_many_runs_that_left_something_the_oldest_are_read_no_more",
    ),
    M(
        "an answer may lead to the same question",
        "clinit/watches.py",
        "                self._open.pop(answer, None)\n                self._happen(answer)",
        "                self._happen(answer)\n                self._open.pop(answer, None)",
        "clinit/test_watches.py::test_an_answer_may_lead_to_the_same_question",
    ),
    M(
        "who has ended by the signal of its group has had it",
        "clinit/process_groups.py",
        "        with contextlib.suppress(ProcessLookupError):\n"
        "            signal.pidfd_send_signal(fd, NOTHING)",
        "        signal.pidfd_send_signal(fd, NOTHING)",
        "clinit/test_process_groups.py::test_who_has_ended_by_the_signal_of_its_group_has_had_it",
    ),
    M(
        "no mark is that of the clinit around",
        "host/marks.py",
        "highest - 1 - drawn % SPAN",
        "highest - drawn % SPAN",
        "clinit/test_marks.py::test_no_mark_is_that_of_the_clinit_around",
    ),
    # --- orders for single entries ---
    M(
        "a group that ends some of its entries takes no order for another",
        "core/supervision/entry_refusals.py",
        "group.state in _UNDER_WAY or group.level != group.wanted",
        "group.level != group.wanted",
        "core/test_entry_orders.py::"
        "test_a_group_that_ends_what_cltab_has_no_more_takes_no_order_though_its_level_stays",
    ),
    M(
        "a start of what the host could not start does something",
        "core/supervision/entry_refusals.py",
        "(ProcessState.PAUSING, ProcessState.RETRYING)",
        "(ProcessState.PAUSING,)",
        "core/test_entry_orders.py::"
        "test_an_entry_that_the_host_could_not_start_is_tried_at_once[start]",
    ),
    M(
        "a start of what is being cleared is obeyed when it runs",
        "core/supervision/process_record.py",
        "ProcessState.WAITING, ProcessState.CLEARING)\n",
        "ProcessState.WAITING)\n",
        "core/test_entry_orders.py::test_a_start_of_what_is_being_cleared_is_obeyed_when_it_runs",
    ),
    M(
        "the last orders of an entry are remembered and not the first",
        "core/supervision/process_record.py",
        "(*process.obeyed, *process.ordered)[-ORDERS_REMEMBERED_MAX:]",
        "(*process.obeyed, *process.ordered)[:ORDERS_REMEMBERED_MAX]",
        "core/test_entry_orders.py::test_the_last_orders_are_remembered_and_not_without_bound",
    ),
    M(
        "a start of what runs ends the haste of its throttle",
        "core/supervision/process.py",
        "        return replace(process, rapid_restarts=0), ()\n",
        "        return process, ()\n",
        "core/test_entry_orders.py::test_a_start_of_what_runs_ends_the_haste_of_its_throttle",
    ),
    M(
        "what an operator starts has no failures",
        "core/supervision/process_record.py",
        "return replace(process, starts=0, failures=0, daemonized=0,",
        "return replace(process, starts=0, daemonized=0,",
        "core/test_entry_orders.py::test_an_entry_that_pauses_is_started_at_once[start]",
    ),
    # --- the note of a reset ---
    M(
        "a disk that hangs delays no reset",
        "clinit/self_fence.py",
        "settle(min(NOTE_S, self._after_s * NOTE_SHARE))",
        "settle(60.0)",
        "clinit/test_self_fence.py::test_a_disk_that_does_not_answer_delays_no_reboot",
    ),
    M(
        "a reset that was not needed is not told of",
        "clinit/self_fence.py",
        "                self._note.withdraw()\n",
        "                pass\n",
        "clinit/test_self_fence.py::test_what_has_ended_after_all_is_not_told_of",
    ),
    M(
        "nor one that did not come",
        "clinit/reset_note.py",
        ".boot == boot_id()",
        ".boot != boot_id()",
        "clinit/test_self_fence.py::test_a_note_of_this_boot_was_followed_by_no_reset",
    ),
)
