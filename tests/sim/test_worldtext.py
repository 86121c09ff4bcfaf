"""Mistakes in a scenario, or in the words of the simulator, are named; none is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosha.errors import UsageError
from tests.sim import __main__ as simulator
from tests.sim import story
from tests.sim.draw import draw
from tests.sim.mutants import MUTANTS
from tests.sim.mutants import find as find_mutant
from tests.sim.world import (
    AGENTS,
    CHANGING,
    DYING,
    FAILING,
    FENCING_ORDERS,
    KINDS,
    MONITORING,
    ORDERS,
    READYING,
    STARTING,
    WEATHER,
)
from tests.sim.worldrules import (
    ALL_KINDS,
    BETWEEN,
    LASTING,
    MEASURED,
    WORDS,
    mistakes,
)
from tests.sim.worldtext import parse

GOOD = "# a comment\nnodes 3\ngroup g1 prefer=1\nchaos_s 40.0\nat 20.0 crash nodes=1 lasts=2.0\n"

# The line that is added to the good world -> what is said of it.
MISTAKES = {
    "nods 3": "unknown line 'nods': did you mean 'nodes'?",
    "nodes 4": "there is a line 'nodes' already",
    "lag_s soon": "lag_s: not understood: 'soon'; write 2.5",
    "lag_s inf": "lag_s: not understood: 'inf'; write 2.5",
    "lag_s": "lag_s has one value: lag_s 2.5",
    "adaptive maybe": "adaptive: not understood: 'maybe'; write yes or no",
    "timing timeot_s=10.0": "unknown word 'timeot_s': did you mean 'timeout_s'?",
    "rates 1.0 1.0": "2 rates for 3 nodes",
    "told_of 9": "told_of: no node 9: the world has nodes 1 to 3",
    "dead 4": "dead: no node 4",
    "unfit 0": "unfit: no node 0",
    "fence outcomes=wroks": "unknown outcome 'wroks': did you mean 'works'?",
    "group": "a group is `group NAME",
    "group g1": "there is a group 'g1' already",
    "group g:2": "not the name of a group: 'g:2'",
    "group g2 prefr=1": "unknown word 'prefr': did you mean 'prefer'?",
    "group g2 name=g3": "unknown word 'name'",
    "group g2 prefer": "'prefer' is not NAME=VALUE; known: prefer, only,",
    "group g2 prefer=9": "prefer: no node 9",
    "group g2 only=9": "only: no node 9",
    "group g2 level=strat": "unknown level 'strat': did you mean 'start'?",
    "at 20.0": "a group is `group NAME …`, a fault `at SECONDS KIND",
    "at soon crash nodes=1": "at: not understood: 'soon'",
    "at 20.0 kut nodes=1": "unknown fault 'kut': did you mean 'cut'? known: cut, lag,",
    "at 20.0 crash nodes=9": "nodes: no node 9: the world has nodes 1 to 3",
    "at 20.0 crash nodes=one": "nodes: not understood: 'one'; write 1,2,3",
    "at 20.0 crash": "crash without nodes does nothing: add nodes=1",
    "at 20.0 crash nodes=1 last=2": "unknown word 'last': did you mean 'lasts'?",
    "at 20.0 crash nodes=1 nodes=2": "nodes is there twice",
    "at 20.0 crash nodes=1 word=g1": "crash has no word",
    "at 20.0 crash nodes=1 others=2": "crash has no others",
    "at 40.0 crash nodes=1": "begins at 40: all faults end at chaos_s, 40",
    "at -1.0 crash nodes=1": "begins at -1",
    "at 20.0 crash nodes=1 lasts=-1.0": "add lasts=SECONDS",
    "at 20.0 cut nodes=1 other=2": "unknown word 'other': did you mean 'others'?",
    "at 20.0 cut nodes=1 word=eio lasts=2.0": "cut needs others: add others=2",
    "at 20.0 cut others=1 word=eio lasts=2.0": "cut without nodes does nothing",
    "at 20.0 cut nodes=1 others=2 lasts=2.0": "cut needs a word: unknown word '': known: eio,",
    "at 20.0 cut nodes=1 others=2 word=eoi lasts=2.0": "unknown word 'eoi': did you mean 'eio'?",
    "at 20.0 cut nodes=1 others=2 word=eio": "cut without lasts does nothing",
    "at 20.0 readerror nodes=1 word=ENOSPC lasts=2.0": "unknown word 'ENOSPC': known: EIO, ESTALE",
    "at 20.0 pausemonitor nodes=1": "pausemonitor without lasts does nothing: add lasts=SECONDS",
    "at 20.0 lag nodes=1 lasts=2.0": "lag without amount does nothing: add amount=NUMBER",
    "at 20.0 die nodes=1 word=nosuch": "unknown group 'nosuch': known: g1",
    "at 20.0 edit nodes=1 word=g9_stop": "unknown group 'g9': known: g1",
    "at 20.0 edit nodes=1 word=g1_sotp": "unknown level 'sotp': did you mean 'stop'?",
    "at 20.0 edit nodes=1 word=g1_start_prefer=9": "no node 9",
    "at 20.0 edit nodes=1 word=g1_start_prefr=1": "did you mean 'prefer'?",
    "at 20.0 cltab nodes=1 word=g1_chnged": "unknown change of a group 'chnged': did you mean",
}


@pytest.mark.parametrize(("line", "message"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_line_and_what_would_be_right(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(GOOD + line + "\n", "x.txt")
    assert str(caught.value).startswith("x.txt:6: ")
    assert message in str(caught.value)


def test_a_world_has_nodes() -> None:
    with pytest.raises(UsageError, match=r"x.txt:1: how many nodes are there\? .*: nodes 3"):
        parse("group g1\n", "x.txt")
    with pytest.raises(UsageError, match="at least one node"):
        parse("nodes 0\n", "x.txt")


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse("nods 3\n" + GOOD + "at 20.0 kut nodes=1\n", "x.txt")
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        "x.txt:1",
        "x.txt:7",
    ]


@pytest.mark.parametrize("kind", sorted(ALL_KINDS))
def test_each_kind_of_fault_can_be_written(kind: str) -> None:
    words = {"cut": "stale_both", "readerror": "EIO", "full": "ENOSPC", "nostart": "lost"}
    words |= {"edit": "g1_start_prefer=2", "cltab": "g1_changed"}
    line = f"at 1.0 {kind} nodes=1"
    line += f" word={words.get(kind, 'g1')}" if kind in WORDS else ""
    line += " others=2,3" if kind in BETWEEN else ""
    line += " amount=2.0" if kind in MEASURED else ""
    line += " lasts=3.0" if kind in LASTING else ""
    assert [fault.kind for fault in parse(f"{GOOD}{line}\n").faults] == ["crash", kind]


def test_the_rules_are_about_kinds_that_there_are() -> None:
    drawn = {*KINDS, *FAILING, *ORDERS, *FENCING_ORDERS, *DYING, *STARTING, *READYING}
    drawn |= {*MONITORING, *CHANGING, *AGENTS}
    assert LASTING | BETWEEN | MEASURED | {*WORDS} <= drawn == {*ALL_KINDS}
    assert WEATHER <= LASTING


def test_no_drawn_world_breaks_a_rule() -> None:
    worlds = [draw(seed) for seed in range(1000)]
    worlds += [draw(seed, tuple(ALL_KINDS)) for seed in range(20)]
    assert [(world.seed, it) for world in worlds for it in mistakes(world)] == []


@pytest.mark.parametrize("path", sorted(story.SCENARIOS.glob("*.txt")), ids=lambda path: path.stem)
def test_every_scenario_can_be_read(path: Path) -> None:
    assert story.read(path).world.nodes


# --- command lines -------------------------------------------------------------------------


def test_what_is_no_scenario_or_mutant_or_kind_of_fault_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words, message in (
        (["--scenario", "node-dyes"], "no scenario 'node-dyes' in tests/scenarios: did you mean"),
        (["--storm", "cut,wype", "--seeds", "1"], "--storm: unknown fault 'wype': did you mean"),
        (["--mutant", "vote not recovered"], "did you mean 'votes not recovered'?"),
    ):
        assert simulator.run(words) == 2
        assert message in capsys.readouterr().err


def test_the_storms_of_the_mutants_are_of_kinds_that_there_are() -> None:
    assert {kind for mutant in MUTANTS for kind in mutant.storm.split(",") if kind} <= {*ALL_KINDS}
    assert find_mutant(MUTANTS[0].name) is MUTANTS[0]


@pytest.mark.parametrize("words", [["--rewrit"], ["--seed"]])
def test_unknown_words_are_refused_by_the_storyteller(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        story.main(words)
    assert caught.value.code == 2


def test_the_story_of_a_scenario_that_is_named_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "node-dies"
    assert story.main([name]) == 0
    assert capsys.readouterr().out == story.named(name).read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="did you mean 'node-dies'"):
        story.main(["node-dyes"])


def test_a_scenario_without_a_story_says_so_and_what_writes_one() -> None:
    scenario = story.Scenario(GOOD, parse(GOOD), "")
    assert story.judge(scenario) == "it has no story yet"
    assert story.rewrite_command("x").endswith(" -m tests.sim.story --rewrite x")


def test_a_file_without_the_ruler_is_no_scenario(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text(GOOD, encoding="utf-8")
    with pytest.raises(UsageError, match=r"x.txt: no line of four dashes"):
        story.read(path)


def test_a_world_that_passes_is_neither_shrunk_nor_written_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.txt"
    words = ["--seed", "17", "--shrink", "--write-scenario", str(path)]
    assert simulator.main(words) == 0
    told = capsys.readouterr().out
    assert "nothing to shrink: the world passes" in told
    assert f"written: {path}, a world that passes" in told
    assert story.read(path).world == draw(17)


def test_what_needs_a_seed_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        simulator.main(["--shrink"])
    assert "need --seed" in capsys.readouterr().err
