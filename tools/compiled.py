#!/usr/bin/env python3
"""Build the package of this machine that has a compiled scheduler: build/compiled/komainu-….whl.

Usage: .venv/bin/python tools/compiled.py

mypyc makes C of the modules that COMPILED names. All of it happens in build/compiled: the sources are copied there, so that
no extension module ever lies beside the sources that are worked on. In the package they lie in a folder of their own,
beside a list of the sources that they were made from; komainu/compiled.py runs them only where those are the same.
"""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from komainu import compiled  # noqa: E402 - the path comes first

HERE = ROOT / "build" / "compiled"
STAGE = HERE / "stage"
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
    shutil.rmtree(HERE, ignore_errors=True)
    STAGE.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, STAGE)
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so")
    shutil.copytree(ROOT / "src", STAGE / "src", ignore=unwanted)
    compile_modules()
    gather()
    pack()


def pack() -> None:
    """Make the package of what lies ready."""
    (STAGE / "setup.py").write_text(SETUP, encoding="utf-8")
    data = f'"{compiled.FOLDER}/**/*", "py.typed"'
    project = (STAGE / "pyproject.toml").read_text(encoding="utf-8")
    assert '"py.typed"' in project, "the list of the package's files begins so"
    (STAGE / "pyproject.toml").write_text(project.replace('"py.typed"', data), encoding="utf-8")
    options = ["--quiet", "--no-deps", "--wheel-dir", str(HERE)]
    run("the package", [sys.executable, "-m", "pip", "wheel", *options, str(STAGE)], ROOT)
    for wheel in HERE.glob("*.whl"):
        print(f"made: {wheel.relative_to(ROOT)}")


def compile_modules() -> None:
    """Have mypyc and the C compiler make the extension modules, in build/compiled/stage/extensions."""
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
        sys.exit(f"compiled: making {what} failed; what it said stands above")


if __name__ == "__main__":
    main()
