"""Who a node is from one start to the next: directories, lock, memory, and its birth (H1.4)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mosha.core.cluster.memory import Memory
from mosha.core.cluster.quorum import Electorate, Policy
from mosha.errors import HostError, UsageError
from mosha.formats.fencing_methods import Fencing, FencingMethod
from mosha.formats.settings import Settings
from mosha.monitor import identity, startup
from mosha.monitor.files.cluster_fs import Layout
from mosha.monitor.identity import LOCK_FILE, NODE_FILE
from tests.core.story import INC, START_S, Story, status
from tests.monitor.trouble import no_descriptor_to_be_had

MEMORY = Memory(inc=17, run="0a1b", electorate=(1, 2, 3), remembered=3)
COMMAND = FencingMethod(type="command", command=("/bin/true",))


def settings(directory: Path, **more: Any) -> Settings:
    given = {"mfsbase": str(directory / "mfs"), "rundir": str(directory / "run")}
    return msgspec.structs.replace(Settings(), **(given | {"mynode": 1} | more))


# --- directories -------------------------------------------------------------------------


def test_h1_4_all_missing_directories_are_made(tmp_path: Path) -> None:
    identity.prepare(tmp_path / "a" / "b" / "c", "it")
    identity.prepare(tmp_path / "a" / "b" / "c", "it")  # they may be there
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_directory_that_cannot_be_made_is_named_with_what_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match=f"cannot make the x {tmp_path}/file/y: Not a directory"):
        identity.prepare(tmp_path / "file" / "y", "the x")
    with pytest.raises(HostError, match=f"cannot make the x {tmp_path}/file: File exists"):
        identity.prepare(tmp_path / "file", "the x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_is_not_writable_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(HostError, match="is not writable for uid"):
        identity.prepare(tmp_path, "the x")
    tmp_path.chmod(0o700)


def test_a_directory_in_a_read_only_file_system_is_named() -> None:
    with pytest.raises(HostError, match="the x /proc/self is not writable for uid"):
        identity.prepare(Path("/proc/self"), "the x")


async def test_the_own_directory_is_looked_at_where_it_may_hang(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "mfs", "var/mosix-ha")
    await startup.check_place(layout, 3, 5.0)
    assert (tmp_path / "mfs" / "3" / "var" / "mosix-ha").is_dir()
    (tmp_path / "mfs" / "4").touch()
    with pytest.raises(HostError, match=r"the directory of node 4 \(mfsbase, varpath\)"):
        await startup.check_place(layout, 4, 5.0)


# --- lock ----------------------------------------------------------------------------------


def test_one_monitor_at_most_uses_a_state_directory(tmp_path: Path) -> None:
    made = settings(tmp_path)
    held = startup.prepare_directories(made)
    with pytest.raises(UsageError, match=r"another mosha monitor uses .*: stop it first"):
        startup.prepare_directories(made)
    held.close()
    startup.prepare_directories(made).close()


def test_the_lock_goes_with_its_process_and_is_not_inherited(tmp_path: Path) -> None:
    holder = (
        "import sys, subprocess; from pathlib import Path; from mosha.monitor import identity\n"
        "identity.lock(Path(sys.argv[1]))\n"
        "child = subprocess.Popen(['sleep', '1000'], stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
    )
    run = [sys.executable, "-c", holder, str(tmp_path)]
    child = int(subprocess.run(run, check=True, stdout=subprocess.PIPE).stdout)
    try:
        identity.lock(tmp_path).close()
    finally:
        os.kill(child, 9)


def test_a_lock_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"cannot lock .*monitor.lock: No such file"):
        identity.lock(tmp_path / "none")
    (tmp_path / LOCK_FILE).mkdir()
    with pytest.raises(HostError, match=r"cannot lock .*monitor.lock: Is a directory"):
        identity.lock(tmp_path)


# --- memory --------------------------------------------------------------------------------


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    identity.save(tmp_path, MEMORY)
    assert identity.load(tmp_path) == MEMORY
    assert [path.name for path in tmp_path.iterdir()] == [NODE_FILE]


SPOILT = {
    "empty": b"",
    "zeros": bytes(40),
    "cut off": b'{"inc": 17, "ru',
    "another form": b"[1, 2]",
    "a wrong type": b'{"inc": "17"}',
    "no UTF-8": b'{"run": "\xff\xfe"}',
    "brackets without end": b'{"x": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("data", SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_memory_is_as_good_as_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / NODE_FILE).write_bytes(data)
    assert identity.load(tmp_path) == Memory()


def test_a_memory_that_cannot_be_read_is_as_good_as_none(tmp_path: Path) -> None:
    assert identity.load(tmp_path) == Memory()
    (tmp_path / NODE_FILE).mkdir()
    assert identity.load(tmp_path) == Memory()


def test_a_memory_of_another_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    (tmp_path / NODE_FILE).write_bytes(b'{"inc": 17, "new": {"x": 1}}')
    assert identity.load(tmp_path) == Memory(inc=17)


def test_what_the_next_start_must_know_is_taken_from_the_brain() -> None:
    node = Story().nodes[1]
    node.state.view.electorate = Electorate(Policy.ADAPTIVE, frozenset({2, 1}), 5)
    memory = node.memory(node.next_status(START_S))
    assert (memory.inc, memory.run) == (INC, "run")
    assert (memory.electorate, memory.remembered) == ((1, 2), 5)


def test_a_machine_that_cannot_be_told_is_not_one_without_a_name() -> None:
    """It would count as another machine, on which nothing of the former run can be alive (N1)."""
    with (
        no_descriptor_to_be_had(),
        pytest.raises(HostError, match=r"cannot read /etc/machine-id: Too many open files"),
    ):
        identity.machine()


# --- incarnation and run ---------------------------------------------------------------------


NOW_MAX = 1 << 40  # seconds: the year 36 812

INCS = [
    (Memory(inc=NOW_MAX), None, NOW_MAX + 1),
    (Memory(), status(1, inc=NOW_MAX), NOW_MAX + 1),
    (Memory(inc=NOW_MAX), status(1, inc=NOW_MAX + 8), NOW_MAX + 9),
]


@pytest.mark.parametrize(("memory", "former", "expected"), INCS)
def test_the_incarnation_is_greater_than_all_that_are_known(
    memory: Memory, former: Any, expected: int
) -> None:
    assert identity.next_inc(memory, former) == expected


def test_without_any_memory_the_wall_clock_is_the_incarnation() -> None:
    assert identity.next_inc(Memory(), None) > 1_700_000_000


def test_each_start_has_a_run_of_its_own() -> None:
    assert len({identity.new_run() for _ in range(50)}) == 50


# --- birth -------------------------------------------------------------------------------------


ELECTORATES = [
    # nodes, quorum, memory, found: the policy and who votes
    ((1, 2, 3), None, Memory(), {1}, Policy.MAJORITY, {1, 2, 3}),
    ((1, 2, 3), None, Memory(electorate=(7,)), {1, 9}, Policy.MAJORITY, {1, 2, 3}),
    ((), "majority", Memory(electorate=(1, 2)), {1, 5}, Policy.MAJORITY, {1, 2, 5}),
    ((), None, Memory(electorate=(1, 2, 3), remembered=3), {1}, Policy.ADAPTIVE, {1, 2, 3}),
    ((), None, Memory(), {1, 4}, Policy.ADAPTIVE, {1, 4}),
]


@pytest.mark.parametrize(("nodes", "quorum", "memory", "found", "policy", "voters"), ELECTORATES)
def test_who_votes_is_configured_or_remembered_or_found(
    *,
    nodes: tuple[int, ...],
    quorum: Any,
    memory: Memory,
    found: set[int],
    policy: Policy,
    voters: set[int],
) -> None:
    made = Settings(nodes=nodes, quorum=quorum)
    electorate = startup.electorate(made, memory, frozenset(found))
    assert (electorate.policy, set(electorate.nodes)) == (policy, voters)
    assert electorate.remembered == memory.remembered


RULES = [
    # methods, required, with a callable: is a receipt required
    ((), None, False, False),
    ((COMMAND,), None, False, True),
    ((FencingMethod(),), None, False, False),
    ((), None, True, True),
    ((COMMAND,), False, True, False),
    ((), True, False, True),
]


@pytest.mark.parametrize(("methods", "required", "with_callable", "expected"), RULES)
def test_a_receipt_is_required_as_soon_as_some_method_gives_one(
    *, methods: Any, required: bool | None, with_callable: bool, expected: bool
) -> None:
    made = Settings(fencing=Fencing(methods=methods, required=required))
    assert startup.fencing_rules(made, with_callable=with_callable).required == expected


@pytest.mark.parametrize(
    ("methods", "with_callable", "switches"),
    [
        ((), False, False),
        ((FencingMethod(),), False, False),
        ((FencingMethod(), COMMAND), False, True),
        ((), True, True),
    ],
)
def test_who_has_only_the_method_print_switches_nothing(
    *, methods: Any, with_callable: bool, switches: bool
) -> None:
    made = Settings(fencing=Fencing(methods=methods))
    assert startup.fencing_rules(made, with_callable=with_callable).switches is switches


def test_a_brain_begins_with_what_is_remembered_and_found() -> None:
    made = Settings(nodes=(1, 2, 3), timeout=10.0)
    node = startup.make_node(
        made,
        1,
        run="beef",
        former=status(1, inc=NOW_MAX),
        memory=Memory(),
        members=frozenset({1, 2, 3}),
        rules=startup.fencing_rules(made, with_callable=False),
    )
    assert (node.state.me, node.state.run, node.state.inc) == (1, "beef", NOW_MAX + 1)
    assert node.state.view.members == {2, 3}
    assert node.state.timing == made.timing
    assert len(node.state.boot) == 8
