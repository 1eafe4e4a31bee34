"""What can never be carried out is not in a plan; all the rest is."""

import pytest
from whole_text import dummy, entry, meta, past, state, whole

from komainu.model.plan import Plan
from komainu.scheduler.plan import plan


def _plan(resources: str, states: str, constraints: str, nodes: str = "ab", **options: str) -> Plan:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return plan(whole(nodes, resources, states, constraints=constraints, options=named), 1000)


def _labels(planned: Plan) -> list[str]:
    return [action.label for action in planned.actions]


def _line(planned: Plan, name: str) -> str:
    return next(line for line in planned.summary if line.startswith(name))


def test_what_waits_for_itself_is_left_out_with_a_warning_and_the_rest_is_done() -> None:
    circle = '<rsc_order id="o1" first="x" then="y"/><rsc_order id="o2" first="y" then="x"/>'
    planned = _plan(dummy("x") + dummy("y") + dummy("z"), state("a") + state("b"), circle)
    started = [action.resource for action in planned.actions if action.operation == "start"]
    assert started == ["z"]
    assert "circular ordering (blocked)" in _line(planned, "x")
    assert "circular ordering (blocked)" in _line(planned, "y")
    (warning,) = planned.warnings
    assert warning.startswith("orderings lead in a circle")
    assert "start of x on " in warning
    assert "start of y on " in warning


def test_every_input_of_a_plan_is_in_the_plan() -> None:
    circle = '<rsc_order id="o1" first="x" then="y"/><rsc_order id="o2" first="y" then="x"/>'
    after = '<rsc_order id="o3" first="y" then="z"/>'
    planned = _plan(dummy("x") + dummy("y") + dummy("z"), state("a") + state("b"), circle + after)
    numbers = {action.action_id for action in planned.actions}
    assert all(set(action.needs) <= numbers for action in planned.actions)
    assert not any(action.operation == "start" for action in planned.actions)


GROUP = f'<group id="g">{dummy("m")}{dummy("n")}</group>'


def _started(planned: Plan) -> dict[str, str | None]:
    """Return what is started, with its node."""
    starts = [a for a in planned.actions if a.operation == "start" and a.request is not None]
    return {str(action.resource): action.node for action in starts}


def _together(dependent: str, primary: str) -> str:
    return (
        f'<rsc_colocation id="{dependent}{primary}" rsc="{dependent}" with-rsc="{primary}" score="INFINITY"/>'
    )


def _sets(kind: str, *members: str) -> str:
    sets = ""
    for number, names in enumerate(members):
        references = "".join(f'<resource_ref id="{name}"/>' for name in names)
        sets += f'<resource_set id="{kind}{number}">{references}</resource_set>'
    return f'<rsc_{kind} id="{kind}">{sets}</rsc_{kind}>'


def _ordered(first: str, then: str) -> str:
    return f'<rsc_order id="{first}{then}" first="{first}" then="{then}"/>'


@pytest.mark.parametrize(
    ("constraints", "started"),
    [
        (_sets("order", "wx", "y") + _ordered("y", "w"), {"m", "n"}),  # from set to set
        (_sets("order", "wxy") + _ordered("y", "w"), {"m", "n"}),  # in a set
        (_sets("order", "wg", "x") + _ordered("x", "w"), {"y"}),  # a group in a set
        (_ordered("g", "w") + _ordered("w", "m"), {"x", "y"}),  # into a group and out of it
    ],
)
def test_a_circle_through_sets_and_groups_is_left_out_with_a_warning(
    constraints: str, started: set[str]
) -> None:
    resources = dummy("w") + dummy("x") + dummy("y") + GROUP
    planned = _plan(resources, state("a") + state("b"), constraints)
    assert set(_started(planned)) == started
    assert any(warning.startswith("orderings lead in a circle") for warning in planned.warnings)


@pytest.mark.parametrize(
    ("constraints", "together"),
    [
        (_sets("colocation", "wx", "y") + _together("y", "x"), "xy"),
        (_together("g", "w") + _together("w", "n"), "wmn"),
    ],
)
def test_colocations_in_a_circle_leave_a_plan(constraints: str, together: str) -> None:
    """Who is first is left open, so that one of the demands may not be met: w is apart from x, with Debian's tool, too."""
    resources = dummy("w") + dummy("x") + dummy("y") + GROUP
    planned = _plan(resources, state("a") + state("b"), constraints)
    homes = _started(planned)
    assert sorted(homes) == ["m", "n", "w", "x", "y"]
    assert len({homes[name] for name in together}) == 1


GUEST = (
    f'<primitive id="vm" class="ocf" provider="komainu" type="web">{meta("vm", remote_node="g")}</primitive>'
)


def _in_guest(*names: str) -> str:
    """Say that the machine runs on a, the guest is up, and these run in it."""
    here = past("vm", entry("vm", "a", "start", 3))
    connection = (
        '<lrm_resource id="g" class="ocf" provider="pacemaker" type="remote">'
        f"{entry('g', 'a', 'start', 4)}</lrm_resource>"
    )
    inside = "".join(past(name, entry(name, "g", "start", 5)) for name in names)
    guest = (
        '<node_state id="g" uname="g" remote_node="true"><lrm id="g"><lrm_resources>'
        f"{inside}</lrm_resources></lrm></node_state>"
    )
    return state("a", here, connection, standby="on") + state("b") + guest


def test_a_guest_goes_down_although_its_machine_was_ordered_after_what_runs_in_it() -> None:
    """The order x, then vm cannot be meant, since x runs in vm: neither way of it holds."""
    rules = '<rsc_order id="o" first="x" then="vm"/><rsc_location id="l" rsc="x" node="g" score="INFINITY"/>'
    planned = _plan(GUEST + dummy("x"), _in_guest("x"), rules)
    labels = _labels(planned)
    by_label = {action.label: action for action in planned.actions}
    assert {"stop x on g", "stop vm on a", "start vm on b"} <= set(labels)
    assert by_label["stop vm on a"].action_id not in by_label["stop x on g"].needs
    assert not planned.warnings
