"""The demonstration on Corosync 3 as the engine, and what happens to a daemon whose Corosync goes: all real."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from komainu.lab import lab, managers, preflight, protocol
from komainu.lab.action import Isolate
from komainu.lab.files import CERTIFICATES
from komainu.lab.layout import Layout
from komainu.lab.stacks import DAEMON, PROGRAMS, QNETD_SOCKET, Stack, certify_command, programs

STACK = Stack.KOMAINU_ON_COROSYNC
ABSENT = preflight.absent(PROGRAMS[STACK])

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="Corosync runs as root only"),
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}; {managers.PACKAGES_HINT}"),
    pytest.mark.skipif(bool(preflight.missing()), reason="; ".join(map(str, preflight.missing()))),
]

NAME = "engine-live"


def test_the_demonstration_goes_as_it_says_on_corosync_too(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from komainu.cli.drill import drill; drill()", "run", "demo"]
    options = [
        "--engine",
        "corosync",
        "--lab",
        NAME,
        "--slack",
        "10",
        "--format",
        "json",
        "--logs",
        str(tmp_path),
    ]
    done = subprocess.run([*program, *options], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (lab.base_directory() / NAME).exists()


@pytest.fixture(name="three")
def three_nodes() -> Iterator[lab.Lab]:
    layout = Layout(("a", "b", "c"), 1)
    one = lab.start(protocol.Blueprint(NAME, layout, DAEMON[STACK], "", stack=STACK))
    try:
        yield one
    finally:
        one.down()


def status(one: lab.Lab, node: str) -> dict[str, object]:
    done = one.run(node, ["komainu", "status", "--format", "json"])
    found: dict[str, object] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found


def await_that(what: Callable[[], bool], within_s: float = 30) -> None:
    until = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.1)


def is_whole(one: lab.Lab) -> bool:
    seen = [status(one, node) for node in ("a", "b", "c")]
    reasons = {str(each.get("quorum_reason")) for each in seen}
    return reasons == {"3 of 3 votes"} and len({each["view"] for each in seen}) == 1


def test_a_daemon_outlives_its_corosync_without_quorum_and_joins_again(three: lab.Lab) -> None:
    await_that(lambda: is_whole(three))
    assert three.run("c", ["pkill", "-9", "-x", "corosync"]).returncode == 0
    await_that(lambda: status(three, "c").get("is_quorate") is False)
    assert "Corosync" in str(status(three, "c")["quorum_reason"])
    await_that(lambda: status(three, "a").get("quorum_reason") == "2 of 3 votes")
    assert three.run("c", ["corosync"]).returncode == 0
    await_that(lambda: is_whole(three))
    machines = {machine.node: machine.daemon for machine in three.describe().machines}
    assert machines["c"] == "running"
    assert "up" in str(status(three, "c")["links"])


WITNESSED = Layout(
    ("a", "b", "c"),
    1,
    ring_on_lan=False,
    has_witness=True,
    witness_algorithm="lms",
    witness_has_tls=True,
    detect_within_ms=1000,
)


@pytest.fixture(name="witnessed")
def three_nodes_with_a_qnetd() -> Iterator[lab.Lab]:
    one = lab.start(protocol.Blueprint(NAME, WITNESSED, DAEMON[STACK], "", stack=STACK))
    try:
        yield one
    finally:
        one.down()


def give_foreign_certificates(one: lab.Lab, node: str) -> None:
    """Let a machine ask qnetd with certificates of the same names that another authority made."""
    foreign = Path("/run/foreign")  # of the machine, which does not see the /tmp of this one
    assert one.run(node, certify_command(foreign, NAME)).returncode == 0
    own = "/etc/corosync/qdevice"
    # Names of processes are cut after 15 characters. It is started anew at once.
    script = f"rm -r {own} && cp -r {foreign / CERTIFICATES / 'qdevice'} {own} && pkill -9 -x corosync-qdevic"
    done = one.run(node, ["sh", "-c", script])
    assert done.returncode == 0, done.stderr


def reasons(one: lab.Lab) -> list[str]:
    return [str(status(one, node).get("quorum_reason")) for node in ("a", "b", "c")]


@pytest.mark.skipif(
    bool(preflight.absent(programs(WITNESSED, STACK))), reason="corosync-qnetd is not installed"
)
def test_with_lms_and_certificates_of_corosyncs_own_tools_one_of_three_goes_on(witnessed: lab.Lab) -> None:
    """qnetd takes nobody without its certificate, and status says it. Without a way between the nodes the lowest one alone has 3 of 5 votes."""
    socket = lab.base_directory() / NAME / QNETD_SOCKET
    tool = ["corosync-qnetd-tool", "-l", "-v", "-p", str(socket)]

    def said() -> str:
        return subprocess.run(tool, capture_output=True, text=True, timeout=10, check=False).stdout

    await_that(lambda: said().count("ACK (ACK)") == 3)
    assert said().count("Yes (client certificate verified)") == 3
    assert "LMS" in said()
    await_that(lambda: str(status(witnessed, "a").get("quorum_reason")).startswith("5 of 5 votes"))
    give_foreign_certificates(witnessed, "c")
    await_that(lambda: "whether qnetd took this node" in str(status(witnessed, "c").get("warnings")))
    assert status(witnessed, "c")["quorum_reason"] == "3 of 5 votes"
    witnessed.perform(Isolate(cable="interconnect"))
    alone = "Corosync gives no quorum on {}; 1 of 5 votes"
    wanted = ["3 of 5 votes, 2 of them the quorum device's", alone.format("b"), alone.format("c")]
    await_that(lambda: reasons(witnessed) == wanted)
