"""What the scheduler decides, asked through its one door."""

from cluster_text import cib, fence_device, history, member, monitor, pair, primitive
from hypothesis import given, settings
from hypothesis import strategies as st

from komainu.cib.element import Element
from komainu.model.plan import Action, ActionKind, Plan
from komainu.model.role import Role
from komainu.scheduler import recipe
from komainu.scheduler.plan import answer, plan
from komainu.scheduler.rehearse import Rehearsal

NOW_S = 1_000_000


def labels(answer_: Plan, kind: ActionKind = ActionKind.RESOURCE) -> list[str]:
    return sorted(action.label for action in answer_.actions if action.kind is kind)


def find(answer_: Plan, label: str) -> Action:
    return next(action for action in answer_.actions if action.label == label)


def test_unknown_resource_is_probed_everywhere_then_started_once_and_monitored() -> None:
    found = plan(
        cib((primitive("web", monitor()),), (member("a", 1), member("b", 2)), fencing_enabled="false"), NOW_S
    )
    assert labels(found) == ["monitor web on a", "monitor web on a", "monitor web on b", "start web on a"]
    start = find(found, "start web on a")
    probes = {a.action_id for a in found.actions if a.operation == "monitor" and a.interval_ms == 0}
    assert probes <= set(start.needs)


def test_requests_are_complete() -> None:
    found = plan(cib((primitive("web", monitor()),), (member("a", 1),), fencing_enabled="false"), NOW_S)
    request = find(found, "start web on a").request
    assert request is not None
    assert str(request.agent) == "ocf:komainu:web"
    assert request.timeout_ms == 20_000
    assert request.digest == "f2317cad3d54cec5d7d7aa7d0bf35cf8"
    assert request.transition_key.split(":")[2] == "0"
    assert ("on_node", "a") in request.meta
    probe = next(a for a in found.actions if a.operation == "monitor" and a.interval_ms == 0)
    assert probe.request is not None
    assert probe.request.target_rc == 7


def test_lost_node_is_fenced_before_its_resource_starts_elsewhere() -> None:
    lost = member("a", 1, history("web", "a"), in_ccm="false", crmd="offline", join="down")
    states = (lost, member("b", 2, history("fence", "b")))
    found = plan(cib((fence_device(), primitive("web")), states), NOW_S)
    fencing = find(found, "reboot on a")
    assert fencing.kind is ActionKind.FENCE
    assert fencing.action_id in _all_needs(found, find(found, "start web on b"))
    assert [cause.text for _, cause in found.node_causes] == [
        "node a has to be fenced: peer is no longer part of the cluster"
    ]


def _all_needs(found: Plan, action: Action) -> set[int]:
    by_id = {a.action_id: a for a in found.actions}
    seen: set[int] = set()
    stack = list(action.needs)
    while stack:
        number = stack.pop()
        if number not in seen:
            seen.add(number)
            stack += by_id[number].needs
    return seen


def test_nothing_is_taken_over_from_a_lost_node_that_cannot_be_fenced() -> None:
    lost = member("a", 1, history("web", "a"), in_ccm="false", crmd="offline", join="down")
    found = plan(cib((fence_device(), primitive("web")), (lost, member("b", 2)), quorum=False), NOW_S)
    assert not labels(found, ActionKind.FENCE)
    assert "start web on b" not in labels(found)


def test_member_that_has_not_joined_yet_gets_nothing_and_is_not_fenced() -> None:
    joining = member("b", 2, expected="member", join="pending")
    found = plan(cib((primitive("web"),), (member("a", 1), joining), fencing_enabled="true"), NOW_S)
    assert not labels(found, ActionKind.FENCE)
    assert all(action.node != "b" for action in found.actions)


def test_standby_moves_a_resource() -> None:
    attributes = Element("instance_attributes", {"id": "x"}, (pair("standby", "on"),))
    states = (
        member("a", 1, history("web", "a")),
        member("b", 2, history("web", "b", operation="monitor", rc=7, target=7)),
    )
    document = cib((primitive("web"),), states, fencing_enabled="false")
    node = Element("node", {"id": "1", "uname": "a"}, (attributes,))
    nodes = Element("nodes", {}, (node, Element("node", {"id": "2", "uname": "b"})))
    configuration = document.first("configuration")
    assert configuration is not None
    configuration = configuration.with_children(
        tuple(nodes if child.tag == "nodes" else child for child in configuration.children)
    )
    found = plan(document.with_children((configuration, *document.children[1:])), NOW_S)
    assert labels(found) == ["start web on b", "stop web on a"]
    assert find(found, "stop web on a").action_id in find(found, "start web on b").needs


def test_group_starts_in_order_on_one_node() -> None:
    group = Element("group", {"id": "g"}, (primitive("one"), primitive("two")))
    found = plan(cib((group,), (member("a", 1), member("b", 2)), fencing_enabled="false"), NOW_S)
    first, second = find(found, "start one on a"), find(found, "start two on a")
    assert first.action_id in _all_needs(found, second)


def test_target_role_stopped_stops() -> None:
    states = (member("a", 1, history("web", "a")),)
    found = plan(cib((primitive("web", target_role="Stopped"),), states, fencing_enabled="false"), NOW_S)
    assert labels(found) == ["stop web on a"]
    placement = next(p for p in found.placements if p.resource == "web")
    assert placement.target_role is Role.STOPPED
    assert "target-role is Stopped" in placement.reason


def test_shutdown_stops_resources_and_then_lets_the_node_go() -> None:
    leaving = member("a", 1, history("web", "a"))
    transient = Element("instance_attributes", {"id": "s"}, (pair("shutdown", "999"),))
    leaving = leaving.with_children(
        (Element("transient_attributes", {"id": "1"}, (transient,)), *leaving.children[1:])
    )
    found = plan(cib((primitive("web"),), (leaving, member("b", 2)), fencing_enabled="false"), NOW_S)
    shutdown = next(a for a in found.actions if a.kind is ActionKind.SHUTDOWN)
    assert find(found, "stop web on a").action_id in shutdown.needs
    assert "start web on b" in labels(found)


def test_everything_has_a_reason() -> None:
    lost = member("a", 1, history("web", "a"), in_ccm="false", crmd="offline", join="down")
    found = plan(cib((fence_device(), primitive("web", monitor())), (lost, member("b", 2))), NOW_S)
    assert all(action.reason for action in found.actions)
    assert all(placement.reason for placement in found.placements)
    assert {name for name, _ in found.resource_causes} == {a.resource for a in found.actions if a.resource}


# -- properties -----------------------------------------------------------------------------------------


def location(rsc: str, node: str, score: str) -> Element:
    return Element("rsc_location", {"id": f"l-{rsc}-{node}", "rsc": rsc, "node": node, "score": score})


def colocation(rsc: str, other: str, score: str) -> Element:
    return Element(
        "rsc_colocation", {"id": f"c-{rsc}-{other}", "rsc": rsc, "with-rsc": other, "score": score}
    )


def order(first: str, then: str) -> Element:
    return Element("rsc_order", {"id": f"o-{first}-{then}", "first": first, "then": then})


NAMES = ("one", "two", "three", "four")
SCORES = st.sampled_from(["100", "-50", "INFINITY", "-INFINITY"])
PAIRS = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(
    lambda pair_: NAMES.index(pair_[0]) < NAMES.index(pair_[1])
)
CONSTRAINTS = st.lists(
    st.one_of(
        st.builds(location, st.sampled_from(NAMES), st.sampled_from(["a", "b", "c"]), SCORES),
        st.builds(lambda p, s: colocation(p[0], p[1], s), PAIRS, SCORES),
        st.builds(lambda p: order(p[0], p[1]), PAIRS),
    ),
    max_size=6,
    unique_by=lambda element: element.id,
)
ACTIVE = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["a", "b", "c"]))


@st.composite
def clusters(draw: st.DrawFn) -> Element:
    active = draw(ACTIVE)
    states = tuple(
        member(
            node,
            number,
            *(
                history(name, node)
                if active.get(name) == node
                else history(name, node, operation="monitor", rc=7, target=7)
                for name in NAMES
            ),
        )
        for number, node in enumerate(("a", "b", "c"), 1)
    )
    resources = [primitive(name, monitor()) for name in NAMES[:2]]
    group = Element("group", {"id": "g"}, tuple(primitive(name) for name in NAMES[2:]))
    constraints = tuple(draw(CONSTRAINTS))
    return cib((*resources, group), states, constraints=constraints, fencing_enabled="false")


@settings(max_examples=15)
@given(clusters())
def test_equal_states_give_equal_plans(document: Element) -> None:
    assert plan(document, NOW_S) == plan(document, NOW_S)


@settings(max_examples=15)
@given(clusters())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(document: Element) -> None:
    for _ in range(3):
        job = recipe.read(document, NOW_S)
        graph = recipe.schedule(job)
        rehearsal = Rehearsal(job, graph, document)
        assert rehearsal.run(), "every action gets its turn"
        document = rehearsal.cib
        if answer(job, graph).is_empty:
            break
    assert plan(document, NOW_S).is_empty
