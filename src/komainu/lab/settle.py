"""Decide whether a cluster has come to rest as a step expects, and say in words what is still missing.

Pure: takes what the machines, the daemons and the client said in one moment. A cluster that is at rest: every
machine that is on answers, all see the same view with quorum, the coordinator is idle, the service runs on
one node, and that node answers the client.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from komainu.lab.drill import ANY_LINK_UP, OTHER, SAME, Expect
from komainu.lab.protocol import ServiceSeen
from komainu.model.link import LinkState
from komainu.model.request import LinkView, ResourceView, Status

ANSWERING_MS = 300
"""The client counts as served when it heard something so lately: 15 of its periods."""

_AT_REST = frozenset({"online", "standby", "maintenance"})


@dataclass(frozen=True, slots=True)
class Scene:
    """What was to be seen in one moment."""

    machines_on: tuple[str, ...]
    statuses: Mapping[str, Status]  # by the node that answered
    seen: ServiceSeen


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step began: the node that ran the service then, and what is watched."""

    service: str
    active: str | None
    expect: Expect
    needs_client: bool = True


def unsettled(scene: Scene, place: Place) -> tuple[str, ...]:
    """Say what is still missing, one sentence each; empty when the cluster is at rest as expected."""
    return (*cluster_lacking(scene), *_service(scene, place), *links_lacking(scene, place.expect.link_down))


def cluster_lacking(scene: Scene) -> tuple[str, ...]:
    """Say what is missing until the nodes are together and idle."""
    return tuple(_cluster_lacking(scene))


def links_lacking(scene: Scene, wanted: str | None) -> tuple[str, ...]:
    """Say what is missing until a link is seen in the state wanted; nothing when none is."""
    return tuple(_links_lacking(scene, wanted))


def place_lacking(scene: Scene, place: Place) -> str | None:
    """Say where the service runs when that is not where it is expected; None when it is."""
    nodes = running_on(scene.statuses, place.service)
    wanted = place.expect.service_on
    runs = f"{place.service} runs on {', '.join(nodes) or 'no node'}"
    if len(nodes) != 1:
        return runs
    moved = nodes[0] != place.active
    is_right = {None: True, SAME: not moved, OTHER: moved}.get(wanted, nodes[0] == wanted)
    return None if is_right else f"{runs}; expected: {wanted}"


def online(statuses: Mapping[str, Status]) -> frozenset[str]:
    """Name the nodes that every node which answers sees online."""
    seen: list[set[str]] = [
        {one.name for one in status.nodes if one.state == "online"} for status in statuses.values()
    ]
    return frozenset(set.intersection(*seen)) if seen else frozenset()


def running_on(statuses: Mapping[str, Status], resource: str) -> tuple[str, ...]:
    """Say where a resource runs, as the first node that answered has it; one without quorum cannot know."""
    for status in sorted(statuses.values(), key=lambda one: not one.is_quorate):
        for view in _flat(status.resources):
            if view.resource == resource:
                return tuple(view.nodes) if view.role not in {"Stopped", "Unknown"} else ()
    return ()


def links_down(statuses: Mapping[str, Status]) -> tuple[str, ...]:
    """Name each link that is down: who says so, which, and why."""
    return tuple(
        f"{node}: link {link.link} to {link.peer} is {link.state.label} ({link.reason})"
        for node, status in statuses.items()
        for link in status.links
        if link.state is not LinkState.UP
    )


def _cluster_lacking(scene: Scene) -> Iterator[str]:
    for node in scene.machines_on:
        if node not in scene.statuses:
            yield f"{node} does not answer"
    views = {status.view for status in scene.statuses.values()}
    if len(views) > 1:
        yield f"the nodes are in different views: {', '.join(sorted(views))}"
    for node, status in scene.statuses.items():
        if not status.is_quorate:
            yield f"{node} has no quorum: {status.quorum_reason}"
        states: dict[str, str] = {one.name: one.state for one in status.nodes}
        for peer in scene.machines_on:
            if states.get(peer) not in _AT_REST:
                yield f"{node} sees {peer} as {states.get(peer, 'unknown')}"
        is_coordinator = any(one.is_coordinator and one.name == node for one in status.nodes)
        if is_coordinator and status.doing != "idle":
            yield f"the coordinator is not idle: {status.doing}"


def _service(scene: Scene, place: Place) -> Iterator[str]:
    elsewhere = place_lacking(scene, place)
    if elsewhere is not None:
        yield elsewhere
        return
    if not place.needs_client:
        return
    (node,) = running_on(scene.statuses, place.service)
    if scene.seen.silent_ms > ANSWERING_MS:
        yield f"the client has heard nothing for {scene.seen.silent_ms} ms"
    elif scene.seen.stints and scene.seen.stints[-1].node != node:
        yield f"the client is served by {scene.seen.stints[-1].node}, not by {node}"


def _links_lacking(scene: Scene, wanted: str | None) -> Iterator[str]:
    if wanted is None:
        return
    links = [link for status in scene.statuses.values() for link in status.links]
    if wanted == ANY_LINK_UP:
        yield from (f"still down: {text}" for text in links_down(scene.statuses))
    elif not any(_is_in(link, LinkState(wanted)) for link in links):
        yield f"no status names a link that is {LinkState(wanted).label.removeprefix('down: ')}"


def _is_in(link: LinkView, state: LinkState) -> bool:
    return state in {link.state, link.peer_state}


def _flat(resources: tuple[ResourceView, ...]) -> Iterator[ResourceView]:
    for resource in resources:
        yield resource
        yield from _flat(resource.members)
