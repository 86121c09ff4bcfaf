"""The options of commands that wait until a group is where it should be."""

from __future__ import annotations

import click

from mosha.core.durations import span_text
from mosha.formats.durations import SPAN_RULE, seconds_in

WAIT_LIMIT_S = 300.0


class Span(click.ParamType[float]):
    """A span of time as in hactl, in seconds; 0 too."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds; the error says how a time is written."""
        text = str(value)
        try:
            return 0.0 if text in ("0", "0s") else seconds_in(text)
        except ValueError:
            self.fail(f"{text!r}: {SPAN_RULE}", param, ctx)


wait_option = click.option("--wait", is_flag=True, help="Return only when it has taken effect.")
limit_option = click.option(
    "--limit",
    "limit_s",
    type=Span(),
    default=span_text(WAIT_LIMIT_S),
    show_default=True,
    metavar="TIME",
    help="How long --wait waits at most; it ends earlier if the goal cannot be reached.",
)
