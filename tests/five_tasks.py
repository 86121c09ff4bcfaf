"""The five tasks of docs/explanation/comparison.md: the lines that each tool needs for them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "comparison.md"
TOOLS = ("mosha", "pcs", "drbd-reactor", "OpenSVC")

_SECTION = re.compile(r"^## The same five tasks\n(.*?)^## ", re.DOTALL | re.MULTILINE)
_TASK = re.compile(r"^### (.*?)\n(.*?)(?=^### |\Z)", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(rf"^({'|'.join(TOOLS)})\b|^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Task:
    """One task: for each tool its blocks, (language, text)."""

    name: str
    blocks: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def lines(self, tool: str) -> int:
        """Return how many lines the tool needs; blank ones do not count."""
        texts = [text for _, text in self.blocks.get(tool, [])]
        return sum(bool(line.strip()) for text in texts for line in text.splitlines())

    def of_mosha(self, language: str) -> str:
        """Return what mosha needs in a language: cltab, hactl or sh."""
        return "".join(text for kind, text in self.blocks["mosha"] if kind == language)


def tasks() -> list[Task]:
    """Read the page."""
    section = _SECTION.search(PAGE.read_text(encoding="utf-8"))
    assert section is not None, "the page has no such section"
    found = []
    for name, text in _TASK.findall(section[1]):
        task, tool = Task(name), ""
        for match in _BLOCK.finditer(text):
            tool = match[1] or tool
            if match[2]:
                task.blocks.setdefault(tool, []).append((match[2], match[3]))
        found.append(task)
    return found
