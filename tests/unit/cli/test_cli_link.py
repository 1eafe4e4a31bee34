"""`komainu link list` for a terminal: nothing is cut off, nothing runs past the line."""

import pytest

from komainu.cli.commands import run
from komainu.cli.link import link_lines
from komainu.model.ids import NodeName, WallTime
from komainu.model.link import LinkState
from komainu.model.request import DropView, EndView, Links, LinkView

LOST = (
    "eth1: carrier lost; address 192.168.33.101/24 deleted by NetworkManager 6.0 s later "
    "(ignore-carrier is not set for eth1)"
)
LINKS = Links(
    node=NodeName("a"),
    ends=(
        EndView(0, "eth1", "192.168.33.101/24", LinkState.NO_CARRIER, LOST, False, True, True, False, False, 2),
        EndView(1, "eth\x1b0", "10.77.0.1/24", LinkState.UP, "", True, True, False, False, False, 0),
    ),
    links=(
        LinkView(0, NodeName("b"), LinkState.NO_CARRIER, LOST, LinkState.NO_CARRIER, LOST, WallTime(0), None),
        LinkView(1, NodeName("b"), LinkState.UP, "", LinkState.UP, "", WallTime(0), 1.25),
    ),
    at=WallTime(5_000),
    dropped=(DropView(0, "not-authentic", 12, "were sealed with another key, or spoiled on their way here", WallTime(0)),),
)  # fmt: skip


def test_long_reasons_go_on_below_within_eighty_columns() -> None:
    lines = link_lines(LINKS)
    assert max(map(len, lines)) <= 80
    joined = " ".join(line.strip() for line in lines)
    assert joined.count(LOST) == 3
    assert "puts the address back when it is deleted; did so 2 times within the last minute" in joined
    assert "to b: up, round trip 1.2 ms" in joined
    assert all(line.isprintable() for line in lines)


def test_a_command_without_its_subcommand_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["link"]) == 2
    assert capsys.readouterr().err.startswith("Usage: komainu link")
