"""ring/settings.py: every time comes from one number, and contradictions are refused with all their reasons."""

from dataclasses import replace

import pytest

from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.report import Refused
from komainu.ring.settings import (
    NODES_MAX,
    NodeSettings,
    QuorumOptions,
    RingSettings,
    WitnessOptions,
    check,
    derive,
)


def node(number: int, links: int = 2, **changes: object) -> NodeSettings:
    ends = tuple(LinkEnd(LinkNumber(link), f"10.{link}.0.{number}") for link in range(links))
    plain = NodeSettings(NodeId(number), NodeName(f"n{number}"), ends)
    return replace(plain, **changes)  # type: ignore[arg-type]  # a shorthand of this test


def pair(links: int = 2) -> RingSettings:
    return RingSettings("test", NodeId(1), (node(1, links), node(2, links)))


def test_defaults_by_links() -> None:
    assert derive(pair(2)).detect_within_ms == 1000
    assert derive(pair(1)).detect_within_ms == 3000


@pytest.mark.parametrize("detect_ms", [200, 333, 1000, 3000, 60_000])
def test_a_silent_peer_is_replaced_in_time(detect_ms: int) -> None:
    timing = derive(replace(pair(), detect_within_ms=detect_ms))
    assert timing.convict_ms + timing.agree_ms < detect_ms
    assert timing.silent_ms < timing.convict_ms
    assert timing.silent_ms > 3 * timing.heartbeat_ms


def test_a_pair_with_one_link_waits_for_nearly_all_of_the_time() -> None:
    # A cable that was out for 1.5 s, a beat before it, and the second until the kernel asks for the address again.
    timing = derive(pair(1))
    assert 1_500 + timing.heartbeat_ms // 2 + 1_000 < timing.convict_ms < timing.detect_within_ms
    third = replace(pair(1), nodes=(node(1, 1), node(2, 1), node(3, 1)))
    assert derive(third).convict_ms + derive(third).agree_ms < timing.detect_within_ms


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (replace(pair(), detect_within_ms=10), "ring.detect-within-range"),
        (replace(pair(), me=NodeId(7)), "ring.not-a-node"),
        (replace(pair(), nodes=(node(1), node(1, name=NodeName("x")))), "ring.node-id-twice"),
        (replace(pair(), nodes=(node(1), node(2, name=NodeName("n1")))), "ring.node-name-twice"),
        (replace(pair(), nodes=(node(1), node(70_000))), "ring.node-id-range"),
        (replace(pair(), nodes=(node(1), node(2, ends=node(1).ends))), "ring.address-twice"),
        (replace(pair(), nodes=(node(1, 2), node(2, 1))), "ring.link-missing"),
        (replace(pair(), nodes=(node(1, 0), node(2, 0))), "ring.no-link"),
        (replace(pair(), nodes=(node(1, 9), node(2, 9))), "ring.link-range"),
        (
            replace(
                pair(), nodes=(node(1), node(2, ends=(*node(2).ends, LinkEnd(LinkNumber(0), "10.9.9.9"))))
            ),
            "ring.link-twice",
        ),
        (replace(pair(), nodes=tuple(node(each) for each in range(1, NODES_MAX + 2))), "ring.too-many-nodes"),
        (
            RingSettings("t", NodeId(1), (node(1), node(2), node(3)), quorum=QuorumOptions(two_node=True)),
            "ring.two-node-nodes",
        ),
        (
            replace(pair(), quorum=QuorumOptions(two_node=True, auto_tie_breaker=True)),
            "ring.quorum-excludes",
        ),
        (replace(pair(), quorum=QuorumOptions(expected_votes=0)), "ring.expected-votes"),
        (
            replace(pair(), quorum=QuorumOptions(two_node=True, witness=WitnessOptions("w"))),
            "ring.quorum-excludes",
        ),
        (
            replace(pair(), quorum=QuorumOptions(auto_tie_breaker=True, witness=WitnessOptions("w"))),
            "ring.quorum-excludes",
        ),
        (replace(pair(), quorum=QuorumOptions(witness=WitnessOptions("w", 0))), "ring.witness-votes"),
        (replace(pair(), quorum=QuorumOptions(tie_breakers=(NodeId(1),))), "ring.tie-breaker-off"),
        (
            replace(pair(), quorum=QuorumOptions(auto_tie_breaker=True, tie_breakers=(NodeId(9),))),
            "ring.tie-breaker-node",
        ),
        (
            replace(pair(), quorum=QuorumOptions(last_man_standing=True, wait_for_all=False)),
            "ring.dynamic-wait",
        ),
        (
            replace(pair(), nodes=(node(1), node(2, votes=2)), quorum=QuorumOptions(last_man_standing=True)),
            "ring.last-man-votes",
        ),
        (replace(pair(), quorum=QuorumOptions(allow_downscale=True)), "ring.downscale-expected"),
        (replace(pair(), nodes=(node(1, votes=0), node(2, votes=0))), "ring.votes"),
    ],
)
def test_contradictions_are_refused(settings: RingSettings, code: str) -> None:
    assert code in {report.code for report in check(settings)}
    with pytest.raises(Refused):
        derive(settings)


def test_shared_links() -> None:
    assert pair(2).shared_links(NodeId(2)) == (0, 1)
