"""Hold the house in order: direction of imports, purity of cores, sizes, vocabulary, and what the text says."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "komainu"
RATCHET = ROOT / "tests" / "tidy.toml"

CORES = ("ring", "scheduler", "controller", "executor", "fencing", "network", "recorder", "witness")
PURE_FILES = (
    *("drive", "race", "replica", "coordination", "membership", "devices", "status", "interface"),
    *("desk", "causes", "service_addresses", "last_resort", "fence_warnings", "pair", "stance", "groups"),
)
IMPURE = frozenset(
    "asyncio socket time random os subprocess threading select selectors secrets pyroute2 sqlite3 tempfile "
    "shutil logging".split()
)
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "model": (),
    "cib": ("model",),
    **dict.fromkeys(CORES, ("model", "cib")),
    "node": ("model", "cib", *CORES),
    "sim": ("model", "cib", *CORES, "node"),
    "client": ("model",),
    "cli": ("model", "client", "cib", "scheduler", "sim", "lab", "node", "ring", "recorder", "witness"),
    "lab": ("model", "client"),
}
LINES_MAX, BODY_MAX, METHODS_MAX, PARAMETERS_MAX = 600, 60, 20, 5
OLD_WORDS = re.compile(r"\b(master|slave|stonith)\b", re.IGNORECASE)


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if "agents/" not in str(path.relative_to(SOURCE)))


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def room(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return parts[0] if len(parts) > 1 else ""


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.body[0].lineno + 1


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    positional = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return len([name for name in positional if name not in {"self", "cls"}])


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    own = room(path)
    if not own:
        return
    allowed = {own, *MAY_IMPORT[own]}
    for line, name in imports(parse(path)):
        parts = name.split(".")
        if parts[0] == "komainu" and len(parts) > 1:
            assert parts[1] in allowed, f"{path}:{line}: {own} must not import {name}"


def test_cores_are_pure() -> None:
    for path in modules():
        is_core = room(path) in {"model", "cib", *CORES} or (room(path) == "node" and path.stem in PURE_FILES)
        if not is_core:
            continue
        for line, name in imports(parse(path)):
            assert name.split(".")[0] not in IMPURE, f"{path}:{line}: a core must not import {name}"


def measure() -> dict[str, int]:
    """Everything that is over a limit, by place, with its size."""
    over: dict[str, int] = {}
    for path in modules():
        name, tree = str(path.relative_to(SOURCE)), parse(path)
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LINES_MAX:
            over[f"{name} lines"] = lines
        for function in functions(tree):
            if body_lines(function) > BODY_MAX:
                over[f"{name} {function.name} body"] = body_lines(function)
            if parameters(function) > PARAMETERS_MAX:
                over[f"{name} {function.name} parameters"] = parameters(function)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                methods = sum(
                    isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) for child in node.body
                )
                if methods > METHODS_MAX:
                    over[f"{name} {node.name} methods"] = methods
    return over


def test_sizes_only_shrink() -> None:
    """Nothing new crosses a limit, nothing old grows, and what shrank is written down."""
    allowed: dict[str, int] = tomllib.loads(RATCHET.read_text(encoding="utf-8"))["over"]
    over = measure()
    grown = {place: size for place, size in over.items() if size > allowed.get(place, 0)}
    assert not grown, f"over the limits of STYLE (or larger than before): {grown}"
    shrunk = {place: over.get(place, 0) for place, size in allowed.items() if over.get(place, 0) < size}
    assert not shrunk, f"write the smaller size into {RATCHET.name}: {shrunk}"


def test_every_module_says_what_it_is_for() -> None:
    for path in modules():
        text = ast.get_docstring(parse(path)) or ""
        assert len(text.split()) >= 4, f"{path} does not say what it decides"


def test_exceptions_to_checks_carry_their_reason() -> None:
    bare = re.compile(r"#\s*(?:noqa: *[A-Z0-9, ]+|type: *ignore\[[^\]]+\])\s*$")
    unspecific = re.compile(r"#\s*(?:noqa|type: *ignore)\s*(?:$|[^:\[])")
    for path in modules():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not unspecific.search(line), f"{path}:{number}: names no code"
            assert not bare.search(line), f"{path}:{number}: gives no reason"


def test_names_are_the_fields_words() -> None:
    """Our own names do not use the words that the field has given up; strings may, since CIBs do."""
    for path in modules():
        for node in ast.walk(parse(path)):
            name = ""
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = node.name
            elif isinstance(node, ast.arg):
                name = node.arg
            assert not OLD_WORDS.search(name.replace("_", " ")), f"{path}: the name {name}"


def test_unfinished_work_is_not_hidden() -> None:
    words = re.compile(r"\b(NotImplementedError|TODO|FIXME|XXX)\b")
    for path in modules():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not words.search(line), f"{path}:{number}: {line.strip()}"


def test_documents_name_files_that_exist() -> None:
    pages = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")]
    named = re.compile(r"`((?:[\w-]+/)+(?:[\w-]+\.(?:py|toml|md|service))?)`")
    gone = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in pages
        for name in named.findall(page.read_text(encoding="utf-8"))
        if not any((base / name).exists() for base in (ROOT, SOURCE, page.parent))
    ]
    assert not gone
