"""Who waits in a split of equals: one side, always the same one, whatever is seen."""

import pytest

from komainu.cib.element import Element
from komainu.model.ids import Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkState
from komainu.node.race import Split, weight_of, yield_ms
from komainu.ring.interface import LinkReport

DETECT_MS = 1000
NOW = Instant(100_000)


def link(number: int, state: LinkState, *, age_ms: int = 100) -> LinkReport:
    return LinkReport(
        link=LinkNumber(number),
        peer=NodeId(2),
        state=state,
        reason="",
        peer_state=LinkState.UP,
        peer_reason="",
        since=Instant(NOW - age_ms),
        round_trip_ms=None,
    )


def wait(*links: LinkReport, weight: int = 0, lost_weight: int = 0, is_lowest: bool = True) -> int:
    split = Split(weight=weight, lost_weight=lost_weight, is_lowest=is_lowest, links=links)
    return yield_ms(split, detect_within_ms=DETECT_MS, now=NOW)


SILENT = (link(0, LinkState.SILENT), link(1, LinkState.SILENT))
CUT_OFF = (link(0, LinkState.NO_CARRIER), link(1, LinkState.NO_INTERFACE))


def test_the_side_that_runs_more_goes_first() -> None:
    assert wait(*SILENT, weight=2, lost_weight=0, is_lowest=False) == 0
    assert wait(*SILENT, weight=0, lost_weight=2, is_lowest=True) == 2 * DETECT_MS


def test_between_equals_the_lowest_id_goes_first() -> None:
    assert wait(*SILENT, weight=1, lost_weight=1, is_lowest=True) == 0
    assert wait(*SILENT, weight=1, lost_weight=1, is_lowest=False) == 2 * DETECT_MS


def test_a_carrier_that_went_with_the_silence_means_the_peer_is_off() -> None:
    links = (link(0, LinkState.NO_CARRIER), link(1, LinkState.SILENT))
    assert wait(*links, weight=0, lost_weight=5, is_lowest=False) == 0


def test_a_cable_that_was_out_before_proves_nothing() -> None:
    links = (link(0, LinkState.NO_CARRIER, age_ms=60_000), link(1, LinkState.SILENT))
    assert wait(*links, weight=0, lost_weight=5) == 2 * DETECT_MS


@pytest.mark.parametrize("weights", [(0, 0), (3, 1), (1, 3)])
@pytest.mark.parametrize("seen", [SILENT, CUT_OFF])
def test_both_sides_agree_on_one_that_waits(weights: tuple[int, int], seen: tuple[LinkReport, ...]) -> None:
    """Both sides see the same; the difference is long enough for a fence agent to act."""
    mine, theirs = weights
    one = wait(*seen, weight=mine, lost_weight=theirs, is_lowest=True)
    other = wait(*seen, weight=theirs, lost_weight=mine, is_lowest=False)
    assert abs(one - other) == 2 * DETECT_MS


def test_the_side_that_was_cut_off_waits_longer_than_the_one_that_was_not() -> None:
    cut_off = wait(*CUT_OFF, weight=5, lost_weight=0)
    sees_silence = wait(*SILENT, weight=0, lost_weight=5, is_lowest=False)
    assert cut_off > sees_silence


def operation(operation: str, code: str, call: int, status: str = "0") -> Element:
    attributes = {"operation": operation, "rc-code": code, "call-id": str(call), "op-status": status}
    return Element("lrm_rsc_op", attributes)


def test_weight_counts_what_the_history_shows_active() -> None:
    def resource(name: str, *operations: Element, cls: str = "ocf") -> Element:
        return Element("lrm_resource", {"id": name, "class": cls}, operations)

    history = (
        resource("vip", operation("start", "0", 3), operation("monitor", "0", 4)),
        resource("web", operation("start", "0", 5), operation("stop", "0", 6)),
        resource("db", operation("monitor", "7", 2), operation("start", "193", -1, status="-1")),
        resource("fence", operation("start", "0", 7), cls="stonith"),
    )
    lrm = Element("lrm", {}, (Element("lrm_resources", {}, history),))
    state = Element("node_state", {"id": "1", "uname": "a"}, (lrm,))
    cib = Element("cib", {}, (Element("status", {}, (state,)),))
    assert weight_of(cib, {NodeName("a")}) == 1
    assert weight_of(cib, {NodeName("b")}) == 0
