"""Breaks of rule I1: an instance of a group with `on=all` beside the single group."""

from __future__ import annotations

from tests.sim.mutant import Mutant

INSTANCES: tuple[Mutant, ...] = (
    Mutant(
        "a voter supports a group and its instance",
        "I1",
        "mosha.core.cluster.group_votes",
        "if rivals.excluded(state, record.group) or rivals.runs(state, record.group):",
        "if False:",
        test="test_instances.py::"
        "test_v1_a_vote_for_an_instance_bars_one_for_the_group_and_not_for_other_instances",
    ),
    Mutant(
        "a vote for a rival does not bind",
        "I1",
        "mosha.core.cluster.rivals",
        "record.claim is not None or record.ballot.vote is not None",
        "record.claim is not None",
        test="test_instances.py::"
        "test_v1_a_vote_for_the_group_bars_one_for_any_instance_until_it_is_released",
    ),
    Mutant(
        "a vote is not refused where a rival runs",
        "I1",
        "mosha.core.cluster.group_votes",
        " or rivals.runs(state, record.group)",
        "",
        test="test_instances.py::"
        "test_v2_no_vote_for_a_group_whose_instance_a_fresh_status_shows_even_the_claimants",
    ),
    Mutant(
        "a term voted in for a rival is forgotten",
        "I1",
        "mosha.core.cluster.group_votes",
        "Ballot(None, rivals.voted(state, record.group))",
        "Ballot(None, record.ballot.voted)",
        test="test_instances.py::test_v2_no_vote_in_a_term_in_which_it_voted_for_a_rival",
    ),
    Mutant(
        "a group is claimed while an instance of it lives",
        "I1",
        "mosha.core.cluster.rivals",
        "return [node for name in names for node in state.view.holders(name, required)]",
        "return state.view.holders(group, required)",
        test="test_instances.py::"
        "test_c1_a_group_is_not_free_while_an_instance_is_claimed_or_active",
    ),
    Mutant(
        "the term of a claim is not above those of its rivals",
        "I1",
        "mosha.core.cluster.rivals",
        "return max(state.view.terms.get(name, 0) for name in (group, *rivals(state, group)))",
        "return state.view.terms.get(group, 0)",
        test="test_instances.py::test_c2_a_claim_has_a_term_above_those_of_its_rivals_only",
    ),
    Mutant(
        "a rival under a higher term supersedes nothing",
        "I1",
        "mosha.core.cluster.rivals",
        "return next(filter(None, (state.view.superseded(name, term) for name in names)), None)",
        "return state.view.superseded(names[0], term)",
        test="test_instances.py::"
        "test_g1_what_runs_is_killed_at_once_if_a_rival_runs_under_a_higher_term",
    ),
    Mutant(
        "a vote that was released for a rival is recovered",
        "I1",
        "mosha.core.cluster.recovery",
        "voted.get(name, 0) for name in (group, *rivals)",
        "voted.get(name, 0) for name in (group,)",
        test="test_instances.py::"
        "test_v4_of_a_vote_and_one_for_a_rival_in_a_higher_term_the_latter_is_kept",
    ),
    Mutant(
        "votes for two rivals in one term are recovered",
        "I1",
        "mosha.core.cluster.recovery",
        "if not any(name in votes and votes[name].term == vote.term for name in rivals):",
        "if True:",
        test="test_instances.py::"
        "test_v4_a_node_that_cannot_tell_which_of_two_rivals_it_is_bound_to_is_silent",
    ),
    Mutant(
        "a doubtful claim bars no vote for its rival",
        "I1",
        "mosha.core.cluster.recovery",
        "shown = {name for name in rivals if name in claims}",
        "shown = set()",
        test="test_instances.py::"
        "test_v5_a_claim_that_may_rely_on_a_forgotten_vote_bars_one_for_its_rival",
    ),
    Mutant(
        "an instance asks for no receipt once the group is single",
        "I1",
        "mosha.core.cluster.state",
        "if wish is None and self.written is not None:  # of an older table, or a rival",
        "if False:",
        test="test_instances.py::"
        "test_an_instance_asks_for_the_evidence_that_its_group_asks_for_in_any_table",
    ),
    Mutant(
        "nobody is woken when a rival has gone",
        "I1",
        "mosha.core.cluster.state",
        "self.to_step.update(self.view.instances.rivals(group))",
        "pass",
        test="test_instances.py::test_a_group_is_woken_when_an_instance_has_gone",
    ),
    Mutant(
        "only the instance of this node is restarted",
        "I1",
        "mosha.core.explain.addressees",
        "found |= concerned(state, replace(order, group=name), now)",
        "found = concerned(state, replace(order, group=name), now)",
        test="test_instances_told.py::"
        "test_a_restart_of_the_group_restarts_each_instance_and_of_an_instance_that_one",
    ),
    Mutant(
        "rivals are not known",
        "I1",
        "mosha.core.cluster.rivals",
        "return state.view.instances.rivals(group)",
        "return ()",
        explore="--nodes 2 --depth 6 --mixed",
    ),
    Mutant(
        "rivals are not known, as the simulator sees it",
        "I1",
        "mosha.core.cluster.rivals",
        "return state.view.instances.rivals(group)",
        "return ()",
    ),
)
