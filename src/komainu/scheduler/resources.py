"""Make the resources that the configuration describes: primitives, groups, clones; with templates and defaults.

Knows nothing of the status section. Bundles are made in bundles.py, guest connections in remote.py.
Source: Pacemaker Explained, "Cluster Resources", "Advanced Resource Types".
"""

from collections.abc import Callable, Mapping
from typing import Final

from komainu.cib.element import Element
from komainu.model import duration, score
from komainu.model.role import Role
from komainu.model.role import parse as parse_role
from komainu.scheduler import attributes, description, operations
from komainu.scheduler.description import Description
from komainu.scheduler.job import Candidate, CloneSettings, Job, Resource, Variant
from komainu.scheduler.options import is_true, parse_bool, parse_int
from komainu.scheduler.rules import RuleContext
from komainu.scheduler.words import INSTANCES_MAX, Discovery, Kind, MultipleActive, Requires

_KINDS: Final = {
    "primitive": Kind.PRIMITIVE,
    "group": Kind.GROUP,
    "clone": Kind.CLONE,
    "bundle": Kind.BUNDLE,
}
_REQUIRES: Final = {requires.name.lower(): requires for requires in Requires}
_MULTIPLE: Final = {multiple.value: multiple for multiple in MultipleActive}
_CONNECTION: Final = ("ocf", "pacemaker", "remote")
"""The agent of a connection to a remote node."""

_ONE_PER_NODE: Final = frozenset({"lsb", "systemd", "service", "upstart"})
"""Agents of these standards cannot tell one instance from another."""

VARIANTS: Final[dict[Kind, Variant]] = {}
"""What each kind does; filled by variants.py, so that the kinds need not know each other."""

BUNDLE_MAKER: Final[list[Callable[[Job, Resource], bool]]] = []
"""Makes the parts of a bundle; filled by variants.py."""


def read_resources(job: Job) -> None:
    """Make all resources in document order, then put those of higher priority first."""
    section = job.cib.at("configuration", "resources")
    elements = () if section is None else section.children
    for element in elements:
        if element.tag == "template":
            job.templates[element.id] = element
            job.template_users.setdefault(element.id, [])
    for element in elements:
        if element.tag in _KINDS:
            rsc = make(job, element, None)
            if rsc is not None:
                job.resources.append(rsc)
    job.resources.sort(key=lambda rsc: -rsc.priority)


def make(job: Job, element: Element, parent: Resource | None, *, removed: bool = False) -> Resource | None:
    """Make a resource with all below it; None when its description is invalid."""
    whole = _with_template(job, element)
    if whole is None or whole.tag not in _KINDS:
        return None
    kind = _KINDS[whole.tag]
    if kind not in VARIANTS:
        job.warnings.append(f"{whole.id}: resources of kind {kind.value} are not placed")
        return None
    described = _describe(job, whole, parent)
    rsc = Resource(whole.id, kind, described, VARIANTS[kind], parent=parent, meta=dict(described.meta))
    rsc.utilization = described.utilization
    rsc.removed = removed
    job.by_id.setdefault(rsc.id, rsc)
    _settle_flags(job, rsc)
    _settle_numbers(job, rsc)
    rsc.target_role = target_role(rsc)
    rsc.next_role = rsc.target_role or Role.UNKNOWN
    if rsc.is_fence_device:
        job.has_fence_device = True
    if not _make_parts(job, rsc):
        job.by_id.pop(rsc.id, None)
        return None
    _fill_table(job, rsc)  # last: a bundle may make nodes, and is not for them
    return rsc


def _make_parts(job: Job, rsc: Resource) -> bool:
    match rsc.kind:
        case Kind.PRIMITIVE:
            return True
        case Kind.GROUP:
            return _make_members(job, rsc)
        case Kind.CLONE:
            return _make_instances(job, rsc)
        case Kind.BUNDLE:
            return bool(BUNDLE_MAKER) and BUNDLE_MAKER[0](job, rsc)


# -- templates ------------------------------------------------------------------------------------------


def _with_template(job: Job, element: Element) -> Element | None:
    """Merge a primitive with the template it names; None when there is no such template."""
    name = element.get("template")
    if name is None or element.tag != "primitive":
        return element
    template = job.templates.get(name)
    if template is None or name == element.id:
        return None
    users = job.template_users.setdefault(name, [])
    plain = element.id.partition(":")[0]
    if plain not in users:
        users.append(plain)
    inherited = [child for child in template.children if child.tag != "operations"]
    own = [child for child in element.children if child.tag != "operations"]
    ops = _merge_operations(template.first("operations"), element.first("operations"))
    attributes_ = {**template.attributes, **element.attributes}
    attributes_.pop("template", None)
    parts = (*inherited, *own) if ops is None else (*inherited, *own, ops)
    return Element(element.tag, attributes_, tuple(parts), element.line)


def _operation_key(op: Element) -> tuple[str, str]:
    """Two operations are the same when name and role agree; roles of an unpromoted resource are one."""
    role = parse_role(op.get("role")) or Role.STARTED
    return (op.get("name") or "", "up" if role in {Role.STARTED, Role.UNPROMOTED} else role.label)


def _merge_operations(template: Element | None, own: Element | None) -> Element | None:
    if template is None or own is None:
        return own or template
    present = {_operation_key(op) for op in own.all("op")}
    added = tuple(op for op in template.all("op") if _operation_key(op) not in present)
    return own.with_children((*own.children, *added))


def _describe(job: Job, xml: Element, parent: Resource | None) -> Description:
    """Read what is configured for a resource, unless that was done for an earlier plan."""
    above = None if parent is None else parent.description
    known = job.descriptions.find(xml, above)
    if known is not None:
        return known
    made = description.describe(xml, above)
    about = RuleContext(job.now_s, job.recheck, resource=made.agent)
    made.utilization = attributes.read_sets(xml, "utilization", about)
    made.own_meta = _own_meta(made, about)
    made.meta = _whole_meta(job, made, {} if parent is None else parent.meta, about)
    job.descriptions.keep(made)
    return made


# -- meta attributes ------------------------------------------------------------------------------------


def _own_meta(described: Description, about: RuleContext) -> dict[str, str]:
    """Collect meta attributes: the element's own attributes, its own sets, its ancestors' sets."""
    meta: dict[str, str] = dict(described.xml.attributes)
    for element in described.attribute_xml:
        for name, text in attributes.read_sets(element, "meta_attributes", about).items():
            meta.setdefault(name, text)
    return meta


def _whole_meta(
    job: Job, described: Description, inherited: Mapping[str, str], about: RuleContext
) -> dict[str, str]:
    """Add to a resource's own meta attributes the defaults, then what its parent has."""
    meta = dict(described.own_meta)
    defaults = job.cib.at("configuration", "rsc_defaults")
    given = {} if defaults is None else attributes.read_sets(defaults, "meta_attributes", about)
    for source in (given, inherited):
        for name, text in source.items():
            meta.setdefault(name, text)
    return meta


def meta_value(rsc: Resource, name: str) -> str | None:
    """Return a meta attribute; the word #default counts as not set."""
    value = rsc.meta.get(name)
    return None if value is None or value.lower() in {"#default", "default"} else value


def _settle_flags(job: Job, rsc: Resource) -> None:
    is_primitive, agent = rsc.kind is Kind.PRIMITIVE, rsc.description.agent
    rsc.is_fence_device = is_primitive and agent[0] == "stonith"
    rsc.is_remote_connection = is_primitive and agent == _CONNECTION
    rsc.notify = is_true(rsc.meta.get("notify"))
    rsc.critical = parse_bool(rsc.meta.get("critical"), default=True)
    is_plain_connection = rsc.is_remote_connection and "container" not in rsc.meta
    rsc.migratable = parse_bool(rsc.meta.get("allow-migrate"), default=is_plain_connection)
    rsc.managed = parse_bool(meta_value(rsc, "is-managed"), default=not job.options.maintenance_mode)
    if is_true(rsc.meta.get("maintenance")) or job.options.maintenance_mode:
        rsc.managed, rsc.maintenance = False, True
    clone = _clone_around(rsc)
    rsc.unique = clone is None or (clone_is_unique(clone) if clone is rsc else clone.unique)


def _clone_around(rsc: Resource) -> Resource | None:
    """Return the clone that a resource is, or is an instance or a member of; a bundle's own is not looked beyond."""
    here: Resource | None = rsc
    while here is not None and here.kind not in {Kind.CLONE, Kind.BUNDLE}:
        here = here.parent
    return here if here is not None and here.kind is Kind.CLONE else None


def clone_is_unique(clone: Resource) -> bool:
    """Tell whether a clone's instances differ from each other."""
    child = _child_element(clone.xml)
    return _wants_unique(clone) and not (child is not None and _has_class(child, _ONE_PER_NODE))


def _wants_unique(clone: Resource) -> bool:
    """Tell whether its instances are configured to differ."""
    explicit = meta_value(clone, "globally-unique")
    if explicit is not None:
        return is_true(explicit)
    return parse_int(clone.meta.get("clone-node-max"), 1) > 1


def _has_class(child: Element, classes: frozenset[str]) -> bool:
    return child.get("class") in classes or any(p.get("class") in classes for p in child.all("primitive"))


def _settle_numbers(job: Job, rsc: Resource) -> None:
    meta = rsc.meta
    rsc.priority = int(score.parse(meta.get("priority")))
    rsc.promotion_priority = rsc.priority
    stickiness = meta_value(rsc, "resource-stickiness")
    if stickiness is not None:
        rsc.stickiness = int(score.parse(stickiness))
    threshold = meta_value(rsc, "migration-threshold")
    if threshold is not None:
        number = int(score.parse(threshold, score.Score(-1)))
        rsc.migration_threshold = number if number >= 0 else score.INFINITY
    rsc.multiple_active = _MULTIPLE.get((meta.get("multiple-active") or "").lower(), MultipleActive.RESTART)
    rsc.requires = _requires(job, rsc, meta_value(rsc, "requires"))
    rsc.failure_timeout_ms = duration.parse_ms(meta.get("failure-timeout")) or 0
    if rsc.is_remote_connection:
        interval = operations.parameters(job, rsc, None).get("reconnect_interval")
        rsc.reconnect_ms = duration.parse_ms(interval) or 0
        if rsc.reconnect_ms:
            rsc.failure_timeout_ms = rsc.reconnect_ms


def _requires(job: Job, rsc: Resource, value: str | None) -> Requires:
    options = job.options
    word = (value or "").lower()
    if word == "unfencing" and (rsc.is_fence_device or not options.fencing_enabled):
        word = "quorum"
    known = _REQUIRES.get(word)
    if known is not None:
        return known
    if rsc.is_fence_device or rsc.is_remote_connection:
        return Requires.QUORUM
    if job.unfencing_in_use:
        return Requires.UNFENCING
    if options.fencing_enabled:
        return Requires.FENCING
    return Requires.NOTHING if options.no_quorum_policy == "ignore" else Requires.QUORUM


def target_role(rsc: Resource) -> Role | None:
    """Return the role that the target-role attribute limits a resource to; None when it limits nothing."""
    value = meta_value(rsc, "target-role")
    role = parse_role(value)
    if role is None or role is Role.STARTED:
        return None
    if role > Role.STARTED:
        if not rsc.top.xml_is_promotable:
            return None
        return None if role is Role.PROMOTED else role
    return role


def _fill_table(job: Job, rsc: Resource) -> None:
    """Allow every node known so far, in a cluster where every node is welcome unless excluded.

    The connection of a guest goes where its machine goes, in every cluster: nothing has to name a node for it.
    """
    is_guest_connection = rsc.is_remote_connection and "container" in rsc.meta
    if not job.options.symmetric and not is_guest_connection:
        return
    for node in job.nodes:
        if node.default_discovery is not Discovery.NEVER or not job.options.symmetric:
            rsc.table[node.id] = Candidate(node, node.base_score, 0, node.default_discovery)


# -- groups and clones ----------------------------------------------------------------------------------


def _make_members(job: Job, group: Resource) -> bool:
    group.ordered_members = parse_bool(group.meta.get("ordered"), default=True)
    group.colocated_members = parse_bool(group.meta.get("collocated"), default=True)
    _, colon, number = group.id.rpartition(":")
    suffix = f":{number}" if colon and group.parent is not None else ""
    for element in group.xml.all("primitive"):
        named = element.with_attributes(id=element.id + suffix) if suffix else element
        member = make(job, named, group, removed=group.removed)
        if member is not None:
            group.children.append(member)
    return bool(group.children)


def _child_element(clone: Element) -> Element | None:
    return next((child for child in clone.children if child.tag in {"primitive", "group"}), None)


def limited(job: Job, collective: Resource, count: int) -> int:
    """Return how many instances a clone or bundle gets, and warn when it asks for too many."""
    if count > INSTANCES_MAX:
        job.warnings.append(f"{collective.id}: asks for too many instances, gets {INSTANCES_MAX}")
    return min(count, INSTANCES_MAX)


def _make_instances(job: Job, clone: Resource) -> bool:
    template = _child_element(clone.xml)
    if template is None:
        return False
    meta = clone.meta
    default_max = max(1, len(job.nodes))
    settings = CloneSettings(
        maximum=limited(job, clone, max(0, parse_int(meta.get("clone-max"), default_max))),
        per_node=max(0, parse_int(meta.get("clone-node-max"), 1)) if clone.unique else 1,
        is_ordered=is_true(meta.get("ordered")),
        interleave=is_true(meta.get("interleave")),
        minimum=parse_int(meta.get("clone-min"), 0),
        template=template,
    )
    if not clone.unique and _wants_unique(clone):
        settings.maximum = min(settings.maximum, default_max)
    if clone.xml_is_promotable:
        if not _may_be_promoted(job, template):
            return False
        settings.promoted_max = _number(meta, ("promoted-max", "master-max"))
        settings.promoted_per_node = _number(meta, ("promoted-node-max", "master-node-max"))
    clone.clone = settings
    if "resource-stickiness" not in meta:
        meta["resource-stickiness"] = "1"
        clone.stickiness = 1
    meta["globally-unique"] = "true" if clone.unique else "false"
    for _ in range(max(1, settings.maximum)):
        add_instance(job, clone)
    return True


def _number(meta: dict[str, str], names: tuple[str, str]) -> int:
    text = meta.get(names[0], meta.get(names[1]))
    return max(0, parse_int(text, 1))


def _may_be_promoted(job: Job, template: Element) -> bool:
    """Only OCF agents know promotion."""
    members = [template] if template.tag == "primitive" else list(template.all("primitive"))
    wholes = [_with_template(job, member) for member in members]
    return all(whole is None or whole.get("class") == "ocf" for whole in wholes)


def add_instance(job: Job, clone: Resource) -> Resource | None:
    """Make one more instance; beyond the maximum it is a removed one, that only serves to be stopped."""
    settings = clone.clone
    assert settings is not None, "only clones have instances"
    assert settings.template is not None, "an instance is made from a description"
    number = settings.made
    settings.made += 1
    element = settings.template.with_attributes(id=f"{settings.template.id}:{number}")
    instance = make(job, element, clone, removed=clone.removed or number >= settings.maximum)
    if instance is not None:
        clone.children.append(instance)
    return instance
