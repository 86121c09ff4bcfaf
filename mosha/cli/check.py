"""`mosha check`: every mistake in mosha.toml, cltab and hactl, before the cluster finds it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from mosha.cli.check_files import Finding, Judged, Kind, judge, kind_of, table_findings
from mosha.cli.check_host import NODE_DIRECTORY, host_findings, own_node
from mosha.cli.config import config_option, config_path, read_bytes
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.help_text import Command
from mosha.core.timing import Reckoning, explain
from mosha.formats.settings import Settings


@click.command("check", cls=Command, short_help="Every mistake in mosha.toml, cltab and hactl.")
@config_option
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in Kind]),
    help="What the FILEs are. Default: told by their names, else by what is in them.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
@click.argument("files", nargs=-1, metavar="[FILE]...")
def command(config: str | None, *, kind: str | None, as_json: bool, files: tuple[str, ...]) -> int:
    """Every mistake in mosha.toml, cltab and hactl.

    Without FILE it checks what this node uses: its settings, both tables in its directory,
    and whether its directories, sockets and node number will do. Then it prints the
    arithmetic of the times. Nothing is changed.

    Examples:
        mosha check
        mosha check cltab.new hactl.new
        mosha check --kind cltab draft.txt

    Exit status: 0 no mistake (warnings are none); 1 mistakes; 2 a FILE that is not there.
    """
    if files:
        judged = [_judged(Path(file), kind) for file in files]
        settings = _settings_among(judged)
        findings: list[Finding] = []
    else:
        judged, settings, findings = _own(config)
    findings += table_findings(judged, settings)
    times = explain(settings.timing) if settings else []
    if as_json:
        click.echo(json.dumps(_plain(judged, findings, times), ensure_ascii=False))
    else:
        for line in _told(judged, findings, times):
            click.echo(line)
    return NOT_AS_WANTED if _mistakes(judged, findings) else AS_WANTED


def _judged(path: Path, kind: str | None = None) -> Judged:
    data = read_bytes(path)
    return judge(str(path), data, Kind(kind) if kind else kind_of(path.name, data))


def _settings_among(judged: Sequence[Judged]) -> Settings | None:
    return next((item.value for item in judged if isinstance(item.value, Settings)), None)


def _own(config: str | None) -> tuple[list[Judged], Settings | None, list[Finding]]:
    """Judge what this node uses; the tables only if its directory can be told."""
    path = config_path(config)
    judged = [_judged(path, Kind.SETTINGS.value)] if path else []
    settings = _settings_among(judged) if path else Settings()
    if settings is None:
        return judged, None, []
    node, why_not = own_node(settings)
    findings = host_findings(settings, node, why_not)
    # A directory that is no good was told already, and looking into it might take for ever.
    if node is not None and any(f.where == NODE_DIRECTORY and f.level == "ok" for f in findings):
        for kind in (Kind.CLTAB, Kind.HACTL):
            table = settings.node_path(node) / kind.value
            if table.exists():
                judged.append(_judged(table, kind.value))
            else:
                findings.append(Finding("warning", str(table), "is not there yet", ""))
    return judged, settings, findings


def _mistakes(judged: Sequence[Judged], findings: Sequence[Finding]) -> int:
    return sum(item.total for item in judged) + sum(f.level == "mistake" for f in findings)


def _warnings(judged: Sequence[Judged], findings: Sequence[Finding]) -> int:
    return sum(len(item.warnings) for item in judged) + sum(f.level == "warning" for f in findings)


# --- for people --------------------------------------------------------------------------


def _told(
    judged: Sequence[Judged], findings: Sequence[Finding], times: Sequence[Reckoning]
) -> Iterator[str]:
    for item in judged:
        verdict = f"{item.total} mistake{'s' * (item.total != 1)}" if item.total else "ok"
        yield f"{item.file} ({item.kind}): {verdict}"
        yield from (f"  {mistake}" for mistake in item.mistakes)
        if item.total > len(item.mistakes):
            yield f"  and {item.total - len(item.mistakes)} more"
        yield from (f"  warning: {warning}" for warning in item.warnings)
    for finding in findings:
        remedy = f"; {finding.remedy}" if finding.remedy else ""
        yield f"{finding.level}: {finding.where}: {finding.text}{remedy}"
    if times:
        yield "times:"
        yield from map(_time, times)
    mistakes, warnings = _mistakes(judged, findings), _warnings(judged, findings)
    yield f"{mistakes} mistake{'s' * (mistakes != 1)}, {warnings} warning{'s' * (warnings != 1)}"


def _time(line: Reckoning) -> str:
    unit = "x" if line.name == "margin" else "s"
    told = f"  {line.value:>8.5g} {unit}  {line.name}: {line.formula}"
    return told if line.verdict == "ok" else f"{told}\n             {line.verdict}"


# --- for programs ------------------------------------------------------------------------


def _plain(
    judged: Sequence[Judged], findings: Sequence[Finding], times: Sequence[Reckoning]
) -> dict[str, object]:
    return {
        "format": 1,
        "ok": not _mistakes(judged, findings),
        "mistakes": _mistakes(judged, findings),
        "warnings": _warnings(judged, findings),
        "files": [item.plain() for item in judged],
        "findings": [finding._asdict() for finding in findings],
        "times": [line._asdict() for line in times],
    }
