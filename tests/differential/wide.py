"""Make small CIBs of the rarer things: what `cibs` makes, and a little of all else that a CIB can say.

Each thing comes at a low chance, so that the CIBs stay small and a disagreement names its cause. What is made before
the past (`resources`, `base`) is known to the past; what is made after it (`happen`) is news.
"""

from collections.abc import Callable
from random import Random

import cibs
from cibs import NOW_S, SCORES, Maker, pairs

from komainu.cib.element import Element
from komainu.model.report import Refused
from komainu.scheduler import injection
from komainu.scheduler.injection import Result

DEPTH = 3
UUID = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
DATES = (
    {"operation": "gt", "start": "2025-12-31 12:00:00Z"},
    {"operation": "lt", "end": "2025-12-31 12:00:00Z"},
    {"operation": "in_range", "start": "2025-12-01 00:00:00Z", "end": "2026-02-01 00:00:00Z"},
    {"operation": "in_range", "start": "2026-01-02 00:00:00Z", "end": "2026-02-01 00:00:00Z"},
)
SPECS = ({"hours": "0-11"}, {"hours": "12-23"}, {"weekdays": "1-5"}, {"months": "1", "monthdays": "1-7"})


class WideMaker(Maker):
    """A maker who knows more. The random choices of `Maker` come first, so that its own stay few."""

    def __init__(self, random: Random) -> None:
        super().__init__(random, 2)
        self.templates: dict[str, str] = {}  # primitive -> its template
        self.remotes: list[str] = []

    def change(self, name: str, change: Callable[[Element], Element]) -> None:
        """Change the primitive of this name, wherever it is."""
        self.tops = [_changed(top, name, change) for top in self.tops]

    def _is_clone(self, name: str) -> bool:
        """Tell whether it is a clone, or the template of what is in one."""
        owner = next((leaf for leaf, template in self.templates.items() if template == name), name)
        return super()._is_clone(self.inside.get(owner, owner) if owner != name else name)

    # -- resources

    def resources(self) -> None:
        super().resources()
        for name in list(self.primitives):
            if self.chance(12):
                self._add_parameters(name)
            if self.chance(10):
                self._add_operation(name)
            if self.chance(8):
                self._make_template(name)
        if self.chance(12):
            self._remote(f"r{len(self.tops)}")
        if self.chance(8) and self.tops[0].id == "fencer":
            meta = pairs("meta_attributes", "fencer-meta", {"provides": "unfencing"})
            self.tops[0] = self.tops[0].with_children((*meta, *self.tops[0].children))
        self.tops = [self._widen_bundle(top) if top.tag == "bundle" else top for top in self.tops]

    def _add_parameters(self, name: str) -> None:
        values = {key: self.random.choice("123") for key in ("fake", "state") if self.chance(60)}
        block = pairs("instance_attributes", f"{name}-params", values)
        if block and self.chance(25):
            rule = Element(
                "rule", {"id": f"{name}-pr", "score": "INFINITY"}, (self._expression(f"{name}-pr"),)
            )
            block = (block[0].with_children((rule, *block[0].children)),)
        self.change(name, lambda leaf: leaf.with_children((*block, *leaf.children)))

    def _add_operation(self, name: str) -> None:
        ops: tuple[dict[str, str], ...] = (
            {"name": "monitor", "interval": "15s", "role": "Stopped"},
            {"name": "monitor", "interval": "20s", "enabled": "false"},
            {"name": "monitor", "interval": "10s", "timeout": "5s"},
            {"name": "monitor", "interval": "30s", "timeout": "5s"},
        )
        op = Element("op", {"id": f"{name}-wide", **self.random.choice(ops)})
        if any(top.tag == "clone" and top.find(name) for top in self.tops) and op.get("role") == "Stopped":
            return
        self.change(
            name, lambda leaf: leaf.with_children(tuple(_with_op(child, op) for child in leaf.children))
        )

    def _make_template(self, name: str) -> None:
        template = f"t-{name}"

        def split(leaf: Element) -> Element:
            agent = {key: value for key, value in leaf.attributes.items() if key != "id"}
            moved = tuple(child for child in leaf.children if child.tag in {"operations", "utilization"})
            self.tops.append(Element("template", {"id": template, **agent}, moved))
            kept = tuple(child for child in leaf.children if child not in moved)
            return Element("primitive", {"id": name, "template": template}, kept)

        for top in list(self.tops):
            if top.tag != "template" and (top.id == name or top.find(name)) and top.tag != "bundle":
                self.templates[name] = template
                self.change(name, split)
                return

    def _remote(self, name: str) -> None:
        agent = {"class": "ocf", "provider": "pacemaker", "type": "remote"}
        values = {"server": "r.example"}
        if self.chance(30):
            values["reconnect_interval"] = "60s"
        children = pairs("instance_attributes", f"{name}-params", values)
        op = Element("op", {"id": f"{name}-m", "name": "monitor", "interval": "10s"})
        self._keep(Element("primitive", {"id": name, **agent}, (*children, Element("operations", {}, (op,)))))
        self.remotes.append(name)
        self.guests.append(name)

    def _widen_bundle(self, bundle: Element) -> Element:
        engine = bundle.children[0]
        if self.chance(30) and engine.get("promoted-max") is None:
            engine = engine.with_attribute("replicas-per-host", "2")
        if self.chance(20):
            engine = Element("docker", engine.attributes)
        return bundle.with_children((engine, *bundle.children[1:]))

    def base(self) -> Element:
        cib = super().base()
        more: list[Element] = []
        if self.chance(12):
            values = {"resource-stickiness": self.random.choice(("0", "20"))}
            more.append(Element("rsc_defaults", {}, self._ruled(pairs("meta_attributes", "rd", values))))
        if self.chance(8):
            values = {"timeout": self.random.choice(("7s", "90s"))}
            more.append(Element("op_defaults", {}, self._ruled(pairs("meta_attributes", "od", values))))
        names = [top.id for top in self.tops if top.tag in {"primitive", "group"} and top.id != "fencer"]
        if len(names) > 1 and self.chance(15):
            members = tuple(Element("obj_ref", {"id": name}) for name in self.random.sample(names, 2))
            more.append(Element("tags", {}, (Element("tag", {"id": "label"}, members),)))
        configuration = cib.first("configuration")
        assert configuration is not None
        return cib.with_child(configuration.with_children((*configuration.children, *more)))

    def _ruled(self, block: tuple[Element, ...]) -> tuple[Element, ...]:
        if not self.chance(40):
            return block
        rule = Element(
            "rule", {"id": f"{block[0].id}-r", "score": "INFINITY"}, (self._date(f"{block[0].id}-r"),)
        )
        return (block[0].with_children((rule, *block[0].children)),)

    # -- rules

    def _date(self, name: str) -> Element:
        if self.chance(50):
            return Element("date_expression", {"id": f"{name}-d", **self.random.choice(DATES)})
        spec = Element("date_spec", {"id": f"{name}-s", **self.random.choice(SPECS)})
        return Element("date_expression", {"id": f"{name}-d", "operation": "date_spec"}, (spec,))

    def _expression(self, name: str) -> Element:
        values: dict[str, str] = self.random.choice(
            (
                {"attribute": "colour", "operation": "defined"},
                {"attribute": "colour", "operation": "not_defined"},
                {"attribute": "colour", "operation": "ne", "value": "blue"},
                {"attribute": "#uname", "operation": "eq", "value": "n1"},
                {"attribute": "#kind", "operation": "eq", "value": "cluster"},
                {"attribute": "#is_dc", "operation": "eq", "value": "true"},
                {"attribute": "pingd", "operation": "gte", "value": "1", "type": "number"},
            )
        )
        return Element("expression", {"id": f"{name}-x", **values})

    def _wide_rule(self, name: str) -> Element:
        about = self._any()
        score = "-INFINITY" if self._is_clone(about) else self.random.choice(SCORES)
        values = {"id": f"{name}-r", "score": score, "boolean-op": self.random.choice(("and", "or"))}
        if about in self.promotable and self.chance(40):
            values["role"] = "Promoted"
        parts = (self._expression(f"{name}-r"), self._date(f"{name}-r"))
        if self.chance(30):
            nested = Element("rule", {"id": f"{name}-n", "boolean-op": "or", "score": "0"}, parts)
            parts = (self._expression(f"{name}-q"), nested)
        return Element("rsc_location", {"id": name, "rsc": about}, (Element("rule", values, parts),))

    # -- constraints

    def constraints(self) -> list[Element]:
        found = super().constraints()
        makers = (
            self._wide_rule,
            self._wide_order,
            self._ticket_set,
            self._pattern,
            self._discovery,
            self._tagged,
        )
        for number in range(self.random.choice((0, 0, 1, 2))):
            made = self.random.choice(makers)(f"w{number}")
            if made is not None:
                found.append(made)
        return found

    def _wide_order(self, name: str) -> Element | None:
        names = [top.id for top in self.tops if top.tag not in {"bundle", "template"} and top.id != "fencer"]
        if len(names) < 3:
            return None
        self.random.shuffle(names)
        cuts = (names[:2], names[2:3], names[3:5])
        sets = []
        for index, members in enumerate(cut for cut in cuts if cut):
            values = {"id": f"{name}-s{index}"}
            if self.chance(50):
                values["sequential"] = "false"
                if self.chance(60):
                    values["require-all"] = "false"
            if all(member in self.promotable for member in members) and self.chance(60):
                values["action"] = self.random.choice(("promote", "demote", "start", "stop"))
            references = tuple(Element("resource_ref", {"id": member}) for member in members)
            sets.append(Element("resource_set", values, references))
        values = {"id": name, "kind": self.random.choice(("Mandatory", "Mandatory", "Optional", "Serialize"))}
        if self.chance(20) and values["kind"] != "Serialize":
            values["symmetrical"] = "false"
        return Element("rsc_order", values, tuple(sets))

    def _ticket_set(self, name: str) -> Element:
        members = {self._any() for _ in range(2)}
        references = tuple(Element("resource_ref", {"id": member}) for member in sorted(members))
        values = {"id": f"{name}-s"}
        if members <= set(self.promotable):
            values["role"] = "Promoted"
        policy = self.random.choice(("stop", "demote", "fence", "freeze"))
        ticket = {"id": name, "ticket": self.random.choice("TU"), "loss-policy": policy}
        return Element("rsc_ticket", ticket, (Element("resource_set", values, references),))

    def _pattern(self, name: str) -> Element:
        values = {"id": name, "rsc-pattern": self.random.choice(("r[02]", "!r[01]", "r(1|3)", ".*"))}
        return Element("rsc_location", {**values, "node": self._node(), "score": "-INFINITY"})

    def _discovery(self, name: str) -> Element:
        discovery = self.random.choice(("never", "exclusive"))
        values = {"id": name, "rsc": self._any(), "node": self._node(), "score": "-INFINITY"}
        return Element("rsc_location", {**values, "resource-discovery": discovery})

    def _tagged(self, name: str) -> Element | None:
        templates = sorted(self.templates.values())
        if not templates:
            return None
        about = {"id": name, "rsc": self.random.choice(templates), "node": self._node(), "score": "-INFINITY"}
        return Element("rsc_location", about)

    # -- options and nodes

    def options(self) -> dict[str, str]:
        values = super().options()
        choices = {
            "concurrent-fencing": (10, ("false",)),
            "priority-fencing-delay": (8, ("15s",)),
            "node-health-base": (5, ("10",)),
            "node-health-yellow": (5, ("-5",)),
            "node-health-red": (5, ("-100",)),
            "stop-orphan-actions": (4, ("false",)),
            "shutdown-lock": (6, ("true",)),
            "shutdown-lock-limit": (4, ("1h",)),
            "no-quorum-policy": (10, ("freeze", "demote", "suicide", "ignore")),
        }
        for name, (percent, texts) in choices.items():
            if self.chance(percent):
                values[name] = self.random.choice(texts)
        return values

    def node_elements(self) -> tuple[Element, ...]:
        found = list(super().node_elements())
        for index, element in enumerate(found):
            if self.chance(4):
                values = {self.random.choice(("standby", "maintenance")): "true"}
                block = pairs("instance_attributes", f"{element.get('uname')}-wide", values)
                found[index] = element.with_children((*element.children, *block))
        return tuple(found)

    # -- what happens

    def happen(self, cib: Element) -> Element:
        cib = super().happen(cib)
        for thing, percent in (
            (self._forget, 15),
            (self._change_parameters, 15),
            (self._leave_pending, 15),
            (self._migrate_halfway, 20),
            (self._find_twice, 8),
            (self._fail_machine, 15),
            (self._change_node, 8),
            (self._remove_resource, 8),
        ):
            if self.chance(percent):
                cib = thing(cib)
        return cib

    def _singles(self) -> list[str]:
        """Give the primitives that may be active once, and are no part of a bundle."""
        tops = {top.id: top for top in self.tops}
        return [name for name in self.primitives if tops[self.inside[name]].tag in {"primitive", "group"}]

    def _history(self, cib: Element) -> list[tuple[str, Element]]:
        """Give the node and the history of each resource that is known somewhere."""
        status = cib.first("status")
        assert status is not None
        states = [state for state in status.all("node_state") if state.get("in_ccm") != "false"]
        return [
            (state.get("uname") or "", history)
            for state in states
            for history in state.walk()
            if history.tag == "lrm_resource"
        ]

    def _forget(self, cib: Element) -> Element:
        known = self._history(cib)
        if not known:
            return cib
        node, gone = self.random.choice(known)
        return _edit_history(cib, node, gone.id, lambda _: None)

    def _change_parameters(self, cib: Element) -> Element:
        name = self.random.choice(self.primitives or ["none"])
        restarts = self.chance(50)

        def change(leaf: Element) -> Element:
            block = pairs("instance_attributes", f"{name}-changed", {"fake": "9"})
            return leaf.with_children((*block, *leaf.children))

        def reloadable(history: Element) -> Element:
            # What was restarted for other parameters only: those that were not changed.
            marks = {"op-force-restart": " state ", "op-restart-digest": _DIGEST_OF_NOTHING}
            ops = []
            for op in history.children:
                is_start = op.get("operation") == "start" and not restarts
                for key, value in marks.items() if is_start else ():
                    op = op.with_attribute(key, value)
                ops.append(op)
            return history.with_children(tuple(ops))

        for node, history in self._history(cib):
            if history.id.split(":")[0] == name:
                cib = _edit_history(cib, node, history.id, reloadable)
        return _changed(cib, name, change)

    def _leave_pending(self, cib: Element) -> Element:
        singles = self._singles()
        if not singles:
            return cib
        name, node = self.random.choice(singles), self.random.choice(self.nodes)
        task, interval = self.random.choice((("start", 0), ("stop", 0), ("monitor", 0), ("monitor", 10_000)))
        return self._record(cib, Result(name, task, interval, node, 0), status="-1", rc="193")

    def _migrate_halfway(self, cib: Element) -> Element:
        """Leave a live migration where it may end when its coordinator is lost."""
        singles = [name for name in self._singles() if "allow-migrate" in _meta_names(cib, name)]
        homes = [(node, h.id) for node, h in self._history(cib) if h.id in singles and _is_up(h)]
        if not homes:
            return cib
        source, name = self.random.choice(homes)
        target = self.random.choice([node for node in self.nodes if node != source])
        kind = self.random.choice(
            ("to pending", "to done", "to failed", "from done", "from failed", "from pending")
        )
        about = {"migrate_source": source, "migrate_target": target}
        to = Result(name, "migrate_to", 0, source, 1 if kind == "to failed" else 0)
        waits = {"status": "-1", "rc": "193"}
        cib = self._record(cib, to, about, **(waits if kind == "to pending" else {}))
        if kind.startswith("from"):
            rc = 1 if kind == "from failed" else 0
            coming = Result(name, "migrate_from", 0, target, rc)
            cib = self._record(cib, coming, about, **(waits if kind == "from pending" else {}))
        return cib

    def _record(
        self, cib: Element, result: Result, more: dict[str, str] | None = None, status: str = "", rc: str = ""
    ) -> Element:
        """Write a result down that is the newest of its resource."""
        cib, _ = injection.inject(cib, result, NOW_S - 5)
        name = result.resource
        keeps_own = result.interval_ms or result.task.startswith("migrate")
        entry = f"{name}_{result.task}_{result.interval_ms}" if keeps_own else f"{name}_last_0"

        def change(history: Element) -> Element:
            op = history.find(f"{name}_last_failure_0" if result.rc else entry)
            if op is None:
                return history
            for key, value in (more or {}).items():
                op = op.with_attribute(key, value)
            if status:
                magic = f"{status}:{rc};{op.get('transition-key')}"
                op = op.with_attribute("op-status", status).with_attribute("rc-code", rc)
                op = op.with_attribute("transition-magic", magic)
            return history.with_child(op)

        return _edit_history(cib, result.node, name, change)

    def _find_twice(self, cib: Element) -> Element:
        singles = self._singles()
        if not singles:
            return cib
        name, node = self.random.choice(singles), self.random.choice(self.nodes)
        return injection.inject(cib, Result(name, "monitor", 0, node, 0), NOW_S - 5)[0]

    def _fail_machine(self, cib: Element) -> Element:
        """Let a connection, or the machine under one, fail."""
        kinds = (":remote", ":podman", ":docker")
        homes = [
            (node, h.id, h.get("type"))
            for node, h in self._history(cib)
            if f":{h.get('type')}" in kinds and _is_up(h)
        ]
        if not homes:
            return cib
        node, name, kind = self.random.choice(homes)
        interval = {"remote": 10_000 if name in self.remotes else 30_000}.get(kind or "", 60_000)
        result = Result(name, "monitor", interval, node, self.random.choice((1, 7)))
        try:
            return injection.inject(cib, result, NOW_S - 5)[0]
        except Refused:
            return cib

    def _change_node(self, cib: Element) -> Element:
        name = self.random.choice(self.nodes)
        kind = self.random.choice(("pending", "left", "terminate", "crmd", "never"))
        if kind == "terminate":
            return injection.set_node_attribute(cib, name, "terminate", "true")
        states = {
            "pending": {"in_ccm": "true", "crmd": "online", "join": "pending", "expected": "member"},
            "left": {"in_ccm": "true", "crmd": "offline", "join": "down", "expected": "down"},
            "crmd": {"in_ccm": "true", "crmd": "offline", "join": "member", "expected": "member"},
            "never": {"in_ccm": "false", "crmd": "offline", "join": "down", "expected": "down"},
        }
        status = cib.first("status")
        assert status is not None
        kept = []
        for state in status.children:
            is_it = state.tag == "node_state" and state.get("uname") == name
            changed = state
            for key, value in states[kind].items() if is_it else ():
                changed = changed.with_attribute(key, value)
            kept.append(changed)
        return cib.with_child(status.with_children(tuple(kept)))

    def _remove_resource(self, cib: Element) -> Element:
        """Take a resource out of the configuration that nothing else names: what ran of it is left over."""
        constraints = cib.at("configuration", "constraints")
        tags = cib.at("configuration", "tags")
        texts = {
            v for part in (constraints, tags) if part for e in part.walk() for v in e.attributes.values()
        }
        resources = cib.at("configuration", "resources")
        configuration = cib.first("configuration")
        assert resources is not None
        assert configuration is not None
        for top in resources.children:
            if (
                top.tag == "primitive"
                and top.id not in {*texts, "fencer", *self.remotes}
                and len(resources.children) > 2
            ):
                kept = tuple(other for other in resources.children if other is not top)
                return cib.with_child(configuration.with_child(resources.with_children(kept)))
        return cib


_DIGEST_OF_NOTHING = "f2317cad3d54cec5d7d7aa7d0bf35cf8"
"""The digest of no parameters at all."""


def _changed(element: Element, name: str, change: Callable[[Element], Element]) -> Element:
    if element.tag == "primitive" and element.id == name:
        return change(element)
    return element.with_children(tuple(_changed(child, name, change) for child in element.children))


def _with_op(element: Element, op: Element) -> Element:
    return element.with_children((*element.children, op)) if element.tag == "operations" else element


def _meta_names(cib: Element, name: str) -> set[str]:
    leaf = next((e for e in cib.walk() if e.tag == "primitive" and e.id == name), None)
    return set() if leaf is None else {e.get("name") or "" for e in leaf.walk() if e.tag == "nvpair"}


def _is_up(history: Element) -> bool:
    return any(op.get("operation") == "start" and op.get("rc-code") == "0" for op in history.children)


def _edit_history(
    element: Element, node: str, name: str, change: Callable[[Element], Element | None], *, here: bool = False
) -> Element:
    """Change what a node remembers of a resource; nothing given takes it away."""
    here = here or element.get("uname") == node
    kept = []
    for child in element.children:
        if here and child.tag == "lrm_resource" and child.id == name:
            changed = change(child)
            if changed is not None:
                kept.append(changed)
        else:
            kept.append(_edit_history(child, node, name, change, here=here))
    return element.with_children(tuple(kept))


def make(random: Random) -> Element:
    """Make one CIB."""
    return cibs.make_with(WideMaker(random))
