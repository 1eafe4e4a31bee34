"""Raise a lab as an ordinary user, in a user namespace; nothing of it is left afterwards.

Run by root, the test becomes such a user. What an ordinary user cannot enter on the way to the interpreter
(a Python below /root) is covered, for the test alone, by a directory that anybody may enter.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from komainu import lab
from komainu.lab import preflight

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(preflight.missing()), reason="; ".join(map(str, preflight.missing()))),
    pytest.mark.skipif(
        os.geteuid() != 0, reason="who is no root runs every other live test as an ordinary user"
    ),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not installed"),
]

USER = 65_534
PATIENCE_S = 120

BECOME = r"""
set -e
closed=$1 base=$2 own=$3; shift 3
if [ -n "$closed" ]; then
    mkdir "$own/base"
    mount --bind "$base" "$own/base"
    mount -t tmpfs -o mode=755 open "$closed"
    mkdir -p "$base"
    mount --bind "$own/base" "$base"
fi
exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
"""


def closed_directory(path: Path) -> str:
    """Name the directory above a path that others may not enter; empty when there is none."""
    found = [above for above in reversed(path.parents) if not above.stat().st_mode & 0o001]
    return str(found[0]) if found else ""


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path("/tmp") / f"komainu-ordinary-{os.getpid()}"
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder


def test_an_ordinary_user_raises_a_lab_and_leaves_nothing(own: Path) -> None:
    base = Path(sys.base_prefix).resolve()
    if closed := closed_directory(Path(sys.prefix).resolve() / "bin"):
        pytest.skip(f"others may not enter {closed}, where the virtual environment is")
    environment = {**os.environ, "HOME": str(own), "XDG_RUNTIME_DIR": str(own), "TMPDIR": str(own)}
    program = [sys.executable, "-m", "komainu.cli.main"]

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        become = ["unshare", "--mount", "sh", "-c", BECOME, "sh", closed_directory(base), str(base), str(own)]
        return subprocess.run(
            [*become, *program, *command],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            env=environment,
            cwd="/",
        )

    try:
        beginning, *steps = (
            (Path(lab.__file__).parent.parent / "drills/demo.toml").read_text().split("[[step]]")
        )
        short = own / "short.toml"
        short.write_text("[[step]]".join([beginning, *steps[:2]]))
        ran = run("drill", "run", str(short), "--lab", "ordinary", "--slack", "10")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert not (own / "komainu-lab").exists() or not list((own / "komainu-lab").iterdir())
    finally:
        run("lab", "down", "--name", "ordinary")
        shutil.rmtree(own, ignore_errors=True)
