"""The half that sees that it has lost says so once, stops in order, and goes on when its turn comes."""

from dataclasses import replace

import pytest

from komainu.cib.command import ChangeMembership
from komainu.cib.document import parse_cib
from komainu.cib.element import Element
from komainu.cib.initial import empty_cib
from komainu.fencing.interface import Turns
from komainu.model.cause import Cause
from komainu.model.ids import Instant, NodeId, NodeName, WallTime
from komainu.model.view import View, ViewId
from komainu.node.stance import GOES_ON, STEPS_BACK, Stance

A, B = NodeName("a"), NodeName("b")
WALL = WallTime(0)
BACK = Turns(Instant(0), 3, 2_000, 500, steps_back=True)
CIB = empty_cib("t", ((NodeId(1), A), (NodeId(2), B)))


def alone(*, quorate: bool = True) -> ChangeMembership:
    view = View(ViewId(9, NodeId(1)), (NodeId(1),), quorate=quorate, quorum_reason="two_node")
    return ChangeMembership(
        Cause("membership.changed", "b was lost"), WALL, "", view, (A,), ((B, "silent"),), ()
    )


def policy(value: str) -> Element:
    text = f"""<configuration><crm_config><cluster_property_set id="o">
      <nvpair id="o1" name="no-quorum-policy" value="{value}"/></cluster_property_set></crm_config>
      <nodes/><resources/><constraints/></configuration>"""
    return Element("cib", {}, (parse_cib(text), Element("status", {})))


def test_who_steps_back_records_the_view_without_quorum_and_later_with_it() -> None:
    stance = Stance()
    stance.told(alone())
    back = stance.due(CIB, BACK, waits=True, at=WALL)
    assert back is not None
    assert (back.view.quorate, back.cause.code, back.lost) == (False, STEPS_BACK, ())
    assert stance.due(CIB, BACK, waits=True, at=WALL) is None  # it is on its way
    stance.told(back)
    assert stance.due(CIB, BACK, waits=True, at=WALL) is None
    on = stance.due(CIB, BACK, waits=False, at=WALL)
    assert on is not None
    assert (on.view, on.cause.code) == (alone().view, GOES_ON)
    stance.told(on)
    assert not stance.has_stepped_back
    assert stance.due(CIB, BACK, waits=False, at=WALL) is None


def test_nothing_is_said_before_there_is_a_view() -> None:
    assert Stance().due(CIB, BACK, waits=True, at=WALL) is None


def test_a_view_without_quorum_is_given_none_by_a_turn() -> None:
    stance = Stance()
    stance.told(alone(quorate=False))
    assert stance.due(CIB, BACK, waits=True, at=WALL) is None
    assert stance.due(CIB, BACK, waits=False, at=WALL) is None


@pytest.mark.parametrize(
    ("turns", "waits", "why"),
    [
        (BACK, False, "its turn has come"),
        (None, False, "its peer is off"),
        (replace(BACK, steps_back=False), True, "it sees more than nothing again"),
    ],
)
def test_who_goes_on_says_why(turns: Turns | None, *, waits: bool, why: str) -> None:
    stance = Stance()
    stance.told(alone())
    back = stance.due(CIB, BACK, waits=True, at=WALL)
    assert back is not None
    stance.told(back)
    on = stance.due(CIB, turns, waits=waits, at=WALL)
    assert on is not None
    assert why in on.cause.text


@pytest.mark.parametrize(
    ("value", "stops"),
    [("stop", True), ("demote", True), ("freeze", False), ("ignore", False), ("suicide", False)],
)
def test_only_policies_that_stop_in_order_are_made_use_of(value: str, *, stops: bool) -> None:
    stance = Stance()
    stance.told(alone())
    assert (stance.due(policy(value), BACK, waits=True, at=WALL) is not None) == stops
