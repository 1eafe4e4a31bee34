"""Make what a bundle consists of: containers, their addresses and connections, and the clone inside them.

The text of the container options is part of a digest, so it has to be the field's to the letter.
Source: Pacemaker Explained, "Bundles" (network, storage, docker and podman).
"""

from typing import Final

from komainu.cib.element import Element
from komainu.scheduler import nodes, remote, resources
from komainu.scheduler.job import BundleSettings, Candidate, Job, Node, Replica, Resource
from komainu.scheduler.options import parse_bool, parse_int
from komainu.scheduler.words import INFINITY, Discovery

_ENGINES: Final = ("docker", "podman")
_PORT: Final = "3121"
_CHILD_SCORE: Final = 500
"""How much what is in a container likes its own container before anything else is weighed."""


def make(job: Job, bundle: Resource) -> bool:
    """Make the parts of a bundle; False when its description is invalid."""
    engine = next((child for child in bundle.xml.children if child.tag in _ENGINES), None)
    if engine is None:
        return False
    network = bundle.xml.first("network") or Element("network")
    primitive = bundle.xml.first("primitive")
    has_address = network.get("ip-range-start") is not None
    if primitive is not None and not has_address and network.get("control-port") is None:
        return False
    promoted_max = parse_int(engine.get("promoted-max") or engine.get("masters"), 0)
    replicas = resources.limited(job, bundle, parse_int(engine.get("replicas"), promoted_max or 1))
    per_host = max(1, parse_int(engine.get("replicas-per-host"), 1))
    bundle.unique = per_host > 1
    settings = BundleSettings(
        bundle.id, engine.tag, max(1, replicas), per_host, promoted_max, engine.get("image") or ""
    )
    bundle.bundle = settings
    if primitive is not None:
        settings.child = _make_clone(job, bundle, primitive)
        if settings.child is None:
            return False
        bundle.children.append(settings.child)
    maker = _Maker(job, bundle, settings, engine, network)
    for number in range(settings.replicas_max):
        maker.replica(number)
    return True


def _pair(name: str, value: str) -> Element:
    return Element("nvpair", {"id": f"implicit-{name}", "name": name, "value": value})


def _make_clone(job: Job, bundle: Resource, primitive: Element) -> Resource | None:
    settings = bundle.bundle
    assert settings is not None, "the settings were read"
    unique = "true" if settings.per_host > 1 else "false"
    pairs = [
        _pair("ordered", "true"),
        _pair("clone-max", str(settings.replicas_max)),
        _pair("clone-node-max", str(settings.per_host)),
        _pair("globally-unique", unique),
    ]
    suffix = "clone"
    if settings.promoted_max:
        pairs += [_pair("promotable", "true"), _pair("promoted-max", str(settings.promoted_max))]
        suffix = "master"
    block = Element(
        "meta_attributes", {"id": f"{bundle.id}-{suffix}-meta", "score": "INFINITY"}, tuple(pairs)
    )
    clone = resources.make(job, Element("clone", {"id": f"{bundle.id}-{suffix}"}, (block, primitive)), bundle)
    if clone is not None:
        for part in clone.walk():
            part.bundle_owner = bundle
    return clone


def _next_address(address: str, number: int) -> str:
    """Count an address up: after .254 comes .2 of the next third number."""
    parts = [parse_int(part, 0) for part in address.split(".")]
    for _ in range(number):
        if parts[3] > 253:
            parts[2], parts[3] = parts[2] + 1, 1
        else:
            parts[3] += 1
    return ".".join(str(part) for part in parts)


class _Maker:
    """Makes the replicas of one bundle."""

    def __init__(
        self, job: Job, bundle: Resource, settings: BundleSettings, engine: Element, network: Element
    ) -> None:
        self._job = job
        self._bundle = bundle
        self._settings = settings
        self._engine = engine
        self._network = network

    def _address(self, number: int) -> str | None:
        first = self._network.get("ip-range-start")
        return None if first is None else _next_address(first, number)

    def replica(self, number: int) -> None:
        """Make one replica: address, container, connection, and the node that it is."""
        settings, bundle = self._settings, self._bundle
        container = self._add(self._container(number))
        if container is None:
            return
        replica = Replica(number, container, ip_address=self._address(number))
        settings.replicas.append(replica)
        if replica.ip_address is not None:
            replica.ip = self._add(self._ip(replica.ip_address))
        clone = settings.child
        if clone is None or number >= len(clone.children):
            return
        name = f"{bundle.id}-{number}"
        replica.child = clone.children[number]
        # The container is what takes room on a node, as much as what runs in it needs.
        container.utilization, replica.child.utilization = replica.child.utilization, {}
        replica.node = self._make_node(name, replica.child, clone)
        replica.connection = self._add(
            remote.connection_element(
                name,
                container.id,
                address=replica.ip_address or "#uname",
                port=self._network.get("control-port") or _PORT,
                connect_timeout=None,
            )
        )
        for row in replica.connection.table.values() if replica.connection is not None else ():
            if row.node.is_remote:  # whatever becomes of the connection: none goes through another
                row.score = -INFINITY

    def _add(self, element: Element) -> Resource | None:
        rsc = resources.make(self._job, element, self._bundle)
        if rsc is not None:
            rsc.bundle_owner = self._bundle
            self._bundle.children.append(rsc)
        return rsc

    def _make_node(self, name: str, child: Resource, clone: Resource) -> Node:
        job = self._job
        job.remote_nodes_exist = True
        node = job.node_by_name.get(name)
        if node is None:
            node = nodes.add(job, name, name, is_remote=True, base_score=-INFINITY)
        node.base_score = -INFINITY
        node.default_discovery = Discovery.NEVER
        for top in job.resources:
            for rsc in top.walk():
                _keep_out(rsc, node)
        child.table = {node.id: Candidate(node, _CHILD_SCORE, discovery=Discovery.EXCLUSIVE)}
        child.exclusive_discovery = True
        clone.table[node.id] = Candidate(node, -INFINITY)
        return node

    def _ip(self, address: str) -> Element:
        pairs = [_pair("ip", address)]
        interface = self._network.get("host-interface")
        if interface is not None:
            pairs.append(_pair("nic", interface))
        pairs.append(_pair("cidr_netmask", self._network.get("host-netmask") or "32"))
        name = f"{self._bundle.id}-ip-{address}"
        agent = {"id": name, "class": "ocf", "provider": "heartbeat", "type": "IPaddr2"}
        return Element("primitive", agent, (Element("instance_attributes", {}, tuple(pairs)), _monitor(name)))

    # -- containers

    def _container(self, number: int) -> Element:
        bundle, engine = self._bundle, self._engine
        name = f"{bundle.id}-{engine.tag}-{number}"
        mounts, points = self._mounts(number)
        run_opts = self._options_before(number) + mounts + self._ports(number)
        own = engine.get("options")
        run_opts += (f" {own}" if own else "") + " " + self._hosts()
        pairs = [
            _pair("image", engine.get("image") or ""),
            _pair("allow_pull", "true"),
            _pair("force_kill", "false"),
            _pair("reuse", "false"),
            _pair("run_opts", run_opts),
            _pair("mount_points", ",".join(points)),
        ]
        command = engine.get("run-command")
        if self._settings.child is not None:
            command = command or "/usr/sbin/pacemaker-remoted"
        if command is not None:
            pairs.append(_pair("run_cmd", command))
        pairs.append(_pair("monitor_cmd", "/bin/true"))
        agent = {"id": name, "class": "ocf", "provider": "heartbeat", "type": engine.tag}
        return Element("primitive", agent, (Element("instance_attributes", {}, tuple(pairs)), _monitor(name)))

    def _options_before(self, number: int) -> str:
        text = " --restart=no" if self._engine.tag == "docker" else ""
        if self._network.get("ip-range-start") is not None:
            text += f" -h {self._bundle.id}-{number}"
        text += " -e PCMK_stderr=1"
        if self._engine.get("network"):
            text += f" --net={self._engine.get('network')}"
        if self._network.get("control-port") is not None:
            return f"{text} -e PCMK_remote_port={self._network.get('control-port')}"
        return f"{text} -e PCMK_remote_port={_PORT}"

    def _mounts(self, number: int) -> tuple[str, list[str]]:
        name = f"{self._bundle.id}-{number}"
        text, points, has_log = "", [], False
        storage = self._bundle.xml.first("storage")
        for mount in [] if storage is None else storage.all("storage-mapping"):
            source, target = mount.get("source-dir"), mount.get("target-dir") or ""
            if source is None:
                source = f"{mount.get('source-dir-root')}/{name}"
                points.append(source)
            options = mount.get("options")
            text += f" -v {source}:{target}" + (f":{options}" if options else "")
            has_log = has_log or target == "/var/log"
        if self._settings.child is not None:
            text += " -v /etc/pacemaker/authkey:/etc/pacemaker/authkey"
            if not has_log:
                source = f"/var/log/pacemaker/bundles/{name}"
                points.append(source)
                text += f" -v {source}:/var/log"
        return text, points

    def _ports(self, number: int) -> str:
        text, address = "", self._address(number)
        mappings = [
            (
                m.get("port") or m.get("range") or "",
                m.get("internal-port") or m.get("port") or m.get("range") or "",
            )
            for m in self._network.all("port-mapping")
        ]
        if self._settings.child is not None:
            control = self._network.get("control-port") or _PORT
            mappings.append((control, control))
        for source, target in mappings:
            if address is not None:
                text += f" -p {address}:{source}:{target}"
            elif self._engine.get("network") != "host":
                text += f" -p {source}:{target}"
        return text

    def _hosts(self) -> str:
        adds = parse_bool(self._network.get("add-host"), default=True)
        if not adds or self._network.get("ip-range-start") is None:
            return ""
        return "".join(
            f" --add-host={self._bundle.id}-{n}:{self._address(n)}"
            for n in range(self._settings.replicas_max)
        )


def _keep_out(rsc: Resource, node: Node) -> None:
    """Forbid a bundle's node to a resource that was read when it was still thought to be a node like others."""
    row = rsc.table.get(node.id)
    if row is not None:
        row.score, row.discovery = -INFINITY, Discovery.NEVER


def _monitor(name: str) -> Element:
    op = Element("op", {"id": f"{name}-monitor-60s", "name": "monitor", "interval": "60s"})
    return Element("operations", {}, (op,))
