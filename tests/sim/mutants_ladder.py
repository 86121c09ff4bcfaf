"""Breaks of the rules of what follows failures: `on-failure=` of hactl."""

from __future__ import annotations

from tests.sim.mutant import Mutant

GIVING_UP = "mosha.core.cluster.giving_up"
EXHAUSTION = "mosha.core.cluster.exhaustion"
TO_ITS_END = "a-ladder-to-its-end"

LADDER: tuple[Mutant, ...] = (
    Mutant(
        "only the moves of this node count",
        "ladder",
        GIVING_UP,
        "for status in state.view.mentioning(record.group):",
        "for status in ():",
        scenario=TO_ITS_END,
    ),
    Mutant(
        "a move is never forgotten",
        "ladder",
        GIVING_UP,
        "return sorted(at for at in times if at > now - ladder.moves_within_s)",
        "return sorted(times)",
        test="test_ladder.py::test_a_move_that_is_forgotten_counts_no_more",
    ),
    Mutant(
        "a move is published for ever",
        "ladder",
        GIVING_UP,
        "for at in record.gave_up_at if at > since)",
        "for at in record.gave_up_at)",
        test="test_ladder.py::test_a_move_that_is_forgotten_counts_no_more",
    ),
    Mutant(
        "a monitor that is restarted forgets its moves",
        "ladder",
        GIVING_UP,
        "state.record(group).gave_up_at = tuple(now - age_s for age_s in ages)",
        "state.record(group)",
        test="test_ladder.py::test_a_monitor_that_is_restarted_goes_on_counting_the_moves",
    ),
    Mutant(
        "one move more than hactl allows",
        "ladder",
        GIVING_UP,
        "len(moved_at(state, record, now)) >= ladder.moves",
        "len(moved_at(state, record, now)) > ladder.moves",
        scenario=TO_ITS_END,
    ),
    Mutant(
        "where a move was forgotten the group stays all the same",
        "ladder",
        GIVING_UP,
        "return min(moved_at(state, record, now), default=NEVER) + ladder.moves_within_s",
        "return NEVER",
        test="test_ladder.py::test_a_step_is_due_when_the_oldest_move_is_forgotten",
    ),
    Mutant(
        "nothing is stopped for good",
        "ladder",
        GIVING_UP,
        "return Rung.STOP if ladder.stops else Rung.STAY",
        "return Rung.STAY",
        scenario=TO_ITS_END,
    ),
    Mutant(
        "why counts a failure less",
        "ladder",
        GIVING_UP,
        "_what_follows(state, record, ladder, ladder.failures - count, now)",
        "_what_follows(state, record, ladder, ladder.failures - count + 1, now)",
        storm="crashloop",
    ),
    Mutant(
        "why predicts a move though none is left",
        "ladder",
        GIVING_UP,
        "match following(state, record, ladder, now):",
        "match Rung.MOVE if able else following(state, record, ladder, now):",
        test="test_ladder.py::test_without_stop_it_stays_until_a_move_is_forgotten",
    ),
    Mutant(
        "what is stopped for good is not claimed any more",
        "ladder",
        "mosha.core.cluster.group_rules",
        "f.exhausted and not f.here, Action.WAIT)",
        "f.exhausted and not f.here, Action.RELEASE)",
        scenario=TO_ITS_END,
    ),
    Mutant(
        "a monitor that is restarted starts what was stopped for good",
        "ladder",
        EXHAUSTION,
        "        if not reason or term is None:\n",
        "        if True:\n",
        scenario=TO_ITS_END,
    ),
    Mutant(
        "a stop for good is not published",
        "ladder",
        EXHAUSTION,
        "for group, it in state.claimed.items() if it.exhausted}",
        "for group, it in state.claimed.items() if False}",
        test="test_ladder.py::test_every_node_says_so_and_what_to_do",
    ),
    Mutant(
        "cleanup starts nothing that was stopped for good",
        "ladder",
        "mosha.core.cluster.orders",
        "    exhaustion.end(state, record)\n",
        "",
        scenario=TO_ITS_END,
    ),
    Mutant(
        "cleanup forgets no moves",
        "ladder",
        "mosha.core.cluster.orders",
        "    record.gave_up_at = ()\n",
        "",
        test="test_ladder.py::test_cleanup_starts_it_and_forgets_all_moves",
    ),
    Mutant(
        "level stop does not end a stop for good",
        "ladder",
        EXHAUSTION,
        "if unwanted or leaving or",
        "if leaving or",
        test="test_ladder.py::test_level_stop_in_hactl_ends_it",
    ),
    Mutant(
        "a node that leaves keeps what was stopped for good",
        "ladder",
        EXHAUSTION,
        "if unwanted or leaving or",
        "if unwanted or",
        test="test_ladder.py::test_if_its_node_leaves_another_one_starts_it",
    ),
    Mutant(
        "who was overtaken goes on with its stop for good",
        "ladder",
        EXHAUSTION,
        "claim is None or known > claim:",
        "claim is None:",
        test="test_ladder.py::test_who_was_cut_off_and_overtaken_has_stopped_nothing_for_good_any_more",
    ),
)
