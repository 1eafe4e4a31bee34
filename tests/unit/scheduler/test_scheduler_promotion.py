"""Which instances are promoted."""

from whole_text import dummy, entry, meta, past, state, whole

from komainu.cib.element import Element
from komainu.model.plan import ActionKind
from komainu.model.role import Role
from komainu.scheduler import recipe
from komainu.scheduler.plan import plan


def _promoted(document: Element) -> list[str]:
    found = plan(document, 1000).actions
    return [a.label for a in found if a.operation == "promote" and a.kind is ActionKind.RESOURCE]


def _promotable(name: str, **values: str) -> str:
    return f'<clone id="{name}-clone">{meta(name, promotable="true", **values)}{dummy(name)}</clone>'


def test_of_instances_on_one_node_the_better_one_is_promoted() -> None:
    text = _promotable("r", globally_unique="true", clone_max="2", clone_node_max="2")
    scores = {"master-r:0": "10", "master-r:1": "20"}
    up = (past("r:0", entry("r:0", "a", "start", 3)), past("r:1", entry("r:1", "a", "start", 4)))
    assert _promoted(whole("a", text, state("a", *up, **scores))) == ["promote r:1 on a"]


def test_nothing_is_promoted_beside_a_primary_that_runs_nowhere() -> None:
    text = _promotable("r") + dummy("ip", meta("ip", target_role="Stopped"))
    together = '<rsc_colocation id="c" rsc="r-clone" rsc-role="Promoted" with-rsc="ip" score="INFINITY"/>'
    up = past("r", entry("r", "a", "start", 3))
    document = whole("a", text, state("a", up, **{"master-r": "10"}), constraints=together)
    assert _promoted(document) == []
    alone = whole("a", text, state("a", up, **{"master-r": "10"}))
    assert _promoted(alone) == ["promote r on a"]


def _promotable_group() -> str:
    return (
        f'<clone id="c">{meta("c", promotable="true")}<group id="g">{dummy("r")}{dummy("s")}</group></clone>'
    )


def test_an_instance_is_unpromoted_once_as_a_whole() -> None:
    """What is only known to be active in it keeps its role when another member is known to be unpromoted."""
    up = past("r", entry("r", "a", "start", 3)), past("s", entry("s", "a", "start", 4))
    stuck = past("s", entry("s", "a", "stop", 4, rc_code="1"))
    roles = []
    for histories in (up, (up[0], stuck)):
        job = recipe.read(whole("a", _promotable_group(), state("a", *histories)), 1000)
        recipe.schedule(job)
        roles.append((job.by_id["r:0"].role, job.by_id["s:0"].role))
    assert roles == [(Role.UNPROMOTED, Role.UNPROMOTED), (Role.STARTED, Role.UNPROMOTED)]


def test_exclusive_discovery_of_the_promoted_role_excludes_all_other_nodes() -> None:
    only = '<rsc_location id="l" rsc="r-clone" role="Promoted" node="a" score="10" resource-discovery="{}"/>'

    def starts(discovery: str) -> bool:
        document = whole("ab", _promotable("r"), state("a") + state("b"), constraints=only.format(discovery))
        return any(action.operation == "start" for action in plan(document, 1000).actions)

    assert starts("always")
    assert not starts(
        "exclusive"
    )  # the rows of a constraint with a role are for promotion, not for placement


def _promotable_bundle(name: str, port: int) -> str:
    agent = dummy(f"{name}-rsc", meta(f"{name}-rsc", container_attribute_target="host"))
    return (
        f'<bundle id="{name}"><podman image="img" replicas="2" promoted-max="1"/>'
        f'<network control-port="{port}"/>{agent}</bundle>'
    )


def test_what_is_promoted_beside_a_promoted_bundle_is_preferred_there_and_not_forbidden_elsewhere() -> None:
    """And its containers are not concerned: the colocation is about a role of what runs in them."""
    together = '<rsc_colocation id="c" rsc="x" rsc-role="Promoted" with-rsc="y" with-rsc-role="Promoted" score="INFINITY"/>'
    scores = ({"master-x-rsc": "13", "master-y-rsc": "5"}, {"master-x-rsc": "11", "master-y-rsc": "7"})
    states = "".join(state(node, **score) for node, score in zip("ab", scores, strict=True))
    resources = _promotable_bundle("x", 3122) + _promotable_bundle("y", 3123)
    job = recipe.read(whole("ab", resources, states, constraints=together), 1000, explain=True)
    recipe.schedule(job)
    promotions = sorted(line for line in job.score_lines if line.startswith("x-rsc:"))
    assert [line.rpartition(" ")[2] for line in promotions] == ["13", "INFINITY"]
    homes = [job.by_id[f"x-podman-{number}"].assigned_to for number in (0, 1)]
    assert sorted(home.name for home in homes if home is not None) == ["a", "b"]
    tried = [line for line in job.score_lines if "primitive_assign: x-podman-0 " in line]
    assert len(tried) == 2  # one try, on two nodes
