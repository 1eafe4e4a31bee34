"""What waits for a fencing, and what need not."""

import pytest
from whole_text import dummy, entry, meta, past, state, whole

from komainu.model.plan import Action, Plan
from komainu.scheduler import recipe
from komainu.scheduler.plan import plan

DEVICE = '<primitive id="fence" class="stonith" type="fence_lab"/>'
LOST = '<node_state id="c" uname="c" in_ccm="false" crmd="offline" join="member" expected="member">'


def _lost(histories: str) -> str:
    return f'{LOST}<lrm id="c"><lrm_resources>{histories}</lrm_resources></lrm></node_state>'


def _needs(planned: Plan, label: str) -> set[str]:
    """Return the labels of all that an action waits for, however far back."""
    by_id = {action.action_id: action for action in planned.actions}
    waiting: list[Action] = [action for action in planned.actions if action.label == label]
    assert waiting, f"{label} is not in {sorted(action.label for action in planned.actions)}"
    found: set[str] = set()
    while waiting:
        for number in waiting.pop().needs:
            if by_id[number].label not in found:
                found.add(by_id[number].label)
                waiting.append(by_id[number])
    return found


@pytest.mark.parametrize("is_known", [True, False])
def test_a_start_that_needs_only_quorum_waits_for_a_fencing_where_the_lost_node_was_never_probed(
    is_known: bool,
) -> None:
    """What one of the equal instances is known to do on the lost node is known of all: none has to wait."""
    clone = f'<clone id="all">{meta("all", clone_max="2")}{dummy("x", meta("x", requires="quorum"))}</clone>'
    elsewhere = past("x", entry("x", "c", "monitor", 3, rc_code="7", target="7")) if is_known else ""
    states = (
        state("a", past("x", entry("x", "a", "start", 3)), past("fence", entry("fence", "a", "start", 4)))
        + state("b")
        + _lost(elsewhere)
    )
    planned = plan(whole("abc", DEVICE + clone, states, options={"fencing-enabled": "true"}), 1000)
    assert ("reboot on c" in _needs(planned, "start x on b")) is not is_known


def test_a_single_resource_that_needs_only_quorum_waits_for_the_fencing_of_a_node_nobody_asked() -> None:
    states = state("a", past("fence", entry("fence", "a", "start", 4))) + state("b") + _lost("")
    planned = plan(
        whole(
            "abc",
            DEVICE + dummy("x", meta("x", requires="quorum")),
            states,
            options={"fencing-enabled": "true"},
        ),
        1000,
    )
    start = next(
        action for action in planned.actions if action.operation == "start" and action.resource == "x"
    )
    assert "reboot on c" in _needs(planned, start.label)


def test_a_guest_whose_machine_is_gone_is_reset_even_if_nobody_may_close_its_connection() -> None:
    """Fencing is on and there is no device: what is active is not managed, and the connection stays as it is."""
    guest = dummy("vm", meta("vm", remote_node="g")) + f'<clone id="c">{dummy("x")}</clone>'
    gone = past("vm", entry("vm", "a", "start", 3), entry("vm", "a", "monitor", 4, rc_code="5"))
    connected = (
        '<lrm_resource id="g" class="ocf" provider="pacemaker" type="remote" container="vm">'
        f"{entry('g', 'a', 'start', 5)}</lrm_resource>"
    )
    inside = (
        '<node_state id="g" uname="g" remote_node="true"><lrm id="g"><lrm_resources>'
        f"{past('x', entry('x', 'g', 'start', 6))}</lrm_resources></lrm></node_state>"
    )
    cib = whole(
        "ab", guest, state("a", gone, connected) + state("b") + inside, options={"fencing-enabled": "true"}
    )
    job = recipe.read(cib, 1000)
    graph = recipe.schedule(job)
    assert [s.action.node.name for s in graph.synapses if s.action.task == "stonith" and s.action.node] == [
        "g"
    ]
