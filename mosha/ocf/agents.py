"""Where resource agents are: `$OCF_ROOT/resource.d/PROVIDER/TYPE`.

Part of the wrapper: it imports next to nothing.
"""

from __future__ import annotations

import os

from mosha.errors import UsageError

TYPE_CHECKING = False  # as in typing, which the wrapper does not import
if TYPE_CHECKING:
    from collections.abc import Mapping

OCF_ROOT = "/usr/lib/ocf"
"""Where packages put agents; $OCF_ROOT overrides it."""

DEFAULT_PROVIDER = "heartbeat"
"""The provider of the package resource-agents."""

NAME_RULE = "write TYPE or PROVIDER:TYPE, such as IPaddr2 or heartbeat:IPaddr2"


class AgentName:
    """The name of an agent: its provider and its type."""

    __slots__ = ("provider", "type")

    def __init__(self, provider: str, type_: str) -> None:
        self.provider = provider
        self.type = type_

    def __str__(self) -> str:
        """Return it as cltab has it: the usual provider is left out."""
        return self.type if self.provider == DEFAULT_PROVIDER else f"{self.provider}:{self.type}"


def agent_named(text: str) -> AgentName:
    """Parse `TYPE` or `PROVIDER:TYPE`; `ocf:` before it, as Pacemaker has it, is ignored.

    Raises:
        UsageError: it is no such name.
    """
    provider, colon, type_ = text.removeprefix("ocf:").rpartition(":")
    name = AgentName(provider if colon else DEFAULT_PROVIDER, type_)
    if not all(map(_is_file_name, (name.provider, name.type))):
        raise UsageError(f"not the name of a resource agent: {text!r}; {NAME_RULE}")
    return name


def _is_file_name(word: str) -> bool:
    plain = word.replace("-", "").replace("_", "").replace(".", "").replace("+", "")
    return plain.isascii() and plain.isalnum() and word[0] != "."


def root_of(environment: Mapping[str, str]) -> str:
    """Return the directory of all agents."""
    return environment.get("OCF_ROOT") or OCF_ROOT


def path_of(name: AgentName, root: str) -> str:
    """Return the path of an agent, whether or not it exists."""
    return f"{root}/resource.d/{name.provider}/{name.type}"


def why_no_agent(name: AgentName, root: str) -> str:
    """Return why an agent cannot be run here, "" if it can."""
    path = path_of(name, root)
    if not os.path.isfile(path):  # noqa: PTH113 - pathlib would be the biggest import here
        return f"there is no {path}"
    return "" if os.access(path, os.X_OK) else f"{path} is not executable for uid {os.geteuid()}"


def installed_agents(root: str) -> list[AgentName]:
    """Return all agents that are installed, by provider and name.

    Raises:
        OSError: the directories cannot be read; if there are none the list is empty.
    """
    found: list[AgentName] = []
    for provider in _names_in(f"{root}/resource.d"):
        for type_ in _names_in(f"{root}/resource.d/{provider}"):
            name = AgentName(provider, type_)
            if _is_file_name(type_) and not why_no_agent(name, root):
                found.append(name)
    return found


def _names_in(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory), key=str.lower)  # noqa: PTH208 - as above
    except (FileNotFoundError, NotADirectoryError):
        return []
