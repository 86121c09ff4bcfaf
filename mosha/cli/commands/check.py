"""`mosha check`: finds every mistake in mosha.toml, cltab and hactl before the cluster does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec

from mosha.cli import config as places
from mosha.cli.check.addresses import address_findings
from mosha.cli.check.attributes import attribute_findings
from mosha.cli.check.commands import command_findings, fencing_findings, level_findings
from mosha.cli.check.fence_agents import agent_findings
from mosha.cli.check.files import (
    FileVerdict,
    Finding,
    Kind,
    foreign,
    judge,
    kind_of,
    renamed_groups,
    table_findings,
)
from mosha.cli.check.form import form_of, number_of
from mosha.cli.check.handed import handed_findings
from mosha.cli.check.host import NODE_DIRECTORY, host_findings, own_node, owner_findings
from mosha.cli.check.ocf_agents import described_agents, ocf_findings
from mosha.cli.check.peers import peer_findings, witnesses
from mosha.cli.check.self_fence import self_fence_findings
from mosha.cli.check.spawn import spawn_findings
from mosha.cli.check.stops import stop_findings
from mosha.cli.check.tables import own_table
from mosha.cli.check.units import unit_findings
from mosha.cli.check.watchdog import watchdog_findings
from mosha.cli.config import config_option, config_path, read_bytes
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.help_text import Command
from mosha.core.cluster.timing import TimingCheck, explain, kill_s
from mosha.core.durations import number_text
from mosha.core.self_fencing import OFF, fence_lines
from mosha.core.tables import Cltab, Hactl
from mosha.core.watchdog import reset_lines
from mosha.errors import UsageError
from mosha.formats.cltab import parse_cltab
from mosha.formats.mistakes import Mistakes
from mosha.formats.settings import Settings, read_settings

NOTHING: frozenset[str] = frozenset()
PLACES = frozenset({"mfsbase", "varpath", "mynode", "mwhois", "nodes", "rundir"})
"""The settings that are needed to find this node's tables."""


@click.command("check", cls=Command, short_help="Every mistake in mosha.toml, cltab and hactl.")
@config_option
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in Kind]),
    help="What the FILEs are. Default: known by their names, else by their content.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print the arithmetic of the times too.")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
@click.argument("files", nargs=-1, metavar="[FILE]...")
def command(
    config: str | None, *, kind: str | None, verbose: bool, as_json: bool, files: tuple[str, ...]
) -> int:
    """Every mistake in mosha.toml, cltab and hactl.

    Without FILE it checks what this node uses: its settings, both tables in its directory,
    their commands and those of fencing, whether its directories, sockets and node number are
    usable, and whether the other nodes, as far as they can be read, have the same settings.
    Nothing is changed, and no command is run except `mwhois`, and fence agents and resource
    agents for their metadata.

    Examples:
        mosha check
        mosha check cltab.new hactl.new
        mosha check --kind cltab draft.txt

    Exit status: 0 no mistake (warnings do not count); 1 mistakes; 2 wrong usage: a FILE that
    does not exist, is a directory, or reads like none of the three.
    """
    if files:
        judged, findings = _named(files, kind)
        findings += [f for file in files for f in owner_findings(Path(file))]
        in_use = _in_use(config)
        settings = _settings_among(judged) or in_use
    else:
        judged, settings, findings = _own(config)
        in_use = None
    findings += table_findings(judged, settings)
    findings += _commands(judged, settings)
    if in_use is not None:
        findings += _renamed(judged, in_use)
    tables = [item.rest for item in judged if isinstance(item.rest, Cltab)]
    count = max((len(cltab.groups()) for cltab in tables), default=0)
    times = _arithmetic(settings, count) if settings else []
    findings += _times(settings, count)
    if as_json:
        click.echo(msgspec.json.encode(form_of(judged, findings, times)))
    else:
        for line in _lines(judged, findings, times if verbose else []):
            click.echo(line)
    return NOT_AS_WANTED if number_of(judged, findings, "mistake") else AS_WANTED


def _named(files: Sequence[str], kind: str | None) -> tuple[list[FileVerdict], list[Finding]]:
    """Judge the named files; other files among them (`examples/*`) are skipped."""
    judged: list[FileVerdict] = []
    findings: list[Finding] = []
    for path in map(Path, files):
        other = "" if kind else foreign(path.name, read_bytes(path))
        if other:
            text = f"not a file of mosha but {other}: skipped"
            findings.append(Finding("ok", str(path), text, ""))
        else:
            judged.append(_judged(path, kind))
    if not judged:
        raise UsageError("none of these is a file of mosha; if one is, say --kind KIND")
    return judged, findings


def _judged(path: Path, kind: str | None = None) -> FileVerdict:
    data = read_bytes(path)
    found = Kind(kind) if kind else kind_of(path.name, data)
    if found is None:
        kinds = ", ".join(kind.value for kind in Kind)
        raise UsageError(f"{path}: reads like none of {kinds}; if it is one, say --kind KIND")
    return judge(str(path), data, found)


def _settings_among(judged: Sequence[FileVerdict]) -> Settings | None:
    return next((item.value for item in judged if isinstance(item.value, Settings)), None)


def _in_use(config: str | None) -> Settings | None:
    """Return this machine's settings if it is a node: a table is compared with its tables."""
    path = config_path(config)
    if path is None or not path.exists():
        return None
    reading = read_settings(read_bytes(path), str(path))
    return None if reading.total else reading.settings


def _own(config: str | None) -> tuple[list[FileVerdict], Settings | None, list[Finding]]:
    """Judge what this node uses; the tables only if its directory is known."""
    path = config_path(config)
    judged = [_judged(path, Kind.SETTINGS.value)] if path else []
    findings: list[Finding] = []
    if path is None:
        text = "does not exist: the defaults apply"
        remedy = "write one with `mosha init`, or name it with --config"
        findings.append(Finding("warning", places.CONFIG_FILE, text, remedy))
    else:
        findings += owner_findings(path)
    reading = judged[0].reading if judged else None
    settings, unknown = (reading.settings, reading.unknown) if reading else (Settings(), NOTHING)
    if not unknown & {"fencing", "stomith"}:
        findings += fencing_findings(settings, "fencing")
        nodes = () if "nodes" in unknown else settings.nodes
        if settings.fencing.methods and not unknown & PLACES:
            nodes = tuple(sorted({*nodes} - witnesses(settings, own_node(settings)[0])))
        findings += agent_findings(settings.fencing, nodes, "fencing")
    if unknown & PLACES:
        return judged, None, findings
    node, why_not = own_node(settings)
    findings += host_findings(settings, node, why_not)
    findings += spawn_findings(settings)
    if not unknown & {"watchdog", "watchdog_timeout", "timeout", "lease", "stop_budget"}:
        findings += watchdog_findings(settings)
    if not unknown & {"self_fence", "on_stop_failure"}:
        findings += self_fence_findings(settings)
    # A bad directory was reported already, and looking into it might hang.
    there = {f.level for f in findings if f.where == NODE_DIRECTORY} <= {"ok", "warning"}
    if node is not None and there:
        findings += peer_findings(settings, node, unknown)
        for kind in (Kind.CLTAB, Kind.HACTL):
            table = own_table(settings, node, kind)
            if isinstance(table, FileVerdict):
                judged.append(table)
            else:
                findings.append(table)
    return judged, None if unknown else settings, findings


def _commands(judged: Sequence[FileVerdict], settings: Settings | None) -> list[Finding]:
    hactl = next((item.rest for item in judged if isinstance(item.rest, Hactl)), None)
    found: list[Finding] = []
    for item in judged:
        if isinstance(item.rest, Cltab):
            found += level_findings(item.rest, hactl, item.file)
            found += command_findings(item.rest, item.file)
            found += attribute_findings(item.rest, item.file)
            found += handed_findings(item.rest, item.file)
            described = described_agents(item.rest)
            found += ocf_findings(item.rest, hactl, settings, described, item.file)
            found += unit_findings(item.rest, item.file)
            found += address_findings(item.rest, settings, item.file)
            if settings is not None:
                found += stop_findings(item.rest, settings.timing, described, item.file)
    return found


def _renamed(judged: Sequence[FileVerdict], settings: Settings) -> list[Finding]:
    """Compare a cltab with the one in force on this node, if any."""
    try:
        before = parse_cltab((settings.state_path / Kind.CLTAB.value).read_bytes(), "")
    except (OSError, Mistakes):
        return []
    tables = [(item.rest, item.file) for item in judged if isinstance(item.rest, Cltab)]
    return [each for after, file in tables for each in renamed_groups(before, after, file)]


def _arithmetic(settings: Settings, groups: int) -> list[TimingCheck]:
    lines = explain(settings.timing, groups=groups)
    if settings.watchdog:
        lines += reset_lines(settings.timing, groups, settings.watchdog_s)
    if settings.self_fence != OFF:
        lines += fence_lines(settings.timing, groups)
    return lines


def _times(settings: Settings | None, groups: int) -> list[Finding]:
    """Return the timing as one finding: ok, or what to look at."""
    if settings is None:
        return []
    timing = settings.timing
    bad = [line.verdict for line in _arithmetic(settings, groups) if line.verdict != "ok"]
    if bad:
        return [Finding("warning", "times", bad[0].removeprefix("warning: "), "")]
    gone_s = timing.lease_s + timing.stop_budget_s + kill_s(groups)
    text = (
        f"a former owner has stopped everything after {number_text(gone_s)} s,"
        f" before another node starts it ({number_text(timing.timeout_s)} s)"
    )
    return [Finding("ok", "times", text, "")]


# --- for people --------------------------------------------------------------------------


def _lines(
    judged: Sequence[FileVerdict], findings: Sequence[Finding], times: Sequence[TimingCheck]
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
    mistakes, warnings = (number_of(judged, findings, level) for level in ("mistake", "warning"))
    yield f"{mistakes} mistake{'s' * (mistakes != 1)}, {warnings} warning{'s' * (warnings != 1)}"


def _time(line: TimingCheck) -> str:
    unit = "x" if line.name == "margin" else "s"
    text = f"  {line.value:>8.5g} {unit}  {line.name}: {line.formula}"
    return text if line.verdict == "ok" else f"{text}\n             {line.verdict}"
