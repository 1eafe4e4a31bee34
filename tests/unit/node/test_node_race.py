"""Who may fence when in a split pair: never both, whatever each of them sees or last knew."""

import itertools

import pytest

from komainu.cib.document import parse_cib
from komainu.cib.element import Element
from komainu.cib.initial import empty_cib
from komainu.cib.nodes import update_state
from komainu.cib.pairs import set_transient
from komainu.cib.state import ClusterState
from komainu.fencing.interface import PLACES, Turns
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import Instant, LinkNumber, NodeId, NodeName, WallTime
from komainu.model.link import LinkEnd, LinkState
from komainu.model.view import Position, View, ViewId
from komainu.network.interface import ClientsSeen
from komainu.node.race import (
    CLIENTS,
    FENCINGS_REMEMBERED,
    GOES_FIRST,
    LOST,
    QUERY_FACTOR,
    Split,
    fencing_takes_ms,
    naming,
    place_of,
    saying,
    split_in,
    steps_back,
    turns_of,
    weight_of,
)
from komainu.ring.interface import Departure, InstallView, LinkReport
from komainu.ring.settings import NodeSettings, QuorumOptions, RingSettings

A, B = NodeName("a"), NodeName("b")
NOW = Instant(100_000)
WALL = WallTime(0)


def link(number: int, state: LinkState) -> LinkReport:
    return LinkReport(
        link=LinkNumber(number),
        peer=NodeId(2),
        state=state,
        reason="",
        peer_state=LinkState.UP,
        peer_reason="",
        since=NOW,
        round_trip_ms=None,
    )


SILENT = (link(0, LinkState.SILENT), link(1, LinkState.SILENT))
ONE_PULLED = (link(0, LinkState.NO_CARRIER), link(1, LinkState.SILENT))
CUT_OFF = (link(0, LinkState.NO_CARRIER), link(1, LinkState.NO_INTERFACE))
ONLY_LINK_PULLED = (link(0, LinkState.NO_CARRIER),)
ONE_WAY = (link(0, LinkState.UP), link(1, LinkState.SILENT))
SIGHTS = (SILENT, ONE_PULLED, CUT_OFF, ONLY_LINK_PULLED, ONE_WAY)

NEIGHBOURS = [(A, A), (B, B), (None, None), (A, None), (None, A), (B, None), (None, B)]
"""What the two sides may hold as the name of who goes first: the same, or one of them has not heard the last change."""


def place(
    me: NodeName, named: NodeName | None, links: tuple[LinkReport, ...], reaches: bool | None = None
) -> int:
    return place_of(Split(None if named is None else named == me, me == A, links, reaches))


@pytest.mark.parametrize(("known_to_a", "known_to_b"), NEIGHBOURS)
@pytest.mark.parametrize(("seen_by_a", "seen_by_b"), tuple(itertools.product(SIGHTS, SIGHTS)))
def test_the_two_sides_never_have_the_same_place(
    known_to_a: NodeName | None,
    known_to_b: NodeName | None,
    seen_by_a: tuple[LinkReport, ...],
    seen_by_b: tuple[LinkReport, ...],
) -> None:
    one, other = place(A, known_to_a, seen_by_a), place(B, known_to_b, seen_by_b)
    assert one != other
    assert {one, other} < set(range(PLACES))


@pytest.mark.parametrize(("known_to_a", "known_to_b"), NEIGHBOURS)
def test_whatever_each_side_sees_of_its_clients_their_places_differ(
    known_to_a: NodeName | None, known_to_b: NodeName | None
) -> None:
    """Also while one of them changes its mind: none of its places is ever the other's."""
    words = (None, True, False)
    of_a = {place(A, known_to_a, sight, reaches) for sight in SIGHTS for reaches in words}
    of_b = {place(B, known_to_b, sight, reaches) for sight in SIGHTS for reaches in words}
    assert of_a.isdisjoint(of_b)
    assert of_a | of_b < set(range(PLACES))


def test_who_reaches_no_client_lets_the_other_go_first() -> None:
    assert place(A, A, ONLY_LINK_PULLED, reaches=False) > place(B, A, ONLY_LINK_PULLED, reaches=True)
    assert place(A, A, ONLY_LINK_PULLED, reaches=False) < place(B, A, ONLY_LINK_PULLED, reaches=False)


def test_who_reaches_clients_is_not_cut_off_whatever_its_links_say() -> None:
    assert place(A, A, CUT_OFF, reaches=True) == 0


@pytest.mark.parametrize(
    ("sight", "reaches", "back"),
    [
        (CUT_OFF, False, True),
        (ONLY_LINK_PULLED, False, True),
        (ONE_PULLED, False, False),
        (SILENT, False, False),
        (CUT_OFF, True, False),
        (CUT_OFF, None, False),
    ],
)
def test_who_reaches_nobody_and_has_no_end_up_steps_back(
    sight: tuple[LinkReport, ...], *, reaches: bool | None, back: bool
) -> None:
    assert steps_back(Split(goes_first=True, is_lowest=True, links=sight, reaches_clients=reaches)) == back


def test_who_was_named_comes_first_wherever_it_stands() -> None:
    assert place(B, B, SILENT) == 0
    assert place(A, B, SILENT) == 1


def test_who_is_cut_off_comes_after_who_is_not() -> None:
    assert place(A, A, CUT_OFF) > place(B, A, SILENT)


def test_the_only_link_of_a_pair_tells_nobody_who_is_cut_off() -> None:
    assert place(A, A, ONLY_LINK_PULLED) == 0


@pytest.mark.parametrize("number", range(PLACES))
def test_turns_of_different_places_never_touch(number: int) -> None:
    """Both sides may notice up to the slack apart, and a fencing that was begun must have ended."""
    lead_ms, open_ms = 2_000, 500
    mine = Turns(NOW, number, lead_ms, open_ms)
    for other in range(PLACES):
        theirs = Turns(NOW, other, lead_ms, open_ms)
        moments = range(NOW, NOW + 2 * PLACES * lead_ms, 100)
        both = [now for now in moments if mine.is_open(Instant(now)) and theirs.is_open(Instant(now))]
        assert bool(both) == (number == other)


def test_the_next_turn_is_now_while_it_is_open_and_then_a_round_later() -> None:
    turns = Turns(NOW, 1, 2_000, 500)
    assert turns.next(NOW) == NOW + 2_000
    assert turns.next(Instant(NOW + 2_100)) == NOW + 2_100
    assert turns.next(Instant(NOW + 2_500)) == NOW + 2_000 + PLACES * 2_000
    assert not turns.is_open(NOW)


# -- a view that begins -----------------------------------------------------------------------------------


def settings(me: int = 1, nodes: int = 2, quorum: QuorumOptions | None = None) -> RingSettings:
    members = tuple(
        NodeSettings(NodeId(n), NodeName("abc"[n - 1]), (LinkEnd(LinkNumber(0), f"10.0.0.{n}"),))
        for n in range(1, nodes + 1)
    )
    return RingSettings("t", NodeId(me), members, quorum=quorum or QuorumOptions())


def begun(*, clean: bool = False) -> InstallView:
    view = View(ViewId(9, NodeId(1)), (NodeId(1),), quorate=True, quorum_reason="")
    return InstallView(
        view, Position(9, 0), NodeId(1), (NodeId(1),), (Departure(NodeId(2), clean, "silent"),), ()
    )


def state(cib: Element | None = None, *fencing: FenceRecord) -> ClusterState:
    return ClusterState(cib or empty_cib("t", ((NodeId(1), A), (NodeId(2), B))), fencing)


def turns(of: ClusterState, how: RingSettings | None = None, *, clean: bool = False) -> Turns | None:
    chosen = how or settings()
    split = split_in(begun(clean=clean), chosen, of, list(SILENT))
    return None if split is None else turns_of(split, chosen, of, NOW)


def test_nobody_takes_turns_with_a_node_that_left_or_has_no_quorum() -> None:
    assert turns(state(), clean=True) is None
    assert turns(state(), settings(quorum=QuorumOptions(auto_tie_breaker=True))) is None
    assert turns(state(), settings(nodes=3)) is None


def test_the_lead_grows_with_what_a_fencing_takes_and_with_delays_made_by_hand() -> None:
    plain = turns(state())
    assert plain is not None
    slow = FenceRecord("1", B, "off", FenceState.DONE, A, "ipmi", "", "", WALL, took_ms=4_000)
    with_history = turns(state(None, slow))
    assert with_history is not None
    assert with_history.lead_ms == plain.lead_ms + 6_000
    device = """<configuration><crm_config><cluster_property_set id="o">
      <nvpair id="o1" name="priority-fencing-delay" value="15s"/></cluster_property_set></crm_config>
      <nodes/><resources><primitive id="f" class="stonith" type="fence_x"><instance_attributes id="i">
      <nvpair id="i1" name="pcmk_delay_base" value="a:3s;b:1s"/></instance_attributes></primitive></resources>
      <constraints/></configuration>"""
    cib = Element("cib", {}, (parse_cib(device), Element("status", {})))
    delayed = turns(state(cib))
    assert delayed is not None
    assert delayed.lead_ms == plain.lead_ms + 3_000 + 15_000


def test_a_fencing_that_was_slow_is_forgotten_after_as_many_of_its_device_as_are_remembered() -> None:
    def done(device: str, took_ms: int) -> FenceRecord:
        return FenceRecord("1", B, "off", FenceState.DONE, A, device, "", "", WALL, took_ms=took_ms)

    quick = [done("ipmi", 300)] * FENCINGS_REMEMBERED
    assert fencing_takes_ms(state(None, done("ipmi", 4_000), *quick[1:])) == 4_000
    assert fencing_takes_ms(state(None, done("ipmi", 4_000), *quick)) == 300
    assert fencing_takes_ms(state(None, done("disk", 10_000), *quick)) == 10_000, (
        "another device stays as slow"
    )


def test_a_pill_binds_the_other_side_long_before_it_counts_as_swallowed() -> None:
    def takes_ms(*agents: str) -> int:
        devices = "".join(f'<primitive id="{agent}" class="stonith" type="{agent}"/>' for agent in agents)
        configuration = parse_cib(
            f"<configuration><crm_config/><nodes/><resources>{devices}</resources><constraints/></configuration>"
        )
        monitor = operation("monitor", "0", 4).with_attribute("exec-time", "20")
        disk = Element("lrm_resource", {"id": "fence_sbd", "class": "stonith"}, (monitor,))
        swallowed = FenceRecord("1", B, "off", FenceState.DONE, A, "fence_sbd", "", "", WALL, took_ms=10_000)
        return fencing_takes_ms(state(with_history(disk, configuration=configuration), swallowed))

    assert takes_ms("fence_sbd") == QUERY_FACTOR * 20
    assert takes_ms("fence_sbd", "fence_ipmilan") == 10_000, "who has another device does not look for a pill"


def test_a_device_that_is_slow_to_answer_is_taken_to_be_slow_to_act() -> None:
    monitor = operation("monitor", "0", 4).with_attribute("exec-time", "1500")
    fence = Element("lrm_resource", {"id": "f", "class": "stonith"}, (monitor,))
    assert fencing_takes_ms(state(with_history(fence))) == 3_000


# -- who runs more ------------------------------------------------------------------------------------------


def operation(operation: str, code: str, call: int, status: str = "0") -> Element:
    attributes = {"operation": operation, "rc-code": code, "call-id": str(call), "op-status": status}
    return Element("lrm_rsc_op", attributes)


def resource(name: str, *operations: Element, cls: str = "ocf") -> Element:
    return Element("lrm_resource", {"id": name, "class": cls}, operations)


def with_history(*resources: Element, configuration: Element | None = None, on: str = "a") -> Element:
    lrm = Element("lrm", {}, (Element("lrm_resources", {}, resources),))
    number = "1" if on == "a" else "2"
    states = Element("node_state", {"id": number, "uname": on}, (lrm,))
    children = (Element("status", {}, (states,)),)
    nodes = empty_cib("t", ((NodeId(1), A), (NodeId(2), B))).first("configuration")
    assert nodes is not None
    return Element("cib", {}, (configuration or nodes, *children))


def test_weight_counts_what_the_history_shows_active() -> None:
    cib = with_history(
        resource("vip", operation("start", "0", 3), operation("monitor", "0", 4)),
        resource("web", operation("start", "0", 5), operation("stop", "0", 6)),
        resource("db", operation("monitor", "7", 2), operation("start", "193", -1, status="-1")),
        resource("fence", operation("start", "0", 7), cls="stonith"),
    )
    assert weight_of(cib, A) == (0, 1)
    assert weight_of(cib, B) == (0, 0)


def test_priorities_are_inherited_and_weigh_more_than_numbers() -> None:
    text = """<configuration><crm_config/><nodes/><resources>
      <clone id="c"><meta_attributes id="m"><nvpair id="p" name="priority" value="10"/></meta_attributes>
        <primitive id="drbd" class="ocf" provider="x" type="y"/></clone>
      <primitive id="vip" class="ocf" provider="x" type="y"/></resources><constraints/>
      <rsc_defaults><meta_attributes id="d"><nvpair id="d1" name="priority" value="1"/></meta_attributes></rsc_defaults>
      </configuration>"""
    cib = with_history(
        resource("drbd:0", operation("promote", "0", 3)),
        resource("vip", operation("start", "0", 4)),
        configuration=parse_cib(text),
    )
    assert weight_of(cib, A) == (10 + 1 + 1, 2)


def test_who_goes_first_changes_in_two_steps() -> None:
    cib = with_history(resource("vip", operation("start", "0", 4)), on="b")
    first = naming(cib, settings(), WALL)
    assert first is not None
    assert (first.node, first.name, first.value) == (A, GOES_FIRST, "b")
    named = set_transient(cib, A, GOES_FIRST, "b")
    assert naming(named, settings(), WALL) is None
    moved = set_transient(with_history(resource("vip", operation("start", "0", 4))), A, GOES_FIRST, "b")
    second = naming(moved, settings(), WALL)
    assert second is not None
    assert second.value is None
    third = naming(set_transient(moved, A, GOES_FIRST, None), settings(), WALL)
    assert third is not None
    assert third.value == "a"


def test_between_equals_the_one_that_clients_reach_is_named() -> None:
    cib = empty_cib("t", ((NodeId(1), A), (NodeId(2), B)))
    for node in (A, B):
        cib = update_state(cib, node, lambda state: state)
    assert_named(cib, A, "lower node id")
    assert_named(set_transient(cib, A, CLIENTS, LOST), B, "reaches its clients")
    assert_named(set_transient(set_transient(cib, A, CLIENTS, LOST), B, CLIENTS, LOST), A, "lower node id")


def test_what_runs_counts_before_clients() -> None:
    cib = with_history(resource("vip", operation("start", "0", 4)), on="b")
    assert_named(set_transient(cib, B, CLIENTS, LOST), B, "runs more (1 resources of priority 0 together)")


def assert_named(cib: Element, node: NodeName, why: str) -> None:
    command = naming(cib, settings(), WALL)
    assert command is not None
    assert command.value == node
    assert why in command.cause.text


def test_all_are_told_of_the_clients_once() -> None:
    cib = update_state(empty_cib("t", ((NodeId(1), A), (NodeId(2), B))), A, lambda state: state)
    assert saying(cib, A, None, WALL) is None
    lost = saying(cib, A, ClientsSeen(False, "no client answers"), WALL)
    assert lost is not None
    assert (lost.node, lost.name, lost.value) == (A, CLIENTS, LOST)
    known = set_transient(cib, A, CLIENTS, LOST)
    assert saying(known, A, ClientsSeen(False, "no client answers"), WALL) is None
    silent = saying(known, A, None, WALL)
    assert silent is not None
    assert silent.value is None


def test_three_nodes_name_nobody() -> None:
    cib = with_history(resource("vip", operation("start", "0", 4)), on="b")
    assert naming(cib, settings(nodes=3), WALL) is None
