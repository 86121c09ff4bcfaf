"""Mutants of what people and programs read and write: files, pages, commands, exit statuses."""

from __future__ import annotations

from tests.mutants.mutant import M, ShellMutant

FRONT: tuple[ShellMutant, ...] = (
    # --- files of peers and people ---
    M(
        "of a past no more is read than a node would write",
        "formats/clstat_lines.py",
        "rest.split()[1 : PAST_MAX + 1]",
        "rest.split()[1:]",
        "formats/test_bounds.py::test_of_a_past_no_more_is_read_than_a_node_would_write",
    ),
    M(
        "a peer does not fill the memory of lines",
        "formats/clstat_lines.py",
        "if len(line) <= LINE_REMEMBERED_MAX_CHARS else _fact)",
        "if line else _fact)",
        "formats/test_bounds.py::test_a_long_line_takes_no_room_in_the_memory_of_lines",
    ),
    M(
        "an entry without end of restarts does not make its node unreadable",
        "formats/clstat_entries.py",
        "restarts={min(trouble.restarts, _COUNT_MAX)}",
        "restarts={trouble.restarts}",
        "formats/test_bounds.py::"
        "test_an_entry_that_was_restarted_without_end_does_not_make_its_node_unreadable",
    ),
    M(
        "the variables of a cltab that is too big are read",
        "formats/cltab.py",
        "readable_lines(data[:FILE_MAX_BYTES], findings)",
        "readable_lines(data, findings)",
        "formats/test_bounds.py::"
        "test_the_variables_of_a_cltab_that_is_too_big_are_read_all_the_same",
    ),
    M(
        "a list of levels ends with one comma at most",
        "formats/cltab.py",
        "    if len(names) > 1 and not names[-1]:\n        names.pop()",
        "    while len(names) > 1 and not names[-1]:\n        names.pop()",
        "formats/test_bounds.py::test_a_list_of_levels_may_end_with_one_comma_and_with_no_more",
    ),
    M(
        "what runs on a node that is leaving still runs there",
        "formats/hastat.py",
        'frozenset({"self", "fresh", "leaving"})',
        'frozenset({"self", "fresh"})',
        "formats/test_bounds.py::test_what_runs_on_a_node_that_is_leaving_still_runs_there",
    ),
    M(
        "mosha views is not content while a view cannot be read",
        "formats/views.py",
        "as_one = not (found.disagreements or unread or found.alone or found.doubted)",
        "as_one = not (found.disagreements or found.alone or found.doubted)",
        "cli/test_views.py::"
        "test_nodes_that_agree_are_not_as_one_while_the_view_of_another_cannot_be_read",
    ),
    # --- commands ---
    M(
        "only after a shutdown a daemon may be gone",
        "cli/clinit.py",
        "        if not may_be_gone:\n            raise\n",
        "",
        "cli/test_clinit_script.py::test_only_after_a_shutdown_a_daemon_may_be_gone",
    ),
    M(
        "a variable of cltab takes no clinit away from its monitor",
        "cli/clinit.py",
        "    if given.managed:\n        return given\n",
        "",
        "cli/test_clinit_script.py::test_a_variable_of_cltab_takes_no_clinit_away_from_its_monitor",
    ),
    M(
        "nobody else may read what services print",
        "cli/clinit.py",
        "os.O_CLOEXEC, 0o640)",
        "os.O_CLOEXEC, 0o666)",
        "cli/test_clinit_script.py::test_nobody_else_may_read_what_services_print",
    ),
    M(
        "--node is the node of the commands",
        "cli/clinit.py",
        "Tell(group=group, level=given.words[-1], node=given.node)",
        "Tell(group=group, level=given.words[-1])",
        "cli/test_clinit_script.py::test_the_node_of_the_command_line_is_that_of_the_commands",
    ),
    M(
        "C4: a refusal of clinit is exit status 1",
        "cli/clinit.py",
        "    return AS_WANTED if reply.ok else NOT_AS_WANTED\n\n\ndef clstat_of",
        "    return AS_WANTED\n\n\ndef clstat_of",
        "cli/test_clinit_script.py::"
        "test_the_replies_are_the_originals_and_so_is_where_they_go_c4_1",
    ),
    M(
        "who confirms without a quorum is told that nothing moves",
        "cli/commands/confirm.py",
        "        if not report.quorum.has:\n            click.echo(",
        "        if False:\n            click.echo(",
        "cli/test_ask.py::test_who_confirms_without_a_quorum_is_told_what_moves",
    ),
    M(
        "who waits for a shutdown waits until the monitor is gone",
        "cli/commands/shutdown.py",
        "                while wait and reply is not None and reply.ok and stream.read(1):\n"
        "                    pass\n",
        "",
        "cli/test_ask.py::test_who_waits_for_a_shutdown_waits_until_the_monitor_is_gone",
    ),
    M(
        "--wait gives up only if no ban ends in time",
        "cli/progress.py",
        "first = min(view.bans, key=lambda ban: ban.left_s)",
        "first = max(view.bans, key=lambda ban: ban.left_s)",
        "cli/test_progress.py::test_of_several_bans_the_first_that_ends_counts",
    ),
    M(
        "a group that runs nowhere yet is not as wanted",
        "cli/progress.py",
        "return group.ok and (bool(group.where) or node_of(group.group) is not None)",
        "return group.ok",
        "cli/test_progress.py::test_a_group_that_runs_nowhere_yet_is_not_as_wanted",
    ),
    M(
        "another goal than what was ordered is not reached",
        "cli/overruled.py",
        "if not level or (view is not None and view.wanted == level):",
        "if True:",
        "cli/test_progress.py::test_another_goal_than_what_was_ordered_is_never_called_reached",
    ),
    M(
        "what was ordered is the level that the monitor accepted",
        "cli/answer.py",
        "level=reply.level or goal.level",
        "level=goal.level",
        "cli/test_progress.py::test_another_goal_than_what_was_ordered_is_never_called_reached",
    ),
    M(
        "an answer may take as long as the nodes have time to agree",
        "cli/order.py",
        "answer_s = CALL_LIMIT_S + spread_limit_s(settings.timing.heartbeat_s) + (limit_s or 0.0)",
        "answer_s = CALL_LIMIT_S",
        "cli/test_progress.py::test_an_answer_may_take_as_long_as_the_nodes_have_time_to_agree",
    ),
    M(
        "a file system that is full is a mistake",
        "cli/check/host.py",
        "    if room.f_blocks and not room.f_bavail:",
        "    if room.f_blocks and not room.f_blocks:",
        "cli/test_check.py::test_a_directory_on_a_full_file_system_is_a_mistake",
    ),
    M(
        "an entry that is off is not looked after",
        "cli/check/commands.py",
        "        if entry.mode is Mode.OFF or entry.wrapped:\n            continue\n        where",
        "        where",
        "cli/test_check.py::test_an_entry_that_is_off_is_not_looked_after",
    ),
    M(
        "nobody else may read a log file",
        "host/logfile.py",
        "MODE = 0o640",
        "MODE = 0o644",
        "test_logfile.py::test_nobody_but_its_owner_and_group_may_read_it",
    ),
    M(
        "a rotation keeps no descriptor",
        "host/logfile.py",
        "        os.close(self._fd)\n        self._fd = -1\n        self._open()",
        "        self._fd = -1\n        self._open()",
        "test_logfile.py::test_a_rotation_keeps_no_descriptor",
    ),
    M(
        "that a log cannot be written is said each time that begins",
        "host/logfile.py",
        '            self._told = ""\n\n    def _write_all',
        "            pass\n\n    def _write_all",
        "test_logfile.py::test_that_it_cannot_be_written_is_said_again_when_it_comes_again",
    ),
    M(
        "the last lines of a hand-over are written",
        "cli/commands/run.py",
        "        stream.drain()  # this process prints nothing after the signal\n",
        "",
        "cli/test_run_stderr.py::test_a_hand_over_ends_when_its_last_lines_are_written",
    ),
    # --- limits, and what is worth telling ---
    M(
        "an edit waits as long as the nodes have time to agree",
        "cli/commands/set.py",
        "reply = ask(settings, request, answer_s)",
        "reply = ask(settings, request)",
        "cli/test_ask.py::test_who_edits_waits_as_long_as_the_nodes_have_time_to_agree",
    ),
    M(
        "with --wait a shutdown is waited for without a limit",
        "cli/commands/shutdown.py",
        "connection.settimeout(None if wait else ANSWER_LIMIT_S)",
        "connection.settimeout(ANSWER_LIMIT_S)",
        "cli/test_ask.py::test_who_waits_for_a_shutdown_waits_until_the_monitor_is_gone",
    ),
    M(
        "a node that has left needs no confirmation",
        "cli/commands/confirm.py",
        '    if seen.state == "left":\n',
        "    if False:\n",
        "cli/test_ask.py::test_confirm_does_not_ask_about_a_node_that_is_not_dead",
    ),
    M(
        "a disk that has failed is left alone for a while",
        "host/logfile.py",
        "            self._again_at = time.monotonic() + self._retry_s\n",
        "",
        "test_logfile.py::test_a_disk_that_has_failed_is_left_alone_for_a_while",
    ),
    M(
        "an error that only follows from a removed line is not told",
        "formats/toml_text.py",
        "        if at <= last:\n            return Parsed(None)\n",
        "",
        "formats/test_settings.py::test_an_error_that_only_follows_from_a_removed_line_is_not_told",
    ),
    M(
        "a view is old when it is three times overdue",
        "formats/views.py",
        "(age_s or 0) > OLD_TIMES",
        "(age_s or 0) > 2 * OLD_TIMES",
        "cli/test_views.py::"
        "test_views_that_are_several_times_older_than_the_next_was_due_are_not_believed",
    ),
    M(
        "a file system that hangs does not hang mosha check",
        "host/abandonable.py",
        "asker.join(limit_s)",
        "asker.join()",
        "host/test_abandonable.py::test_a_question_that_hangs_is_given_up",
    ),
    M(
        "mosha check ends although a question of it hangs",
        "host/abandonable.py",
        "answers.append(question()), daemon=True)",
        "answers.append(question()))",
        "host/test_abandonable.py::"
        "test_a_question_that_hangs_does_not_keep_its_program_from_its_end",
    ),
    M(
        "an entry that goes to another group gives none a new name",
        "cli/check/files.py",
        "if old is None or old in kept or",
        "if old is None or",
        "cli/test_check.py::test_an_entry_that_goes_to_another_group_gives_none_a_new_name",
    ),
    M(
        "what is still written into a rotated file is read too",
        "cli/logs/files.py",
        "        self._late.append(_Late(self._fd, self._splitter, time.monotonic() + LATE_S))\n",
        "        os.close(self._fd)\n",
        "cli/test_log_rotation.py::test_what_is_still_written_into_a_rotated_file_is_read_too",
    ),
    M(
        "of a memory that cannot be read mosha check says nothing",
        "cli/check/peers.py",
        "RecursionError):\n        return None",
        "RecursionError):\n        return set()",
        "cli/test_check_peers.py::test_of_a_memory_that_cannot_be_read_nothing_is_said",
    ),
    M(
        "a node that does not tell its nodes has no others",
        "cli/check/peers.py",
        'status.voters not in ("", voters)',
        "status.voters != voters",
        "cli/test_check_peers.py::test_a_node_that_does_not_tell_its_nodes_is_no_finding",
    ),
    M(
        "what is off hands nothing over",
        "cli/check/handed.py",
        "        if entry.mode is Mode.OFF or entry.wrapped:\n            continue\n",
        "",
        "cli/test_check_handed.py::test_what_is_off_hands_nothing_over",
    ),
    M(
        "a log file that may not be written is a mistake",
        "cli/check/host.py",
        "if not os.access(path, os.W_OK):",
        "if False:",
        "cli/test_check.py::test_a_log_file_that_may_not_be_written_is_a_mistake",
    ),
    # --- what is said of a group that may run unseen ---
    M(
        "a stale node that is not fenced may run what it ran",
        "core/explain/may_run.py",
        "    if nodes := tuple(sorted(silent)):",
        "    if (nodes := tuple(sorted(silent))) and not nodes:",
        "core/test_may_run.py::"
        "test_a_group_is_not_stopped_while_a_node_that_is_not_heard_may_run_it",
    ),
    M(
        "a node that was fenced may run a group that asks for a better receipt",
        "core/explain/may_run.py",
        "receipt is not None and receipt.grade < required:",
        "receipt is None:",
        "core/test_may_run.py::test_a_vote_for_a_node_whose_receipt_is_not_as_asked_leaves_it_open",
    ),
    M(
        "a silent node may run what a node that is heard votes for",
        "core/explain/may_run.py",
        "        if vote.node != state.me and not _accounted_for(",
        "        if vote.node == state.me and not _accounted_for(",
        "core/test_may_run.py::"
        "test_a_group_is_not_stopped_while_a_node_that_is_not_heard_may_run_it",
    ),
    M(
        "without a quorum nothing is known of the others",
        "core/explain/may_run.py",
        "unconfirmed=quorum) if nodes else None",
        "unconfirmed=quorum) if nodes and quorum else None",
        "core/test_may_run.py::test_without_a_quorum_no_group_is_known_to_be_stopped",
    ),
    M(
        "what was found at the start does not count until it is confirmed",
        "core/explain/may_run.py",
        "fresh.difference(unconfirmed(state))",
        "fresh",
        "core/test_may_run.py::"
        "test_what_was_found_at_the_start_does_not_count_until_it_is_confirmed",
    ),
    M(
        "a node that had left may have come back where nothing is read",
        "core/explain/may_run.py",
        "        return inc <= peer.inc and (",
        "        return inc > 0 and (",
        "core/test_may_run.py::"
        "test_a_node_that_had_left_and_has_the_vote_of_another_life_may_run_it",
    ),
    M(
        "a group that may run unseen is not called to run nowhere",
        "core/explain/addressees.py",
        "    if unseen is None:\n",
        "    if True:\n",
        "core/test_addressees.py::test_a_group_that_may_run_unseen_is_not_called_to_run_nowhere",
    ),
    M(
        "a stop that may not have reached a node is waited for",
        "cli/progress.py",
        "view.problem == ProblemKind.ENTRY and ended & STOPPED",
        "bool(ended & STOPPED)",
        "cli/test_progress.py::test_a_stop_that_other_nodes_may_not_have_heard_of_is_waited_for",
    ),
    M(
        "what was printed under an earlier claim is forgotten",
        "clinit/tail.py",
        "        if term not in (0, self._term):",
        "        if False:",
        "clinit/test_tail.py::test_what_was_printed_under_an_earlier_claim_is_forgotten",
    ),
    M(
        "who has no vote confirms no quorum",
        "core/explain/may_run.py",
        "len(known.confirmed & view.electorate.nodes)",
        "len(known.confirmed)",
        "core/test_may_run.py::test_who_has_no_vote_confirms_no_quorum",
    ),
    M(
        "of what keeps this node from a group the node itself is told first",
        "core/cluster/eligibility.py",
        "    if state.me in everywhere.able:\n        rule = ",
        "    if True:\n        rule = ",
        "core/test_verdicts.py::"
        "test_a_table_that_is_not_in_force_is_the_reason_and_not_the_other_one",
    ),
    M(
        "a shot at a node that is heard again keeps nobody waiting",
        "core/explain/reasons.py",
        "unproved = Holds.NO if awaited else Holds.MOOT",
        "unproved = Holds.NO",
        "core/test_why.py::test_a_shot_at_a_node_that_is_heard_again_keeps_nobody_waiting",
    ),
    M(
        "the end of a standby helps only a node that only= has",
        "core/explain/remedies.py",
        "if rule.name == name and wish.allows(case.node) and",
        "if rule.name == name and",
        "core/test_verdicts.py::test_each_situation_has_its_sentence_and_its_next_step",
    ),
    M(
        "who is not heard does not get a cleanup, and is named",
        "monitor/ordering.py",
        "    text += unreached(state, order, nodes)\n",
        "",
        "monitor/test_ordering.py::"
        "test_an_order_for_the_failures_of_one_node_or_all_says_whether_there_were_any",
    ),
    M(
        "only what was stopped is to be started",
        "core/explain/entry_steps.py",
        "trouble.kind is TroubleKind.STOPPED and not restarted",
        "not restarted",
        "core/test_orders_for_entries.py::test_only_what_was_stopped_is_to_be_started",
    ),
    # --- orders for single entries ---
    M(
        "who waits for an entry waits for the monitor, too",
        "cli/order.py",
        "spread_limit_s(settings.timing.heartbeat_s) + obey_s",
        "spread_limit_s(settings.timing.heartbeat_s)",
        "cli/test_progress.py::"
        "test_who_waits_for_an_entry_gives_the_monitor_so_long_and_knows_what_for",
    ),
    M(
        "the monitor waits as long for an entry as its command",
        "cli/order.py",
        "obey_s = ENTRY_LIMIT_S if limit_s is None else limit_s",
        "obey_s = ENTRY_LIMIT_S",
        "cli/test_progress.py::"
        "test_who_waits_for_an_entry_gives_the_monitor_so_long_and_knows_what_for",
    ),
    M(
        "an entry that is to stop is waited for until it has",
        "cli/order.py",
        "stopped=verb is EntryVerb.STOP",
        "stopped=False",
        "cli/test_progress.py::"
        "test_who_waits_for_an_entry_gives_the_monitor_so_long_and_knows_what_for",
    ),
    M(
        "an entry of a group that runs nowhere is not well",
        "cli/progress.py",
        "if not here or (found is not None",
        "if (found is not None",
        "cli/test_progress.py::test_an_entry_of_a_group_that_runs_nowhere_is_not_called_well",
    ),
    M(
        "a host without processes is no bug",
        "errors.py",
        "errno.EAGAIN, ",
        "",
        "cli/test_main.py::test_descriptors_processes_and_memory_can_be_used_up",
    ),
    M(
        "who waits for an entry does not wait for a monitor that is not there",
        "cli/order.py",
        "        finally:\n            answered.set()\n",
        "        else:\n            answered.set()\n",
        "cli/test_ask.py::test_who_waits_for_an_entry_hears_that_there_is_no_monitor",
    ),
    # --- what a report leaves out ---
    M(
        "of a group that is not as wanted the votes are always shown",
        "monitor/report.py",
        "if around.all_votes or not verdict.ok else {}",
        "if around.all_votes else {}",
        "monitor/test_report.py::"
        "test_with_too_many_votes_those_for_groups_that_are_as_wanted_are_left_out",
    ),
    M(
        "votes are counted by groups and nodes",
        "monitor/report.py",
        "len(names) * len(state.view.electorate.nodes) <=",
        "len(names) <=",
        "monitor/test_report.py::"
        "test_with_too_many_votes_those_for_groups_that_are_as_wanted_are_left_out",
    ),
    M(
        "the ban of a node that is silent is not shown",
        "monitor/report.py",
        "if ban is not None and state.view.speaks(status.node):",
        "if ban is not None:",
        "monitor/test_report.py::test_the_ban_of_a_node_that_is_not_heard_any_more_is_not_shown",
    ),
    M(
        "entries are listed of the group that was asked for alone",
        "monitor/report.py",
        "if view.group in asked else view",
        "if True else view",
        "monitor/test_report.py::test_the_entries_of_a_group_are_listed_for_those_who_ask_for_it",
    ),
    M(
        "a wait is over when one instance has arrived",
        "cli/progress.py",
        "if len(texts) == len(found) else None",
        "if texts else None",
        "cli/test_progress.py::test_a_group_on_all_nodes_is_there_when_each_instance_is",
    ),
    M(
        "the log of a group leaves its instances out",
        "cli/logs/lines.py",
        "if self._groups and self._groups.isdisjoint({group, single(group)}):",
        "if self._groups and group not in self._groups:",
        "cli/test_logs.py::test_a_group_stands_for_its_instances_and_an_instance_for_itself",
    ),
    M(
        "older versions take instances for mistakes",
        "formats/clstat.py",
        "if INSTANCE_MARK in text:",
        "if False:",
        "formats/test_clstat.py::"
        "test_an_older_version_skips_the_lines_about_instances_and_reads_the_others",
    ),
)
