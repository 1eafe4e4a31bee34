"""What komainu promised in a cell, how a cell reads, and what the incident's options refuse."""

import msgspec
import pytest
from click.testing import CliRunner

from komainu.cli import incident
from komainu.cli.drill import drill
from komainu.lab.incident import Cell

GOOD = Cell(
    stack="komainu",
    network="networkmanager",
    server_config=False,
    cabling="dual",
    fault="cable pulled",
    gone_ms=6020,
    back_ms=20,
    links=("a: 0 no-carrier",),
    thought={"a": "a b, quorate", "b": "a b, quorate"},
    membership_changes=0,
    daemon_exits=0,
    reboots=0,
    gap_ms=30,
    two_at_once_ms=0,
    healed_ms=12,
)


def changed(**fields: object) -> Cell:
    return msgspec.structs.replace(GOOD, **fields)


def test_a_good_cell_misses_nothing() -> None:
    assert not incident.missed(GOOD)
    assert "gone 6.02 s" in incident.table([GOOD])


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"daemon_exits": 1}, "ended"),
        ({"reboots": 2}, "reset"),
        ({"gap_ms": 101}, "100 ms"),
        ({"healed_ms": None, "lacking": ("a is busy",)}, "a is busy"),
    ],
)
def test_each_promise_that_is_not_kept_is_told(fields: dict[str, object], word: str) -> None:
    (told,) = incident.missed(changed(**fields))
    assert word in told
    assert told in incident.table([changed(**fields)])


def test_a_gap_without_a_second_path_and_a_peer_are_only_shown() -> None:
    assert not incident.missed(changed(cabling="direct", gap_ms=9_000))
    assert not incident.missed(changed(stack="pacemaker", gap_ms=9_000, healed_ms=None))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("demo", "--cabling", "direct"), "only for"),
        (("demo", "--stack", "corosync3"), "runs no resources"),
        (("demo", "--stack", "pacemaker", "--engine", "corosync"), "has its own"),
        (("incident", "--network", "static", "--server-config", "yes"), "needs a network manager"),
        (("incident", "--fault", "earthquake"), "no fault here"),
        (("incident", "--stack", "heartbeat"), "heartbeat"),
    ],
)
def test_misuse_is_refused_before_anything_starts(words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(drill, ["run", *words])
    assert done.exit_code == 2
    assert said in done.output
