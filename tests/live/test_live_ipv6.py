"""The interconnect by IPv6: global and link-local addresses, guarded and kept like those of IPv4."""

import os
from collections.abc import Iterator

import pytest
from test_live_guard import SETTINGS, Cluster, cluster, is_at_rest, until

from komainu.lab import action, lab, preflight
from komainu.model.link import LinkState

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(preflight.missing()), reason="; ".join(map(str, preflight.missing()))),
    pytest.mark.skipif(not os.path.exists("/proc/net/if_inet6"), reason="this kernel has no IPv6"),  # noqa: PTH110 - read at import
]

SCRIPT = f"""
echo 0 > /proc/sys/net/ipv6/conf/eth1/disable_ipv6
ip address add KIND$(ip -br -4 address show dev eth1 | sed -E 's/.*33\\.([0-9]+).*/\\1/')/64 dev eth1 nodad
sed -E -i 's/"192\\.168\\.33\\.([0-9]+)"/{{ address = "KIND\\1", interface = "eth1"KEEP }}/' {SETTINGS}
ip address flush dev eth1 scope global to 192.168.33.0/24
exec "$@"
"""


def daemon(kind: str, keep: str = "") -> tuple[str, ...]:
    return ("sh", "-c", SCRIPT.replace("KIND", kind).replace("KEEP", keep), "sh", *lab.DAEMON)


@pytest.fixture(params=["fd00:33::", "fe80::33:"])
def six(request: pytest.FixtureRequest) -> Iterator[tuple[Cluster, str]]:
    """Give a cluster whose first link goes by addresses of this kind."""
    with cluster(f"six{request.param[1]}", daemon(request.param)) as found:
        yield found, request.param


def test_a_link_by_ipv6(six: tuple[Cluster, str]) -> None:
    found, kind = six
    daemons = found.daemons()
    assert found.end("a").address == f"{kind}101/64"
    found.lab.perform(action.Pull(cable="interconnect"))
    until(lambda: found.end("a").state is LinkState.NO_CARRIER)
    until(lambda: found.way("a").peer_state is LinkState.NO_CARRIER)
    found.lab.perform(action.Plug(cable="interconnect"))
    until(lambda: all(is_at_rest(found, node) for node in ("a", "b")))
    found.ip("a", f"address del {kind}101/64 dev eth1")
    until(lambda: found.end("a").state is LinkState.BY_FRAMES)
    assert f"address {kind}101/64 deleted by" in found.end("a").reason
    until(lambda: found.way("b").peer_state is LinkState.BY_FRAMES)
    found.ip("a", f"address add {kind}101/64 dev eth1 nodad")
    until(lambda: all(is_at_rest(found, node) for node in ("a", "b")))
    found.ip("a", "link set eth1 down")
    until(lambda: "deleted by the kernel" in found.end("a").reason)
    found.ip("a", "link set eth1 up", f"address replace {kind}101/64 dev eth1 nodad")
    until(lambda: all(is_at_rest(found, node) for node in ("a", "b")))
    # The interface is made anew, with another index: a socket at a link-local address has to be, too.
    found.lab.perform(action.DeleteInterface("interconnect", "a"))
    until(lambda: found.end("a").state is LinkState.NO_INTERFACE)
    found.lab.perform(action.CreateInterface("interconnect", "a"))
    found.lab.run("a", ("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/eth1/disable_ipv6"))
    found.ip("a", f"address replace {kind}101/64 dev eth1 nodad")
    until(lambda: all(is_at_rest(found, node) for node in ("a", "b")))
    assert found.daemons() == daemons


def test_an_ipv6_address_is_put_back() -> None:
    with cluster("sixkeep", daemon("fd00:33::", ', keep_address = "yes"')) as found:
        found.ip("a", "address del fd00:33::101/64 dev eth1")
        until(lambda: found.end("a").kept == 1)
        until(lambda: found.end("a").state is LinkState.UP)
        show = ("ip", "-6", "address", "show", "dev", "eth1")
        assert "fd00:33::101/64" in found.lab.run("a", show).stdout
        until(lambda: "tentative" not in found.lab.run("a", show).stdout)  # the kernel's check for duplicates
        until(lambda: all(is_at_rest(found, node) for node in ("a", "b")))
