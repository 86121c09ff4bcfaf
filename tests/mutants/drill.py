"""Mutants of drills, and of what status says of tests and probation."""

from __future__ import annotations

from tests.mutants.mutant import M, ShellMutant

DRILL: tuple[ShellMutant, ...] = (
    M(
        "a group that runs nowhere holds up a drill",
        "cli/drill_checks.py",
        "if not _is_home(view, heard)",
        "if False",
        "cli/test_drill.py::test_it_shoots_when_each_group_is_at_its_level_on_another_node",
    ),
    M(
        "a group that no other node may take is said before a drill",
        "cli/drill_checks.py",
        "view.not_here.keys() >= set(others)",
        "not others",
        "cli/test_drill.py::"
        "test_a_group_that_no_other_node_may_take_is_said_before_anything_is_done",
    ),
    M(
        "half of an even cluster is enough where the other half is gone",
        "cli/drill_checks.py",
        "(is_half and voters - heard <= gone)",
        "is_half",
        "cli/test_drill.py::test_a_node_that_the_quorum_needs_is_not_drilled_by_yes",
    ),
    M(
        "what speaks against a drill is looked at again before the shot",
        "cli/commands/drill.py",
        "        and steps.check(agreed)\n",
        "",
        "cli/test_drill.py::test_what_speaks_against_it_later_ends_it_before_the_shot",
    ),
    M(
        "what was never tested is not good",
        "cli/status/page.py",
        "for test in well if test.good_at is not None",
        "for test in well",
        "cli/test_status.py::test_what_was_never_tested_does_not_count_as_good",
    ),
    M(
        "probation that another node keeps is shown here",
        "core/cluster/probation.py",
        "sorted(told | state.deaths.nodes)",
        "sorted(state.deaths.nodes)",
        "monitor/test_report.py::test_a_node_on_probation_is_a_problem_on_every_node",
    ),
)
