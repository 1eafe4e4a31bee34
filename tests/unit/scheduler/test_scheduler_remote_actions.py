"""What happens behind a connection while the connection itself moves."""

import pytest
from whole_text import dummy, entry, meta, past, state, whole

from komainu.model.plan import Plan
from komainu.scheduler.plan import plan

REMOTE = '<primitive id="{0}" class="ocf" provider="pacemaker" type="remote">{1}</primitive>'
PLACES = (
    '<rsc_location id="l1" rsc="r" node="b" score="INFINITY"/>'
    '<rsc_location id="l2" rsc="x" node="{0}" score="INFINITY"/>'
    '<rsc_location id="l3" rsc="x" node="a" score="-INFINITY"/>'
    '<rsc_location id="l4" rsc="x" node="b" score="-INFINITY"/>'
)
"""The connection r goes to b, and x goes to the node given."""


def _connected(name: str, node: str) -> str:
    return (
        f'<lrm_resource id="{name}" class="ocf" provider="pacemaker" type="remote">'
        f"{entry(name, node, 'start', 4)}</lrm_resource>"
    )


def _remote(name: str, *histories: str) -> str:
    inside = "".join(histories)
    return (
        f'<node_state id="{name}" uname="{name}" remote_node="true"><lrm id="{name}"><lrm_resources>'
        f"{inside}</lrm_resources></lrm></node_state>"
    )


def _moving(start: str, end: str, *, connection: str = "true") -> Plan:
    """Plan for x, which migrates from one remote node to another while the connection r moves from a to b."""
    here = past("x", entry("x", start, "start", 5))
    away = past("x", entry("x", end, "monitor", 5, rc_code="7", target="7"))
    resources = (
        dummy("x", meta("x", allow_migrate="true"))
        + REMOTE.format("r", meta("r", allow_migrate=connection))
        + REMOTE.format("s", "")
    )
    states = (
        state("a", _connected("r", "a"))
        + state("b", _connected("s", "b"))
        + _remote(start, here)
        + _remote(end, away)
    )
    return plan(whole("ab", resources, states, constraints=PLACES.format(end)), 1000)


def _needs(planned: Plan, label: str) -> set[str]:
    by_id = {action.action_id: action.label for action in planned.actions}
    return {by_id[n] for action in planned.actions if action.label == label for n in action.needs}


@pytest.mark.parametrize(
    ("start", "end", "step"), [("r", "s", "migrate_to x on r"), ("s", "r", "migrate_from x on r")]
)
def test_a_migration_goes_through_the_connection_before_that_leaves_its_place(
    start: str, end: str, step: str
) -> None:
    planned = _moving(start, end)
    labels = [action.label for action in planned.actions]
    assert {
        f"migrate_to x on {start}",
        f"migrate_from x on {end}",
        "migrate_to r on a",
        "stop r on a",
    } <= set(labels)
    assert step in _needs(planned, "stop r on a")
    assert not planned.warnings


def test_a_connection_that_has_to_be_stopped_makes_a_stop_and_a_start_of_the_migration_behind_it() -> None:
    """The connection does not wait for the migration that is not to be."""
    planned = _moving("r", "s", connection="false")
    labels = {action.label for action in planned.actions}
    assert {"stop x on r", "start x on s", "stop r on a", "start r on b"} <= labels
    assert not {"migrate_to x on r", "migrate_from x on s"} & labels
    assert "stop x on r" in _needs(planned, "stop r on a")


GUEST = f'<primitive id="vm" class="ocf" provider="komainu" type="web">{meta("vm", remote_node="g", allow_migrate="true")}</primitive>'


def _beside_a_moving_machine(start: str, end: str) -> Plan:
    """Plan for x, which migrates into or out of a guest while the guest's machine migrates from a to b."""
    here = past("x", entry("x", start, "start", 6))
    machine = past("vm", entry("vm", "a", "start", 3)) + _connected("g", "a")
    states = (
        state("a", machine, here if start == "a" else "")
        + state("b", past("vm", entry("vm", "b", "monitor", 3, rc_code="7", target="7")))
        + _remote("g", here if start == "g" else "")
    )
    rules = (
        f'<rsc_location id="l1" rsc="x" node="{end}" score="INFINITY"/>'
        '<rsc_location id="l2" rsc="vm" node="b" score="INFINITY"/>'
    )
    return plan(
        whole("ab", GUEST + dummy("x", meta("x", allow_migrate="true")), states, constraints=rules), 1000
    )


def test_what_leaves_a_guest_is_cleared_there_before_the_machine_moves() -> None:
    planned = _beside_a_moving_machine("g", "b")
    assert {"migrate_to x on g", "stop x on g"} <= _needs(planned, "stop g on a")
    assert "stop g on a" in _needs(planned, "migrate_to vm on a")


def test_what_goes_into_a_guest_arrives_before_the_machine_moves_and_is_not_probed_on_the_way() -> None:
    """A guest that is about to go down and come up again has nothing that a probe could find."""
    planned = _beside_a_moving_machine("a", "g")
    assert "migrate_from x on g" in _needs(planned, "stop g on a")
    assert "monitor x on g" not in {action.label for action in planned.actions if not action.interval_ms}
    assert not planned.warnings


def test_guests_of_which_nothing_was_told_are_different_nodes() -> None:
    """A node has its name also where no state and no attribute of it is known: what must be together is not apart."""
    guests = "".join(dummy(vm, meta(vm, remote_node=name)) for vm, name in (("vm", "g"), ("wm", "h")))
    rules = (
        '<rsc_location id="l1" rsc="x" node="g" score="INFINITY"/>'
        '<rsc_location id="l2" rsc="y" node="h" score="100"/>'
        '<rsc_colocation id="c" rsc="y" with-rsc="x" score="INFINITY"/>'
    )
    planned = plan(
        whole("ab", guests + dummy("x") + dummy("y"), state("a") + state("b"), constraints=rules), 1000
    )
    assert {"start x on g", "start y on g"} <= {action.label for action in planned.actions}


CLOSED = meta("r", target_role="Stopped")


@pytest.mark.parametrize("kind", ["", "Optional", "Mandatory"])
def test_what_is_behind_a_connection_stops_before_it_whatever_else_is_ordered(kind: str) -> None:
    """A constraint between the two says less than the connection does; it does not stand in its place."""
    order = f'<rsc_order id="o" first="r" then="x" kind="{kind}"/>' if kind else ""
    only = '<rsc_location id="l" rsc="x" node="r" score="INFINITY"/>'
    only += '<rsc_location id="m" rsc="x" node="a" score="-INFINITY"/>'
    # Apart from x, which is placed first, the connection finds no node.
    apart = '<rsc_colocation id="c" rsc="r" with-rsc="x" score="-INFINITY"/>'
    apart += '<rsc_location id="n" rsc="r" node="a" score="-INFINITY"/>'
    up = past("x", entry("x", "r", "start", 5))
    resources = dummy("x") + REMOTE.format("r", "")
    states = state("a", _connected("r", "a")) + _remote("r", up)
    planned = plan(whole("a", resources, states, constraints=order + only + apart), 1000)
    assert "stop x on r" in _needs(planned, "stop r on a")


@pytest.mark.parametrize("connection", [REMOTE.format("r", CLOSED), ""])
@pytest.mark.parametrize(("lock", "moves"), [("true", False), ("false", True)])
def test_what_a_lock_keeps_for_a_remote_node_that_goes_down_moves_nowhere(
    connection: str, lock: str, moves: bool
) -> None:
    """It goes down when its connection is stopped, and when that was removed from the configuration."""
    up = past("x", entry("x", "r", "start", 5))
    states = state("a", _connected("r", "a")) + _remote("r", up)
    cib = whole("a", dummy("x") + connection, states, options={"shutdown-lock": lock})
    labels = [action.label for action in plan(cib, 1000).actions]
    assert "stop x on r" in labels
    assert ("start x on a" in labels) is moves
