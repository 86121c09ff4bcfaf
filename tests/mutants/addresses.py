"""Mutants of addresses: the process that holds one, and what clinit does for it."""

from __future__ import annotations

from tests.mutants.mutant import M, ShellMutant

ADDRESSES: tuple[ShellMutant, ...] = (
    M(
        "a lifetime ends before kill_at",
        "address/lifetime.py",
        "usable_s = left_s - late",
        "usable_s = left_s",
        "address/test_lifetime.py::test_a_lifetime_is_over_by_kill_at_however_late_the_kernel_is",
    ),
    M(
        "a stop that leaves the address has failed",
        "address/holder.py",
        "            status = STOP_FAILED\n",
        "            pass\n",
        "address/test_holder.py::test_a_stop_that_leaves_the_address_has_failed",
    ),
    M(
        "an address is removed whatever lifetime it has by then",
        "address/holder.py",
        "has_holder(found) or (self._expires_at > 0 and self._is_here(found))",
        "has_holder(found)",
        "address/test_holder.py::"
        "test_an_address_that_somebody_has_made_to_last_is_removed_all_the_same",
    ),
    M(
        "a holder keeps to its lease",
        "address/holder.py",
        "lifetime = lifetime_s(lease.kill_at - now, late_s(lease.longest_s))",
        "lifetime = lifetime_s(60.0)",
        "address/test_holder.py::"
        "test_frozen_it_has_lost_its_address_when_clinit_would_kill_it[192.0.2.80]",
    ),
    M(
        "an address that another host has is not added",
        "address/holder.py",
        "quiet = 0 if owner else quiet + 1",
        "quiet += 1",
        "address/test_holder.py::test_who_has_it_already_is_named[192.0.2.80]",
    ),
    M(
        "a former owner has time to lose it",
        "address/holder.py",
        "if owner and boottime() >= limit:",
        "if owner:",
        "address/test_holder.py::test_a_former_owner_may_lose_it_meanwhile",
    ),
    M(
        "an address that is being checked is not ready",
        "address/holder.py",
        "if found is None or found.tentative:",
        "if found is None:",
        "address/test_holder.py::"
        "test_it_is_there_when_it_is_ready_and_gone_when_it_has_ended[2001:db8::80]",
    ),
    M(
        "the loss of an address is noticed at once",
        "address/holder.py",
        "if usable and lost:",
        "if False:",
        "address/test_holder.py::"
        "test_what_somebody_removes_is_added_again_and_announced[192.0.2.80]",
    ),
    M(
        "neighbours are told again when the cable is back",
        "address/holder.py",
        '            self._tell(f"{self._held.interface} can be used again")\n'
        "            self._announce_anew(now)\n",
        '            self._tell(f"{self._held.interface} can be used again")\n',
        "address/test_holder.py::test_it_is_announced_again_when_the_cable_is_plugged_in_again",
    ),
    M(
        "an address of the administrator is not taken over",
        "address/removal.py",
        "return found.left_s is not None and found.left_s <= LIFETIME_S",
        "return True",
        "address/test_holder.py::test_an_address_of_the_administrator_is_refused_and_stays",
    ),
    M(
        "what an earlier holder has left is not interrupted",
        "address/holder.py",
        "if self._is_here(found) and not (found.tentative or found.duplicate):",
        "if False:",
        "address/test_holder.py::test_the_next_one_takes_over_what_a_killed_one_has_left",
    ),
    M(
        "a group has not stopped before its addresses are gone",
        "clinit/engine.py",
        " and self._addresses.are_gone(group)",
        "",
        "clinit/test_addresses.py::"
        "test_a_group_has_not_stopped_before_what_a_kill_has_left_is_gone[cgroup]",
    ),
    M(
        "only a holder that ended well has removed its address",
        "clinit/held_addresses.py",
        "        if how.well:\n",
        "        if how:\n",
        "clinit/test_addresses.py::"
        "test_a_group_has_not_stopped_before_what_a_kill_has_left_is_gone[cgroup]",
    ),
    M(
        "a holder is told of each renewal of its lease",
        "clinit/engine.py",
        "            self._addresses.leases.renew(self.supervisor.units)\n",
        "",
        "clinit/test_addresses.py::test_a_lease_that_is_renewed_keeps_the_address[cgroup]",
    ),
    M(
        "the next clinit removes what was left",
        "clinit/daemon.py",
        "    await remove_left(options.state_dir)\n",
        "",
        "clinit/test_addresses.py::"
        "test_the_next_clinit_removes_what_was_left_before_it_answers[cgroup]",
    ),
    M(
        "the next clinit knows which addresses there were",
        "clinit/held_addresses.py",
        "            await self._save()\n",
        "",
        "clinit/test_addresses.py::"
        "test_the_next_clinit_removes_what_was_left_before_it_answers[cgroup]",
    ),
    M(
        "times that leave an address no room are said",
        "cli/check/addresses.py",
        "    if left_s < ROOM_S:",
        "    if False:",
        "cli/test_check_addresses.py::test_times_that_leave_no_room_for_a_lifetime_are_a_warning",
    ),
)
