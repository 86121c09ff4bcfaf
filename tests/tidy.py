"""The rules the code keeps about itself, as functions from a file's text to complaints.

docs/explanation/architecture.md gives the import directions; the other rules are those a
reader relies on: a pure core, one screen a function, one list of event names, tests that wait
for something. `tests/test_tidy.py` runs them over the project and shows that each can fail.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping

LINES_MAX = 400
FUNCTION_LINES_MAX = 60
ASSERTS = "assert"

_LEAVES = frozenset({"errors", "host"})
_CONTROL = frozenset({"control", "formats", "core"}) | _LEAVES
_ALL = (
    frozenset({"cli", "ha", "monitor", "clinit", "ocf", "systemd", "address", "__init__"})
    | _CONTROL
)

# What each part of mosha may import of mosha. A new part has to be given its place here.
LAYERS: Mapping[str, frozenset[str]] = {
    "errors": frozenset(),
    "host": frozenset({"host", "errors"}),
    "core": frozenset({"core", "errors"}),
    "formats": frozenset({"formats", "core", "errors"}),
    "control": _CONTROL,
    "ocf": frozenset({"ocf", "formats", "core"}) | _LEAVES,
    "systemd": frozenset({"systemd", "formats", "core"}) | _LEAVES,
    "address": frozenset({"address", "formats", "core"}) | _LEAVES,
    "clinit": _CONTROL | {"clinit", "ocf", "address"},
    "monitor": _CONTROL | {"monitor"},
    "cli": _ALL,
    "ha": _CONTROL | {"monitor"},
    "__init__": _ALL,
    "__main__": _ALL,
}

_PURE_STDLIB = frozenset(
    {
        *("__future__", "bisect", "collections", "difflib", "enum", "functools", "graphlib"),
        *("hashlib", "heapq", "itertools", "math", "operator", "re", "string", "textwrap"),
        *("types", "typing", "zlib"),
    }
)
# The values of the core are structs of msgspec: no module of it reads or writes anything.
# Text to data and back needs parsers, and paths as values; still no I/O.
PURE_IMPORTS: Mapping[str, frozenset[str]] = {
    "core": _PURE_STDLIB | {"msgspec"},
    "formats": _PURE_STDLIB
    | {"ipaddress", "json", "msgspec", "pathlib", "shlex", "tomllib", "xml"},
}
_IO_NAMES = frozenset({"open", "print", "input", "exec", "eval"})
_IO_METHODS = frozenset(
    {
        *("open", "read_text", "read_bytes", "write_text", "write_bytes", "exists", "is_file"),
        *("is_dir", "iterdir", "glob", "rglob", "mkdir", "unlink", "rename", "touch", "resolve"),
        *("stat", "home", "cwd", "expanduser"),
    }
)

# With a class of one letter in each word, since this file is searched too.
_MACHINE_PATH = re.compile(r"/(w[o]rk|f[a]rm|r[o]ot|t[m]p|opt/p[y]pi|opt/w[h]eels)\b|/h[o]me/\w")
_UNFINISHED = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X)\b")

_MODULE = re.compile(
    r"`(?:mosha/)?((?:core|formats|control|clinit|monitor|ocf|systemd|address|cli|host)/[\w/]+\.py)`"
)

_LOG_METHODS = frozenset({"debug", "info", "warning", "error", "critical", "exception"})
_NOTED = frozenset({"state", "record"})  # what of the core has notes for its shell
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def part_of(path: str) -> str:
    """Return the part of mosha a file belongs to: its directory, or its own name."""
    return path.removeprefix("mosha/").partition("/")[0].removesuffix(".py")


def imported_modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything imported, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "." * node.level + (node.module or "")
        elif isinstance(node, ast.ImportFrom) and node.module == "mosha":
            yield from ((node.lineno, f"mosha.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""


def import_complaints(path: str, text: str) -> list[str]:
    """Complain of imports against the directions."""
    part = part_of(path)
    if part not in LAYERS:
        return [f"{path}: {part} has no place among the layers"]
    found = []
    for line, module in imported_modules(ast.parse(text)):
        first, _, rest = module.partition(".")
        if not first:
            found.append(f"{path}:{line}: a relative import hides its direction")
        elif first == "mosha" and rest != "__version__":
            target = rest.partition(".")[0]
            if (target if target in LAYERS else "__init__") not in LAYERS[part]:
                found.append(f"{path}:{line}: {part} must not import {module}")
    return found


def purity_complaints(path: str, text: str) -> list[str]:
    """Complain of clock, chance, I/O and anything else that is no pure function."""
    allowed = PURE_IMPORTS.get(part_of(path))
    if allowed is None:
        return []
    tree = ast.parse(text)
    found = [
        f"{path}:{line}: {part_of(path)} is pure and must not import {module}"
        for line, module in imported_modules(tree)
        if module.partition(".")[0] not in allowed | {"mosha"}
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = called_name(node)
            plain = isinstance(node.func, ast.Name)
            if name in (_IO_NAMES if plain else _IO_METHODS):
                found.append(f"{path}:{node.lineno}: {part_of(path)} is pure, no {name}()")
    return found


def called_name(call: ast.Call) -> str:
    """Return the last word of what is called: `c` for `a.b.c()`."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def name_complaints(texts: Mapping[str, str]) -> list[str]:
    """Complain of public classes of one name: a word means one thing in the whole program."""
    places: dict[str, list[str]] = {}
    for path, text in texts.items():
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(f"{path}:{node.lineno}")
    return [
        f"{' and '.join(found)}: {name} means two things"
        for name, found in places.items()
        if len(found) > 1
    ]


def size_complaints(path: str, text: str) -> list[str]:
    """Complain of files and functions that do not fit one reading."""
    lines = text.count("\n")
    found = [f"{path}: {lines} lines, more than {LINES_MAX}"] if lines > LINES_MAX else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _FUNCTION):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                found.append(f"{path}:{node.lineno}: {node.name} has {length} lines")
    return found


def docstring_complaints(path: str, text: str) -> list[str]:
    """Complain of modules, public classes and public functions that say nothing of themselves."""
    tree = ast.parse(text)
    found = [] if ast.get_docstring(tree) or not text.strip() else [f"{path}: no docstring"]
    found += [
        f"{path}:{node.lineno}: {node.name} has no docstring"
        for owner in ast.walk(tree)
        if isinstance(owner, ast.Module | ast.ClassDef)
        for node in owner.body
        if isinstance(node, (*_FUNCTION, ast.ClassDef))
        and not node.name.startswith("_")
        and not (isinstance(owner, ast.ClassDef) and owner.name.startswith("_"))
        and not any(decorator_name(item) == "overload" for item in node.decorator_list)
        and not ast.get_docstring(node)
    ]
    return found


def decorator_name(decorator: ast.expr) -> str:
    """Return the last word of a decorator."""
    if isinstance(decorator, ast.Call):
        return called_name(decorator)
    return ast.unparse(decorator).rpartition(".")[2]


def text_complaints(path: str, text: str) -> list[str]:
    """Complain of paths of one machine and of marks of unfinished work."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if match := _MACHINE_PATH.search(line):
            found.append(f"{path}:{number}: {match[0]} is a path of one machine")
        if match := _UNFINISHED.search(line):
            found.append(f"{path}:{number}: {match[0]}")
    return found


def modules_named(text: str) -> set[str]:
    """Return the modules of mosha that a Markdown text names, as paths below `mosha/`."""
    return set(_MODULE.findall(text))


def is_logger(node: ast.expr) -> bool:
    """Say whether an expression is a logger: named so, or made by `bind` or `logs.get`."""
    if isinstance(node, ast.Call):
        maker = called_name(node)
        if maker == "bind" and isinstance(node.func, ast.Attribute):
            return is_logger(node.func.value)
        return ast.unparse(node.func) == "logs.get"
    name = ast.unparse(node).rpartition(".")[2]
    return name.lstrip("_") in {"log", "logger"} or name.endswith(("_log", "_logger"))


def is_log_call(node: ast.AST) -> bool:
    """Say whether a node logs: a method of a logger, or a note of the core for its shell."""
    if not (isinstance(node, ast.Call) and node.args):
        return False
    if not isinstance(node.func, ast.Attribute):
        return isinstance(node.func, ast.Name) and node.func.id == "LogRecord"
    if node.func.attr == "log":
        return ast.unparse(node.func.value).rpartition(".")[2].lstrip("_") in _NOTED
    return node.func.attr in _LOG_METHODS and is_logger(node.func.value)


def logged_events(path: str, text: str) -> tuple[set[str], list[str]]:
    """Return the event names a file logs, and complaints of names that cannot be read off.

    A function may take the name as a parameter called `event`; then its calls in the same
    file count. `note.event` hands on what was counted where the note was made.
    """
    tree = ast.parse(text)
    events: set[str] = set()
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and is_log_call(node)):
            continue
        name = node.args[0]
        if isinstance(name, ast.Name) and name.id == "event":
            events.update(handed_over_events(tree))
        elif names := list(constant_strings(name)):
            events.update(names)
        elif not (isinstance(name, ast.Attribute) and name.attr == "event"):
            found.append(f"{path}:{node.lineno}: the event name is not written out")
    return events, found


def handed_over_events(tree: ast.Module) -> Iterator[str]:
    """Yield the names given to parameters called `event` of functions of the same file."""
    places = {}
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTION):
            arguments = [*node.args.args, *node.args.kwonlyargs]
            names = [argument.arg for argument in arguments if argument.arg != "self"]
            if "event" in names:
                places[node.name] = names.index("event")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called_name(node) in places:
            for value in node.args[places[called_name(node)] :][:1]:
                yield from constant_strings(value)
            for keyword in node.keywords:
                if keyword.arg == "event":
                    yield from constant_strings(keyword.value)


def constant_strings(node: ast.expr) -> Iterator[str]:
    """Yield the string an expression is, or both strings of a choice between two."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from constant_strings(node.body)
        yield from constant_strings(node.orelse)


def event_complaints(files: Mapping[str, str], documented: Iterable[str]) -> list[str]:
    """Complain of events that are logged and not documented, or the other way round."""
    logged: set[str] = set()
    found = []
    for path, text in files.items():
        events, unreadable = logged_events(path, text)
        found += unreadable
        found += [f"{path}: {name} is not in EVENTS" for name in sorted(events - set(documented))]
        logged |= events
    found += [
        f"mosha/host/logs.py: nothing logs {name}" for name in sorted(set(documented) - logged)
    ]
    return found


def sleep_complaints(path: str, text: str) -> list[str]:
    """Complain of tests that let time pass, in disguise too; `sleep(0)` only lets others run."""
    return [
        f"{path}:{node.lineno}: {ast.unparse(node)}: wait for something instead"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and (_sleeps(node) or _waits_for_a_clock(node))
    ]


def _sleeps(call: ast.Call) -> bool:
    first = call.args[0] if call.args else None
    return called_name(call) == "sleep" and not (
        isinstance(first, ast.Constant) and first.value == 0
    )


def _waits_for_a_clock(call: ast.Call) -> bool:
    """Say whether this is `wait_until(lambda: boottime() > x)`."""
    if called_name(call) not in ("wait_until", "until") or not call.args:
        return False
    condition = call.args[0]
    return (
        isinstance(condition, ast.Lambda)
        and isinstance(condition.body, ast.Compare)
        and isinstance(condition.body.left, ast.Call)
        and called_name(condition.body.left) in ("boottime", "monotonic", "time", "current_time")
    )


def asserting_functions(calls: Mapping[str, set[str]]) -> set[str]:
    """Return the names of all functions that assert, themselves or by one that does.

    `calls` has what each function calls, with ASSERTS for an assert.
    """
    names: set[str] = set()
    while more := {name for name, called in calls.items() if asserts(called, names)} - names:
        names |= more
    return names


def asserts(called: set[str], helpers: set[str]) -> bool:
    """Say whether among what is called there is an assert, `pytest.raises` or such a helper."""
    return not called.isdisjoint(helpers | {ASSERTS, "raises", "warns"}) or any(
        name.startswith("assert_") for name in called
    )


def called_in(function: ast.AST) -> Iterator[str]:
    """Yield the names of what a function calls, and ASSERTS for each assert."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            yield ASSERTS
        elif isinstance(node, ast.Call):
            yield called_name(node)


def assertion_complaints(files: Mapping[str, str]) -> list[str]:
    """Complain of tests that cannot fail."""
    functions = [
        (path, node, set(called_in(node)))
        for path, text in files.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, _FUNCTION)
    ]
    calls: dict[str, set[str]] = {}
    for _, node, called in functions:
        calls[node.name] = calls.get(node.name, set()) | called
    helpers = asserting_functions(calls)
    return [
        f"{path}:{node.lineno}: {node.name} asserts nothing"
        for path, node, called in functions
        if node.name.startswith("test_") and not asserts(called, helpers)
    ]


def lock_complaints(wanted: Iterable[str], lock: str, path: str) -> list[str]:
    """Complain of requirements that the file `path` does not lock, or locks without a hash."""
    pins = {
        match[1]: match[2].count("--hash=")
        for match in re.finditer(r"^([\w.-]+)==((?:.*\\\n)*.*)$", lock, re.MULTILINE)
    }
    names = [re.split(r"[<>=!~\[; ]", requirement)[0] for requirement in wanted]
    found = [f"{path}: {name} is missing: make lock" for name in names if name not in pins]
    return found + [f"{path}: {name} has no hash" for name in pins if not pins[name]]
