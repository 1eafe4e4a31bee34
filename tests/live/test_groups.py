"""The lock of docs/examples on real daemons, on both engines: one holder at a time, whatever dies."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from komainu.lab import lab, preflight, protocol
from komainu.lab.action import PowerOff
from komainu.lab.layout import Layout
from komainu.lab.machine import environment
from komainu.lab.stacks import DAEMON, PROGRAMS, Stack

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(preflight.missing()), reason="; ".join(map(str, preflight.missing()))),
]

NAME = "groups-live"
LOCK = str(Path(__file__).resolve().parents[2] / "docs/examples/distributed_lock.py")


@pytest.fixture(
    name="pair", params=[Stack.KOMAINU, Stack.KOMAINU_ON_COROSYNC], ids=lambda stack: stack.engine
)
def two_nodes(request: pytest.FixtureRequest) -> Iterator[lab.Lab]:
    stack: Stack = request.param
    if preflight.absent(PROGRAMS[stack]) or (PROGRAMS[stack] and os.geteuid() != 0):
        pytest.skip("Corosync is not installed, or this is not root")
    one = lab.start(protocol.Blueprint(NAME, Layout(("a", "b", "c"), 1), DAEMON[stack], "", stack=stack))
    try:
        until = time.monotonic() + 40
        while "3 of 3 votes" not in one.run("c", ["komainu", "status"]).stdout:
            assert time.monotonic() < until, "the nodes did not find each other"
            time.sleep(0.1)
        yield one
    finally:
        one.down()


def in_line(one: lab.Lab, node: str) -> subprocess.Popen[str]:
    """Begin to wait for the lock; with it the program says who it is, and holds it until it is killed."""
    work = f"print('held by {node}', flush=True); import time; time.sleep(60)"
    command = one.inside(node, [sys.executable, "-u", LOCK, "night", sys.executable, "-u", "-c", work])
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(NAME))


def said(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


def test_the_lock_has_one_holder_and_outlives_programs_and_nodes(pair: lab.Lab) -> None:
    programs = {}
    for node in ("c", "a", "b"):
        programs[node] = in_line(pair, node)
        time.sleep(1)  # so that they stand in this line
    try:
        assert said(programs["c"]) == "held by c"
        assert programs["a"].poll() is None
        pair.run("c", ["pkill", "-9", "-f", "distributed_lock"])
        assert said(programs["a"]) == "held by a"
        assert pair.perform(PowerOff("a")) == ""
        assert said(programs["b"]) == "held by b"
    finally:
        for program in programs.values():
            program.kill()
            assert program.stdout is not None
            program.stdout.close()
            program.wait()
