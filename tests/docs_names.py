"""The public classes of the core, as the glossary lists them: each name once, with what it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
CORE = ROOT / "mosha" / "core"


def classes_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each public class with the first sentence of its docstring."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            words = (ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " ")
            yield node.name, words.partition(". ")[0].rstrip(".")


def names(argument: str) -> str:
    """Return the table of all of them, in the order of the alphabet."""
    del argument
    rows = sorted(
        (name, path.relative_to(CORE.parent).as_posix(), words)
        for path in CORE.rglob("*.py")
        for name, words in classes_of(ast.parse(path.read_text(encoding="utf-8")))
    )
    lines = [f"| `{name}` | `{path}` | {_cell(words)} |" for name, path, words in rows]
    return "\n".join(("| name | module | what it is |", "|---|---|---|", *lines))


def _cell(words: str) -> str:
    return words.replace("|", "\\|")
