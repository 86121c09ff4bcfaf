"""What failed and then passed alone: a test that needs a quiet machine, or a race of the product.

`make test` runs what failed once more, with $MOSHA_FAILED_BEFORE set. Then this plugin lists what
passes now, and more than `FLAKES_MAX` of them fail the run: that many are no accident.
"""

from __future__ import annotations

import os

import pytest

AGAIN = "MOSHA_FAILED_BEFORE"
FLAKES_MAX = 3


def flakes(config: pytest.Config) -> list[str]:
    """Return the tests that passed in a run of those that had failed; in any other run none."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get(AGAIN) or reporter is None:
        return []
    return sorted(report.nodeid for report in reporter.stats.get("passed", ()))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if len(flakes(session.config)) > FLAKES_MAX and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    found = flakes(config)
    if found:
        many = len(found) > FLAKES_MAX
        terminalreporter.section("failed, and passed alone", red=many, yellow=not many, bold=True)
        for name in found:
            terminalreporter.line(name)
        if many:
            terminalreporter.line(f"more than {FLAKES_MAX}: the run has failed", red=True)
