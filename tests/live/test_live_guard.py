"""Take addresses, carriers and rights away from real daemons: links go on, say why, and the ring is undisturbed."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from komainu.client.client import Client
from komainu.lab import action, lab, preflight, protocol
from komainu.lab.layout import Layout
from komainu.lab.managers import PROGRAMS, Network
from komainu.model.link import LinkState
from komainu.model.request import (
    ApplyConfiguration,
    AskLinks,
    AskStatus,
    AskWhy,
    Done,
    EndView,
    Links,
    LinkView,
    ReleaseLink,
    Status,
    Why,
)
from komainu.node.settings import PORT
from komainu.ring import wire

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(preflight.missing()), reason="; ".join(map(str, preflight.missing()))),
]

SETTINGS = "/etc/komainu/komainu.toml"
KEEPS = r's/"(192\.168\.33\.[0-9]+)"/{ address = "\1", interface = "eth1", keep_address = "yes" }/'

VIP = """
<cib validate-with="pacemaker-3.9"><configuration>
  <crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/>
  </cluster_property_set></crm_config>
  <nodes><node id="1" uname="a"/><node id="2" uname="b"/></nodes>
  <resources><primitive id="vip" class="ocf" provider="komainu" type="vip">
    <instance_attributes id="v"><nvpair id="v1" name="ip" value="10.77.0.100"/>
      <nvpair id="v2" name="cidr_netmask" value="24"/></instance_attributes>
    <operations><op id="vm" name="monitor" interval="60s" timeout="20s"/></operations>
  </primitive></resources><constraints/>
</configuration><status/></cib>
"""

STORM_MB_MAX = 30
"""What a thousand interfaces may cost for good; the storm itself is read and forgotten."""

FLAP = """
import fcntl, os, struct, sys, time
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"tap9", 0x0002 | 0x1000))
print("ready", flush=True)
for word in sys.stdin:
    if word.strip() == "flap":
        for is_on in (0, 1, 0, 1):
            fcntl.ioctl(tap, 0x400454E2, struct.pack("i", is_on))
            time.sleep(0.1)
    print("done", flush=True)
"""


class Cluster:
    """A lab of two nodes, with a way to ask each daemon."""

    def __init__(self, one: lab.Lab) -> None:
        self.lab = one

    def client(self, node: str) -> Client:
        root = self.lab.root(node)
        assert root is not None
        return Client(str(root / "run/komainu/komainu.sock"))

    def ip(self, node: str, *lines: str, timeout_s: float = 30) -> None:
        done = self.lab.run(node, ("ip", "-batch", "-"), stdin="\n".join(lines) + "\n", timeout_s=timeout_s)
        assert done.returncode == 0, done.stderr

    def links(self, node: str) -> Links:
        reply = self.client(node).ask(AskLinks())
        assert isinstance(reply, Links)
        return reply

    def end(self, node: str, number: int = 0) -> EndView:
        return next(end for end in self.links(node).ends if end.link == number)

    def way(self, node: str, number: int = 0) -> LinkView:
        return next(one for one in self.links(node).links if one.link == number)

    def status(self, node: str) -> Status:
        reply = self.client(node).ask(AskStatus())
        assert isinstance(reply, Status)
        return reply

    def why(self, node: str, subject: str) -> str:
        reply = self.client(node).ask(AskWhy(subject))
        assert isinstance(reply, Why)
        return reply.answer

    def address(self, node: str) -> str:
        return {"a": "192.168.33.101/24", "b": "192.168.33.102/24"}[node]

    def daemons(self) -> dict[str, str]:
        return {one.node: one.daemon for one in self.lab.describe().machines}


@contextlib.contextmanager
def cluster(name: str, daemon: tuple[str, ...] = lab.DAEMON) -> Iterator[Cluster]:
    one = lab.start(protocol.Blueprint(f"{name}{os.getpid()}", Layout(), daemon, ""))
    try:
        found = Cluster(one)
        until(lambda: all(is_at_rest(found, node) for node in ("a", "b")))
        yield found
    finally:
        one.down()


def is_at_rest(found: Cluster, node: str) -> bool:
    try:
        status = found.status(node)
    except Exception:  # noqa: BLE001 - the daemon is not there yet
        return False
    are_online = [one.state for one in status.nodes] == ["online", "online"]
    return are_online and all(link.state is LinkState.UP for link in status.links)


def until(claim: Callable[[], object], timeout_s: float = 10) -> float:
    """Wait for something out there that tells nobody when it is done; return how long it took."""
    begun = time.monotonic()
    while not claim():
        assert time.monotonic() - begun < timeout_s, "it did not come true"
        time.sleep(0.005)
    return time.monotonic() - begun


def with_settings(expression: str) -> tuple[str, ...]:
    """Make a daemon command that changes the settings before it starts."""
    script = f"sed -E -i '{expression}' {SETTINGS}; exec \"$@\""
    return ("sh", "-c", script, "sh", *lab.DAEMON)


@pytest.fixture(scope="module")
def raised() -> Iterator[Cluster]:
    with cluster("guard") as found:
        yield found


@pytest.fixture
def plain(raised: Cluster) -> Cluster:
    """Give the cluster with both addresses in place, whatever the test before left behind."""
    for node in ("a", "b"):
        raised.ip(node, f"address replace {raised.address(node)} dev eth1")
    until(lambda: all(is_at_rest(raised, node) for node in ("a", "b")))
    return raised


@pytest.fixture(scope="module")
def keeping() -> Iterator[Cluster]:
    with cluster("keep", with_settings(KEEPS)) as found:
        yield found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may lock its memory")
def test_the_daemon_cannot_be_swapped_out(plain: Cluster) -> None:
    said = plain.lab.run("a", ("sh", "-c", "grep -h VmLck: /proc/[0-9]*/status")).stdout
    locked_kb = [int(line.split()[1]) for line in said.splitlines()]
    assert max(locked_kb) > 10_000
    assert sum(kb > 0 for kb in locked_kb) == 1, "nobody but the daemon"


def test_a_link_goes_on_while_both_addresses_are_gone(plain: Cluster) -> None:
    view, daemons = plain.status("a").view, plain.daemons()
    for node in ("a", "b"):
        plain.ip(node, f"address del {plain.address(node)} dev eth1")
    until(lambda: all(plain.way(node).state is LinkState.BY_FRAMES for node in ("a", "b")))
    time.sleep(2)  # several times what a silent link lives
    for node, peer in (("a", "b"), ("b", "a")):
        way = plain.way(node)
        assert way.state is LinkState.BY_FRAMES
        assert way.peer_state is LinkState.BY_FRAMES
        assert f"address {plain.address(node)} deleted by" in way.reason
        assert f"address {plain.address(peer)} deleted by" in way.peer_reason
        assert "deleted by" in plain.why(node, "link0")
    for node in ("a", "b"):
        plain.ip(node, f"address add {plain.address(node)} dev eth1")
    until(lambda: all(is_at_rest(plain, node) for node in ("a", "b")))
    assert plain.status("a").view == view
    assert plain.daemons() == daemons


def test_one_end_without_its_address_is_answered_by_frames(plain: Cluster) -> None:
    plain.ip("a", f"address del {plain.address('a')} dev eth1")
    took_s = until(lambda: plain.way("b").peer_state is LinkState.BY_FRAMES)
    assert took_s < 1
    time.sleep(2)
    assert plain.way("a").state is LinkState.BY_FRAMES
    assert plain.way("b").state is LinkState.UP
    assert "a's end of link 0: eth1: address 192.168.33.101/24 deleted" in plain.why("b", "link0")
    plain.ip("a", f"address add {plain.address('a')} dev eth1")
    until(lambda: all(is_at_rest(plain, node) for node in ("a", "b")))


def test_the_route_of_the_subnet_is_deleted(plain: Cluster) -> None:
    plain.ip("a", "route del 192.168.33.0/24 dev eth1")
    until(lambda: plain.end("a").state is LinkState.BY_FRAMES)
    assert "the route to 192.168.33.0/24 was deleted" in plain.end("a").reason
    plain.ip("a", "route add 192.168.33.0/24 dev eth1 scope link src 192.168.33.101")
    until(lambda: is_at_rest(plain, "a"))


def test_a_link_that_is_set_down_comes_back(plain: Cluster) -> None:
    """`ip link set down` tells of no route that goes with it."""
    plain.ip("a", "link set eth1 down")
    until(lambda: plain.end("a").state is LinkState.ADMIN_DOWN)
    plain.ip("a", "link set eth1 up")
    until(lambda: all(is_at_rest(plain, node) for node in ("a", "b")))


def test_a_renamed_interface_is_still_the_link(plain: Cluster) -> None:
    plain.ip("a", "link property add dev eth1 altname other", "link set eth1 name lan-0'x")
    until(lambda: plain.end("a").interface == "lan-0'x")
    assert "eth1 was renamed to lan-0'x" in plain.why("a", "link0")
    assert plain.end("a").state is LinkState.UP
    plain.ip("a", "link set dev lan-0'x name eth1")
    until(lambda: is_at_rest(plain, "a"))


def test_an_operator_can_have_a_link_for_himself(plain: Cluster) -> None:
    assert isinstance(plain.client("a").ask(ReleaseLink(0, is_released=True)), Done)
    plain.ip("a", f"address del {plain.address('a')} dev eth1")
    until(lambda: plain.end("a").state is LinkState.NO_ADDRESS)
    until(lambda: plain.way("b").state is LinkState.SILENT)
    assert isinstance(plain.client("a").ask(ReleaseLink(0, is_released=False)), Done)
    until(lambda: plain.end("a").state is LinkState.BY_FRAMES)
    plain.ip("a", f"address add {plain.address('a')} dev eth1")
    until(lambda: all(is_at_rest(plain, node) for node in ("a", "b")))


def test_what_comes_in_by_another_interface_says_nothing_about_the_link(plain: Cluster) -> None:
    """A default route carries the datagrams of a dead link through another network: they must not be believed."""
    before = plain.way("b").state
    assert before is LinkState.UP
    # a reaches b's end of link 0 by the service LAN only, and b would take it there: the weak host model.
    plain.ip("a", "route replace 192.168.33.102/32 via 10.77.0.2 dev eth0")
    until(lambda: plain.way("b").state is LinkState.SILENT, 5)
    until(lambda: any(one.kind == "wrong-interface" for one in plain.links("b").dropped))
    assert any("an interface that is not the link's" in text for text in plain.status("b").warnings)
    plain.ip("a", "route del 192.168.33.102/32 via 10.77.0.2 dev eth0")
    until(lambda: all(is_at_rest(plain, node) for node in ("a", "b")))


SEND = """
import socket, struct, sys
to, port, *headers = sys.argv[1:]
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for header in headers:
    version, sender, receiver = map(int, header.split(","))
    one.sendto(struct.pack(">BBHHQQ", version, 0, sender, receiver, 1, 1) + bytes(64), (to, int(port)))
"""


def test_another_version_and_a_second_machine_with_one_id_are_named_by_both(plain: Cluster) -> None:
    """What another komainu, or a clone, would send to each of the two; neither takes any harm of it."""
    for node, me, peer in (("a", 1, 2), ("b", 2, 1)):
        to = plain.address("b" if node == "a" else "a").partition("/")[0]
        newer, twin = f"{wire._VERSION + 1},{me},{peer}", f"{wire._VERSION},{peer},{peer}"
        plain.lab.run(node, (sys.executable, "-c", SEND, to, str(PORT), newer, twin))
    for node, itself, other in (("a", "a (id 1)", "b (id 2)"), ("b", "b (id 2)", "a (id 1)")):
        source = plain.address("b" if node == "a" else "a").partition("/")[0]
        said = "\n".join(plain.status(node).warnings)
        assert f"{other} at {source} speaks another version of the ring's protocol" in said
        assert f"{itself} at {source} says that it is this node: two machines have the same id" in said
        assert is_at_rest(plain, node)


def test_a_service_address_is_recovered_long_before_its_monitor(plain: Cluster) -> None:
    assert isinstance(plain.client("a").ask(ApplyConfiguration(VIP)), Done)
    until(lambda: plain.lab.holders("10.77.0.100"), 20)
    time.sleep(2.5)  # the first monitor, and the second after which a hurried one may follow
    (node,) = plain.lab.holders("10.77.0.100")
    plain.ip(node, "address del 10.77.0.100/24 dev eth0")
    took_s = until(lambda: plain.lab.holders("10.77.0.100"))
    assert took_s < 2  # the monitor's interval is a minute
    until(lambda: "address 10.77.0.100 was deleted" in plain.why(node, "vip"))


def test_a_kept_address_is_put_back_until_it_is_a_fight(keeping: Cluster) -> None:
    for _ in range(10):
        keeping.ip("a", f"address del {keeping.address('a')} dev eth1")
        took_s = until(lambda: "192.168.33.101" in addresses(keeping), 2)
        assert took_s < 0.5
    until(lambda: keeping.end("a").kept == 10)
    keeping.ip("a", f"address del {keeping.address('a')} dev eth1")
    until(lambda: keeping.end("a").has_given_up)
    assert keeping.end("a").state is LinkState.BY_FRAMES
    assert isinstance(keeping.client("a").ask(ReleaseLink(0, is_released=False)), Done)
    until(lambda: "192.168.33.101" in addresses(keeping))
    until(lambda: keeping.way("b").state is LinkState.UP)


def test_ifdown_and_ifup_of_a_kept_address(keeping: Cluster) -> None:
    keeping.ip("b", f"address del {keeping.address('b')} dev eth1", "link set eth1 down")
    until(lambda: keeping.end("b").state is LinkState.ADMIN_DOWN)
    until(lambda: "192.168.33.102" not in addresses(keeping, "b"))
    keeping.ip("b", "link set eth1 up", f"address replace {keeping.address('b')} dev eth1")
    until(lambda: all(is_at_rest(keeping, node) for node in ("a", "b")))


def addresses(found: Cluster, node: str = "a") -> str:
    return found.lab.run(node, ("ip", "-br", "address", "show", "dev", "eth1")).stdout


def test_an_interconnect_with_the_default_route_is_no_place_to_keep_an_address() -> None:
    script = (
        f"sed -E -i '{KEEPS}' {SETTINGS}; ip route add default via 192.168.33.250; exec \"$@\" 2>/tmp/said"
    )
    one = lab.start(
        protocol.Blueprint(f"dflt{os.getpid()}", Layout(), ("sh", "-c", script, "sh", *lab.DAEMON), "")
    )
    try:
        until(lambda: one.run("a", ("test", "-s", "/tmp/said")).returncode == 0)
        said = one.run("a", ("cat", "/tmp/said")).stdout
        assert "komainu.toml" in said
        assert "keep_address is for interconnects, but eth1 carries the default route" in said
    finally:
        one.down()


def test_without_rights_a_link_is_watched_and_the_daemon_says_what_it_cannot() -> None:
    unable = ("setpriv", "--bounding-set=-net_raw,-net_admin", "--inh-caps=-net_raw,-net_admin")
    daemon = with_settings(KEEPS)
    with cluster("poor", (*daemon[:4], *unable, *daemon[4:])) as found:
        found.ip("a", f"address del {found.address('a')} dev eth1")
        until(lambda: found.end("a").state is LinkState.NO_ADDRESS)
        until(lambda: "CAP_NET_ADMIN is missing" in found.why("a", "link0"))
        until(lambda: found.way("b").peer_state is LinkState.NO_ADDRESS)
        assert set(found.daemons().values()) == {"running"}


def test_a_flap_that_the_driver_never_told_is_told(plain: Cluster) -> None:
    if not Path("/dev/net/tun").exists():
        pytest.skip("this machine has no /dev/net/tun")
    import subprocess
    import sys

    inside = plain.lab.inside("b", (sys.executable, "-c", FLAP))
    with subprocess.Popen(inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tap:
        assert tap.stdin is not None
        assert tap.stdout is not None
        assert tap.stdout.readline() == "ready\n"
        # The address moves to the tap port, and so does the link.
        plain.ip("b", "link set tap9 up", f"address del {plain.address('b')} dev eth1")
        plain.ip("b", f"address add {plain.address('b')} dev tap9")
        until(lambda: plain.end("b").interface == "tap9")
        time.sleep(1.2)  # the kernel reports at most once a second
        tap.stdin.write("flap\n")
        tap.stdin.flush()
        assert tap.stdout.readline() == "done\n"
        until(lambda: "without a word from the driver" in plain.why("b", "link0"))
        tap.stdin.close()
    until(lambda: plain.end("b").state is LinkState.NO_INTERFACE)
    plain.ip("b", f"address replace {plain.address('b')} dev eth1")
    until(lambda: all(is_at_rest(plain, node) for node in ("a", "b")))


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (Network.NETWORKMANAGER, "deleted by NetworkManager 6."),
        (Network.NETWORKD, "deleted by systemd-networkd"),
    ],
)
def test_a_real_network_manager_is_named(network: Network, text: str) -> None:
    """The founding incident: the cable is pulled, and the manager takes the address."""
    if not all(Path(program).exists() for program in PROGRAMS[network]):
        pytest.skip(f"{network.value} is not installed")
    name = f"{network.value[-4:]}{os.getpid()}"
    one = lab.start(protocol.Blueprint(name, Layout(), lab.DAEMON, "", network=network))
    try:
        found = Cluster(one)
        until(lambda: is_at_rest(found, "a"), 20)
        one.perform(action.Pull(cable="interconnect"))
        until(lambda: text in found.way("a").reason, 12)
        assert "is set for eth1)" in found.way("a").reason or "is not set for eth1)" in found.way("a").reason
        until(lambda: text in found.way("a").peer_reason)
        one.perform(action.Plug(cable="interconnect"))
        until(lambda: is_at_rest(found, "a"))
    finally:
        one.down()


def resident_mb(found: Cluster) -> float:
    """Return the memory of a's daemon, which is a child of the machine's first process."""
    first = found.lab.pid("a")
    for pid in Path(f"/proc/{first}/task/{first}/children").read_text().split():
        if b"node" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
    raise AssertionError("a runs no daemon")


def test_a_storm_on_a_large_machine_disturbs_nobody(plain: Cluster) -> None:
    """A thousand interfaces, a rename storm and ten thousand addresses: the last word about eth1 is not missed."""
    view, daemons = plain.status("a").view, plain.daemons()
    before_mb = resident_mb(plain)
    pairs = range(500)
    plain.ip("a", *(f"link add s{n} type veth peer name t{n}" for n in pairs), timeout_s=60)
    plain.ip("a", *(f"address add 172.16.{n // 250}.{n % 250}/32 dev s0" for n in range(10_000)))
    for turn in range(4):
        old, new = ("s", "u") if turn % 2 == 0 else ("u", "s")
        plain.ip("a", *(f"link set {old}{n} name {new}{n}" for n in pairs))
    plain.ip("a", "address flush dev s0", f"address del {plain.address('a')} dev eth1")
    until(lambda: plain.end("a").state is LinkState.BY_FRAMES)
    plain.ip("a", f"address add {plain.address('a')} dev eth1")
    until(lambda: all(is_at_rest(plain, node) for node in ("a", "b")))
    assert plain.status("b").view == view
    assert plain.daemons() == daemons
    assert resident_mb(plain) - before_mb < STORM_MB_MAX
    plain.ip("a", *(f"link del s{n}" for n in range(0, 500, 50)))
