"""What can never be carried out is not in a plan; all the rest is."""

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
