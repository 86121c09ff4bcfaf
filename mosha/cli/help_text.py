"""The class of every command: help made from its docstring, and no empty word on its command line.

In a help text paragraphs are wrapped, and examples left as they are.
"""

from __future__ import annotations

import inspect
from typing import Any

import click
from click.core import ParameterSource

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

    The options are set here, since click caches what the first caller's context had. An empty word
    is wrong usage, except for the options `may_be_empty`: it mostly is a script's variable that is
    not set, and `mosha stop web ""` must not stop all of web.
    """

    may_be_empty: frozenset[str] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", HELP_OPTIONS)
        super().__init__(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words of the command line; none of them may be empty.

        Raises:
            click.UsageError: one is, or click does not accept them.
        """
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            for param in self.get_params(ctx):
                _check_not_empty(ctx, param, self.may_be_empty)
        return rest

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help text."""
        self.help = with_examples(self.help)
        super().format_help_text(ctx, formatter)


def _check_not_empty(ctx: click.Context, param: click.Parameter, exempt: frozenset[str]) -> None:
    name = param.name or ""
    value = ctx.params.get(name)
    if ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE or name in exempt:
        return
    values = value if isinstance(value, tuple) else (value,)
    if any(isinstance(word, str) and not word.strip() for word in values):
        label = param.opts[-1] if isinstance(param, click.Option) else param.make_metavar(ctx)
        label = label if param.nargs != 1 else label.strip("[]")
        raise click.UsageError(f"empty {label}: is a variable not set?", ctx)
