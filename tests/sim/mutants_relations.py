"""Mutants of groups that relate: `after=`, `with=`, `apart=` (S1 to S4)."""

from __future__ import annotations

from tests.sim.mutant import Mutant

STEP, RULES = "mosha.core.cluster.group_step", "mosha.core.cluster.group_rules"
ELIGIBILITY, ASKED = "mosha.core.cluster.eligibility", "mosha.core.cluster.relation_rules"
JUDGED, STATE = "mosha.core.cluster.relations", "mosha.core.cluster.state"
STORY = "related-groups"

RELATIONS = (
    Mutant(
        "after= is not asked before a claim",
        "S1",
        ELIGIBILITY,
        "    AFTER,\n    ONLY,",
        "    ONLY,",
        scenario=STORY,
    ),
    Mutant(
        "a group goes on from its tests without what it comes after",
        "S1",
        RULES,
        "f.granted and _tested(f) and f.waits, Action.WAIT)",
        "False, Action.WAIT)",
        test="test_relations.py::test_it_waits_at_test_while_the_node_of_the_other_is_not_heard",
    ),
    Mutant(
        "what is about to leave its level counts as at it",
        "S1",
        JUDGED,
        "return arrived and self.term is not None and not self.leaving",
        "return arrived and self.term is not None",
        scenario=STORY,
    ),
    Mutant(
        "another instance is taken for the one before",
        "S1",
        JUDGED,
        "(place.node, place.term) == bound and place.is_at(level)",
        "place.is_at(level)",
        test="test_relations.py::test_a_group_is_bound_to_one_instance",
    ),
    Mutant(
        "silence ends what comes after",
        "S1",
        JUDGED,
        "    if bound.node == state.me or state.view.speaks(bound.node):\n",
        "    if True:\n",
        test="test_relations.py::test_silence_alone_stops_nothing",
    ),
    Mutant(
        "what started elsewhere does not end what came after the silent one",
        "S1",
        JUDGED,
        "        return True\n    return _has_gone_on(seen)\n",
        "        return True\n    return False\n",
        test="test_relations.py::"
        "test_a_node_that_is_not_heard_says_nothing_until_the_group_is_seen_elsewhere",
    ),
    Mutant(
        "a group waits at its tests for what was stopped for good",
        "S1",
        JUDGED,
        "return _has_gone_on(seen) or not _may_run_unseen(state, group)",
        "return bool(_running(seen)) or not _may_run_unseen(state, group)",
        test="test_relations.py::"
        "test_what_waits_for_a_group_that_was_stopped_for_good_waits_no_longer",
    ),
    Mutant(
        "a monitor that is restarted binds nothing",
        "S1",
        JUDGED,
        "        return\n    bind(state, record)\n",
        "        return\n",
        test="test_relations.py::test_a_restart_of_the_monitor_stops_nothing",
    ),
    Mutant(
        "a stop in good order waits for nothing",
        "S2",
        RULES,
        'Row("held back", _held_back, Action.HOLD)',
        'Row("held back", lambda f: False, Action.HOLD)',
        scenario=STORY,
    ),
    Mutant(
        "a stop waits for ever",
        "S2",
        JUDGED,
        "now >= record.leaving_since + HOLD_LIMIT_S:",
        "now < 0.0:",
        test="test_relations.py::test_a_stop_waits_no_longer_than_its_limit",
    ),
    Mutant(
        "a stop waits for what has failed at stop",
        "S2",
        JUDGED,
        "if (place.line.level, place.line.state) != (STOP_LEVEL, GroupState.FAILED):",
        "if True:",
        test="test_relations.py::test_what_has_failed_at_stop_holds_nothing_back",
    ),
    Mutant(
        "that a group is about to leave is not published",
        "S2",
        JUDGED,
        "return {group: it.leaving for group, it in state.claimed.items() if it.leaving}",
        "return {}",
        scenario=STORY,
    ),
    Mutant(
        "a group that stays is still about to leave",
        "S2",
        STEP,
        "        case Action.REST | Action.TEST:\n            relations.stay(state, record)\n",
        "        case Action.REST | Action.TEST:\n            pass\n",
        scenario=STORY,
    ),
    Mutant(
        "a move is over before what stops first has stopped",
        "S2",
        "mosha.core.cluster.orders",
        "if GroupState.STOPPING in states or record.leaving:",
        "if GroupState.STOPPING in states:",
        test="test_relations.py::test_a_move_lasts_as_long_as_what_has_to_stop_first",
    ),
    Mutant(
        "with= is not asked",
        "S3",
        ELIGIBILITY,
        "    with_rule(lambda case: broken(case)),  # noqa: PLW0108 - it is defined below\n",
        "",
        scenario=STORY,
    ),
    Mutant(
        "what is with a group stays when that is to leave",
        "S3",
        ASKED,
        "if case.mine and (rule := broken(its)) is not None:",
        "if case.mine and (rule := None) is not None:",
        test="test_relations.py::test_it_stops_when_the_other_is_not_to_run_here_any_more",
    ),
    Mutant(
        "a restart ends what is with a group",
        "S3",
        JUDGED,
        "    if ends and not (stays and starts_again):\n",
        "    if ends:\n",
        test="test_relations.py::test_a_restart_of_the_one_leaves_the_other_running",
    ),
    Mutant(
        "apart= is not asked",
        "S4",
        ELIGIBILITY,
        "    APART,\n",
        "",
        scenario=STORY,
    ),
    Mutant(
        "of two on one node both leave",
        "S4",
        JUDGED,
        "_holds(state, group, node) and not _gives_way(state, group, other)",
        "False",
        test="test_relations.py::test_of_two_that_are_on_one_node_one_leaves",
    ),
    Mutant(
        "of two on one node none leaves",
        "S4",
        JUDGED,
        "_holds(state, group, node) and not _gives_way(state, group, other)",
        "_holds(state, group, node)",
        test="test_relations.py::test_of_two_that_are_on_one_node_one_leaves",
    ),
    Mutant(
        "a group that was freed does not wake those that relate to it",
        "S1",
        STATE,
        "            self.wake_concerned(group)\n",
        "",
        scenario=STORY,
    ),
)
