"""Mutants of the monitor: what it publishes, reads, remembers, shoots, and tells clinit."""

from __future__ import annotations

from tests.mutants.mutant import M, ShellMutant

MONITOR: tuple[ShellMutant, ...] = (
    # --- the publisher ---
    M(
        "a namesake is noticed before each write",
        "monitor/files/publisher.py",
        "            set_back = self._check_own(stamp)\n",
        "            set_back = False\n",
        "monitor/test_publisher.py::test_another_run_in_the_own_status_stops_publishing",
    ),
    M(
        "a namesake is waited for at the start",
        "monitor/files/publisher.py",
        "if now is not None and now.stamp > former.stamp:",
        "if False:",
        "monitor/test_publisher.py::test_a_stranger_that_goes_on_is_a_namesake",
    ),
    M(
        "nothing is written into what is below a lost mount",
        "monitor/files/publisher.py",
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
        "O3: an attempt that hangs is completed all the same",
        "monitor/files/reader.py",
        "            return ReadFailed(peer.node, str(problem), hung=True)\n",
        "            await anyio.sleep_forever()\n",
        "monitor/test_reader.py::test_a_hung_peer_is_reported_each_time_and_costs_only_itself",
    ),
    M(
        "a status of another node is not taken for that of this one",
        "monitor/files/reader.py",
        "if parsed.status.node != node:",
        "if False:",
        "monitor/test_reader.py::test_a_status_in_the_directory_of_another_node_is_not_taken",
    ),
    M(
        "what hung is read by itself until it answers",
        "monitor/files/reader.py",
        "known_as_local and not peer.hung and not self._shared_hangs",
        "known_as_local and not self._shared_hangs",
        "monitor/test_reader.py::test_a_peer_that_hangs_later_keeps_no_other_from_being_read",
    ),
    M(
        "what is read together and hangs is read again, each by itself",
        "monitor/files/reader.py",
        "for peer in (*peers, *self._shared_orders):",
        "for peer in self._shared_orders:",
        "monitor/test_reader.py::test_a_peer_that_hangs_later_keeps_no_other_from_being_read",
    ),
    M(
        "what is taken from the status before is what has the same text",
        "formats/clstat.py",
        "if last is not None and last.rest_at and _is_from(data, cut, sealed, last.rest):",
        "if last is not None and last.rest_at:",
        "formats/test_clstat.py::test_a_status_is_read_the_same_whatever_was_read_before_it",
    ),
    M(
        "O3: a process that was stopped does not take its own pause for a hang",
        "host/workers.py",
        "for patience_s in (limit_s, min(limit_s, GRACE_MAX_S)):",
        "for patience_s in (limit_s,):",
        "host/test_workers.py::"
        "test_a_process_that_was_stopped_does_not_take_its_own_pause_for_a_hang",
    ),
    # --- clinit and the monitor ---
    M(
        "a clinit that hangs is killed, its groups with it",
        "monitor/clinit_link.py",
        "                os.kill(self.pid, signal.SIGKILL)\n",
        "                pass\n",
        "monitor/test_clinit_link.py::test_a_clinit_that_hangs_is_killed_and_started_again",
    ),
    M(
        "groups do not wait for each other",
        "monitor/tells.py",
        "        orders = self._orders.get(order.group)\n",
        "        orders = next(iter(self._orders.values()), None)\n",
        "monitor/test_tells.py::test_groups_do_not_wait_for_each_other_and_have_one_coroutine_each",
    ),
    M(
        "a refusal of clinit is not taken for obedience",
        "monitor/tells.py",
        "reply is None or reply.ok else reply.text",
        "True else reply.text",
        "monitor/test_tells.py::"
        "test_a_refusal_comes_with_its_reason_and_no_answer_is_none[reply0-no such group]",
    ),
    M(
        "who is woken too early is woken again",
        "monitor/runtime.py",
        "        else:\n            self._clock.wake_at(self.due)\n",
        "",
        "monitor/test_runtime.py::test_whoever_is_woken_too_early_is_woken_again",
    ),
    M(
        "an error of the agent ends the monitor",
        "monitor/loop_clock.py",
        "            wake()\n",
        "            asyncio.get_running_loop().call_soon(wake)\n",
        "monitor/test_loop_clock.py::test_an_error_is_not_lost_in_the_loop",
    ),
    M(
        "a write that failed is answered too",
        "monitor/ports.py",
        "            self._report(WriteFailed())\n",
        "            return\n",
        "monitor/test_ports.py::test_a_status_that_could_not_be_written_is_followed_by_the_next",
    ),
    # --- fencing ---
    M(
        "only exit 0 is a receipt",
        "monitor/fence_command.py",
        "    if ended.status == 0:\n",
        "    if ended.status >= 0:\n",
        "monitor/test_fencing.py::test_any_other_end_of_a_command_is_a_failure_with_its_words",
    ),
    M(
        "the line that is printed proves nothing",
        "monitor/fencing.py",
        'Outcome("no receipt", "print")',
        'Outcome("receipt", "print")',
        "monitor/test_fencing.py::"
        "test_print_writes_the_originals_line_to_stderr_and_proves_nothing",
    ),
    # --- what a shot and a tell outlive ---
    M(
        "a shot is given up when its victim is heard again",
        "monitor/ports.py",
        "while not (why := shots.is_void(monitor.node.state, order, boottime())):",
        "while not (why := ''):",
        "monitor/test_ports.py::"
        "test_a_shot_is_given_up_and_its_command_killed_when_the_victim_is_heard_again",
    ),
    M(
        "what a killed monitor's programs have left is found by its successor",
        "host/killable.py",
        "marks.draw(KIN.get())",
        "marks.draw()",
        "host/test_killable.py::test_what_a_killed_process_had_started_is_killed_by_its_successor",
    ),
    M(
        "the connection for tells does not end by being idle",
        "monitor/clinit_link.py",
        "                await self._ask(client, Hello())",
        "                pass",
        "monitor/test_clinit_link.py::test_the_connection_for_tells_is_used_before_clinit_ends_it",
    ),
    M(
        "clinit is told to end also where that connection has ended",
        "monitor/clinit_link.py",
        "            reply = await self.apart(Shutdown(), 2 * self._limit_s + GRACE_S)",
        "            reply = None",
        "monitor/test_clinit_link.py::"
        "test_shutting_down_ends_clinit_though_the_connection_for_tells_has_ended",
    ),
    # --- the grades of receipts ---
    M(
        "storage that is cut off is not a power that is off",
        "monitor/fence_agent.py",
        "return Grade.OFF_CONFIRMED if switches_power else Grade.COMMAND_SAID_SO",
        "return Grade.OFF_CONFIRMED",
        "monitor/test_fence_agent.py::test_only_power_that_is_off_is_confirmed",
    ),
    M(
        "an agent that does not describe itself confirms nothing",
        "monitor/fence_agent.py",
        "        switches_power = agent.path in _SWITCH_POWER\n",
        "        switches_power = True\n",
        "monitor/test_fence_agent.py::test_only_power_that_is_off_is_confirmed",
    ),
    M(
        "a method that proves too little is not the last",
        "monitor/fencing.py",
        "and outcomes[-1].grade >= required:",
        "and outcomes[-1].grade <= required:",
        "monitor/test_fencing.py::test_the_methods_go_on_until_one_proves_what_is_required",
    ),
    M(
        "on waits for what may be alive",
        "monitor/unfence.py",
        "if busy := self._busy():",
        "if busy := '':",
        "monitor/test_unfence.py::test_on_waits_until_no_process_of_a_group_is_here",
    ),
    M(
        "an on is not believed without a status that says on",
        "monitor/unfence.py",
        "        if not is_on(answer):\n            return f",
        "        if False:\n            return f",
        "monitor/test_unfence.py::test_an_on_that_is_not_confirmed_is_a_failure",
    ),
    M(
        "a level proves no more than the least of its devices",
        "monitor/fence_level.py",
        "min(grades)",
        "max(grades)",
        "monitor/test_fence_level.py::test_the_grade_of_a_level_is_the_lowest_of_its_methods",
    ),
    M(
        "a level has failed if a device refuses",
        "monitor/fence_level.py",
        "            good, said[device.label] = await shot.switched(), shot.text\n",
        '            said[device.label] = (await shot.switched() and "") or shot.text\n'
        "            good = True\n",
        "monitor/test_fence_level.py::"
        "test_a_device_that_refuses_fails_its_level_and_is_named_first",
    ),
    M(
        "a level has failed if a device does not say off",
        "monitor/fence_level.py",
        "        good, said[label] = await shot.confirmed(), shot.text\n",
        "        good, said[label] = await shot.confirmed() or True, shot.text\n",
        "monitor/test_fence_level.py::test_a_device_that_does_not_say_off_fails_its_level",
    ),
    M(
        "the methods of a level have the same nodes",
        "formats/fencing_methods.py",
        "            if missed:\n",
        "            if missed and False:\n",
        "formats/test_fencing_methods.py::test_a_level_that_could_not_be_right_is_a_mistake",
    ),
    M(
        "a shot that proves too little and whose other method failed has failed",
        "monitor/fencing.py",
        'outcome = "failed" if failed else "receipt"',
        'outcome = "receipt"',
        "monitor/test_fencing.py::test_the_methods_go_on_until_one_proves_what_is_required",
    ),
    M(
        "an unknown grade of a later version is the least that a receipt can have",
        "formats/clstat_fencing.py",
        'GRADES.get(pairs["grade"], least)',
        'GRADES.get(pairs["grade"], Grade.OFF_CONFIRMED)',
        "formats/test_clstat.py::test_a_receipt_of_another_version_is_worth_no_more_than_it_says",
    ),
    # --- fence agents ---
    M(
        "a status that does not say off proves nothing",
        "monitor/fence_agent.py",
        "    return answer.status == OFF_STATUS and _SAYS_OFF",
        "    return answer.status is not None and _SAYS_OFF",
        "monitor/test_fence_agent.py::test_exit_2_counts_only_with_the_word_on_a_line_of_its_own",
    ),
    M(
        "exit 2 of a program that could not be read proves nothing",
        "monitor/fence_agent.py",
        "_SAYS_OFF.search(text) is not None",
        "text is not None",
        "monitor/test_fence_agent.py::test_no_other_status_is_a_receipt",
    ),
    M(
        "an off that failed proves nothing, whatever status says",
        "monitor/fence_agent.py",
        "        return ordered.status == 0\n",
        "        return ordered.status is not None\n",
        "monitor/test_fence_agent.py::"
        "test_a_shot_whose_off_failed_is_no_receipt_and_status_is_not_asked",
    ),
    M(
        "what an agent leaves behind is ended with it",
        "monitor/fence_agent.py",
        "kills_rest=True",
        "kills_rest=False",
        "monitor/test_fence_agent.py::"
        "test_a_child_that_stays_and_holds_the_output_is_ended_with_its_agent",
    ),
    M(
        "what has cut all ties is found by its mark",
        "host/killable.py",
        "found = {pid for pid in young if self._has_mark(pid)}",
        "found: set[int] = set()",
        "monitor/test_fence_agent.py::"
        "test_an_agent_that_hangs_is_killed_with_what_has_cut_all_ties",
    ),
    M(
        "a file of secrets that others may use is refused",
        "host/secret_file.py",
        "    if facts.mode & _OTHERS:",
        "    if facts.mode & 0:",
        "monitor/test_fence_agent.py::test_a_file_of_secrets_that_others_may_use_is_refused",
    ),
    M(
        "no part of a password is left where the output was cut",
        "host/masking.py",
        "        start = self.reach if cut else 0",
        "        start = 0",
        "monitor/test_fence_agent.py::test_no_part_of_a_password_is_left_where_the_output_was_cut",
    ),
    M(
        "two nodes at one plug are a mistake",
        "formats/fence_outlets.py",
        "for other in found if other != node",
        "for other in found if other == node - 1000",
        "formats/test_fencing_methods.py::test_nodes_at_the_same_device_and_plug_are_a_mistake",
    ),
    M(
        "a plug that is off while its node is alive is that of another machine",
        "monitor/fence_test.py",
        "        if is_off(answer) and await",
        "        if not is_off(answer) and await",
        "monitor/test_fence_test.py::"
        "test_the_plug_of_a_node_that_is_alive_and_off_is_that_of_another_machine",
    ),
    M(
        "a status that exits with 0 has to say on",
        "monitor/fence_agent.py",
        "_SAYS_ON.search(text) is not None",
        "text is not None",
        "monitor/test_fence_test.py::"
        "test_a_status_that_exits_with_0_and_does_not_say_on_is_a_failure",
    ),
    M(
        "a plug has to be in the list of its device",
        "monitor/fence_test.py",
        "        if listed_plug(plug, listed) is None:\n",
        "        if not listed:\n",
        "monitor/test_fence_test.py::test_a_plug_has_to_be_in_the_list_of_its_device_for_one_node",
    ),
    M(
        "a node is alive if it is heard after its plug was off",
        "monitor/fence_schedule.py",
        "        since = boottime() + state.timing.heartbeat_s\n",
        "        since = 0.0\n",
        "monitor/test_fence_schedule.py::test_a_node_is_alive_when_it_is_heard_later",
    ),
    M(
        "a shot ends the test that is running",
        "monitor/fence_schedule.py",
        "            self._running.cancel()\n",
        "            pass\n",
        "monitor/test_fence_schedule.py::"
        "test_a_shot_ends_the_test_that_is_running_and_lets_none_begin",
    ),
    M(
        "no test begins during a shot",
        "monitor/fence_schedule.py",
        "            if self._shots:\n",
        "            if self._shots < 0:\n",
        "monitor/test_fence_schedule.py::"
        "test_a_shot_ends_the_test_that_is_running_and_lets_none_begin",
    ),
    M(
        "metadata that declares a document type is refused, so no entity is expanded",
        "formats/agent_xml.py",
        "    parser.StartDoctypeDeclHandler = _judge_doctype\n",
        "",
        "formats/test_fence_metadata.py::test_what_is_no_metadata_is_refused",
    ),
    M(
        "a node that no method can shoot is a mistake",
        "cli/check/fence_agents.py",
        "    if methods and missed:",
        "    if methods and not missed:",
        "cli/test_check_fence_agents.py::test_a_node_that_no_method_can_shoot_is_a_mistake",
    ),
    M(
        "of three nodes the first and the last one at one plug are a mistake too",
        "formats/fence_outlets.py",
        "            self._nodes.setdefault(key, node)\n",
        "            self._nodes = {key: node}\n",
        "formats/test_fencing_methods.py::test_nodes_at_the_same_device_and_plug_are_a_mistake",
    ),
    M(
        "a method that only prints can shoot no node",
        "cli/check/fence_agents.py",
        "methods = [method for method in fencing.methods if method.gives_receipts]",
        "methods = list(fencing.methods)",
        "cli/test_check_fence_agents.py::test_a_node_that_no_method_can_shoot_is_a_mistake",
    ),
    M(
        "off and status share the limit of an attempt",
        "monitor/fence_agent.py",
        'await ask(agent, "status", left_s) if left_s > 0',
        'await ask(agent, "status", limit_s) if left_s > 0',
        "monitor/test_fence_agent.py::test_off_and_status_have_one_limit_together",
    ),
    M(
        "no agent is searched in the working directory",
        "monitor/fence_agent.py",
        '.split(":") if place]',
        '.split(":")]',
        "monitor/test_fence_agent.py::test_no_agent_is_searched_in_the_working_directory",
    ),
    M(
        "a secret goes before an option of mosha.toml",
        "monitor/fence_agent.py",
        "in (method.options, target.options, secrets):",
        "in (secrets, method.options, target.options):",
        "monitor/test_fence_agent.py::test_a_secret_goes_before_an_option_of_the_same_name",
    ),
    M(
        "a secret that is quoted for a shell is masked",
        "host/masking.py",
        "    yield from (shlex.quote(secret), shlex.quote(shlex.quote(secret)))\n",
        "",
        "host/test_masking.py::test_a_secret_is_masked_as_a_whole_in_each_form",
    ),
    M(
        "a secret in a URL is masked",
        "host/masking.py",
        '    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))\n',
        "",
        "host/test_masking.py::test_a_secret_is_masked_as_a_whole_in_each_form",
    ),
    M(
        "a secret in JSON is masked",
        "host/masking.py",
        "    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])\n",
        "",
        "host/test_masking.py::test_a_secret_is_masked_as_a_whole_in_each_form",
    ),
    M(
        "a secret in HTML, or shown by Python, is masked",
        "host/masking.py",
        "(repr(secret)[1:-1], html.escape(secret), html.escape(secret, quote=False))",
        "()",
        "host/test_masking.py::test_a_secret_is_masked_as_a_whole_in_each_form",
    ),
    M(
        "a secret in base64 is masked, with its user too",
        "host/masking.py",
        '(secret, *(f"{user}:{secret}" for user in users))',
        "(secret,)",
        "host/test_masking.py::test_a_secret_is_masked_as_a_whole_in_each_form",
    ),
    M(
        "a name in either option is that of the user of a secret",
        "monitor/fence_agent.py",
        'if name in ("username", "login")]',
        'if name == "username"]',
        "monitor/test_fence_agent.py::test_a_password_with_its_user_in_base64_is_not_shown",
    ),
    # --- what is remembered ---
    M(
        "V4b: after a write that may have landed nothing is taken for kept",
        "monitor/memory_file.py",
        "        self.known = None  # a write that fails, or ends late, may leave either"
        " version\n"
        "        path",
        "        path",
        "monitor/test_memory_file.py::"
        "test_v4b_after_a_write_that_may_have_landed_nothing_is_taken_for_kept",
    ),
    M(
        "V4b: after a loss of the state directory all is remembered once more",
        "monitor/files/publisher.py",
        "        if self._memory_file is not None:\n            self._memory_file.lost()\n",
        "",
        "monitor/test_memory_file.py::"
        "test_v4b_after_a_loss_of_the_state_directory_all_is_remembered_once_more",
    ),
    M(
        "V4b: a status shows what is on the local disk",
        "monitor/files/publisher.py",
        "            if self._memory_file is not None and memory is not None:\n"
        "                await self._memory_file.keep(memory)\n",
        "",
        "monitor/test_memory_file.py::"
        "test_v4b_a_status_is_published_only_when_its_memory_is_on_the_local_disk",
    ),
    M(
        "votes outlive a power cut",
        "monitor/identity.py",
        "msgspec.json.encode(memory), sync=True)",
        "msgspec.json.encode(memory))",
        "monitor/test_power_cut.py::test_it_is_flushed_with_its_directory",
    ),
    M(
        "and so do the members of the cluster",
        "monitor/files/membership.py",
        'write_atomically(path, json.dumps(sorted(members)).encode() + b"\\n", sync=True)',
        'write_atomically(path, json.dumps(sorted(members)).encode() + b"\\n")',
        "monitor/test_power_cut.py::test_it_is_flushed_with_its_directory",
    ),
    # --- tables ---
    M(
        "no copy of a table can be written by others",
        "monitor/tables/files.py",
        "return Access(facts.mode & 0o777 & ~OTHERS_MAY_WRITE, (facts.uid, facts.gid))",
        "return Access(facts.mode & 0o777, (facts.uid, facts.gid))",
        "monitor/test_table_files.py::test_no_copy_of_a_table_can_be_written_by_others",
    ),
    M(
        "a table whose mode has changed is copied with its new mode",
        "monitor/tables/files.py",
        "(former.distrust, former.access) == (distrust, access):",
        "former.distrust == distrust:",
        "monitor/test_table_files.py::"
        "test_a_table_whose_mode_alone_has_changed_is_seen_with_its_new_mode",
    ),
    M(
        "an error of the file system says nothing of the table",
        "monitor/tables/files.py",
        "        if problem is None:\n            raise\n        return Seen(distrust",
        "        return Seen(distrust",
        "monitor/test_table_files.py::test_an_error_of_the_file_system_says_nothing_of_the_table",
    ),
    # --- shots ---
    M(
        "a failed shot is told though a line was printed before it",
        "monitor/fencing.py",
        "return [*failed, *outcomes][0] if outcomes",
        "return outcomes[0] if outcomes",
        "monitor/test_fencing.py::test_a_failure_is_told_though_a_line_was_printed_before_it",
    ),
    M(
        "a process that may not be killed spares no other of a command",
        "host/killable.py",
        "with contextlib.suppress(ProcessLookupError, PermissionError):",
        "with contextlib.suppress(ProcessLookupError):",
        "monitor/test_fencing.py::"
        "test_a_process_that_may_not_be_killed_spares_no_other_of_a_command",
    ),
    M(
        "nothing but True is a proof",
        "monitor/fence_callable.py",
        "    if value is True:\n",
        "    if value:\n",
        "monitor/test_fencing.py::test_only_true_of_a_callable_is_a_receipt",
    ),
    M(
        "a call that hangs has the same reason each time",
        "host/workers.py",
        '        return "no answer from the file system"',
        "        return str(error)",
        "host/test_workers.py::test_the_reason_of_a_call_that_hung_is_the_same_each_time",
    ),
    M(
        "the input of a program is closed when it has ended",
        "host/killable.py",
        "        yield fd\n    finally:\n        os.close(fd)\n",
        "        yield fd\n    finally:\n        pass\n",
        "host/test_killable.py::test_no_descriptor_is_kept_of_it",
    ),
    M(
        "so are both ends of the pipe of its output",
        "host/killable.py",
        "        os.close(self._reader)\n        os.close(self.writer)\n",
        "        os.close(self._reader)\n",
        "host/test_killable.py::test_no_descriptor_is_kept_of_it",
    ),
    M(
        "the last words of a program are read",
        "host/killable.py",
        "        tail.take()\n        return RunEnded",
        "        return RunEnded",
        "host/test_killable.py::test_its_last_words_are_read_though_nobody_has_read_before",
    ),
    M(
        "one look that finds nothing does not mean that nothing is left",
        "host/killable.py",
        "        if quiet == marks.QUIET_LOOKS:\n",
        "        if quiet:\n",
        "host/test_killable.py::test_one_look_that_finds_nothing_is_no_end",
    ),
    M(
        "where no mark can be set, the session of a program ends with it",
        "host/killable.py",
        "if one.session == self._leader}",
        "if one.session == 0}",
        "host/test_killable.py::"
        "test_where_no_mark_can_be_set_its_session_and_its_descendants_end_with_it",
    ),
    # --- the tie to clinit ---
    M(
        "a clinit that is back is waited for again",
        "monitor/clinit_link.py",
        "            self.lost_at = None\n",
        "",
        "monitor/test_clinit_link_trouble.py::test_a_connection_that_breaks_is_made_anew",
    ),
    M(
        "that there are no cgroups is known from clinit's first news on",
        "monitor/clinit_link.py",
        "            self.no_cgroups = update.no_cgroups\n",
        "",
        "monitor/test_clinit_link_trouble.py::"
        "test_what_clinit_lacks_is_known_from_its_first_news_on",
    ),
    M(
        "a renewal does not wait for the answer to a tell",
        "monitor/clinit_link.py",
        "            await self._ask(self._pulse, Lease(leases=leases))",
        "            await self._ask(self._client, Lease(leases=leases))",
        "monitor/test_clinit_link_trouble.py::"
        "test_a_renewal_does_not_wait_for_the_answer_to_a_tell",
    ),
    M(
        "a clinit without a socket that ends meanwhile is replaced at once",
        "monitor/clinit_link.py",
        "            if living_clinit(self._place.state_dir) != pid:\n"
        '                raise HostError(f"clinit {pid} ended")\n',
        "",
        "monitor/test_clinit_found.py::test_a_clinit_that_ends_meanwhile_is_not_waited_for",
    ),
    # --- clinit that is refused, lost or not to be found ---
    M(
        "a clinit that ends at each start is not started as often as the machine can",
        "monitor/clinit_link.py",
        "failures = 0 if steady else failures + 1",
        "failures = 0",
        "monitor/test_clinit_link_trouble.py::"
        "test_a_clinit_that_refuses_again_and_again_is_asked_after_growing_pauses",
    ),
    M(
        "an answer of clinit that makes no sense does not end a question of a person",
        "monitor/clinit_link.py",
        "        except (HostError, msgspec.MsgspecError):\n            return None\n",
        "        except HostError:\n            return None\n",
        "monitor/test_clinit_link_trouble.py::"
        "test_what_is_known_is_shown_if_clinits_answer_about_everything_makes_no_sense",
    ),
    M(
        "since when clinit is lost does not move on with each attempt",
        "monitor/clinit_link.py",
        "                self._report(ClinitLost())\n            self._full = False\n",
        "                self._report(ClinitLost())\n",
        "monitor/test_clinit_link_trouble.py::"
        "test_that_clinit_is_lost_is_told_once_however_often_it_is_tried_again",
    ),
    M(
        "a clinit that closes a connection is not killed",
        "monitor/clinit_link.py",
        "if isinstance(error.__cause__, TimeoutError):",
        "if error.__cause__:",
        "monitor/test_clinit_link_trouble.py::"
        "test_a_clinit_that_closes_a_connection_is_alive_and_not_killed",
    ),
    M(
        "a clinit that answers renewals is busy and not hung",
        "monitor/clinit_link.py",
        "        else:\n"
        "            self._heard_at = anyio.current_time()\n"
        "            return reply",
        "        else:\n            return reply",
        "monitor/test_clinit_link_trouble.py::"
        "test_a_clinit_that_answers_renewals_while_a_tell_waits_is_not_killed",
    ),
    M(
        "that nobody can look for clinit does not mean that there is none",
        "monitor/clinit_place.py",
        '        raise HostError(f"cannot look for clinit in {state_dir}:'
        ' {error.strerror}") from error',
        "        return 0",
        "monitor/test_clinit_found.py::"
        "test_that_nobody_can_look_for_clinit_does_not_mean_that_there_is_none",
    ),
    M(
        "a dead clinit in a call that hangs is not asked",
        "monitor/clinit_link.py",
        "    if dead:\n",
        "    if False:\n",
        "host/test_lock_file.py::"
        "test_a_dead_process_in_a_call_that_hangs_keeps_neither_its_lock_nor_its_socket",
    ),
    # --- what ends, and what is said of it ---
    M(
        "what could not be killed at first is killed in another round",
        "host/killable.py",
        "    for _ in range(KILL_ROUNDS_MAX):",
        "    for _ in range(1):",
        "monitor/test_fencing.py::"
        "test_what_could_not_be_killed_at_first_is_killed_in_another_round",
    ),
    M(
        "a monitor that ends waits for the command of its shot",
        "host/killable.py",
        "anyio.move_on_after(DEATH_LIMIT_S, shield=True)",
        "anyio.move_on_after(DEATH_LIMIT_S)",
        "monitor/test_fencing.py::test_a_monitor_that_ends_waits_for_the_command_of_its_shot",
    ),
    M(
        "N1: a machine that cannot be told is not one without a name",
        "monitor/identity.py",
        "    except FileNotFoundError:\n"
        '        return ""\n'
        "    except OSError as error:\n"
        '        raise HostError(f"cannot read /etc/machine-id: {error.strerror}") from error',
        '    except OSError:\n        return ""',
        "monitor/test_identity.py::test_a_machine_that_cannot_be_told_is_not_one_without_a_name",
    ),
    M(
        "no watchdog bites before the timeout",
        "monitor/service_notifier.py",
        "max(notifier.watchdog_s, state",
        "min(notifier.watchdog_s, state",
        "monitor/test_service_notifier.py::test_no_watchdog_bites_before_the_timeout",
    ),
    M(
        "N1: who may not publish yet is ready all the same",
        "monitor/service_notifier.py",
        "(state.published is not None or mute)",
        "state.published is not None",
        "monitor/test_service_notifier.py::test_a_monitor_that_may_not_publish_yet_is_ready_too",
    ),
    M(
        "what was given up before its thread began is never done",
        "host/workers.py",
        "                job.dropped = True  # no effect on a call that has started\n",
        "                pass\n",
        "host/test_workers.py::test_what_was_given_up_before_its_thread_began_is_never_done",
    ),
    # --- requests ---
    M(
        "a bug that a request comes upon is no refusal",
        "monitor/service.py",
        "        except UsageError as error:\n",
        "        except Exception as error:\n",
        "monitor/test_service.py::"
        "test_a_bug_that_a_request_comes_upon_is_no_refusal_but_ends_the_monitor",
    ),
    M(
        "who has obeyed an earlier order has not obeyed this one",
        "monitor/ordering.py",
        "    monitor.report_event(OrderGiven(order))\n    number = state.order_number\n",
        "    number = state.order_number\n    monitor.report_event(OrderGiven(order))\n",
        "monitor/test_ordering.py::"
        "test_of_the_nodes_that_an_order_concerns_those_that_did_not_obey_are_named",
    ),
    M(
        "of those who have to obey the right ones are named",
        "monitor/ordering.py",
        '    late = ", ".join(map(str, sorted(nodes - orders.have_obeyed(state, nodes, number))))',
        '    late = ", ".join(map(str, sorted(nodes)))',
        "monitor/test_ordering.py::"
        "test_of_the_nodes_that_an_order_concerns_those_that_did_not_obey_are_named",
    ),
    M(
        "a restart whose claim has ended is no restart",
        "monitor/ordering.py",
        "        return _unclaimed(state, order, nodes) or text\n",
        "        return text\n",
        "monitor/test_ordering.py::test_a_restart_whose_claim_has_ended_is_not_called_a_restart",
    ),
    M(
        "an order for an entry that was refused where the group runs was not carried out",
        "monitor/ordering.py",
        "        if answer is not None and not answer.ok:\n",
        "        if False:\n",
        "monitor/test_service.py::test_what_clinit_refuses_of_an_entry_is_said_with_its_node",
    ),
    M(
        "an order for an entry that nobody has answered was not carried out",
        "monitor/ordering.py",
        "for node in sorted(nodes) if found[node] is None",
        "for node in ()",
        "monitor/test_service.py::test_an_entry_that_does_not_end_in_time_is_not_called_stopped",
    ),
    M(
        "a clinit of an older version is named where it does not know an order",
        "monitor/ports.py",
        "text = OLD_CLINIT if text.startswith(MALFORMED) else text",
        "text = text or OLD_CLINIT",
        "monitor/test_ports.py::test_what_clinit_replies_to_an_order_for_an_entry_is_reported",
    ),
    M(
        "what does not run here cannot fail here",
        "monitor/ordering.py",
        "        raise UsageError(refusal)\n",
        "        pass\n",
        "monitor/test_service.py::test_what_cannot_be_done_is_refused_in_words",
    ),
    M(
        "an edit that did not last is no success",
        "monitor/tables/wish_edits.py",
        "    if said != wanted:\n",
        "    if False:\n",
        "monitor/test_wish_edits.py::test_an_edit_that_did_not_last_is_no_success",
    ),
    # --- what is on the local disk ---
    M(
        "where it was mounted outlives a power cut",
        "monitor/files/publisher.py",
        'json.dumps(text).encode() + b"\\n", sync=True)',
        'json.dumps(text).encode() + b"\\n")',
        "monitor/test_power_cut.py::test_it_is_flushed_with_its_directory",
    ),
    M(
        "where it was mounted is remembered again after a loss of the state directory",
        "monitor/files/publisher.py",
        "        if self._mount is not None:\n"
        "            await self._worker.call(self._remember, self._mount, limit_s=self._limit_s)\n",
        "",
        "monitor/test_publisher.py::test_where_it_was_mounted_is_remembered_again_after_a_loss",
    ),
    M(
        "who has found a namesake never writes again",
        "monitor/files/publisher.py",
        "        if self.namesake:\n            return False\n",
        "",
        "monitor/test_publisher.py::test_another_run_in_the_own_status_stops_publishing",
    ),
    M(
        "what mwhois started ends with it",
        "monitor/files/membership.py",
        "            os.killpg(process.pid, signal.SIGKILL)\n",
        "            process.kill()\n",
        "monitor/test_membership.py::test_a_mwhois_that_does_not_end_is_ended",
    ),
    M(
        "a table in force outlives a power cut",
        "monitor/tables/store.py",
        "write_text(text, self.path(name), sync=True)",
        "write_text(text, self.path(name))",
        "monitor/test_power_cut.py::"
        "test_a_table_is_in_force_when_its_version_and_then_its_text_are_flushed",
    ),
    M(
        "the version of a table in force outlives a power cut",
        "monitor/tables/store.py",
        "VERSIONS_FILE, data, sync=True)",
        "VERSIONS_FILE, data)",
        "monitor/test_power_cut.py::"
        "test_a_table_is_in_force_when_its_version_and_then_its_text_are_flushed",
    ),
    M(
        "a text that was stored before a crash is no version of the one before",
        "monitor/tables/store.py",
        "if noted is not None and noted.digest == version.digest:",
        "if noted is not None:",
        "monitor/test_table_disk.py::"
        "test_a_text_that_was_stored_before_a_crash_is_no_version_of_the_one_before",
    ),
    M(
        "a table in force that cannot be read is not missing",
        "monitor/tables/ports.py",
        '            error = f"{path}: cannot be read: {reason(failure)}"\n',
        "            pass\n",
        "monitor/test_table_store.py::test_a_file_on_the_disk_that_cannot_be_read_is_told",
    ),
    M(
        "both texts of a merge are kept for the next one",
        "monitor/tables/join.py",
        "    kept.keep(name, other.text, now_ns)\n    merged",
        "    merged",
        "monitor/test_table_disk.py::test_both_texts_of_a_merge_are_kept_for_the_next_one",
    ),
    M(
        "who may not read one of two texts may not read both",
        "monitor/tables/join.py",
        "newer.access.mode & older.access.mode",
        "newer.access.mode | older.access.mode",
        "monitor/test_table_disk.py::test_who_may_not_read_one_of_two_texts_may_not_read_both",
    ),
    M(
        "of a merge the lost text is kept, not the other",
        "monitor/tables/join.py",
        "str(kept.keep(name, older.text, now_ns)) if lost",
        "str(kept.keep(name, newer.text, now_ns)) if lost",
        "monitor/test_table_disk.py::test_what_is_lost_of_a_merge_is_kept_and_its_place_is_told",
    ),
    # --- what is said when ---
    M(
        "clinit has ended when it is gone, not when it was asked to",
        "monitor/ports.py",
        "        await self._monitor.clinit.shut_down()\n        self._report(ClinitEnded())\n",
        "        self._report(ClinitEnded())\n        await self._monitor.clinit.shut_down()\n",
        "monitor/test_ports.py::test_clinit_has_ended_when_it_is_gone_and_not_when_it_was_asked_to",
    ),
    M(
        "what clinit has reported is as old as its last word",
        "monitor/report.py",
        "now if around.clinit_lost_at is None else around.clinit_lost_at",
        "now",
        "monitor/test_report.py::test_what_clinit_has_reported_is_as_old_as_its_last_word",
    ),
    M(
        "the remedy for a late kill names the node",
        "monitor/problems.py",
        "you have: mosha cleanup {group} {node}",
        "you have: mosha cleanup {group}",
        "monitor/test_report.py::test_a_kill_that_came_too_late_is_a_problem_that_stands",
    ),
    M(
        "a reload looks at both tables",
        "monitor/reload.py",
        "    monitor.look_at_tables()\n",
        "",
        "monitor/test_reload.py::test_both_tables_are_looked_at_again",
    ),
    M(
        "a reload is over when it is told so",
        "monitor/service_notifier.py",
        "self._notifier.ready(summary(self._monitor.node.state))",
        "self._notifier.status(summary(self._monitor.node.state))",
        "monitor/test_service_notifier.py::test_a_reload_is_over_when_it_is_told_so",
    ),
    M(
        "systemctl status says that there is no quorum",
        "monitor/service_notifier.py",
        'QuorumState.NO: "NO"',
        'QuorumState.NO: "yes"',
        "monitor/test_service_notifier.py::test_the_summary_says_whether_there_is_a_quorum",
    ),
    M(
        "a monitor whose number another node has ends with exit status 1",
        "monitor/daemon.py",
        "return 1 if self.node.state.displaced or self.stranded else 0",
        "return 1 if self.stranded else 0",
        "monitor/test_service.py::"
        "test_a_monitor_whose_number_another_node_has_ends_with_exit_status_1",
    ),
    # --- what is read together, and what is taken from the status before ---
    M(
        "what was ordered during a hang is not read together with nothing",
        "monitor/files/reader.py",
        "                self._shared_orders = []\n                self._shared_ordered.clear()\n",
        "                self._shared_orders = []\n",
        "monitor/test_reader.py::"
        "test_what_is_ordered_during_a_hang_is_read_once_and_later_all_are_read_together",
    ),
    M(
        "what was ordered during a hang is read once",
        "monitor/files/reader.py",
        "                self._shared_orders = []\n                self._shared_ordered.clear()\n",
        "                self._shared_ordered.clear()\n",
        "monitor/test_reader.py::"
        "test_what_is_ordered_during_a_hang_is_read_once_and_later_all_are_read_together",
    ),
    M(
        "after a hang local nodes are read together again",
        "monitor/files/reader.py",
        "            self._shared_hangs = self._shared.busy is not None\n",
        "            pass\n",
        "monitor/test_reader.py::"
        "test_what_is_ordered_during_a_hang_is_read_once_and_later_all_are_read_together",
    ),
    M(
        "what is read together leaves time to be read by itself",
        "monitor/files/reader.py",
        " * SHARED_LIMIT_SHARE\n",
        "\n",
        "monitor/test_reader.py::test_what_is_read_together_has_a_share_of_its_shortest_limit",
    ),
    M(
        "the shortest limit of what is read together counts",
        "monitor/files/reader.py",
        "limit_s = min(peer.limit_s",
        "limit_s = max(peer.limit_s",
        "monitor/test_reader.py::test_what_is_read_together_has_a_share_of_its_shortest_limit",
    ),
    M(
        "of a node that went away nothing is reported",
        "monitor/files/reader.py",
        "if self._peers.get(peer.node) is peer:",
        "if True:",
        "monitor/test_reader.py::test_a_node_that_goes_away_while_it_is_read_is_not_reported",
    ),
    M(
        "a remote node that hangs delays no other",
        "monitor/files/reader.py",
        "found is not None and not found.remote",
        "found is not None",
        "monitor/test_reader.py::test_remote_nodes_have_a_thread_each_whatever_is_found_there",
    ),
    M(
        "a remote node that cannot be read is still remote",
        "monitor/files/reader.py",
        '{error.strerror}", remote)',
        '{error.strerror}", False)',
        "monitor/test_reader.py::test_remote_nodes_have_a_thread_each_whatever_is_found_there",
    ),
    M(
        "a node on another file system than before is polled",
        "monitor/files/reader.py",
        "last.mounts is not mounts or ",
        "",
        "monitor/test_reader.py::test_a_node_whose_file_system_is_mounted_anew_is_looked_at_again",
    ),
    M(
        "a node on another device than before is polled",
        "monitor/files/reader.py",
        "or last.device != facts.device:",
        "or False:",
        "monitor/test_reader.py::test_a_node_on_another_device_is_looked_at_again",
    ),
    M(
        "where a status is missing on another file system it is polled",
        "monitor/files/reader.py",
        "NO_CLSTAT, file_system_at(path.parent).remote)",
        "NO_CLSTAT, remote)",
        "monitor/test_reader.py::"
        "test_where_a_status_is_missing_it_is_known_anew_whether_events_arrive",
    ),
    M(
        "the same torn bytes are torn each time",
        "monitor/files/reader.py",
        "parsed=last.parsed, error=last.error, torn=last.torn)",
        "parsed=last.parsed, error=last.error)",
        "monitor/test_reader.py::test_bytes_that_stay_torn_are_torn_each_time",
    ),
    M(
        "an empty file is torn and not missing",
        "monitor/files/reader.py",
        "last is not None and facts.data and facts.data == last.data",
        "last is not None and facts.data == last.data",
        "monitor/test_reader.py::test_an_empty_file_is_torn_also_where_there_was_none",
    ),
    M(
        "a directory is watched only where it still is what it was",
        "monitor/files/watch.py",
        "if path in watched and _identity(path) == watched[path]:",
        "if path in watched:",
        "monitor/test_watch.py::"
        "test_a_tree_that_was_moved_away_is_found_out_within_a_heartbeat[direct]",
    ),
    M(
        "what stays the same from status to status is not parsed again",
        "formats/clstat.py",
        'self.data.rfind(b"\\nMosha::End ") + 1]',
        'self.data.rfind(b"\\nMosha::End ")]',
        "formats/test_clstat.py::"
        "test_of_a_status_that_differs_in_its_echoes_alone_only_those_are_parsed",
    ),
    M(
        "what is taken from the status before is all below the echoes",
        "formats/clstat.py",
        "return ParsedStatus(_status(node, facts, end), data)\n",
        "return ParsedStatus(_status(node, facts, end), data, cut)\n",
        "formats/test_clstat.py::"
        "test_what_is_above_the_echoes_of_another_writer_is_not_taken_for_what_is_below_them",
    ),
    M(
        "what is above the line of the node counts",
        "formats/clstat.py",
        "if seen is None or not first.startswith(_NODE_PREFIX):",
        "if seen is None:",
        "formats/test_clstat.py::"
        "test_what_another_writer_puts_above_the_line_of_the_node_counts_too",
    ),
    M(
        "of two echoes of a node the last counts",
        "formats/clstat.py",
        "begin = self._text.rfind(",
        "begin = self._text.find(",
        "formats/test_clstat.py::test_of_two_echoes_of_a_node_the_last_counts",
    ),
    M(
        "a group that only an entry in trouble mentions is found",
        "core/cluster/mentions.py",
        "        status.troubles.keys(),\n",
        "",
        "core/test_view.py::"
        "test_a_status_that_is_about_another_group_than_before_mentions_that_one[troubles]",
    ),
    # --- orders for entries ---
    M(
        "an order for an entry is given to clinit once",
        "core/cluster/agent.py",
        "            state.to_clinit = []\n",
        "",
        "core/test_agent.py::test_an_order_for_an_entry_is_given_to_clinit_once",
    ),
    M(
        "an order that was carried out before its reply is answered at once",
        "core/cluster/entry_orders.py",
        "        state.wake((order.group,))  # its report may have come before\n",
        "",
        "core/test_orders_for_entries.py::"
        "test_an_order_that_was_carried_out_before_its_reply_is_answered_without_another_report",
    ),
    M(
        "an order for an entry is not void by what another group does",
        "core/cluster/entry_orders.py",
        "        if waits.group != group:\n            continue\n",
        "",
        "core/test_orders_for_entries.py::test_what_becomes_of_another_group_is_no_answer",
    ),
    M(
        "an answer to an order of an earlier life is none",
        "core/cluster/entry_orders.py",
        "return found if found is not None and found.inc == state.inc else None",
        "return found",
        "core/test_orders_for_entries.py::test_an_answer_to_an_earlier_life_of_the_node_is_none",
    ),
    M(
        "an answer stands until all have read it",
        "core/cluster/entry_orders.py",
        "now + max(ORDER_MIN_S, 2",
        "now + min(ORDER_MIN_S, 2",
        "core/test_orders_for_entries.py::test_answers_stand_for_a_while_and_not_without_bound",
    ),
    M(
        "an answer is published at once",
        "core/cluster/entry_orders.py",
        "    state.changed()\n",
        "",
        "core/test_orders_for_entries.py::"
        "test_what_clinit_says_to_an_order_arrives_where_it_was_given",
    ),
    M(
        "what has obeyed is the entry that was ordered to",
        "core/cluster/entry_orders.py",
        "if entry.tag == waits.tag), None)",
        "if entry.tag), None)",
        "core/test_orders_for_entries.py::"
        "test_an_order_is_answered_when_clinit_has_carried_it_out[False]",
    ),
    M(
        "only where the group is an order for its entry is answered",
        "core/cluster/entry_orders.py",
        "if not report.present or order.verb not in VERBS:",
        "if order.verb not in VERBS:",
        "core/test_orders_for_entries.py::"
        "test_an_order_is_obeyed_where_the_group_runs_under_its_claim_and_once",
    ),
    M(
        "what is under way for an earlier life of a node is another order",
        "core/cluster/orders.py",
        "unfinished.get((issuer, stamp.seq)) != stamp.inc",
        "(issuer, stamp.seq) not in unfinished",
        "core/test_orders.py::"
        "test_what_is_under_way_for_an_earlier_life_of_the_node_is_another_order",
    ),
    # --- what cannot be started ---
    M(
        "clinit gets no signal of the terminal of its monitor",
        "monitor/clinit_place.py",
        "stdin=subprocess.DEVNULL, start_new_session=True",
        "stdin=subprocess.DEVNULL",
        "monitor/test_clinit_found.py::test_clinit_gets_no_signal_of_the_terminal_of_its_monitor",
    ),
    M(
        "clinit logs as much as its monitor",
        "monitor/clinit_place.py",
        'debug=settings.log_level == "debug",',
        "debug=False,",
        "monitor/test_clinit_found.py::test_clinit_logs_as_much_as_its_monitor",
    ),
    M(
        "a host that starts no mwhois is to blame",
        "monitor/files/membership.py",
        '        raise HostError(f"cannot run mwhois ({command!r}): {error.strerror}") from error',
        "        raise",
        "monitor/test_membership.py::test_a_host_that_starts_no_mwhois_is_to_blame",
    ),
    # --- orders of a node that begins a new incarnation ---
    M(
        "a monitor that was started again gives orders of its own",
        "core/cluster/orders.py",
        "old.inc < new.inc and old.run == new.run:",
        "old.inc < new.inc:",
        "core/test_orders.py::test_a_monitor_that_was_started_again_gives_orders_of_its_own",
    ),
    M(
        "orders for entries of other nodes keep their incarnation",
        "core/cluster/entry_orders.py",
        "if node == issuer and waits.inc == before:",
        "if waits.inc == before:",
        "core/test_orders.py::test_orders_of_another_life_and_of_other_nodes_stay_what_they_are",
    ),
    M(
        "orders for entries of an earlier life keep their incarnation",
        "core/cluster/entry_orders.py",
        "if node == issuer and waits.inc == before:",
        "if node == issuer:",
        "core/test_orders.py::test_orders_of_another_life_and_of_other_nodes_stay_what_they_are",
    ),
    M(
        "answers to other nodes keep their incarnation",
        "core/cluster/entry_orders.py",
        "if key[0] == issuer and standing.answer.inc == before:",
        "if standing.answer.inc == before:",
        "core/test_orders.py::test_orders_of_another_life_and_of_other_nodes_stay_what_they_are",
    ),
    M(
        "answers to an earlier life keep their incarnation",
        "core/cluster/entry_orders.py",
        "if key[0] == issuer and standing.answer.inc == before:",
        "if key[0] == issuer:",
        "core/test_orders.py::test_orders_of_another_life_and_of_other_nodes_stay_what_they_are",
    ),
    M(
        "what was taken of an earlier life is not of this one",
        "core/cluster/orders.py",
        "return Stamp(inc, stamp.seq) if stamp.inc == before else stamp",
        "return Stamp(inc, stamp.seq)",
        "core/test_orders.py::test_orders_of_another_life_and_of_other_nodes_stay_what_they_are",
    ),
    M(
        "restarts that other nodes ordered stay theirs",
        "core/cluster/orders.py",
        "(node, renewed(stamp) if node == issuer else stamp) for",
        "(node, renewed(stamp)) for",
        "core/test_orders.py::test_orders_of_another_life_and_of_other_nodes_stay_what_they_are",
    ),
    M(
        "that orders are of a new incarnation is published",
        "core/cluster/orders.py",
        "    entry_orders.go_on_counting(state, issuer, before, inc)\n    state.changed()\n",
        "    entry_orders.go_on_counting(state, issuer, before, inc)\n",
        "core/test_orders.py::test_orders_of_another_life_and_of_other_nodes_stay_what_they_are",
    ),
    M(
        "the own orders go on in a new incarnation",
        "core/cluster/node.py",
        "        orders.go_on_counting(state, state.me, state.inc, inc)\n",
        "",
        "core/test_orders.py::"
        "test_orders_are_obeyed_once_also_if_their_node_begins_a_new_incarnation[True]",
    ),
    M(
        "a source of events is made without a free thread, which ends the process",
        "monitor/files/watch_source.py",
        "        require_threads()\n        # No debug",
        "        # No debug",
        "monitor/test_watch.py::test_without_a_free_thread_no_source_is_made[DirectSource]",
    ),
    M(
        "a start that failed is answered as one",
        "core/cluster/entry_orders.py",
        "            if entry.error and waits.verb != EntryVerb.STOP:\n",
        "            if False:\n",
        "core/test_orders_for_entries.py::"
        "test_a_start_that_clinit_could_not_carry_out_is_answered_with_the_reason",
    ),
    M(
        "the ban of a move is counted from the order",
        "core/cluster/group_step.py",
        "    hold_move(state, record, now)\n",
        "",
        "core/test_orders.py::test_a_move_whose_stop_takes_longer_than_a_ban_is_no_return",
    ),
    M(
        "a plan without votes hides that a group is as wanted",
        "core/explain/verdicts.py",
        "return not others or (plans and _is_granted(state, group, home))",
        "return not others",
        "core/test_verdicts.py::test_each_situation_has_its_sentence_and_its_next_step"
        "[planned by a node that does not hear its owner, which has its votes]",
    ),
    # --- orders that were not heard, and who gives them ---
    M(
        "orders of others that were passed over are not forgotten with those of a new life",
        "core/cluster/orders.py",
        "if key[0] == issuer and inc < stamp.inc]",
        "if inc < stamp.inc]",
        "core/test_orders.py::"
        "test_orders_that_are_passed_over_are_remembered_and_not_without_bound",
    ),
    M(
        "orders of an earlier life that were passed over are not those of a new incarnation",
        "core/cluster/orders.py",
        "inc if key[0] == issuer and of == before else of",
        "inc if key[0] == issuer else of",
        "core/test_orders.py::test_orders_of_another_life_and_of_other_nodes_stay_what_they_are",
    ),
    M(
        "the orders of a new life that were not heard are passed over",
        "core/cluster/orders.py",
        "first = taken.seq + 1 if taken.inc == new.inc else 1",
        "first = taken.seq + 1",
        "core/test_orders.py::test_orders_of_another_life_that_were_not_heard_are_passed_over",
    ),
    M(
        "of numbers that nobody counts to no more are looked at than are remembered",
        "core/cluster/orders.py",
        "*range(max(first, last - ORDERS_MAX), last)",
        "*range(first, last)",
        "core/test_orders.py::test_numbers_that_nobody_counts_to_cost_nothing",
    ),
    M(
        "a node that is not heard gets no order",
        "core/explain/addressees.py",
        "        if node not in heard:\n",
        "        if False:\n",
        "core/test_addressees.py::test_a_node_that_is_not_heard_gets_no_order",
    ),
    M(
        "a group is not stopped for a move to a node that cannot take it",
        "core/explain/addressees.py",
        "    if node and node not in able:\n",
        "    if False:\n",
        "core/test_addressees.py::test_a_group_is_not_moved_to_a_node_that_cannot_take_it",
    ),
    M(
        "who does not wait for a restart is answered at once",
        "monitor/ordering.py",
        "    if order.verb == Verb.RESTART and not request.wait:\n",
        "    if False:\n",
        "monitor/test_ordering.py::test_who_does_not_wait_for_a_restart_is_answered_at_once",
    ),
    M(
        "an order for a monitor that has started anew is over",
        "monitor/ordering.py",
        "orders.have_obeyed(state, nodes, number) and not losses():",
        "orders.have_obeyed(state, nodes, number):",
        "monitor/test_ordering.py::test_an_order_for_a_monitor_that_has_started_anew_is_over[group]",
    ),
    M(
        "an order for an entry of a monitor that has started anew is over",
        "monitor/ordering.py",
        "while None in answers().values() and not losses():",
        "while None in answers().values():",
        "monitor/test_ordering.py::test_an_order_for_a_monitor_that_has_started_anew_is_over[entry]",
    ),
    # --- nodes that are not in `nodes` ---
    M(
        "a heartbeat of another cluster is in milliseconds",
        "monitor/files/outsiders.py",
        "heartbeat_ms / 1000 * HEARTBEATS_PER_LOOK",
        "heartbeat_ms * HEARTBEATS_PER_LOOK",
        "monitor/test_outsiders.py::test_a_look_waits_for_a_heartbeat_of_theirs_and_not_for_longer",
    ),
    M(
        "nodes of another cluster are looked for only now and then",
        "monitor/files/outsiders.py",
        "anyio.sleep(max(self._pause_s,",
        "anyio.sleep(min(self._pause_s,",
        "monitor/test_outsiders.py::test_without_outsiders_it_looks_only_now_and_then",
    ),
    M(
        "a look for them that fails changes nothing",
        "monitor/files/outsiders.py",
        "                now = before\n",
        "                now = {}\n",
        "monitor/test_outsiders.py::test_a_look_that_fails_changes_nothing",
    ),
    # --- a witness ---
    M(
        "a node that was a member keeps the clinit that may have left something",
        "monitor/no_clinit.py",
        "bool(claims) or _ran_here(settings.state_path)",
        "bool(claims)",
        "monitor/test_no_clinit.py::test_only_a_witness_with_nothing_left_of_a_former_life_does_without",
    ),
    M(
        "and so does one that remembers a claim of this boot",
        "monitor/no_clinit.py",
        "return bool(claims) or",
        "return",
        "monitor/test_no_clinit.py::test_only_a_witness_with_nothing_left_of_a_former_life_does_without",
    ),
)
