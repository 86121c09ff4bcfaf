"""`python -m tests.bench [NAME ...] [--quick] [--json FILE]`: measure, and print what came out.

A table for people, then one JSON object. With `--json FILE` the object goes to that file
instead; with `--json -` it is all that stdout gets, and the table goes to stderr.

On a machine that is busy with other things `nice -n -19` (as root) makes the figures steadier;
the ratios to the floors, which are measured in the same run, count in any case.
"""

from __future__ import annotations

import argparse
import compileall
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

import mosha
from tests.bench import (
    brain,
    coldstart,
    crowds,
    failover,
    half_dead,
    idle,
    logs,
    machine,
    monitoring,
    peers,
    related,
    respawn,
    screens,
    starting,
    status,
    stopping,
    watching,
    witness,
)
from tests.bench.figures import Figure, Plan

BENCHES: dict[str, tuple[Callable[[Plan], list[Figure]], str]] = {
    "respawn": (respawn.run, "a killed process and its successor"),
    "start": (starting.run, "200 entries at once"),
    "stop": (stopping.run, "1000 entries stopped, and who has to wait meanwhile"),
    "crowd": (crowds.run, "a thousand groups at once: a busy clinit is not a hung one"),
    "failover": (failover.run, "a node dies, a node leaves"),
    "halfdead": (half_dead.run, "a node freezes, is shot, and its groups move"),
    "coldstart": (coldstart.run, "three nodes and ten groups from nothing"),
    "witness": (witness.run, "a node that only votes"),
    "idle": (idle.run, "CPU and memory with nothing to do"),
    "monitors": (monitoring.run, "200 monitor entries, beyond their commands"),
    "status": (status.run, "mosha status, and the texts of a status"),
    "screen": (screens.run, "mosha status --watch, as it is looked at"),
    "logs": (logs.run, "mosha logs: three nodes by time, over rotations"),
    "brain": (brain.run, "the decisions of one node in a big cluster"),
    "related": (related.run, "the same with on=all, and with groups that come after others"),
    "peers": (peers.run, "one monitor among hundreds of nodes and groups"),
    "watch": (watching.run, "watchfiles: what hearing of changes costs"),
}


def main(words: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 if something could not be measured; a missed aim is no error."""
    given = _parser().parse_args(words)
    unknown = set(given.names) - BENCHES.keys()
    if unknown:
        _parser().error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {_names()}")
    # As pip does it when it installs: the sources of a checkout may not have been run yet.
    compileall.compile_dir(Path(mosha.__file__).parent, quiet=1)
    people = Console(stderr=given.json == "-", highlight=False, soft_wrap=True)
    began = time.monotonic()
    figures: list[Figure] = []
    noise: dict[str, float] = {}
    failed: list[str] = []
    for name in given.names or BENCHES:
        try:
            found, noise[name] = _measure(name, quick=given.quick)
        except Exception:  # noqa: BLE001 - the others shall be measured all the same
            traceback.print_exc()
            failed.append(name)
            continue
        figures += found
        people.print(_table(name, found, noise[name]))
    result = {
        "format": 1,
        "quick": given.quick,
        "machine": machine.describe(),
        "took_s": round(time.monotonic() - began, 1),
        "pressure": noise,
        "failed": failed,
        "figures": [figure.as_json() for figure in figures],
    }
    text = msgspec.json.format(msgspec.json.encode(result)) + b"\n"
    if given.json and given.json != "-":
        Path(given.json).write_bytes(text)
    else:
        sys.stdout.write(text.decode())
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {_names()}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", metavar="FILE", help="where the JSON object goes; - for stdout")
    return parser


def _names() -> str:
    return ", ".join(BENCHES)


def _measure(name: str, *, quick: bool) -> tuple[list[Figure], float]:
    """Return the figures, and the part of the time in which anything waited for a processor."""
    run, _ = BENCHES[name]
    base = Path(tempfile.mkdtemp(prefix="mb")).resolve()
    began, waited = time.monotonic(), machine.pressure_s()
    try:
        figures = run(Plan(base, quick, lambda text: _say(f"{name}: {text}")))
    finally:
        _say("")
        shutil.rmtree(base, ignore_errors=True)
    share = (machine.pressure_s() - waited) / (time.monotonic() - began)
    return figures, round(share, 2)


def _say(text: str) -> None:
    """Show progress to people at a terminal, in one line."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


# --- the table ---------------------------------------------------------------------


def _table(name: str, figures: Sequence[Figure], pressure: float) -> Text:
    """Return a line for each figure, and below it what it is made of."""
    head = Text(f"\n{name}: {BENCHES[name][1]}", "bold")
    head.append(f"  (a processor was waited for in {pressure:.0%} of the time)\n", "dim")
    lines = [head]
    for figure in figures:
        unit = f" {figure.unit}" if figure.unit else ""
        line = Text(f"  {figure.what:58}{_short(figure.value) + unit:>10}")
        if figure.floor is not None and figure.ratio is not None:
            line.append(f"{figure.ratio:7.2f} x {_short(figure.floor)}{unit}")
        if figure.met is not None:
            word, style = ("met", "green") if figure.met else ("missed", "red")
            line.append(f"   aim {figure.aim}: ").append(word, style)
        lines.append(line.append("\n"))
        lines += [Text(f"      {text}\n", "dim") for text in _details(figure)]
    return Text.assemble(*lines, end="")


def _details(figure: Figure) -> list[str]:
    parts = ", ".join(f"{name} {_short(value)}" for name, value in figure.parts.items())
    floor = f"floor: {figure.floor_is}" if figure.floor_is else ""
    count = f"n {figure.samples}" if figure.samples > 1 else ""
    return [line for line in ("; ".join(filter(None, (count, parts))), floor) if line]


def _short(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if value == int(value):
        return str(int(value))
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"


if __name__ == "__main__":
    sys.exit(main())
