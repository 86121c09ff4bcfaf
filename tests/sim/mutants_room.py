"""Breaks of the rules of who gets the room of a node: `weight=`, `capacity` and `priority=`."""

from __future__ import annotations

from tests.sim.mutant import Mutant

CAPACITY = "mosha.core.cluster.capacity"
PLACEMENT = "mosha.core.cluster.placement"
PREEMPTION = "mosha.core.cluster.preemption"
GAVE_WAY = "mosha.core.cluster.gave_way"

ROOM: tuple[Mutant, ...] = (
    Mutant(
        "a node takes any weight",
        "room",
        CAPACITY,
        "return room is None or weight_of(state, group) <= room or group in held(state, node)",
        "return True",
        more=((PLACEMENT, "if node not in most or carried", "if True or carried"),),
        test="test_capacity.py::test_what_is_being_stopped_counts_until_it_is_gone",
    ),
    Mutant(
        "an edit of a weight stops what runs",
        "room",
        CAPACITY,
        "return room is None or weight_of(state, group) <= room or group in held(state, node)",
        "return room is None or weight_of(state, group) <= room",
        test="test_capacity.py::test_an_edit_stops_nothing_that_runs",
    ),
    Mutant(
        "groups count, not their weights",
        "room",
        CAPACITY,
        "return USUAL_WEIGHT if wish is None else wish.weight",
        "return USUAL_WEIGHT",
        test="test_capacity.py::test_weights_count_in_any_unit",
    ),
    Mutant(
        "who waits for room is forgotten",
        "room",
        "mosha.core.cluster.state",
        "        self.to_step |= self.crowded\n",
        "",
        test="test_capacity.py::test_a_group_that_waits_for_room_is_looked_at_again_at_every_change",
    ),
    Mutant(
        "free groups are placed by name alone",
        "room",
        PLACEMENT,
        "return (-wish.priority, wish.group)",
        "return (0, wish.group)",
        test="test_placement.py"
        "::test_a_node_without_room_is_not_ranked_and_the_highest_priority_gets_what_is_left",
    ),
    Mutant(
        "a group of the same priority gives way",
        "P1",
        PREEMPTION,
        "if _priority(state, it) < wish.priority]",
        "if _priority(state, it) <= wish.priority]",
        test="test_preemption.py::test_only_a_higher_priority_pushes_out",
    ),
    Mutant(
        "more groups give way than needed",
        "P1",
        PREEMPTION,
        "if group not in apart and surplus + weight <= 0:",
        "if False:",
        test="test_preemption.py"
        "::test_no_more_groups_give_way_than_needed_and_those_of_the_lowest_priority",
    ),
    Mutant(
        "a group gives way where others are being stopped already",
        "P1",
        PREEMPTION,
        "            if _ends(state, group, line):\n                continue\n",
        "",
        test="test_preemption.py"
        "::test_where_something_is_being_stopped_nothing_else_has_to_give_way",
    ),
    Mutant(
        "room that is made is given away",
        "P1",
        PLACEMENT,
        "node = order[0] if order else reserved.get(wish.group)",
        "node = order[0] if order else None",
        test="test_preemption.py::test_room_that_is_made_is_not_given_to_what_is_placed_later",
    ),
    Mutant(
        "what a group needs gives way to it",
        "P1",
        PREEMPTION,
        "for it in taken.movable - needed if",
        "for it in taken.movable if",
        test="test_preemption.py::test_what_a_group_needs_does_not_give_way_to_it",
    ),
    Mutant(
        "what has failed at stop makes room",
        "P1",
        PREEMPTION,
        "return line.state not in SETTLED",
        "return True",
        test="test_preemption.py::test_what_cannot_be_stopped_neither_gives_way_nor_makes_room",
    ),
    Mutant(
        "a group gives way before the view is sure",
        "P1",
        PREEMPTION,
        "return state.view.quorum_state is QuorumState.YES and not state.silent(now)",
        "return True",
        test="test_preemption.py"
        "::test_without_a_quorum_or_in_doubt_where_it_runs_nothing_gives_way",
    ),
    Mutant(
        "a node takes any weight, in drawn worlds",
        "room",
        CAPACITY,
        "return room is None or weight_of(state, group) <= room or group in held(state, node)",
        "return True",
        more=((PLACEMENT, "if node not in most or carried", "if True or carried"),),
    ),
    Mutant(
        "nobody gives way",
        "P1",
        PREEMPTION,
        "    if not waiting or not _is_sure(state, now):\n",
        "    if True:\n",
        scenario="a-higher-priority-gets-room",
    ),
    Mutant(
        "to what a group gave way is not published",
        "P1",
        GAVE_WAY,
        "    record.gave_way, record.gave_way_at = GaveWay(by, priority, record.claim or 0), now\n",
        "",
        test="test_gave_way.py::test_every_node_says_to_what_it_gave_way_where_and_when",
    ),
    Mutant(
        "to what a group gave way is forgotten with the monitor",
        "P1",
        GAVE_WAY,
        "if former.state is not NodeState.LEFT:",
        "if False:",
        test="test_gave_way.py::test_a_monitor_that_is_restarted_goes_on_saying_it_with_the_right_age",
    ),
    Mutant(
        "a group that runs again still gives way",
        "P1",
        "mosha.core.cluster.group_step",
        "record.in_place = record.gave_way = None",
        "record.in_place = None",
        test="test_gave_way.py::test_what_is_claimed_again_says_it_no_longer_and_elsewhere_only_why_does",
    ),
    Mutant(
        "a group that nobody wants still gives way",
        "P1",
        GAVE_WAY,
        "if record.gave_way is not None and unwanted:",
        "if False:",
        test="test_gave_way.py::test_what_is_claimed_again_says_it_no_longer_and_elsewhere_only_why_does",
    ),
    Mutant(
        "what an old claim gave way to explains a new wait",
        "P1",
        GAVE_WAY,
        "if found is None or found[1].term < rivals.known_term(state, group):",
        "if found is None:",
        test="test_gave_way.py::test_what_is_claimed_again_says_it_no_longer_and_elsewhere_only_why_does",
    ),
    Mutant(
        "what was done long ago is an event where it is heard",
        "P1",
        "mosha.core.explain.transitions",
        "return subject in after and node not in (ABSENT, Standing.LEFT, Standing.FENCED)",
        "return subject in after",
        test="test_transitions.py::test_what_a_node_did_before_it_was_heard_is_no_event",
    ),
)
