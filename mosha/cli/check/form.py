"""What `mosha check --json` prints: one object with all findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from mosha.cli.check.files import FileVerdict, Finding, Kind, Level
from mosha.core.cluster.timing import TimingCheck
from mosha.formats.mistakes import Mistake


class CheckedMistake(Struct, frozen=True, kw_only=True):
    """A mistake in a file; lines and columns count from 1, line 0 is the whole file."""

    line: int
    column: int
    text: str
    problem: str
    remedy: str


class CheckedFile(Struct, frozen=True, kw_only=True):
    """One file; `total` counts also the mistakes that are not listed."""

    file: str
    kind: Kind
    ok: bool
    total: int
    mistakes: list[CheckedMistake]
    warnings: list[CheckedMistake]


class Check(Struct, frozen=True, kw_only=True):
    """What `mosha check` found."""

    format: Literal[1] = 1
    ok: bool
    mistakes: int
    warnings: int
    files: list[CheckedFile]
    findings: list[Finding]
    times: list[TimingCheck]


def form_of(
    verdicts: Sequence[FileVerdict], findings: Sequence[Finding], times: Sequence[TimingCheck]
) -> Check:
    """Return the object to print for these."""
    mistakes = number_of(verdicts, findings, "mistake")
    return Check(
        ok=not mistakes,
        mistakes=mistakes,
        warnings=number_of(verdicts, findings, "warning"),
        files=[_file(verdict) for verdict in verdicts],
        findings=list(findings),
        times=list(times),
    )


def number_of(verdicts: Sequence[FileVerdict], findings: Sequence[Finding], level: Level) -> int:
    """Return the total number of mistakes or warnings."""
    in_files = sum(v.total if level == "mistake" else len(v.warnings) for v in verdicts)
    return in_files + sum(finding.level == level for finding in findings)


def _file(verdict: FileVerdict) -> CheckedFile:
    return CheckedFile(
        file=verdict.file,
        kind=verdict.kind,
        ok=verdict.total == 0,
        total=verdict.total,
        mistakes=[_mistake(mistake) for mistake in verdict.mistakes],
        warnings=[_mistake(warning) for warning in verdict.warnings],
    )


def _mistake(mistake: Mistake) -> CheckedMistake:
    return CheckedMistake(
        line=mistake.line,
        column=mistake.column,
        text=mistake.text,
        problem=mistake.problem,
        remedy=mistake.remedy,
    )
