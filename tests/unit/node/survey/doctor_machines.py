"""Build the machines of tests/cases/doctor: a tree of files from a TOML file, and what runs on it."""

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from komainu.network.doctor.evidence import Evidence, Output
from komainu.node.survey.files import read_files

CASES = Path(__file__).parents[3] / "cases" / "doctor"
NAMES = sorted(path.stem for path in CASES.glob("*.toml") if path.stem != "parts")
TABLES = ("files", "modes", "links", "raw")


def description(name: str) -> dict[str, Any]:
    """Read a case, with the parts that it names."""
    case = tomllib.loads((CASES / f"{name}.toml").read_text())
    parts = tomllib.loads((CASES / "parts.toml").read_text())
    for table in TABLES:
        joined: dict[str, Any] = {}
        for part in case.get("parts", []):
            joined |= parts[part].get(table, {})
        case[table] = joined | case.get(table, {})
    return case


def build(name: str, folder: Path) -> dict[str, Any]:
    """Write the tree of a case; return its description."""
    case = description(name)
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in case["files"].items():
        write(folder, path, text.removeprefix("\n").encode())
    for path, octets in case["raw"].items():
        write(folder, path, bytes.fromhex(octets))
    for path in case.get("folders", []):
        (folder / path[1:]).mkdir(parents=True)
    for path, target in case["links"].items():
        (folder / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (folder / path[1:]).symlink_to(target)
    for path, mode in case["modes"].items():
        (folder / path[1:]).chmod(mode)
    return case


def write(folder: Path, path: str, content: bytes) -> None:
    place = folder / path[1:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    place.chmod(0o644)


def evidence(name: str, folder: Path) -> Evidence:
    """Build a case and look at it; what runs on it is told by the case itself."""
    case = build(name, folder)
    found = Evidence(read_files(str(folder)))
    if "live" not in case:
        return found
    outputs = {key: Output(text) for key, text in case.get("outputs", {}).items()}
    outputs |= {key: Output(problem=text) for key, text in case.get("problems", {}).items()}
    files = {path: replace(file, owner=0) for path, file in found.files.items()}
    running = {program[:15]: 2_000_000_000 for program in case["live"]["processes"]}
    return Evidence(files, outputs, running, case["live"].get("clock"))
