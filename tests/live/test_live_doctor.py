"""The doctor and the guard with the real NetworkManager: that night's problem is found and mended, and each loss explained."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from komainu.lab import action, lab, managers, preflight, protocol
from komainu.lab.layout import Layout
from komainu.lab.managers import Network

ABSENT = preflight.absent(managers.PROGRAMS[Network.NETWORKMANAGER])

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="NetworkManager runs as root only"),
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}; {managers.PACKAGES_HINT}"),
    pytest.mark.skipif(bool(preflight.missing()), reason="; ".join(map(str, preflight.missing()))),
]

DOCTOR = (sys.executable, "-m", "komainu.cli.main", "doctor")
MENDED = "/etc/NetworkManager/conf.d/90-komainu.conf"


@pytest.fixture(scope="module")
def raised() -> Iterator[lab.Lab]:
    """Give two nodes on one direct cable, each with its own NetworkManager as Debian ships it."""
    layout = Layout(ring_on_lan=False)
    blueprint = protocol.Blueprint(
        f"doc{os.getpid()}", layout, lab.DAEMON, "", network=Network.NETWORKMANAGER
    )
    one = lab.start(blueprint)
    try:
        until(lambda: all(has_address(one, node) for node in ("a", "b")))
        until(lambda: '"peer_state":"up"' in status(one).replace(" ", ""))
        yield one
    finally:
        one.down()


def until(claim: Callable[[], bool], timeout_s: float = 20) -> None:
    end = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def has_address(one: lab.Lab, node: str) -> bool:
    said = one.run(node, ("ip", "-br", "-4", "address", "show", "dev", "eth1")).stdout
    return {"a": "192.168.33.101", "b": "192.168.33.102"}[node] in said


def status(one: lab.Lab, node: str = "a") -> str:
    return one.run(node, (sys.executable, "-m", "komainu.cli.main", "status", "--format", "json")).stdout


def why(one: lab.Lab, node: str) -> str:
    return " ".join(one.run(node, (sys.executable, "-m", "komainu.cli.main", "why", "link0")).stdout.split())


def doctor(one: lab.Lab, *options: str) -> subprocess.CompletedProcess[str]:
    return one.run("a", (*DOCTOR, *options), timeout_s=30)


def found(one: lab.Lab) -> dict[str, dict[str, str]]:
    """Return what is wrong, by rule and interface."""
    told = json.loads(doctor(one, "--format", "json").stdout)
    return {f"{finding['rule']} {finding['subject']}": finding for finding in told["findings"]}


def test_that_night_is_foreseen_mended_and_tried(raised: lab.Lab) -> None:
    finding = found(raised)["NET001 eth1"]
    assert finding["gravity"] == "error"
    assert "If this cable is pulled, this node loses 192.168.33.101 after about 6 s" in finding["effect"]
    assert "both lose their address at once" in finding["effect"]
    done = doctor(raised, "--fix", "--yes")
    assert f"+++ {MENDED}" in done.stdout
    assert "ran: nmcli general reload conf\n" in done.stderr
    assert not found(raised).keys() & {"NET001 eth1", "NET017 eth1"}
    raised.perform(action.Pull(cable="interconnect"))
    until(lambda: not has_address(raised, "b"), 12)  # nobody mended b: NetworkManager takes its address
    time.sleep(2)
    assert has_address(raised, "a"), "the fix did not hold"
    until(lambda: "by NetworkManager 6." in why(raised, "b") and "reason 40 (" in why(raised, "b"))
    assert "(ignore-carrier is not set for eth1)" in why(raised, "b")
    raised.perform(action.Plug(cable="interconnect"))
    until(lambda: has_address(raised, "b"))


def test_the_mending_can_be_taken_back(raised: lab.Lab) -> None:
    assert MENDED in doctor(raised, "--undo").stderr
    assert raised.run("a", ("test", "-e", MENDED)).returncode == 1
    assert "NET001 eth1" in found(raised)


def test_a_setting_that_was_not_loaded_yet_is_told_and_loaded(raised: lab.Lab) -> None:
    """An old file that is unpacked into its place is new; so is what NetworkManager has not read."""
    section = "[device-eth1]\\nmatch-device=interface-name:eth1\\nignore-carrier=yes\\n"
    script = f"cd /tmp && printf '{section}' > kept && touch -d @1000000000 kept && mv kept {MENDED}"
    assert raised.run("a", ("sh", "-c", script)).returncode == 0
    assert found(raised)["NET017 eth1"]["gravity"] == "warning"
    assert "ran: nmcli general reload conf\n" in doctor(raised, "--fix", "--yes").stderr
    assert not found(raised).keys() & {"NET001 eth1", "NET017 eth1"}
    assert raised.run("a", ("rm", MENDED)).returncode == 0


def test_networkmanager_says_why_it_deleted_the_address(raised: lab.Lab) -> None:
    """With the cable in, only its own D-Bus state and reason tell; both nodes and the flight record have it."""
    assert raised.run("a", ("nmcli", "connection", "down", "eth1")).returncode == 0
    because = "deleted by NetworkManager (its connection was taken down by a user or a program)"
    until(lambda: because in status(raised, "a") and because in status(raised, "b"))
    until(lambda: "NetworkManager says: state 30 (disconnected), reason 39 (" in why(raised, "a"))
    assert raised.run("a", ("nmcli", "connection", "up", "eth1")).returncode == 0
    until(lambda: has_address(raised, "a"))


def test_a_network_manager_that_hangs_is_said_to(raised: lab.Lab) -> None:
    """Stopped, it answers neither D-Bus nor nmcli: what it says stays unknown, and is said to be."""
    signalled = raised.run("a", ("pkill", "-STOP", "-x", "NetworkManager"))
    assert signalled.returncode == 0
    try:
        begun = time.monotonic()
        told = found(raised)
        assert time.monotonic() - begun < 5, "the doctor hangs with it"
    finally:
        raised.run("a", ("pkill", "-CONT", "-x", "NetworkManager"))
    assert "NET001 eth1" in told
    assert any(key.startswith("DOC001") and "nmcli" in str(one) for key, one in told.items())


def test_without_rights_what_cannot_be_seen_is_said(raised: lab.Lab) -> None:
    unable = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    done = raised.run("a", (*unable, *DOCTOR, "--format", "json"), timeout_s=30)
    assert "Traceback" not in done.stderr
    rules = {finding["rule"] for finding in json.loads(done.stdout)["findings"]}
    assert rules & {"NET001", "DOC001"}, "what it could not see is no reason to call all fine"


def test_without_d_bus_the_files_still_tell(raised: lab.Lab) -> None:
    raised.run("a", ("pkill", "-x", "dbus-daemon"))
    told = found(raised)
    assert "NET001 eth1" in told
    assert any(key.startswith("DOC001") and "nmcli" in str(one) for key, one in told.items())
