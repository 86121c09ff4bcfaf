"""GROUP, TAG and NODE arguments and options, and their shell completion.

The candidates come from this node's monitor. A completion that cannot ask it prints nothing: it
would land in the middle of a command line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from mosha.core.instance_names import single
from mosha.formats.names import NODE_MAX, node_number

if TYPE_CHECKING:
    from mosha.formats.hastat import Report

FC = TypeVar("FC", bound=Callable[..., Any] | click.Command)

COMPLETION_LIMIT_S = 5.0
"""A monitor answers within milliseconds; on a busy machine a Tab may take as long as a command."""


class NodeNumber(click.ParamType[int]):
    """A node number, completed with the cluster's."""

    name = "node"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number; the error says what a node number is."""
        number = node_number(str(value))
        if number is None:
            self.fail(f"{str(value)!r}: a node is a number from 1 to {NODE_MAX}", param, ctx)
        return number

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the nodes of the cluster with this prefix."""
        del param
        return [CompletionItem(name) for name in _known(ctx)[1] if name.startswith(incomplete)]


def groups(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the groups and instances with this prefix; for `shell_complete`."""
    del param
    return [name for name in _known(ctx)[0] if name.startswith(incomplete)]


def group_argument() -> Callable[[FC], FC]:
    """Return the argument GROUP."""
    return click.argument("group", shell_complete=groups)


def tags(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the entries in cltab of the group that was named before; for `shell_complete`."""
    del param
    group = ctx.params.get("group") or ""
    found = _asked(ctx, group) if group else None
    known = dict.fromkeys(tag for view in found.groups for tag in view.tags) if found else {}
    return [tag for tag in known if tag.startswith(incomplete)]


def tag_argument() -> Callable[[FC], FC]:
    """Return the argument TAG, which can be left out."""
    return click.argument(
        "tag", shell_complete=tags, required=False, default="", callback=_no_option
    )


def _no_option(ctx: click.Context, param: click.Parameter, tag: str) -> str:
    """Return the tag; an option of hactl in its place belongs to another command."""
    del param
    if "=" in tag:
        group = ctx.params.get("group") or "GROUP"
        how = f"mosha set {group} start {tag}"
        raise click.UsageError(f"{tag} is an option of the group, not a tag; write {how}", ctx)
    return tag


def node_argument(*, required: bool = True) -> Callable[[FC], FC]:
    """Return the argument NODE."""
    return click.argument("node", type=NodeNumber(), required=required)


def group_option(text: str) -> Callable[[FC], FC]:
    """Return `--group G`, which can be given several times; `text` is its help."""
    return click.option("--group", multiple=True, shell_complete=groups, metavar="G", help=text)


def node_option(text: str) -> Callable[[FC], FC]:
    """Return `--node N`, which can be given several times; `text` is its help."""
    return click.option("--node", multiple=True, type=NodeNumber(), metavar="N", help=text)


def _known(ctx: click.Context) -> tuple[list[str], list[str]]:
    """Return the groups and nodes of the cluster, both empty if the monitor does not answer."""
    report = _asked(ctx)
    if report is None:
        return [], []
    groups = [group.group for group in report.groups]
    names = dict.fromkeys(name for group in groups for name in (single(group), group))
    return list(names), [str(each.node) for each in report.nodes]


def _asked(ctx: click.Context, group: str = "") -> Report | None:
    """Return the monitor's report, of one group if it is named; None if it does not answer."""
    # Imported here: a command that is run, not completed, does not need these.
    from mosha.cli.ask import ask_report  # noqa: PLC0415
    from mosha.cli.settings import settings_to_ask  # noqa: PLC0415
    from mosha.errors import MoshaError  # noqa: PLC0415

    given = ctx.params.get("config") or ctx.find_root().params.get("config")
    try:
        return ask_report(settings_to_ask(given), COMPLETION_LIMIT_S, group=group)[0]
    except MoshaError:
        return None
