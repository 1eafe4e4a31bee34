"""Who is told what happens to the other instances of a clone."""

import pytest
from whole_text import dummy, entry, meta, past, state, whole

from komainu.model.plan import Plan
from komainu.scheduler.plan import plan

BUNDLE = (
    f'<bundle id="box">{meta("box", notify="true")}<podman image="img" promoted-max="1" replicas="2"/>'
    '<network control-port="3122"/>{0}</bundle>'
)


def _past(name: str, agent: str, *entries: str) -> str:
    provider, kind = agent.split(":")
    words = f'id="{name}" class="ocf" provider="{provider}" type="{kind}"'
    return f"<lrm_resource {words}>{''.join(entries)}</lrm_resource>"


def _replica(number: int, node: str) -> str:
    container, connection = f"box-podman-{number}", f"box-{number}"
    return _past(container, "heartbeat:podman", entry(container, node, "start", 3)) + _past(
        connection, "pacemaker:remote", entry(connection, node, "start", 4)
    )


def _inside(number: int, history: str) -> str:
    node = f"box-{number}"
    score = (
        f'<instance_attributes id="p{number}"><nvpair id="m{number}" name="master-x" value="{9 - number}"/>'
    )
    return (
        f'<node_state id="{node}" uname="{node}" remote_node="true"><transient_attributes id="{node}">{score}'
        f'</instance_attributes></transient_attributes><lrm id="{node}"><lrm_resources>{history}'
        "</lrm_resources></lrm></node_state>"
    )


def _planned(*, ban: bool) -> Plan:
    """Plan for a bundle whose first replica is promoted; the second, on b, starts, or has to leave b before it can."""
    states = (
        state("a", _replica(0, "a"))
        + state("b", _replica(1, "b"))
        + _inside(0, past("x", entry("x", "box-0", "start", 5)))
        + _inside(1, past("x", entry("x", "box-1", "monitor", 5, rc_code="7", target="7")))
    )
    away = '<rsc_location id="l" rsc="box" node="b" score="-INFINITY"/>' if ban else ""
    return plan(whole("ab", BUNDLE.format(dummy("x")), states, constraints=away), 1000)


@pytest.mark.parametrize("ban", [False, True])
def test_what_is_to_be_stopped_with_its_container_is_not_told_of_a_promotion(ban: bool) -> None:
    planned = _planned(ban=ban)
    assert "promote x on box-0" in {action.label for action in planned.actions}
    told = {a.node for a in planned.actions if a.operation == "notify" and a.resource == "x"}
    assert ("box-1" in told) is not ban
