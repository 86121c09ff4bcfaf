"""Help texts as they are written in docstrings: paragraphs wrapped, examples left alone."""

from __future__ import annotations

import inspect

import click

_AS_IT_IS = "\b\n"  # click's mark


def with_examples(text: str | None) -> str | None:
    """Mark the paragraphs that have an indented line, once, to be printed line by line."""
    if text is None:
        return None
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        _AS_IT_IS + paragraph if "\n    " in paragraph else paragraph
        for paragraph in (each.removeprefix(_AS_IT_IS) for each in paragraphs)
    )


class Command(click.Command):
    """A command whose help may have examples."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help text."""
        self.help = with_examples(self.help)
        super().format_help_text(ctx, formatter)
