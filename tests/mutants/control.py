"""Mutants of sockets, files and the host."""

from __future__ import annotations

from tests.mutants.mutant import M, ShellMutant

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
        'if end.get("crc32") != f"{zlib.crc32(memoryview(data)[:start]):08x}":',
        "if False:",
        "formats/test_clstat.py::test_any_other_byte_anywhere_is_noticed",
    ),
    # --- sockets ---
    M(
        "a daemon that is too busy to accept is alive",
        "control/address.py",
        "return error.errno not in (errno.ECONNREFUSED, errno.ENOENT, errno.ENOTDIR)",
        "return False",
        "control/test_calls.py::test_a_daemon_that_is_too_busy_to_accept_is_alive",
    ),
    M(
        "a daemon that cannot be looked at is alive",
        "control/address.py",
        "        except OSError:  # unknown: it may be alive\n            return True",
        "        except OSError:\n            return False",
        "control/test_calls.py::test_a_daemon_that_cannot_be_looked_at_is_alive",
    ),
    M(
        "half an answer is none",
        "control/calls.py",
        '        if not chunk:\n            return b""',
        "        if not chunk:\n            return bytes(received)",
        "control/test_calls.py::test_half_an_answer_is_none",
    ),
    M(
        "another user's daemon is not missing",
        "control/calls.py",
        "    except PermissionError as error:\n"
        '        raise NotAllowedError(f"cannot talk to {path}: {error.strerror}") from error\n',
        "",
        "control/test_calls.py::test_the_socket_of_another_user_is_no_daemon_that_is_missing",
    ),
    M(
        "a subscription that is refused is an error",
        "control/client.py",
        "        if not reply.ok:\n"
        '            raise HostError(f"{path} refuses the subscription: {reply.text}")\n',
        "",
        "control/test_clients.py::test_a_subscription_that_is_refused_is_an_error",
    ),
    M(
        "of tells that came together one look at cltab will do",
        "control/server.py",
        "            client.heard_at = turn_began = loop.time()\n            for line",
        "            turn_began = loop.time()\n            for line",
        "control/test_clients.py::test_requests_that_came_together_were_heard_at_one_time",
    ),
    M(
        "of a client that is dropped nothing more is obeyed",
        "control/server.py",
        "        return not client.gone\n",
        "        return True\n",
        "control/test_clients.py::test_of_a_client_that_is_dropped_nothing_more_is_obeyed",
    ),
    M(
        "a client that has gone takes nobody's place",
        "control/server.py",
        "            self._clients.discard(client)\n            writer.close()",
        "            writer.close()",
        "control/test_clients.py::test_a_client_that_has_gone_takes_nobodys_place",
    ),
    M(
        "without descriptors a server does not spin",
        "control/server.py",
        "            await anyio.sleep(0.1)\n            return None",
        "            return None",
        "control/test_clients.py::"
        "test_without_descriptors_a_server_neither_spins_nor_floods_its_log",
    ),
    M(
        "the last answer is waited for until it is taken",
        "control/server.py",
        "        self._writer.transport.set_write_buffer_limits(high=0)\n",
        "",
        "control/test_clients.py::test_a_flush_waits_until_the_client_has_taken_all",
    ),
    # --- files and locks ---
    M(
        "what must outlive a power cut is flushed",
        "host/files.py",
        "            if sync:\n                os.fsync(fd)\n",
        "",
        "host/test_files.py::"
        "test_what_must_outlive_a_power_cut_is_flushed_before_and_after_its_rename",
    ),
    M(
        "so is its directory",
        "host/files.py",
        "    if sync:\n        os.fsync(directory)\n",
        "",
        "host/test_files.py::"
        "test_what_must_outlive_a_power_cut_is_flushed_before_and_after_its_rename",
    ),
    M(
        "a private file is private from its first byte on",
        "host/files.py",
        "fd = os.open(temporary, flags, mode & 0o700, dir_fd=directory)",
        "fd = os.open(temporary, flags, 0o666, dir_fd=directory)",
        "host/test_files.py::test_a_private_file_is_private_from_its_first_byte_on",
    ),
    M(
        "a short write does not replace a good file",
        "host/files.py",
        "    view = memoryview(data)\n    while view:\n        view = view[os.write(fd, view) :]",
        "    os.write(fd, data)",
        "host/test_files.py::test_on_a_full_disk_the_old_file_stays_and_no_temporary_one",
    ),
    M(
        "to make a lock again takes no descriptor",
        "host/lock_file.py",
        "        os.close(former)\n",
        "",
        "host/test_lock_file.py::test_to_make_a_lock_again_takes_no_descriptor",
    ),
    M(
        "nothing of a former holder stays in a lock file",
        "host/lock_file.py",
        "        os.ftruncate(fd, 0)\n",
        "",
        "host/test_lock_file.py::test_nothing_of_a_former_holder_stays_in_the_file",
    ),
    M(
        "to ask for a lock of somebody else takes no descriptor",
        "host/lock_file.py",
        "    except BlockingIOError:\n        os.close(fd)\n",
        "    except BlockingIOError:\n",
        "host/test_lock_file.py::test_to_ask_for_a_lock_of_somebody_else_takes_no_descriptor",
    ),
    M(
        "a lock is no link to a file elsewhere",
        "host/lock_file.py",
        " | os.O_NOFOLLOW\n    fd = os.open(path, flags, MODE)",
        "\n    fd = os.open(path, flags, MODE)",
        "host/test_lock_file.py::test_nobody_else_can_open_a_lock_and_it_is_no_link",
    ),
    # --- the log and /proc ---
    M(
        "as much as you like passes through the log",
        "host/line_queue.py",
        "            with self.news:\n                self.queued_bytes -= sum(map(len, lines))",
        "            pass",
        "host/test_line_queue.py::test_as_much_as_you_like_passes_through_it_if_it_is_taken",
    ),
    M(
        "a thread that could not be started is started with the next line",
        "host/line_queue.py",
        "            self._thread = None\n            self._reason = str(error)",
        "            self._reason = str(error)",
        "host/test_line_queue.py::"
        "test_a_thread_that_could_not_be_started_is_started_with_the_next_line",
    ),
    M(
        "the thread of the log takes no signal of the daemon",
        "host/line_queue.py",
        "        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n",
        "",
        "host/test_line_queue.py::test_its_thread_takes_no_signal_of_the_daemon",
    ),
    M(
        "a line that was written in part joins no other",
        "host/log_stream.py",
        "            self._torn = rest[count - 1] != 0x0A\n",
        "",
        "host/test_line_queue.py::"
        "test_a_line_that_was_written_in_part_has_the_next_one_on_a_line_of_its_own",
    ),
    M(
        "a reader that stands still costs no time of the processor",
        "host/log_stream.py",
        "                self._poll.poll()\n                continue",
        "                continue",
        "host/test_line_queue.py::test_a_reader_that_stands_still_is_waited_for_and_not_asked_again_and_again",
    ),
    M(
        "all threads of a process are looked at",
        "host/proc.py",
        "st_nlink <= 3:",
        "st_nlink <= 4:",
        "host/test_proc.py::test_all_threads_of_a_process_are_looked_at",
    ),
    M(
        "the client that goes for another one is the one that has asked nothing for longest",
        "control/server.py",
        "            client.asked_at = loop.time()\n",
        "",
        "control/test_sockets.py::test_who_asked_last_is_not_idle_however_long_ago_it_came[3]",
    ),
    M(
        "a daemon that begins to answer gets no second time limit",
        "control/calls.py",
        "        connection.settimeout(left_s)\n",
        "",
        "control/test_calls.py::"
        "test_a_daemon_that_begins_to_answer_has_no_more_time_than_one_that_does_not",
    ),
    M(
        "of two that pass over a lock one gets it",
        "host/lock_file.py",
        "            if fd is None:\n                raise HeldError(path, 0)",
        "            if fd is None:\n                fd = os.open(path, os.O_RDWR)",
        "host/test_lock_file.py::test_of_two_that_pass_over_the_same_lock_one_has_it",
    ),
    M(
        "a request may begin in the piece that ends another one",
        "control/server.py",
        "                begun[:] = rest\n",
        "                begun.clear()\n",
        "control/test_sockets.py::test_a_request_may_begin_in_the_piece_that_ends_another",
    ),
)
