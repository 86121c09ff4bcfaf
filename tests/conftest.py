"""What holds for every test: nothing is left behind, and what needs root says so."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests import flakes
from tests.leftovers import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

# No deadline: two cores may be busy with something else. A failing example can be replayed.
# Each commit has other examples (`seed_of_commit`); fifty of each property at a time are enough.
hypothesis.settings.register_profile(
    "mosha",
    deadline=None,
    max_examples=50,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("mosha")

SESSION = pytest.StashKey[Session]()
TMP_PATHS = "t"
KEPT = "kept"  # what a worker tells at its end: the directory of which it left the files
# The first of the fresh seeds of the simulator, for every worker.
FRESH_SEED = "MOSHA_SIM_FIRST"


@pytest.hookimpl(tryfirst=True)  # before hypothesis and pytest-randomly read their options
def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what goes into the background with SIGINT ignored, and children inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not os.environ.get(FRESH_SEED):
        os.environ[FRESH_SEED] = str(seed_of_commit())
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = os.environ[FRESH_SEED]
    if getattr(config.option, "randomly_seed", None) == "default":
        config.option.randomly_seed = int(os.environ[FRESH_SEED])  # the order of the tests
    config.pluginmanager.register(flakes)
    session = Session()
    session.begin()
    config.stash[SESSION] = session
    if not config.option.basetemp:
        config.option.basetemp = session.directory / TMP_PATHS


def pytest_report_header() -> str:
    return f"simulator: fresh seeds from {os.environ[FRESH_SEED]} on (others: {FRESH_SEED}=…)"


def seed_of_commit() -> int:
    """Return a number that is the same for the same commit and another for each: chance, repeated.

    What chance finds in CI is found wherever that commit is tested. 10**6 without a commit.
    """
    asked = ["git", "rev-parse", "--verify", "--quiet", "HEAD^{tree}"]
    here = Path(__file__).parent
    try:
        tree = subprocess.run(asked, cwd=here, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 10**6
    return 10**6 + int(tree[:12], 16) % 10**9


@pytest.hookimpl(trylast=True)  # after pytest-xdist has put the groups into the names
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse to run where what is meant for one worker would go to several unnoticed."""
    if getattr(config.option, "loadgroup", False):
        grouped = (item.nodeid for item in items if item.get_closest_marker("xdist_group"))
        if loose := [name for name in grouped if "@" not in name]:
            raise pytest.UsageError(f"pytest-xdist takes no notice of the group of {loose[0]}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked `root("why it needs it")` for an ordinary user."""
    marker = item.get_closest_marker("root")
    if marker is not None and os.geteuid() != 0:
        pytest.skip(f"needs root: {marker.args[0]}")


@pytest.hookimpl(trylast=True)  # after the last fixtures are gone
def pytest_sessionfinish(session: pytest.Session) -> None:
    mosha = session.config.stash[SESSION]
    mosha.look(expected={TMP_PATHS, *mosha.kept})
    if mosha.left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    mosha.end(keep=session.exitstatus == pytest.ExitCode.TESTS_FAILED)
    if mosha.directory.exists() and hasattr(session.config, "workeroutput"):
        session.config.workeroutput[KEPT] = mosha.directory.name


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Know of what a worker of pytest-xdist has kept: its directory is below the own one."""
    output = getattr(node, "workeroutput", {})  # none from a worker that crashed
    if KEPT in output:
        node.config.stash[SESSION].kept.add(output[KEPT])


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Spare each collection of garbage the thousands of tests, which all stay to the end.

    Before, have Hypothesis make its generator of random numbers: it asks the collector who else
    refers to that, and the collector knows nothing of what has been frozen, here or by a command.
    """
    hypothesis.given(hypothesis.strategies.just(0))(lambda _: None)()
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    mosha = config.stash[SESSION]
    if mosha.left:
        terminalreporter.section("left behind", red=True, bold=True)
        for line in mosha.left:
            terminalreporter.line(line, red=True)
    if mosha.directory.exists():
        terminalreporter.line(f"the files of the tests are kept in {mosha.directory}")


@pytest.fixture
def short_dir(pytestconfig: pytest.Config) -> Iterator[Path]:
    """A directory with a path short enough for unix sockets in it; removed afterwards."""
    path = Path(tempfile.mkdtemp(dir=pytestconfig.stash[SESSION].directory, prefix=""))
    yield path
    shutil.rmtree(path)
