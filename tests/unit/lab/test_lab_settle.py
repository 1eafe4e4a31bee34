"""Whether a cluster has come to rest, and what is said of it when it has not."""

import msgspec

from komainu.lab import settle
from komainu.lab.drill import Expect
from komainu.lab.protocol import ServiceSeen, Stint
from komainu.lab.settle import Place, Scene
from komainu.model.ids import NodeId, NodeName, ResourceId, WallTime
from komainu.model.link import LinkState
from komainu.model.request import LinkView, NodeView, ResourceView, Status

A, B = NodeName("a"), NodeName("b")
SEEN = ServiceSeen(answers=50, longest_gap_ms=21, stalled_ms=0, stints=(Stint("a", 1),), silent_ms=10)


def node(name: NodeName, state: str = "online", *, is_coordinator: bool = False) -> NodeView:
    return NodeView(name, NodeId(1 if name == A else 2), state, is_coordinator, "")


def link(peer: NodeName, state: LinkState = LinkState.UP) -> LinkView:
    return LinkView(0, peer, state, "eth1: carrier lost", LinkState.UP, "", WallTime(0), None)


def resource(*nodes: NodeName, role: str = "Started") -> ResourceView:
    web = ResourceView(ResourceId("web"), "primitive", "ocf:komainu:web", role, nodes, (), "")
    return ResourceView(ResourceId("service"), "group", "", role, nodes, (), "", (web,))


def status(name: NodeName) -> Status:
    return Status(
        cluster="x",
        node=name,
        version="",
        view="7.1",
        is_quorate=True,
        quorum_reason="2 of 2 votes",
        cib_version="0.1.1",
        doing="idle",
        nodes=(node(A, is_coordinator=True), node(B)),
        links=(link(B if name == A else A),),
        resources=(resource(A),),
        failures=(),
        fencing=(),
        warnings=(),
        at=WallTime(0),
    )


def scene(**changes: object) -> Scene:
    """Give a cluster at rest, but for what both daemons say differently."""
    statuses: dict[str, Status] = {name: msgspec.structs.replace(status(name), **changes) for name in (A, B)}
    return Scene((A, B), statuses, SEEN)


def lacking(one: Scene, **expect: str) -> str:
    return "; ".join(settle.unsettled(one, Place("web", "a", Expect(**expect))))  # type: ignore[arg-type]  # words only


def test_a_cluster_at_rest() -> None:
    assert not lacking(scene(), link_down="none", service_on="same")


def test_a_machine_that_is_on_but_does_not_answer() -> None:
    assert lacking(Scene((A, B), {A: status(A)}, SEEN)) == "b does not answer"


def test_a_machine_that_is_off_need_not_answer() -> None:
    assert not lacking(Scene((A,), {A: status(A)}, SEEN))


def test_nodes_in_different_views() -> None:
    other = msgspec.structs.replace(status(B), view="8.2")
    assert "different views: 7.1, 8.2" in lacking(Scene((A, B), {A: status(A), B: other}, SEEN))


def test_what_the_nodes_say_of_each_other() -> None:
    assert "a sees b as pending" in lacking(scene(nodes=(node(A), node(B, "pending"))))
    assert "no quorum" in lacking(scene(is_quorate=False))
    assert not lacking(scene(nodes=(node(A), node(B, "standby"))))
    assert "carrying out" in lacking(scene(doing="carrying out transition 4"))


def test_where_the_service_runs() -> None:
    assert "web runs on no node" in lacking(scene(resources=(resource(role="Stopped"),)))
    assert "web runs on a, b" in lacking(scene(resources=(resource(A, B),)))
    assert "expected: other" in lacking(scene(), service_on="other")
    assert "expected: same" in lacking(scene(resources=(resource(B),)), service_on="same")
    assert "expected: b" in lacking(scene(), service_on="b")


def test_what_the_client_says() -> None:
    silent = msgspec.structs.replace(SEEN, silent_ms=900)
    assert "nothing for 900 ms" in lacking(Scene((A,), {A: status(A)}, silent))
    elsewhere = msgspec.structs.replace(SEEN, stints=(Stint("b", 1),))
    assert "served by b, not by a" in lacking(Scene((A,), {A: status(A)}, elsewhere))


def test_links() -> None:
    down = scene(links=(link(B, LinkState.NO_CARRIER),))
    assert not lacking(down, link_down="no-carrier")
    assert "no status names a link that is no carrier" in lacking(scene(), link_down="no-carrier")
    assert "still down: a: link 0 to b is down: no carrier (eth1: carrier lost)" in lacking(
        down, link_down="none"
    )
    theirs = msgspec.structs.replace(link(B), peer_state=LinkState.NO_ADDRESS)
    assert not lacking(scene(links=(theirs,)), link_down="no-address")


def test_figures_of_a_scene() -> None:
    assert settle.online(scene().statuses) == {"a", "b"}
    assert settle.online({}) == frozenset()
