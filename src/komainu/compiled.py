"""Decide whether this process runs the compiled scheduler: only where it was made from the sources that lie here.

`make compiled` makes extension modules of the modules in COMPILED, and puts them into a folder of their own. Python finds
sources by itself, and never those; here it is led to them, if the list beside them says that they were made for this
Python and from just these sources. Where one byte differs, all of them are left alone and the sources run. What both
compute is the same, so nobody else needs to know.
Source: Python's import system (importlib), mypyc.
"""

import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

FOLDER: Final = "compiled_modules"
LIST: Final = "made-from.json"
PLAIN: Final = "KOMAINU_PLAIN"
"""The environment variable that, set to anything, has the sources run: to compare, or to read a traceback."""

LEFT_PLAIN: Final = frozenset("explain explain_actions explain_scores simulation what_if why".split())
"""Modules of the scheduler that are asked by people, one plan at a time: they need not be quick."""

RESTS_ON: Final = ("model", "cib", "scheduler")
"""The rooms whose sources the compiled modules were made from, and those whose types they were made with."""

COMPILED: Final = (
    "komainu.cib.digest",
    "komainu.cib.document",
    "komainu.cib.element",
    "komainu.cib.plain",
    "komainu.model.score",
    *sorted(
        f"komainu.scheduler.{path.stem}"
        for path in (Path(__file__).parent / "scheduler").glob("*.py")
        if path.stem not in {"__init__", *LEFT_PLAIN}
    ),
)


def digest_of(package: Path) -> str:
    """Compute what stands for all sources that matter, by the path of the package."""
    found = hashlib.sha256()
    for room in RESTS_ON:
        for path in sorted((package / room).rglob("*.py")):
            found.update(f"{path.relative_to(package)}\n".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def tell(package: Path, python: str) -> None:
    """Write down what the compiled modules of a package were made from, and for which Python."""
    told = {"python": python, "sources": digest_of(package)}
    (package / FOLDER / LIST).write_text(json.dumps(told), encoding="utf-8")


def misfit(package: Path) -> str:
    """Say why the compiled modules do not fit here; empty: they do."""
    if os.environ.get(PLAIN):
        return f"{PLAIN} is set"
    try:
        told = json.loads((package / FOLDER / LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        told = None
    if not isinstance(told, dict):
        return f"{LIST} cannot be read"
    if told.get("python") != sysconfig.get_config_var("SOABI"):
        return f"it was made for {told.get('python')}"
    return "" if told.get("sources") == digest_of(package) else "it was made from other sources"


class Finder:
    """Leads Python to the compiled modules, once it asks for the first of them."""

    def __init__(self, package: Path) -> None:
        self._package = package
        self._folder = package / FOLDER
        self.misfit: str | None = None  # not known before the first is asked for

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is compiled; None lets Python look for it as ever."""
        _ = path, target
        file = self._folder / f"{name}.so"
        if not name.startswith("komainu") or not file.exists():
            return None
        return None if self.reason() else spec_from_file_location(name, file)

    def reason(self) -> str:
        """Say why the compiled modules are not used; empty: they are."""
        if self.misfit is None:
            self.misfit = misfit(self._package)
        return self.misfit


def offer(package: Path) -> None:
    """Have Python use the compiled modules of a package, where there are any and they fit."""
    if (package / FOLDER / LIST).exists():
        sys.meta_path.insert(0, Finder(package))


def told() -> str:
    """Say what this process runs, for those who look: nothing where nothing was compiled."""
    finder = next((finder for finder in sys.meta_path if isinstance(finder, Finder)), None)
    if finder is None:
        return ""
    reason = finder.reason()
    return f"the compiled scheduler is not used: {reason}" if reason else "the compiled scheduler is used"
