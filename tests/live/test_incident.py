"""The founding incident with the real NetworkManager: komainu keeps its service, its daemons and its machines.

The whole matrix, with the peers, is `make bench-incident`; these are the cells that must never go bad.
"""

import json
import os
import subprocess
import sys

import pytest

from komainu.lab import lab, managers, preflight
from komainu.lab.managers import Network

ABSENT = preflight.absent(managers.PROGRAMS[Network.NETWORKMANAGER])

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="NetworkManager runs as root only"),
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}; {managers.PACKAGES_HINT}"),
    pytest.mark.skipif(bool(preflight.missing()), reason="; ".join(map(str, preflight.missing()))),
]

NAME = "inc-live"
Cells = list[dict[str, object]]


def run(*options: str) -> Cells:
    """Run faults of one set-up as a user does; exit 0 says that komainu kept its promises in every cell."""
    command = [sys.executable, "-c", "from komainu.cli.drill import drill; drill()", "run", "incident"]
    command += ["--lab", NAME, "--format", "json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (lab.base_directory() / NAME).exists()
    cells: Cells = json.loads(done.stdout)
    for cell in cells:
        assert cell["daemon_exits"] == 0
        assert cell["reboots"] == 0
    return cells


def test_that_night_again() -> None:
    """A direct cable, no server config: the address goes after 6 s, and nothing else happens."""
    (cell,) = run("--server-config", "no", "--cabling", "direct", "--fault", "cable pulled")
    gone = cell["gone_ms"]
    assert isinstance(gone, int)
    assert 5_800 <= gone <= 7_500, "that is NetworkManager's patience without carrier"
    listing = str(cell["listing"])
    assert "NO-CARRIER" in listing
    assert "inet " not in listing


def test_the_server_config_keeps_the_address() -> None:
    (cell,) = run("--server-config", "yes", "--cabling", "direct", "--fault", "cable pulled")
    assert cell["gone_ms"] is None
    assert "192.168.33.10" in str(cell["listing"])


@pytest.mark.parametrize("fault", ["cable", "nmcli", "restarted", "interface"])
def test_with_a_second_path_the_client_notices_nothing(fault: str) -> None:
    for cell in run("--server-config", "no", "--cabling", "dual", "--fault", fault):
        gap = cell["gap_ms"]
        assert isinstance(gap, int)
        assert gap <= 100
        assert cell["membership_changes"] == 0
        assert cell["two_at_once_ms"] == 0
