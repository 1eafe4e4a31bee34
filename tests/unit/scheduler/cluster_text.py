"""Build small CIBs for tests of the scheduler, in the field's own format."""

from komainu.cib.element import Element


def pair(name: str, value: str) -> Element:
    return Element("nvpair", {"id": f"nv-{name}", "name": name, "value": value})


def primitive(name: str, *operations: Element, **meta: str) -> Element:
    block = Element(
        "meta_attributes",
        {"id": f"{name}-meta"},
        tuple(pair(key.replace("_", "-"), text) for key, text in meta.items()),
    )
    ops = Element("operations", {}, operations)
    agent = {"id": name, "class": "ocf", "provider": "komainu", "type": "web"}
    return Element("primitive", agent, (block, ops))


def monitor(seconds: int = 10) -> Element:
    return Element(
        "op", {"id": f"monitor-{seconds}", "name": "monitor", "interval": f"{seconds}s", "timeout": "20s"}
    )


def fence_device(name: str = "fence") -> Element:
    return Element("primitive", {"id": name, "class": "stonith", "type": "fence_lab"})


def member(name: str, number: int, *history: Element, **changes: str) -> Element:
    words = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member", **changes}
    lrm = Element("lrm", {"id": str(number)}, (Element("lrm_resources", {}, history),))
    attributes = Element("transient_attributes", {"id": str(number)})
    return Element("node_state", {"id": str(number), "uname": name, **words}, (attributes, lrm))


def history(name: str, node: str, *, operation: str = "start", rc: int = 0, target: int = 0) -> Element:
    key = f"1:1:{target}:00000000-0000-0000-0000-000000000000"
    entry = Element(
        "lrm_rsc_op",
        {
            "id": f"{name}_last_0",
            "operation": operation,
            "interval": "0",
            "call-id": "5",
            "rc-code": str(rc),
            "op-status": "0",
            "transition-key": key,
            "transition-magic": f"0:{rc};{key}",
            "on_node": node,
            "last-rc-change": "100",
            "op-digest": "f2317cad3d54cec5d7d7aa7d0bf35cf8",
        },
    )
    agent = {"id": name, "class": "ocf", "provider": "komainu", "type": "web"}
    return Element("lrm_resource", agent, (entry,))


def cib(
    resources: tuple[Element, ...],
    states: tuple[Element, ...],
    *,
    constraints: tuple[Element, ...] = (),
    quorum: bool = True,
    **options: str,
) -> Element:
    names = [state.get("uname") or "" for state in states]
    nodes = tuple(Element("node", {"id": str(i + 1), "uname": name}) for i, name in enumerate(names))
    block = Element(
        "cluster_property_set",
        {"id": "cib-bootstrap-options"},
        tuple(pair(key.replace("_", "-"), text) for key, text in options.items()),
    )
    configuration = Element(
        "configuration",
        {},
        (
            Element("crm_config", {}, (block,)),
            Element("nodes", {}, nodes),
            Element("resources", {}, resources),
            Element("constraints", {}, constraints),
        ),
    )
    attributes = {"have-quorum": "1" if quorum else "0", "dc-uuid": "1", "validate-with": "pacemaker-3.9"}
    return Element("cib", attributes, (configuration, Element("status", {}, states)))
