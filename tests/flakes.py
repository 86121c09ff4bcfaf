"""What failed and then passed alone: a test that needs a quiet machine, or a race of the product.

`make test` runs what failed once more. This plugin writes the names of those tests into the file
that $MOSHA_FAILED names: pytest's own --last-failed loses tests of an xdist group when others have
failed, too. In the second run, with $MOSHA_FAILED_BEFORE set, it lists what passes now, and more
than `FLAKES_MAX` of them fail the run: that many are no accident.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

FAILED = "MOSHA_FAILED"
AGAIN = "MOSHA_FAILED_BEFORE"
FLAKES_MAX = 3


def flakes(config: pytest.Config) -> list[str]:
    """Return the tests that passed in a run of those that had failed; in any other run none."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get(AGAIN) or reporter is None:
        return []
    return sorted(without_group(report.nodeid) for report in reporter.stats.get("passed", ()))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if len(flakes(session.config)) > FLAKES_MAX and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    path = os.environ.get(FAILED)
    if path and not os.environ.get(AGAIN) and reporter is not None:
        wrong = [*reporter.stats.get("failed", ()), *reporter.stats.get("error", ())]
        names = sorted({without_group(report.nodeid) for report in wrong})
        Path(path).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def without_group(name: str) -> str:
    """Return the name of a test without the group that pytest-xdist has added."""
    return re.sub(r"@[^\]@]*$", "", name)


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
