"""Help texts made from docstrings: paragraphs wrapped, examples left as they are."""

from __future__ import annotations

import inspect
from typing import Any

import click

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}

_AS_IT_IS = "\b\n"  # click's mark


def with_examples(text: str | None) -> str | None:
    """Mark each paragraph with an indented line, to be printed line by line."""
    if text is None:
        return None
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        _AS_IT_IS + paragraph if "\n    " in paragraph else paragraph
        for paragraph in (each.removeprefix(_AS_IT_IS) for each in paragraphs)
    )


class Command(click.Command):
    """A command whose help may have examples and can also be requested with -h.

    The options are set here, since click caches what the first caller's context had.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", HELP_OPTIONS)
        super().__init__(*args, **kwargs)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help text."""
        self.help = with_examples(self.help)
        super().format_help_text(ctx, formatter)
