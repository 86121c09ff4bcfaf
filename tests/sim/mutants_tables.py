"""Breaks of the machine of a table: found, settled, judged, stored, written, announced."""

from __future__ import annotations

from tests.sim.mutant import Mutant

TABLES: tuple[Mutant, ...] = (
    Mutant(
        "a file is taken before it has settled",
        "H4",
        "mosha.core.replication.table_settling",
        "return seen == self._steady",
        "return True",
        test="test_table_replica.py::test_what_looks_unfinished_settles_longer",
    ),
    Mutant(
        "a file is taken though it changed in the pause",
        "H4",
        "mosha.core.replication.table_settling",
        "elif seen == self.found:",
        "else:",
        test="test_table_replica.py::test_a_file_that_changes_in_the_pause_pauses_again",
    ),
    Mutant(
        "a version is in force that is not on the disk",
        "H4",
        "mosha.core.replication.table_adoption",
        "        if event.error:\n            problem",
        "        if not event:\n            problem",
        test="test_table_replica.py::test_a_version_that_cannot_be_stored_is_not_in_force",
    ),
    Mutant(
        "a version is announced before the own file shows it",
        "H4",
        "mosha.core.replication.table_own",
        "if record.force is self._before or record.force is self._held:",
        "if record.force is not None:",
        test="test_table_replica.py::"
        "test_the_newest_version_of_the_peers_is_read_stored_and_written_into_the_own_file",
        more=(
            (
                "mosha.core.replication.table_adoption",
                "        record.news = True\n        record.drop",
                "        record.announce()\n        record.news = True\n        record.drop",
            ),
        ),
    ),
    Mutant(
        "an old file that was put back is written over without a word",
        "H4",
        "mosha.core.replication.table_own",
        "            record.agreed()\n",
        "",
        test="test_table_replica.py::test_who_puts_an_old_file_back_hears_that_it_was_put_aside",
    ),
    Mutant(
        "a text that is not kept is written over",
        "H4",
        "mosha.core.replication.table_own",
        "        elif error:\n            record.unwritten(error)",
        "        elif not record:\n            record.unwritten(error)",
        test="test_table_replica.py::test_what_cannot_be_kept_is_not_written_over",
    ),
    Mutant(
        "an edit that comes during a write is not looked at",
        "H4",
        "mosha.core.replication.table_own",
        "            self.wanted = True  # an edit came in between\n",
        "",
        test="test_table_replica.py::test_an_edit_that_comes_during_a_write_is_looked_at",
    ),
    Mutant(
        "what lies on another mount is the own file",
        "H4",
        "mosha.core.replication.table_own",
        "if mount == self._mount:",
        "if mount:",
        test="test_table_replica.py::test_what_lies_on_another_mount_is_not_this_nodes_file",
    ),
    Mutant(
        "a peer that failed is not passed over",
        "H4",
        "mosha.core.replication.table_peers",
        "        self._asked.add(node)\n        if version",
        "        if version",
        test="test_table_replica.py::"
        "test_a_peer_that_cannot_be_read_is_asked_again_after_pauses_and_then_no_more",
    ),
    Mutant(
        "of two edits of one moment the earlier is lost",
        "H4",
        "mosha.core.replication.table_adoption",
        "if not apart(mine.version, mine.past, new.version, new.past):",
        "if apart(mine.version, mine.past, new.version, new.past):",
        test="test_table_replica.py::test_versions_that_were_made_beside_each_other_are_joined",
    ),
    Mutant(
        "what has come into force is not written into the own file",
        "H4",
        "mosha.core.replication.table_replica",
        "if self.record.force is not force:",
        "if self.record.force is None:",
        test="test_table_replica.py::"
        "test_the_newest_version_of_the_peers_is_read_stored_and_written_into_the_own_file",
    ),
    Mutant(
        "an edit is written over what came into force meanwhile",
        "H4",
        "mosha.core.replication.table_edits",
        "elif self._hactl.record.force is not base:",
        "elif self._hactl.record.force is None:",
        test="test_table_edits.py::"
        "test_an_edit_is_not_written_over_what_has_come_into_force_meanwhile",
        more=(
            ("mosha.core.replication.table_own", "if record.force is not put.base:", "if not put:"),
        ),
    ),
    Mutant(
        "an edit is older than what a peer has",
        "H4",
        "mosha.core.replication.table_own",
        "next_mtime_ns(known, record.wall_ns)",
        "record.wall_ns",
        test="test_table_edits.py::test_an_edit_wins_against_all_that_is_known",
    ),
)
