#!/usr/bin/env python3
"""Build the package of this machine that has a compiled scheduler: build/compiled/komainu-….whl.

Usage: .venv/bin/python tools/compiled.py [--check]

mypyc makes C of the modules that COMPILED names. All of it happens in build/compiled.new: the sources are copied there, so
that no extension module ever lies beside the sources that are worked on. Once it is whole it takes the place of
build/compiled; whoever stops it keeps what he had. In the package the modules lie in a folder of their own,
beside a list of the sources that they were made from; komainu/compiled.py runs them only where those are the same.

With --check nothing is built: it says whether what was built is of the sources that lie here, and can be run.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from komainu import compiled  # noqa: E402 - the path comes first

HERE = ROOT / "build" / "compiled"
NEW = ROOT / "build" / "compiled.new"
STAGE = NEW / "stage"
TO_C = """
import sys
from mypyc.build import mypycify
from setuptools import setup

modules = mypycify(["--strict", "--python-version=3.11", *sys.argv[1:]], opt_level="2", debug_level="0", group_name="komainu")
setup(name="komainu", ext_modules=modules, script_args=["build_ext", "--build-lib", "../extensions"])
"""
SETUP = """
from setuptools import Distribution, setup

class OfThisMachine(Distribution):
    def has_ext_modules(self):
        return True

setup(distclass=OfThisMachine)
"""


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--check", action="store_true", help="only say whether what was built can be run")
    if arguments.parse_args().check:
        reason = misfit(HERE)
        if reason:
            sys.exit(f"compiled: {reason}")
        return
    reason = obstacle()
    if reason:
        sys.exit(f"compiled: {reason}")
    try:
        build()
    except KeyboardInterrupt:
        sys.exit("compiled: stopped; what was built before is as it was")
    except OSError as error:
        sys.exit(f"compiled: {error.filename}: {error.strerror}; what was built before is as it was")
    for wheel in HERE.glob("*.whl"):
        print(f"made: {wheel.relative_to(ROOT)}")


def obstacle() -> str:
    """Say what is missing for building; empty: nothing is."""
    if importlib.util.find_spec("mypyc") is None:
        return "this Python has no mypyc: run `make compiled`, which takes that of .venv"
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return (
            f"there is no C compiler {compiler}: install one (Debian: build-essential), or name yours in CC"
        )
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        return f"Python's headers are missing ({header}): install them (Debian: python3-dev)"
    return ""


def misfit(folder: Path) -> str:
    """Say why what was built in a folder cannot stand for the sources that lie here; empty: it can."""
    package = folder / "stage" / "src" / "komainu"
    if not (package / compiled.FOLDER / compiled.LIST).exists():
        return "nothing is built here yet: run `make compiled`"
    if compiled.digest_of(package) != compiled.digest_of(ROOT / "src" / "komainu"):
        return "it was built from other sources than those that lie here: run `make compiled` again"
    reason = compiled.misfit(package)
    return f"it would not be used: {reason}" if reason else ""


def build() -> None:
    """Build all of it anew, and put it in the place of what was built before."""
    if NEW.exists():
        shutil.rmtree(NEW)
    STAGE.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, STAGE)
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so")
    shutil.copytree(ROOT / "src", STAGE / "src", ignore=unwanted)
    compile_modules()
    gather()
    pack()
    if HERE.exists():
        shutil.rmtree(HERE)
    NEW.rename(HERE)


def pack() -> None:
    """Make the package of what lies ready."""
    (STAGE / "setup.py").write_text(SETUP, encoding="utf-8")
    data = f'"{compiled.FOLDER}/**/*", "py.typed"'
    project = (STAGE / "pyproject.toml").read_text(encoding="utf-8")
    assert '"py.typed"' in project, "the list of the package's files begins so"
    (STAGE / "pyproject.toml").write_text(project.replace('"py.typed"', data), encoding="utf-8")
    options = ["--quiet", "--no-deps", "--wheel-dir", str(NEW)]
    run("the package", [sys.executable, "-m", "pip", "wheel", *options, str(STAGE)], ROOT)


def compile_modules() -> None:
    """Have mypyc and the C compiler make the extension modules, in stage/extensions."""
    paths = [f"{name.replace('.', '/')}.py" for name in compiled.COMPILED]
    run("the extension modules", [sys.executable, "-c", TO_C, *paths], STAGE / "src")


def gather() -> None:
    """Put the extension modules into the package, by their full names, with what they were made from."""
    package = STAGE / "src" / "komainu"
    folder = package / compiled.FOLDER
    folder.mkdir()
    made = STAGE / "extensions"
    names = set()
    for path in made.rglob("*.so"):
        parts = path.relative_to(made).parts
        name = ".".join((*parts[:-1], parts[-1].partition(".")[0]))
        names.add(name)
        shutil.copy2(path, folder / f"{name}.so")
    missing = set(compiled.COMPILED) - names
    assert not missing, f"not compiled: {sorted(missing)}"
    compiled.tell(package, sysconfig.get_config_var("SOABI"))


def run(what: str, command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, check=False)
    if done.returncode:
        said = "what it said stands above; what was built before is as it was"
        sys.exit(f"compiled: making {what} failed; {said}")


if __name__ == "__main__":
    main()
