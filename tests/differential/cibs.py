"""Make small CIBs at random: all kinds of resources, constraints and options, a past, and something that happens.

The chance comes in as a `random.Random`; given one that hypothesis drives, it shrinks what it finds. A past is
not invented: the cluster is planned for and carried out on paper first, so that its history is whole.
"""

from random import Random

from komainu.cib.element import Element
from komainu.scheduler import injection, recipe
from komainu.scheduler.injection import Result
from komainu.scheduler.rehearse import Rehearsal

NOW_S = 1_767_225_600
UP = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}
SCORES = ("INFINITY", "-INFINITY", "100", "50", "10", "1", "-10", "-100", "1000")
WISHES = ("INFINITY", "100", "50", "10", "1", "-10", "-100", "-INFINITY")


def pairs(tag: str, name: str, values: dict[str, str]) -> tuple[Element, ...]:
    if not values:
        return ()
    inner = tuple(
        Element("nvpair", {"id": f"{name}-{key}", "name": key, "value": text}) for key, text in values.items()
    )
    return (Element(tag, {"id": name}, inner),)


class Maker:
    """One CIB in the making. `depth` says how much of the field is used: 0 the plain things, 2 all."""

    def __init__(self, random: Random, depth: int) -> None:
        self.random = random
        self.depth = depth
        self.nodes = [f"n{number}" for number in range(1, random.choice((2, 2, 3, 3, 4, 6)) + 1)]
        self.tops: list[Element] = []
        self.primitives: list[str] = []
        self.promotable: list[str] = []
        self.inside: dict[str, str] = {}  # primitive -> the top that contains it
        self.guests: list[str] = []

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    # -- resources

    def resources(self) -> None:
        if self.chance(70):
            self.tops.append(Element("primitive", {"id": "fencer", "class": "stonith", "type": "fence_x"}))
        for number in range(self.random.randint(1, 6)):
            kinds = ["primitive"] * 4 + ["group"] * 2 + ["clone"] * 2 + ["promotable"]
            if self.depth > 1:
                kinds += ["guest", "bundle"]
            getattr(self, f"_{self.random.choice(kinds)}")(f"r{number}")

    def _meta(self, name: str) -> tuple[Element, ...]:
        values: dict[str, str] = {}
        choices = {
            "resource-stickiness": ("0", "1", "100", "INFINITY"),
            "migration-threshold": ("1", "2", "3"),
            "failure-timeout": ("60s", "3600s"),
            "priority": ("5", "10"),
            "target-role": ("Stopped", "Started"),
            "is-managed": ("false",),
            "critical": ("false",),
            "multiple-active": ("stop_only", "block", "stop_unexpected"),
            "requires": ("nothing", "quorum", "fencing"),
            "maintenance": ("true",),
        }
        if name[1:].isdigit():  # members of groups 2.1.5 migrates otherwise (docs/compat-scheduler.md)
            choices["allow-migrate"] = ("true",)
        likely = {"resource-stickiness": 25, "migration-threshold": 15, "priority": 12, "allow-migrate": 15}
        for key, texts in choices.items():
            if self.chance(likely.get(key, 4)):
                values[key] = self.random.choice(texts)
        return pairs("meta_attributes", f"{name}-meta", values)

    def _operations(self, name: str, *, promotable: bool = False) -> Element:
        ops = []
        if self.chance(75):
            ops.append(Element("op", {"id": f"{name}-m", "name": "monitor", "interval": "10s"}))
        if promotable and self.chance(70):
            values = {"id": f"{name}-mp", "name": "monitor", "interval": "11s", "role": "Promoted"}
            ops.append(Element("op", values))
        for task in ("start", "stop", "promote" if promotable else "start"):
            if self.chance(8) and not any(op.get("name") == task for op in ops):
                on_fail = self.random.choice(("block", "ignore", "fence", "restart"))
                values = {"id": f"{name}-{task}", "name": task, "interval": "0", "on-fail": on_fail}
                ops.append(Element("op", values))
        if ops and self.chance(12):
            on_fail = self.random.choice(("ignore", "block", "stop", "standby", "fence", "restart"))
            ops[0] = ops[0].with_attribute("on-fail", on_fail)
        return Element("operations", {}, tuple(ops))

    def _leaf(self, name: str, *, promotable: bool = False, agent: str = "Dummy") -> Element:
        self.primitives.append(name)
        uses = {key: str(self.random.randint(0, 4)) for key in ("cpu", "mem") if self.chance(30)}
        agent = "Stateful" if promotable else agent
        return Element(
            "primitive",
            {"id": name, "class": "ocf", "provider": "pacemaker", "type": agent},
            (
                *self._meta(name),
                *(pairs("utilization", f"{name}-use", uses) if self.depth else ()),
                self._operations(name, promotable=promotable),
            ),
        )

    def _primitive(self, name: str) -> None:
        self._keep(self._leaf(name))

    def _group(self, name: str) -> None:
        members = tuple(self._leaf(f"{name}{letter}") for letter in "abc"[: self.random.randint(1, 3)])
        self._keep(Element("group", {"id": name}, (*self._meta(name), *members)))

    def _keep(self, top: Element) -> None:
        self.tops.append(top)
        for element in top.walk():
            if element.tag == "primitive":
                self.inside[element.id] = top.id

    def _clone(self, name: str, *, promotable: bool = False) -> None:
        if self.chance(25):
            members = tuple(
                self._leaf(f"{name}{letter}", promotable=promotable)
                for letter in "ab"[: self.random.randint(1, 2)]
            )
            inner = Element("group", {"id": f"{name}g"}, members)
        else:
            inner = self._leaf(f"{name}i", promotable=promotable)
        values = {key: "true" for key in ("interleave", "ordered", "notify") if self.chance(25)}
        if promotable:
            values["promotable"] = "true"
            if self.chance(20):
                values["promoted-max"] = "2"
            self.promotable.append(name)
        if self.chance(25):
            values["clone-max"] = str(self.random.randint(1, 3))
        if self.depth > 1 and self.chance(15):
            values["globally-unique"] = "true"
            values["clone-node-max"] = str(self.random.randint(1, 2))
        if self.chance(15):
            values["resource-stickiness"] = self.random.choice(("0", "10"))
        meta = pairs("meta_attributes", f"{name}-meta", values)
        self._keep(Element("clone", {"id": name}, (*meta, inner)))

    def _promotable(self, name: str) -> None:
        self._clone(name, promotable=True)

    def _guest(self, name: str) -> None:
        guest = f"g{name}"
        leaf = self._leaf(name)
        meta = pairs("meta_attributes", f"{name}-guest", {"remote-node": guest})
        self.guests.append(guest)
        self._keep(leaf.with_children((*meta, *(c for c in leaf.children if c.tag != "meta_attributes"))))

    def _bundle(self, name: str) -> None:
        engine = {"image": "x:1", "replicas": str(self.random.randint(1, 3))}
        if self.chance(30):
            engine["promoted-max"] = "1"
        children = [Element("podman", engine)]
        if self.chance(60):
            network = {"ip-range-start": "10.0.0.10", "control-port": "3121"}
            children.append(Element("network", network))
            children.append(self._leaf(f"{name}x", promotable="promoted-max" in engine))
        self._keep(Element("bundle", {"id": name}, tuple(children)))

    # -- constraints

    def constraints(self) -> list[Element]:
        found = []
        makers = [self._location] * 4 + [self._colocation] * 4 + [self._order] * 3
        makers += [self._rule, self._ticket, self._set] if self.depth else []
        for number in range(self.random.randint(0, 6)):
            made = self.random.choice(makers)(f"k{number}")
            if made is not None:
                found.append(made)
        return found

    def _any(self) -> str:
        tops = [top.id for top in self.tops if top.id != "fencer"]
        plain = [name for name in self.primitives if self._is_plain(name)]
        return self.random.choice(tops + plain)

    def _is_plain(self, name: str) -> bool:
        top = next(top for top in self.tops if top.id == self.inside.get(name, name))
        return top.tag in {"primitive", "group"}

    def _node(self) -> str:
        return self.random.choice(self.nodes + self.guests)

    def _location(self, name: str) -> Element:
        values = {"id": name, "rsc": self._any(), "node": self._node(), "score": self.random.choice(SCORES)}
        if self._is_clone(values["rsc"]):
            values["score"] = (
                "-INFINITY"  # a wish would let 2.1.5 shuffle instances (docs/compat-scheduler.md)
            )
        if values["rsc"] in self.promotable and self.chance(50):
            values["role"] = "Promoted"
        if self.depth and self.chance(8):
            values["resource-discovery"] = self.random.choice(("never", "exclusive"))
        return Element("rsc_location", values)

    def _rule(self, name: str) -> Element:
        expression = {"id": f"{name}-e", "attribute": "colour", "operation": "eq", "value": "red"}
        if self.chance(40):
            expression = {
                "id": f"{name}-e",
                "attribute": "pingd",
                "operation": "lt",
                "value": "1",
                "type": "number",
            }
        rule = {"id": f"{name}-r", "score": self.random.choice(SCORES)}
        if self.chance(20):
            rule = {"id": f"{name}-r", "score-attribute": "pingd"}
            expression = {"id": f"{name}-e", "attribute": "pingd", "operation": "defined"}
        about = self._any()
        if self._is_clone(about):
            rule = {"id": f"{name}-r", "score": "-INFINITY"}
        return Element(
            "rsc_location",
            {"id": name, "rsc": about},
            (Element("rule", rule, (Element("expression", expression),)),),
        )

    def _is_clone(self, name: str) -> bool:
        return any(top.id == name and top.tag in {"clone", "bundle"} for top in self.tops)

    def _two(self) -> tuple[str, str] | None:
        one, other = self._any(), self._any()
        tops = {self.inside.get(one, one), self.inside.get(other, other)}
        return (one, other) if len(tops) == 2 else None

    def _colocation(self, name: str) -> Element | None:
        # 2.1.5 weighs finite wishes of and about collectives, and all about clones, in its own way
        # (docs/compat-scheduler.md).
        tops = [top.id for top in self.tops if top.id != "fencer" and not self._is_clone(top.id)]
        if len(tops) < 2:
            return None
        both = self.random.sample(tops, 2)
        is_plain = all(top.tag == "primitive" for top in self.tops if top.id in both)
        score = self.random.choice(WISHES if is_plain else ("INFINITY", "INFINITY", "-INFINITY"))
        values = {"id": name, "rsc": both[0], "with-rsc": both[1], "score": score}
        if both[0] in self.promotable and self.chance(40):
            values["rsc-role"] = self.random.choice(("Promoted", "Promoted", "Unpromoted"))
        if both[1] in self.promotable and self.chance(50):
            values["with-rsc-role"] = self.random.choice(("Promoted", "Promoted", "Unpromoted"))
        if self.depth and self.chance(10):
            values["node-attribute"] = "colour"
        if self.chance(10):
            values["influence"] = "false"
        return Element("rsc_colocation", values)

    def _order(self, name: str) -> Element | None:
        both = self._two()
        if both is None:
            return None
        values = {"id": name, "first": both[0], "then": both[1]}
        if self.chance(40):
            values["kind"] = self.random.choice(("Optional", "Serialize", "Mandatory"))
        if self.chance(15) and values.get("kind") != "Serialize":
            values["symmetrical"] = "false"
        if both[0] in self.promotable and self.chance(50):
            values["first-action"] = self.random.choice(("promote", "promote", "demote", "start"))
            values["then-action"] = "promote" if both[1] in self.promotable and self.chance(60) else "start"
        return Element("rsc_order", values)

    def _ticket(self, name: str) -> Element:
        values = {"id": name, "rsc": self._any(), "ticket": self.random.choice("TU")}
        if self.chance(60):
            values["loss-policy"] = self.random.choice(("stop", "demote", "fence", "freeze"))
        if values["rsc"] in self.promotable and self.chance(50):
            values["rsc-role"] = "Promoted"
        return Element("rsc_ticket", values)

    def _set(self, name: str) -> Element | None:
        names = [top.id for top in self.tops if top.id != "fencer" and top.tag != "bundle"]
        is_colocation = self.chance(50)
        if is_colocation:
            names = [name for name in names if not self._is_clone(name)]
        if len(names) < 2:
            return None
        self.random.shuffle(names)
        cut = self.random.randint(1, len(names) - 1)
        sets = []
        for index, members in enumerate((names[:cut], names[cut:])):
            values = {"id": f"{name}-s{index}"}
            if self.chance(40):
                values["sequential"] = self.random.choice(("true", "false"))
            references = tuple(Element("resource_ref", {"id": member}) for member in members)
            sets.append(Element("resource_set", values, references))
        if is_colocation:
            score = self.random.choice(("INFINITY", "-INFINITY"))
            return Element("rsc_colocation", {"id": name, "score": score}, tuple(sets))
        return Element(
            "rsc_order", {"id": name, "kind": self.random.choice(("Mandatory", "Optional"))}, tuple(sets)
        )

    # -- the whole

    def options(self) -> dict[str, str]:
        values = {"concurrent-fencing": "true", "stonith-enabled": "true" if self.chance(70) else "false"}
        choices = {
            "no-quorum-policy": (12, ("stop", "freeze", "ignore", "demote", "suicide")),
            "symmetric-cluster": (8, ("false",)),
            "start-failure-is-fatal": (10, ("false",)),
            "startup-fencing": (6, ("false",)),
            "enable-startup-probes": (4, ("false",)),
            "stop-all-resources": (2, ("true",)),
            "maintenance-mode": (3, ("true",)),
            "stop-orphan-resources": (3, ("false",)),
            "shutdown-lock": (4, ("true",)),
            "stonith-action": (6, ("off",)),
            "placement-strategy": (15 if self.depth else 0, ("utilization", "balanced", "minimal")),
            "node-health-strategy": (
                6 if self.depth else 0,
                ("migrate-on-red", "only-green", "progressive", "custom"),
            ),
        }
        for name, (percent, texts) in choices.items():
            if self.chance(percent):
                values[name] = self.random.choice(texts)
        return values

    def node_elements(self) -> tuple[Element, ...]:
        found = []
        for number, name in enumerate(self.nodes, 1):
            attributes: dict[str, str] = {}
            if self.chance(30):
                attributes["colour"] = self.random.choice(("red", "blue"))
            room = {key: str(self.random.randint(2, 8)) for key in ("cpu", "mem") if self.chance(80)}
            children = pairs("instance_attributes", f"{name}-attributes", attributes)
            children += pairs("utilization", f"{name}-room", room) if self.depth else ()
            found.append(Element("node", {"id": str(number), "uname": name}, children))
        return tuple(found)

    def base(self) -> Element:
        """The configuration without constraints, everything up, nothing known."""
        self.resources()
        states = tuple(
            Element("node_state", {"id": str(number), "uname": name, **UP})
            for number, name in enumerate(self.nodes, 1)
        )
        tickets = tuple(Element("ticket_state", {"id": name, "granted": "true"}) for name in "TU")
        crm_config = Element(
            "crm_config",
            {},
            pairs("cluster_property_set", "cib-bootstrap-options", {"stonith-enabled": "false"}),
        )
        configuration = (
            crm_config,
            Element("nodes", {}, self.node_elements()),
            Element("resources", {}, tuple(self.tops)),
            Element("constraints"),
        )
        status = Element("status", {}, (*states, Element("tickets", {}, tickets)))
        head = {
            "crm_feature_set": "3.16.1",
            "validate-with": "pacemaker-3.9",
            "epoch": "1",
            "num_updates": "1",
            "admin_epoch": "0",
            "have-quorum": "1",
            "dc-uuid": "1",
            "execution-date": str(NOW_S),
        }
        return Element("cib", head, (Element("configuration", {}, configuration), status))

    # -- what happens

    def happen(self, cib: Element) -> Element:
        """Let something happen to the cluster."""
        for name in self.nodes[1:]:
            if self.chance(10):
                cib = injection.lose(cib, name)
            elif self.chance(8):
                cib = injection.take_down(cib, name)
        for name in self.nodes:
            for attribute, percent, texts in (
                ("standby", 7, ("on",)),
                ("maintenance", 3, ("true",)),
                ("pingd", 20 if self.depth else 0, ("0", "1", "100")),
                ("#health-x", 8 if self.depth else 0, ("red", "yellow", "green")),
                ("shutdown", 3, (str(NOW_S),)),
            ):
                if self.chance(percent):
                    cib = injection.set_node_attribute(cib, name, attribute, self.random.choice(texts))
        if self.chance(15):
            name = self.random.choice("TU")
            cib = injection.set_ticket(cib, name, granted=self.chance(30), standby=self.chance(30))
        if self.chance(10):
            cib = injection.set_quorum(cib, "0")
        return self._failures(cib)

    def _failures(self, cib: Element) -> Element:
        for name in self.promotable:
            top = next(top for top in self.tops if top.id == name)
            for leaf in (element.id for element in top.walk() if element.tag == "primitive"):
                for node in self.nodes:
                    # Where no instance is active, 2.1.5 moves one there for its score; later versions do not.
                    if self.chance(60) and _is_active(cib, leaf, node):
                        score = self.random.choice(("5", "10", "10", "100", "-1", "INFINITY"))
                        cib = injection.set_node_attribute(cib, node, f"master-{leaf}", score)
        if not self.chance(55) or not self.primitives:  # bundles alone may hold nothing
            return cib
        for _ in range(self.random.randint(1, 2)):
            name = self.random.choice(self.primitives)
            top = next(top for top in self.tops if top.id == self.inside[name])
            if top.tag == "bundle" or any(e.get("name") == "globally-unique" for e in top.walk()):
                continue
            task, interval, rc = self.random.choice(
                (
                    ("monitor", 10_000, 7),
                    ("monitor", 10_000, 1),
                    ("start", 0, 1),
                    ("stop", 0, 1),
                    ("monitor", 0, 5),
                    ("start", 0, 5),
                )
            )
            age = self.random.choice((10, 100, 4000))
            result = Result(name, task, interval, self.random.choice(self.nodes), rc)
            cib, _ = injection.inject(cib, result, NOW_S - age)
        return cib


def _is_active(cib: Element, leaf: str, node: str) -> bool:
    status = cib.first("status")
    for state in status.all("node_state") if status else ():
        history = state.find(leaf) if state.get("uname") == node else None
        if history is not None:
            return any(op.get("operation") == "start" for op in history.children)
    return False


def make(random: Random, *, depth: int = 2) -> Element:
    """Make one CIB."""
    return make_with(Maker(random, depth))


def make_with(maker: Maker) -> Element:
    """Make one CIB, as this maker does."""
    cib = maker.base()
    if maker.chance(80):
        job = recipe.read(cib, NOW_S - 7200, is_simulated=True)
        rehearsal = Rehearsal(job, recipe.schedule(job), cib)
        rehearsal.run()
        cib = rehearsal.cib
    constraints = tuple(maker.constraints())
    for name, value in maker.options().items():
        cib = injection.set_option(cib, name, value)
    configuration = cib.first("configuration")
    assert configuration is not None
    cib = cib.with_child(configuration.with_child(Element("constraints", {}, constraints)))
    return maker.happen(cib)
