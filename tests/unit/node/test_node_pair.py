"""One half of a pair: a race goes on until it is decided, and a name is looked at once for each state."""

from dataclasses import dataclass, replace

import pytest

from komainu.cib.initial import empty_cib
from komainu.cib.pairs import set_transient
from komainu.cib.state import ClusterState
from komainu.fencing import interface as fencing
from komainu.fencing.interface import PLACES
from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName, WallTime
from komainu.model.link import LinkEnd
from komainu.model.view import Position, View, ViewId
from komainu.network.interface import ClientsSeen
from komainu.node.pair import Pair
from komainu.node.race import CUT_OFF_PLACES, GOES_FIRST
from komainu.ring.builtin import BuiltinRing
from komainu.ring.interface import Departure, InstallView, Past, PeerDoubted
from komainu.ring.settings import NodeSettings, QuorumOptions, RingSettings, WitnessOptions

ONE, TWO = NodeId(1), NodeId(2)
SETTINGS = RingSettings(
    "t",
    ONE,
    tuple(
        NodeSettings(NodeId(n), NodeName("ab"[n - 1]), (LinkEnd(LinkNumber(0), f"10.0.0.{n}"),))
        for n in (1, 2)
    ),
)
NAMES = ((ONE, NodeName("a")), (TWO, NodeName("b")))


@dataclass
class World:
    """A pair whose ring says what it is told to."""

    ring: BuiltinRing
    pair: Pair
    state: ClusterState


def world(position: Position) -> World:
    ring = BuiltinRing(SETTINGS, Incarnation(1), Instant(0), Past(position))
    return World(ring, Pair(SETTINGS), ClusterState(empty_cib("t", NAMES), (), position))


def view(counter: int, *members: NodeId, lost: tuple[NodeId, ...] = ()) -> InstallView:
    departures = tuple(Departure(node, clean=False, reason="silent") for node in lost)
    made = View(ViewId(counter, ONE), members, quorate=True, quorum_reason="")
    return InstallView(made, Position(counter, 0), ONE, members, departures, ())


def test_a_lone_half_that_begins_anew_is_in_the_same_race() -> None:
    here = world(Position(0, 0))
    first = here.pair.begin(view(2, ONE, lost=(TWO,)), here.state, here.ring, Instant(1_000))
    assert first.target == "b"
    assert first.turns is not None
    again = here.pair.begin(view(3, ONE), here.state, here.ring, Instant(9_000))
    assert again.turns == first.turns


def test_a_race_ends_when_the_pair_is_whole() -> None:
    here = world(Position(0, 0))
    here.pair.begin(view(2, ONE, lost=(TWO,)), here.state, here.ring, Instant(1_000))
    whole = here.pair.begin(view(3, ONE, TWO), here.state, here.ring, Instant(2_000))
    assert (whole.target, whole.turns) == (None, None)


def test_nobody_is_named_before_there_is_a_view() -> None:
    here = world(Position(0, 0))
    assert here.pair.naming(here.state, here.ring, WallTime(0)) is None


def test_who_stood_still_lets_the_other_have_a_round() -> None:
    awake, late = world(Position(0, 0)), world(Position(0, 0))
    late.pair.wake(Instant(9_900), due=Instant(7_000))
    awake.pair.wake(Instant(9_900), due=Instant(9_890))
    now = Instant(10_000)
    turns = [
        here.pair.begin(view(2, ONE, lost=(TWO,)), here.state, here.ring, now).turns for here in (awake, late)
    ]
    assert turns[0] is not None
    assert turns[1] is not None
    assert turns[1].next(now) - turns[0].next(now) == PLACES * turns[0].lead_ms
    assert late.pair.begin(view(3, ONE, TWO), late.state, late.ring, now).turns is None
    much_later = Instant(60_000)
    again = late.pair.begin(view(4, ONE, lost=(TWO,)), late.state, late.ring, much_later).turns
    assert again is not None
    assert again.place == turns[0].place


@pytest.mark.parametrize(
    ("stalls", "is_late"),
    [
        ([(9_000, 9_740)], False),
        ([(9_000, 9_750)], True),
        ([(8_000, 8_400), (9_400, 9_800)], True),
        ([(1_000, 1_400), (9_400, 9_800)], False),
    ],
)
def test_a_moment_is_not_late_but_one_after_the_other_is(
    stalls: list[tuple[int, int]], *, is_late: bool
) -> None:
    here = world(Position(0, 0))  # one link: a beat is 375 ms, a quarter of detection 750 ms
    for due, woken in stalls:
        here.pair.wake(Instant(woken), due=Instant(due))
    turns = here.pair.begin(view(2, ONE, lost=(TWO,)), here.state, here.ring, Instant(10_000)).turns
    assert turns is not None
    assert (turns.place >= PLACES) is is_late


def test_clients_that_are_lost_move_a_side_that_has_not_struck() -> None:
    here = world(Position(0, 0))
    first = here.pair.begin(view(2, ONE, lost=(TWO,)), here.state, here.ring, Instant(1_000))
    lost = here.pair.clients_seen(ClientsSeen(False, "no client answers"), here.ring)
    assert first.turns is not None
    assert lost is not None
    assert lost.turns == replace(first.turns, place=first.turns.place + CUT_OFF_PLACES)
    assert lost.target == "b"
    back = here.pair.clients_seen(ClientsSeen(True, "10.0.0.1 answers"), here.ring)
    assert back is not None
    assert back.turns == first.turns


def test_clients_make_no_race_where_there_is_none() -> None:
    here = world(Position(0, 0))
    assert here.pair.clients_seen(ClientsSeen(False, "no client answers"), here.ring) is None
    here.pair.begin(view(2, ONE, lost=(TWO,)), here.state, here.ring, Instant(1_000))
    here.pair.turns = None  # the devices said that the other one is off
    assert here.pair.clients_seen(ClientsSeen(True, "10.0.0.1 answers"), here.ring) is None
    assert here.pair.turns is None


def test_who_lets_the_other_have_a_round_still_does_when_clients_are_lost() -> None:
    late = world(Position(0, 0))
    late.pair.wake(Instant(9_900), due=Instant(7_000))
    late.pair.begin(view(2, ONE, lost=(TWO,)), late.state, late.ring, Instant(10_000))
    lost = late.pair.clients_seen(ClientsSeen(False, "no client answers"), late.ring)
    assert lost is not None
    assert lost.turns is not None
    assert PLACES <= lost.turns.place < 2 * PLACES


def test_who_comes_later_in_a_race_looks_for_a_peer_in_doubt() -> None:
    here = world(Position(0, 0))
    doubt = PeerDoubted(TWO)
    assert here.pair.doubts(doubt, here.state) == fencing.PeerDoubted(NodeName("b"))
    assert here.pair.doubts(PeerDoubted(TWO, is_over=True), here.state) == fencing.PeerDoubted(None)
    named = replace(here.state, cib=set_transient(here.state.cib, NodeName("a"), GOES_FIRST, "a"))
    assert here.pair.doubts(doubt, named) is None, "who comes first does not wait"


def test_nobody_is_looked_for_where_there_is_no_race() -> None:
    witness = replace(SETTINGS, quorum=QuorumOptions(witness=WitnessOptions("w")))
    here = world(Position(0, 0))
    assert Pair(witness).doubts(PeerDoubted(TWO), here.state) is None
