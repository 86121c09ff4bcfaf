"""One-line breaks of the shell, each with the tests that have to notice it.

The simulator's mutants break the core; these break what does the deeds. A text is found exactly
once in its file (`test_shell.py`), so a mutant cannot silently stop being one.
"""

from __future__ import annotations

from msgspec import Struct


class ShellMutant(Struct, frozen=True):
    """A line that the proof or a promise of the manual stands on, and how it is broken.

    `path` is below `mosha/`, `test` below `tests/`, with `[parameters]` where one of them will
    do. `why` says what the line is for.
    """

    why: str
    path: str
    sound: str
    broken: str
    test: str


M = ShellMutant

CLINIT: tuple[ShellMutant, ...] = (
    # --- deadlines ---
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
        "clinit/cgroup_boxes.py",
        '        self._made.get(group, set()).discard(path.name.removeprefix("e."))\n',
        "",
        "clinit/test_killed_cgroups.py::test_what_is_started_again_after_a_kill_lives",
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
        "clinit/abandon.py",
        "except RuntimeError as error:",
        "except KeyError as error:",
        "clinit/test_faults.py::test_a_thread_that_cannot_be_started_is_an_error_like_any_other",
    ),
    # --- nothing survives clinit ---
    M(
        "C7: the fork server ends what a killed clinit had",
        "clinit/forkserver.py",
        "                self._kill_all()\n",
        "",
        "clinit/test_life.py::test_a_killed_daemon_takes_all_its_processes_along",
    ),
    M(
        "a second guard ends what both had, if both are killed",
        "clinit/guard.py",
        "read -r word || echo 1",
        "read -r word",
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
        "C7: what a former clinit left ends before the next one answers",
        "clinit/daemon.py",
        "in state_dir.end_orphans(options.orphan_limit_s):",
        "in ():",
        "clinit/test_life.py::test_what_a_killed_daemon_left_ends_before_the_next_one_answers_c8_9",
    ),
    M(
        "C7: a child dies with clinit",
        "clinit/child_steps.py",
        '("prctl", (_PR_SET_PDEATHSIG, SIGKILL), NEVER, 0)',
        '("prctl", (_PR_SET_PDEATHSIG, 0), NEVER, 0)',
        "clinit/test_forkserver.py::test_a_child_dies_with_its_parent_even_without_the_server",
    ),
    M(
        "C6: clinit is the parent of what loses its own",
        "clinit/daemon.py",
        "    _adopt_orphans()\n    boxes",
        "    boxes",
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
        "clinit/test_session_boxes.py::test_a_process_whose_first_thread_has_ended_is_alive",
    ),
    M(
        "what belongs to nobody counts for every group that it may be of",
        "clinit/session_boxes.py",
        "lambda look: [*_of_group(look, group, spared), *_maybe_of(look, group)]",
        "lambda look: [*_of_group(look, group, spared)]",
        "clinit/test_session_boxes.py::"
        "test_a_nameless_daemon_that_may_be_anothers_keeps_a_stop_from_its_end",
    ),
    M(
        "at kill_at it is killed",
        "clinit/session_boxes.py",
        "return [*_of_group(look, group), *nobodys]",
        "return [*_of_group(look, group)]",
        "clinit/test_session_boxes.py::"
        "test_a_nameless_daemon_is_killed_at_the_kill_at_of_a_group_it_may_be_of",
    ),
    # --- monitors that die and follow each other ---
    M(
        "what a former monitor asked for is not done any more",
        "clinit/requests.py",
        "        if self._is_superseded(client):  # asked after",
        "        if False:  # asked after",
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
        "clinit/abandon.py",
        "self._hung = self._busy",
        "self._hung = False",
        "clinit/test_pieces.py::"
        "test_a_file_that_hangs_is_given_up_and_is_free_again_when_it_comes_back",
    ),
)

MONITOR: tuple[ShellMutant, ...] = (
    # --- the publisher ---
    M(
        "C4: a lease counts from before the write",
        "monitor/publisher.py",
        "self._on_written(status, began)",
        "self._on_written(status, boottime())",
        "monitor/test_publisher.py::"
        "test_c4_the_time_that_is_reported_lies_before_the_write_however_long_that_takes",
    ),
    M(
        "V4: of the statuses that wait the last one is written",
        "monitor/publisher.py",
        "            (status, memory), self._next = self._next or (None, None), None\n",
        "            status, memory = self._next or (None, None)\n",
        "monitor/test_publisher.py::test_of_the_statuses_that_wait_the_last_one_is_written",
    ),
    M(
        "a namesake is noticed before each write",
        "monitor/publisher.py",
        "            set_back = self._check_own(stamp)\n",
        "            set_back = False\n",
        "monitor/test_publisher.py::test_another_run_in_the_own_status_stops_publishing",
    ),
    M(
        "a namesake is waited for at the start",
        "monitor/publisher.py",
        "if now is not None and now.stamp > former.stamp:",
        "if False:",
        "monitor/test_publisher.py::test_a_stranger_that_goes_on_is_a_namesake",
    ),
    M(
        "nothing is written into what is below a lost mount",
        "monitor/publisher.py",
        "            self._check_mount(directory)\n",
        "",
        "monitor/test_publisher.py::"
        "test_nothing_is_written_while_the_mount_is_gone_and_all_is_well_when_it_is_back",
    ),
    M(
        "a status is replaced as a whole",
        "host/files.py",
        '    temporary = f".{name}.{os.getpid()}.{time.monotonic_ns()}.tmp"\n'
        "    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL",
        "    temporary = name\n    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC",
        "host/test_files.py::test_a_reader_never_sees_half_a_write",
    ),
    # --- the readers ---
    M(
        "O3: an attempt began before its read",
        "monitor/readers.py",
        "self._on_read(peer.node, peer.reading.status, began, boottime(), peer.reading.error)",
        "self._on_read(\n            peer.node, peer.reading.status, (now := boottime()), now,"
        " peer.reading.error\n        )",
        "monitor/test_readers.py::test_o3_an_attempt_began_before_its_read_however_long_that_takes",
    ),
    M(
        "O3: an attempt that hangs is completed all the same",
        "monitor/readers.py",
        "            self._on_read(peer.node, None, began, ended, error)\n",
        "",
        "monitor/test_readers.py::"
        "test_a_hung_peer_is_reported_each_heartbeat_and_costs_only_itself",
    ),
    M(
        "O3: a timed look begins after its time",
        "monitor/readers.py",
        "if peer.timed_at is not None and began > peer.timed_at:",
        "if peer.timed_at is not None:",
        "monitor/test_readers.py::test_a_look_before_the_time_does_not_count_as_the_timed_one",
    ),
    M(
        "a look while a read is under way is followed by another",
        "monitor/readers.py",
        "        peer.wanted = False\n",
        "",
        "monitor/test_readers.py::test_looks_add_up_to_one",
    ),
    M(
        "a status of another node is not taken for that of this one",
        "monitor/readers.py",
        "if status.node != node:",
        "if False:",
        "monitor/test_readers.py::test_a_status_in_the_directory_of_another_node_is_not_taken",
    ),
    M(
        "O3: a process that was stopped does not take its own pause for a hang",
        "monitor/workers.py",
        "for patience_s in (limit_s, min(limit_s, GRACE_MAX_S)):",
        "for patience_s in (limit_s,):",
        "monitor/test_workers.py::"
        "test_a_process_that_was_stopped_does_not_take_its_own_pause_for_a_hang",
    ),
    # --- clinit and the monitor ---
    M(
        "a clinit that hangs is killed, its groups with it",
        "monitor/clinit_link.py",
        "                os.kill(self._pid, signal.SIGKILL)\n",
        "                pass\n",
        "monitor/test_clinit_link.py::test_a_clinit_that_hangs_is_killed_and_started_again",
    ),
    M(
        "no turn is taken while a tell is being carried out",
        "monitor/groups.py",
        "await self._carry_out(turn.tell)",
        "_ = asyncio.ensure_future(self._carry_out(turn.tell))",
        "monitor/test_groups.py::test_no_turn_is_taken_while_a_tell_is_being_carried_out",
    ),
    # --- fencing ---
    M(
        "only exit 0 is a receipt",
        "monitor/stomith.py",
        "    if status == 0:\n",
        "    if status >= 0:\n",
        "monitor/test_stomith.py::test_any_other_end_of_a_command_is_a_failure_with_its_words",
    ),
    M(
        "the line that is printed proves nothing",
        "monitor/stomith.py",
        'Outcome("no receipt", "print")',
        'Outcome("receipt", "print")',
        "monitor/test_stomith.py::"
        "test_print_writes_the_originals_line_to_stderr_and_proves_nothing",
    ),
)

CONTROL: tuple[ShellMutant, ...] = (
    M(
        "a socket is its owner's alone",
        "control/address.py",
        "os.fchmod(listener.fileno(), 0o600)",
        "os.fchmod(listener.fileno(), 0o666)",
        "monitor/test_service.py::test_the_socket_is_its_owners_alone",
    ),
    M(
        "another user is refused",
        "control/server.py",
        "if uid not in (0, os.geteuid()):",
        "if False:",
        "control/test_sockets.py::test_another_user_is_refused_whatever_the_mode_of_the_file",
    ),
    M(
        "a socket at which somebody answers is not taken",
        "control/address.py",
        "    refuse_taken(path)\n    path.unlink",
        "    path.unlink",
        "control/test_sockets.py::test_a_socket_somebody_answers_at_is_not_taken",
    ),
    M(
        "a torn status is no status",
        "formats/clstat.py",
        'if end.get("crc32") != f"{zlib.crc32(body):08x}":',
        "if False:",
        "formats/test_clstat.py::test_any_other_byte_anywhere_is_noticed",
    ),
)

SHELL = (*CLINIT, *MONITOR, *CONTROL)
