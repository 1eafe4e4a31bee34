"""What several nodes say is compared: what has to be alike, and what must not be."""

from collections.abc import Sequence

import pytest
from doctor_evidence import tree

from komainu.network.doctor.finding import Finding
from komainu.network.doctor.machine import build
from komainu.network.doctor.peers import ClusterSummary, LinkSummary, Summary, compare, summarise

FILE = "/etc/komainu/komainu.toml"
KEY = "/etc/komainu/cluster.key"
MACHINE = build(tree({"/proc/sys/kernel/hostname": "a\n", "/etc/hosts": "10.0.0.1 a\n10.0.0.2 b\n10.0.0.3 c\n", FILE: """
[cluster]
name = "x"
[[node]]
name = "a"
links = ["10.0.0.1"]
[[node]]
name = "b"
links = ["10.0.0.2"]
"""}))  # fmt: skip
OWN = summarise(MACHINE)


def peer(
    node: str,
    *,
    mtu: int = 1500,
    address: str = "",
    names: dict[str, str] | None = None,
    key: str = "",
    digest: str = OWN.clusters[0].digest,
    program: str = OWN.clusters[0].program,
    apart_s: float = 0,
) -> Summary:
    link = LinkSummary(FILE, 0, address or f"10.0.0.{ord(node) - 96}", "eth1", "", mtu, None, None)
    keys = {KEY: key} if key else {}
    return Summary(
        node, "", (link,), (ClusterSummary(FILE, digest, program),), keys, names or {}, apart_s=apart_s
    )


def found(*peers: Summary) -> Sequence[Finding]:
    return tuple(compare(MACHINE, peers))


def test_nodes_that_are_alike_have_no_finding() -> None:
    assert found() == ()
    assert found(peer("b", names=OWN.names), peer("c", names=OWN.names)) == ()


def test_its_own_lines_of_hosts_are_part_of_the_report() -> None:
    assert OWN.names == {"a": "10.0.0.1", "b": "10.0.0.2"}


@pytest.mark.parametrize(
    ("peers", "rule", "title", "seen"),
    [
        ([peer("b", digest="0123456789")], "CLU011", "b has another file", "b: its text, without comments, has the sum 01234567"),
        ([peer("b"), peer("c", program="komainu 9")], "CLU011", "c has another version", "c: komainu 9"),
        ([peer("b", key="aa"), peer("c", key="bb")], "CLU012", "c has another key", "b: a key with the sum aa"),
        ([peer("b"), peer("c", mtu=9000), peer("d")], "NET011", "c has another packet size", "eth1 of b, eth1 of d: 1500"),
        ([peer("b"), peer("c", address="10.0.0.2")], "NET012", "the address is there twice", "eth1 of c has 10.0.0.2"),
        ([peer("b", names={"b": "10.0.0.9"})], "CLU009", "the node's name leads to different addresses", "b: 10.0.0.9"),
        ([peer("b", apart_s=-3.25)], "SYS002", "its clock is not that of this machine", "b is at least 3.2 s behind this machine"),
        ([peer("b", apart_s=2)], "SYS002", "its clock is not that of this machine", "b is at least 2.0 s ahead of this machine"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_once_with_who_says_what(
    peers: list[Summary], rule: str, title: str, seen: str
) -> None:
    (finding,) = found(*peers)
    assert (finding.rule, finding.title) == (rule, title)
    assert seen in [one.text for one in finding.seen]


def test_loopback_and_small_differences_of_clocks_are_no_news() -> None:
    assert found(peer("b", names={"b": "127.0.1.1"}, apart_s=0.4)) == ()


def test_a_report_of_an_older_version_is_compared_as_far_as_it_goes() -> None:
    assert found(Summary("b", "", (), ())) == ()
