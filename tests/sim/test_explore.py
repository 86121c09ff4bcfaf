"""Every schedule of a small scope, and that a broken rule is found in it."""

from __future__ import annotations

import pytest

from mosha.core.cluster.quorum import Electorate
from mosha.core.instance_names import instance
from tests.sim.explore import GROUP, BrokenError, explore, warm


@pytest.mark.parametrize(("nodes", "depth", "states_min"), [(2, 4, 300), (3, 3, 200)])
@pytest.mark.parametrize("owned", [False, True])
def test_no_schedule_of_a_small_scope_makes_two_instances(
    nodes: int, depth: int, states_min: int, *, owned: bool
) -> None:
    assert explore(nodes, depth, owned=owned) >= states_min


@pytest.mark.parametrize(("nodes", "depth", "states_min"), [(2, 4, 300), (3, 3, 200)])
@pytest.mark.parametrize("owned", [False, True])
def test_no_schedule_of_edits_makes_an_instance_beside_the_single_group(
    nodes: int, depth: int, states_min: int, *, owned: bool
) -> None:
    assert explore(nodes, depth, owned=owned, mixed=True) >= states_min


def test_the_group_runs_on_node_1_in_a_cluster_that_is_said_to_own_it() -> None:
    assert warm(3, owned=True).running() == [(1, GROUP)]
    instances = [(node, instance(GROUP, node)) for node in (2, 3)]
    assert warm(3, owned=True, mixed=True).running() == instances


def test_a_vote_for_both_of_two_rivals_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mosha.core.cluster.rivals.rivals", lambda _state, _group: ())
    with pytest.raises(BrokenError):
        explore(2, 6, owned=False, mixed=True)


def test_a_quorum_of_half_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    half = property(lambda self: (len(self.nodes) + 1) // 2)
    monkeypatch.setattr(Electorate, "needed", half)
    with pytest.raises(BrokenError, match="publish"):
        explore(2, 4, owned=False)
