"""Find the remote and guest nodes that resources bring with them.

Source: Pacemaker Remote, "Guest Nodes" (remote-node and its options).
"""

from komainu.cib.element import Element
from komainu.scheduler import attributes, nodes
from komainu.scheduler.job import Job, Resource
from komainu.scheduler.rules import RuleContext


def read_nodes(job: Job) -> None:
    """Make a node for each connection; a guest gets its connection made, after all other resources."""
    section = job.cib.at("configuration", "resources")
    if section is None:
        return
    added: dict[str, Element] = {}
    for element in section.children:
        if is_connection(element):
            _add_node(job, element.id)
        for primitive in [element] if element.tag == "primitive" else element.all("primitive"):
            if element.tag not in {"primitive", "group"}:
                continue
            implicit = _guest_connection(job, primitive)
            if implicit is not None:
                _add_node(job, implicit.id)
                added.setdefault(implicit.id, implicit)
    if added:
        _add_connections(job, section, added)


def _add_connections(job: Job, section: Element, added: dict[str, Element]) -> None:
    """Put the connections that are implied after all resources, but for those that are configured."""
    known = {e.id for e in section.walk() if e.tag in {"primitive", "group", "clone", "bundle"}}
    new = tuple(connection for name, connection in added.items() if name not in known)
    if not new:
        return
    configuration = job.cib.first("configuration")
    assert configuration is not None, "there is a resources section"
    renewed = section.with_children((*section.children, *new))
    configuration = configuration.with_children(
        tuple(renewed if child is section else child for child in configuration.children)
    )
    job.cib = job.cib.with_children(
        tuple(configuration if c.tag == "configuration" else c for c in job.cib.children)
    )


def is_connection(element: Element) -> bool:
    """Tell whether a resource is the connection to a remote node."""
    return (
        element.tag == "primitive"
        and element.get("class") == "ocf"
        and element.get("provider") == "pacemaker"
        and element.get("type") == "remote"
    )


def _add_node(job: Job, name: str) -> None:
    job.remote_nodes_exist = True
    if name not in job.node_by_id and name not in job.node_by_name:
        nodes.add(job, name, name, is_remote=True)


def _guest_connection(job: Job, primitive: Element) -> Element | None:
    if not any(
        pair.get("name") == "remote-node" for b in primitive.all("meta_attributes") for pair in b.walk()
    ):
        return None  # most bring no node, and their sets are read later
    meta = attributes.read_sets(primitive, "meta_attributes", RuleContext(job.now_s, job.recheck))
    name = meta.get("remote-node")
    if name is None:
        return None
    return connection_element(
        name,
        primitive.id,
        address=meta.get("remote-addr"),
        port=meta.get("remote-port"),
        connect_timeout=meta.get("remote-connect-timeout") or "60s",
        allow_migrate=meta.get("remote-allow-migrate"),
        is_managed=meta.get("is-managed"),
    )


def _pair(name: str, value: str) -> Element:
    return Element("nvpair", {"id": f"implicit-{name}", "name": name, "value": value})


def connection_element(
    name: str,
    launcher: str,
    *,
    address: str | None,
    port: str | None,
    connect_timeout: str | None,
    allow_migrate: str | None = None,
    is_managed: str | None = None,
) -> Element:
    """Describe the connection to a guest node."""
    meta = [_pair("container", launcher), _pair("internal-rsc", "true")]
    if allow_migrate is not None:
        meta.append(_pair("allow-migrate", allow_migrate))
    if is_managed is not None:
        meta.append(_pair("is-managed", is_managed))
    ops = [
        Element("op", {"id": f"{name}-monitor-30s", "name": "monitor", "interval": "30s", "timeout": "30s"})
    ]
    if connect_timeout is not None:
        ops.append(
            Element(
                "op", {"id": f"{name}-start-0", "name": "start", "interval": "0", "timeout": connect_timeout}
            )
        )
    parts = [
        Element("meta_attributes", {"id": f"{name}-meta"}, tuple(meta)),
        Element("operations", {}, tuple(ops)),
    ]
    given = [_pair(key, text) for key, text in (("addr", address), ("port", port)) if text is not None]
    if given:
        parts.append(Element("instance_attributes", {"id": f"{name}-attributes"}, tuple(given)))
    agent = {"id": name, "class": "ocf", "provider": "pacemaker", "type": "remote"}
    return Element("primitive", agent, tuple(parts))


def link(job: Job) -> None:
    """Join launchers with what they launch, and connections with their nodes."""
    for top in job.resources:
        for rsc in top.walk():
            _link(job, rsc)
    nodes.update_kinds(job)


def _link(job: Job, rsc: Resource) -> None:
    name = rsc.meta.get("container")
    if name is not None and not rsc.is_collective and rsc.launcher is None:
        launcher = job.by_id.get(name)
        if launcher is not None and launcher is not rsc:
            rsc.launcher = launcher
            launcher.launched.append(rsc)
    if rsc.is_remote_connection:
        node = job.node_by_name.get(rsc.id)
        if node is not None and node.is_remote:
            node.connection = rsc
            if rsc.launcher is None:
                nodes.start_unknown(job, node)
