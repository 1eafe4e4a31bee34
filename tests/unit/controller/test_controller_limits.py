"""Check what counts against which limit."""

from dataclasses import replace

from komainu.controller.limits import Lane, Limits, NodeLimit, UnderWay, lane_of
from komainu.model.ids import NodeName, ResourceId
from komainu.model.operation import ActionRequest, AgentName
from komainu.model.plan import Action, ActionKind

A, B, C = NodeName("a"), NodeName("b"), NodeName("c")


def action(name: str, node: NodeName, *meta: tuple[str, str]) -> Action:
    web, agent = ResourceId("web"), AgentName("ocf", "komainu", "dummy")
    request = ActionRequest(node, web, agent, name, 0, 1000, (), meta, 0, "1:0:0:x", "d")
    return Action(1, ActionKind.RESOURCE, name, node, web, 0, 1000, request, (), "because")


def operation(name: str, node: NodeName) -> Lane:
    return lane_of(action(name, node))


def migration(name: str, node: NodeName) -> Lane:
    return lane_of(action(name, node, ("migrate_source", A), ("migrate_target", B)))


def test_without_limits_nothing_waits() -> None:
    under_way = UnderWay()
    for _ in range(100):
        under_way.begin(operation("start", A))
    assert under_way.hindrance(operation("start", A), Limits()) == ""


def test_each_node_has_its_own_limit() -> None:
    under_way, limits = UnderWay(), Limits(nodes={A: NodeLimit(1)}, elsewhere=NodeLimit(2))
    under_way.begin(operation("start", A))
    under_way.begin(operation("start", C))
    assert under_way.hindrance(operation("monitor", A), limits) == "node a is at its limit of 1"
    assert under_way.hindrance(operation("monitor", C), limits) == ""
    under_way.end(operation("start", A))
    assert under_way.hindrance(operation("monitor", A), limits) == ""


def test_only_what_runs_an_agent_counts_and_waits() -> None:
    under_way, limits = UnderWay(), Limits(cluster=1, elsewhere=NodeLimit(1))
    kinds = set(ActionKind) - {ActionKind.RESOURCE}
    for kind in kinds:
        under_way.begin(lane_of(replace(action("off", A), kind=kind)))
    assert under_way.hindrance(operation("start", A), limits) == ""
    under_way.begin(operation("start", A))
    for kind in kinds:
        assert under_way.hindrance(lane_of(replace(action("off", A), kind=kind)), limits) == ""
    assert under_way.hindrance(operation("start", B), limits) == "the cluster is at its batch-limit of 1"


def test_a_migration_is_work_for_both_of_its_nodes() -> None:
    under_way, limits = UnderWay(), Limits(elsewhere=NodeLimit(1))
    under_way.begin(migration("migrate_to", A))
    assert under_way.hindrance(operation("start", B), limits) == "node b is at its limit of 1"
    assert under_way.hindrance(operation("start", C), limits) == ""
    under_way.end(migration("migrate_to", A))
    assert under_way.hindrance(operation("start", B), limits) == ""


def test_migrations_have_a_limit_of_their_own() -> None:
    under_way, limits = UnderWay(), Limits(migrations=1)
    under_way.begin(migration("migrate_to", A))
    assert (
        under_way.hindrance(migration("migrate_from", B), limits) == "node a is at its migration-limit of 1"
    )
    assert under_way.hindrance(operation("start", B), limits) == ""
