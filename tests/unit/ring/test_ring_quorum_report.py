"""ring/quorum_report.py: what a view's quorum rests on, in votequorum's words."""

import pytest
from test_ring_builtin import Bench, settings

from komainu.model.ids import NodeId
from komainu.model.view import View, ViewId
from komainu.ring.corosync.interface import Device, QuorumSeen
from komainu.ring.packet import Vote
from komainu.ring.quorum_report import corosync_report, report
from komainu.ring.settings import QuorumOptions, WitnessOptions


def test_before_the_first_view() -> None:
    found = report(settings(1, 3), None, Vote.UNKNOWN, "")
    assert (found.quorate, found.reason, found.expected_votes, found.needed) == (False, "no view yet", 3, 2)
    assert not any(voter.is_member for voter in found.voters)


def test_a_pair() -> None:
    found = Bench(2).rings[NodeId(1)].quorum()
    assert (found.quorate, found.total_votes, found.needed) == (True, 2, 1)
    assert found.flags == ("2Node", "Quorate", "WaitForAll")


def test_who_is_no_longer_counted() -> None:
    options = QuorumOptions(last_man_standing=True, last_man_standing_window_ms=1000)
    bench = Bench(3, options)
    del bench.rings[NodeId(3)]
    bench.run(3000)
    found = bench.rings[NodeId(1)].quorum()
    assert (found.expected_votes, found.highest_expected, found.total_votes) == (2, 3, 2)
    assert [voter.is_counted for voter in found.voters] == [True, True, False]
    assert "LastManStanding" in found.flags


def test_a_witness() -> None:
    options = QuorumOptions(witness=WitnessOptions("w"))
    found = report(settings(1, 2, options), None, Vote.UNKNOWN, "it is asked")
    assert found.witness == "w does not give its votes to this part: it is asked"
    assert (found.expected_votes, found.witness_votes, "Qdevice" in found.flags) == (3, 1, True)


def test_a_witness_whose_vote_came_after_the_view_began() -> None:
    """The view did not hang on it, so it was not judged anew."""
    options = QuorumOptions(witness=WitnessOptions("w", path="/shared/lease"))
    found = report(settings(1, 2, options), None, Vote.CAST, "witness w: it gave its vote to this part")
    assert found.witness.startswith("w on /shared/lease gives its votes to this part: witness w: it gave")
    assert found.total_votes == 1


def test_what_votequorum_says() -> None:
    assert corosync_report(settings(1, 2), None, None).reason == "no view yet"
    seen = QuorumSeen(
        is_quorate=True,
        nodes=((NodeId(1), 1),),
        expected=2,
        needed=1,
        is_two_node=True,
        has_tie_breaker=False,
    )
    view = View(ViewId(5, NodeId(1)), (NodeId(1),), True, "two_node: 1 of 2 votes is enough")
    found = corosync_report(settings(1, 2), view, seen)
    assert (found.quorate, found.expected_votes, found.total_votes, found.needed) == (True, 2, 1, 1)
    assert found.flags == ("2Node", "Quorate")
    assert [voter.is_member for voter in found.voters] == [True, False]
    assert not found.witness


@pytest.mark.parametrize("device", list(Device))
def test_how_corosyncs_quorum_device_stands(device: Device) -> None:
    votes = 1 if device is Device.CASTS else 0
    nodes = ((NodeId(1), 1), (NodeId(2), 1))
    seen = QuorumSeen(is_quorate=True, nodes=nodes, expected=3, needed=2, device_votes=votes, device=device)
    options = QuorumOptions(witness=WitnessOptions("office", address="10.0.0.5", port=5403))
    found = corosync_report(settings(1, 2, options), None, seen)
    assert found.witness == f"office, 10.0.0.5 port 5403: {device.value}"
    assert (found.total_votes, found.witness_votes) == (2 + votes, 1)
    assert ("Qdevice" in found.flags) is (device is not Device.ABSENT)
    bare = corosync_report(settings(1, 2), None, seen)
    assert bare.witness == ("" if device is Device.ABSENT else f"Corosync's quorum device: {device.value}")
