"""List the elements that a configuration may consist of: their attributes, their children, what is required.

Decides which elements and attributes exist. Must not know what they mean together; that is cib/references.py
and cib/consistency.py.
Source: Pacemaker Explained (each chapter's tables), schemas up to pacemaker-3.10, spelled out in our own
tables; what only older schemas had (`master`, `lifetime`, legacy ACLs) is accepted, since such CIBs live on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from komainu.cib.value import (
    BOOLEAN,
    COUNT,
    DURATION,
    ID,
    INTEGER,
    LEVEL,
    NAME,
    PORT,
    POSITIVE,
    RANGE,
    ROLE,
    SCORE,
    TEXT,
    TIMEOUT,
    Kind,
    enum,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What one element looks like.

    `required` and `optional` are its attributes. `children` may occur in any order and number, but those in
    `single` once at most. Of each group in `one_of` exactly one member is there: an attribute, or a child
    where it begins with `<`. `needs` are children of which there is at least one.
    """

    required: Mapping[str, Kind] = field(default_factory=dict)
    optional: Mapping[str, Kind] = field(default_factory=dict)
    children: tuple[str, ...] = ()
    single: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    needs: tuple[str, ...] = ()

    attributes: Mapping[str, Kind] = field(init=False)  # all that are allowed
    all_children: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Put together what every element is checked by."""
        object.__setattr__(self, "attributes", {**self.required, **self.optional})
        object.__setattr__(self, "all_children", (*self.children, *self.single))


_ACTION: Final = enum("start", "stop", "promote", "demote")
_ORDER_KIND: Final = enum("Optional", "Mandatory", "Serialize")
_SETS: Final = ("meta_attributes", "instance_attributes")
_LEGACY_ACL: Final = ("read", "write", "deny")
_RULED: Final = {"score": SCORE, "score-attribute": NAME, "score-attribute-mangle": NAME}

_PAIRS: Final = Shape(
    optional={"id": ID, "id-ref": NAME, "score": SCORE},
    children=("nvpair",),
    single=("rule",),
    one_of=(("id", "id-ref"),),
)
_RESOURCE_CHILDREN: Final = (*_SETS, "utilization")
_CONTAINER: Final = Shape(
    required={"image": NAME},
    optional={
        "replicas": POSITIVE,
        "replicas-per-host": POSITIVE,
        "promoted-max": COUNT,
        "masters": COUNT,
        "run-command": TEXT,
        "network": TEXT,
        "options": TEXT,
    },
)
_CLONE: Final = Shape(
    required={"id": ID},
    optional={"description": TEXT},
    children=_SETS,
    single=("primitive", "group"),
    one_of=(("<primitive", "<group"),),
)
_ACL_SUBJECT: Final = Shape(
    required={"id": NAME}, optional={"name": NAME, "description": TEXT}, children=("role",)
)
_LEGACY_PERMISSION: Final = Shape(
    required={"id": ID}, optional={"xpath": TEXT, "ref": NAME, "tag": NAME, "attribute": NAME}
)
_ID_ONLY: Final = Shape(required={"id": NAME})
_MARK: Final = Shape()

_STRUCTURE: Final = {
    "cib": Shape(
        optional={
            "validate-with": NAME,
            "crm_feature_set": TEXT,
            "admin_epoch": COUNT,
            "epoch": COUNT,
            "num_updates": COUNT,
            "have-quorum": BOOLEAN,
            "dc-uuid": TEXT,
            "cib-last-written": TEXT,
            "update-origin": TEXT,
            "update-client": TEXT,
            "update-user": TEXT,
            "execution-date": TEXT,
            "no-quorum-panic": BOOLEAN,
            "remote-tls-port": COUNT,
            "remote-clear-port": COUNT,
        },
        single=("configuration", "status"),
        needs=("configuration",),
    ),
    "configuration": Shape(
        single=(
            "crm_config",
            "rsc_defaults",
            "op_defaults",
            "nodes",
            "resources",
            "constraints",
            "fencing-topology",
            "acls",
            "tags",
            "alerts",
        )
    ),
    "crm_config": Shape(children=("cluster_property_set",)),
    "rsc_defaults": Shape(children=("meta_attributes",)),
    "op_defaults": Shape(children=("meta_attributes",)),
    "cluster_property_set": _PAIRS,
    "meta_attributes": _PAIRS,
    "instance_attributes": _PAIRS,
    "utilization": _PAIRS,
    "nvpair": Shape(
        optional={"id": ID, "id-ref": NAME, "name": NAME, "value": TEXT}, one_of=(("id", "id-ref"),)
    ),
    "nodes": Shape(children=("node",)),
    "node": Shape(
        required={"id": NAME, "uname": NAME},
        optional={
            "type": enum("member", "remote", "ping", "normal"),
            "score": SCORE,
            "description": TEXT,
        },
        children=("instance_attributes", "utilization"),
    ),
}

_RESOURCES: Final = {
    "resources": Shape(children=("primitive", "template", "group", "clone", "master", "bundle")),
    "primitive": Shape(
        required={"id": ID},
        optional={"class": NAME, "provider": NAME, "type": NAME, "template": NAME, "description": TEXT},
        children=_RESOURCE_CHILDREN,
        single=("operations",),
        one_of=(("type", "template"),),
    ),
    "template": Shape(
        required={"id": ID, "class": NAME, "type": NAME},
        optional={"provider": NAME, "description": TEXT},
        children=_RESOURCE_CHILDREN,
        single=("operations",),
    ),
    "operations": Shape(optional={"id": ID, "id-ref": NAME}, children=("op",)),
    "op": Shape(
        required={"id": ID, "name": NAME},
        optional={
            "interval": DURATION,
            "timeout": TIMEOUT,
            "start-delay": DURATION,
            "interval-origin": TEXT,
            "on-fail": enum(
                "ignore", "block", "demote", "stop", "restart", "standby", "fence", "restart-container"
            ),
            "role": ROLE,
            "enabled": BOOLEAN,
            "disabled": BOOLEAN,
            "record-pending": BOOLEAN,
            "requires": enum("nothing", "quorum", "fencing", "unfencing"),
            "description": TEXT,
        },
        children=_SETS,
    ),
    "group": Shape(
        required={"id": ID},
        optional={"description": TEXT},
        children=(*_SETS, "primitive"),
        needs=("primitive",),
    ),
    "clone": _CLONE,
    "master": _CLONE,
    "bundle": Shape(
        required={"id": ID},
        optional={"description": TEXT},
        children=_SETS,
        single=("docker", "podman", "rkt", "network", "storage", "primitive"),
        one_of=(("<docker", "<podman", "<rkt"),),
    ),
    "docker": _CONTAINER,
    "podman": _CONTAINER,
    "rkt": _CONTAINER,
    "network": Shape(
        optional={
            "ip-range-start": NAME,
            "control-port": PORT,
            "host-interface": NAME,
            "host-netmask": COUNT,
            "add-host": BOOLEAN,
        },
        children=("port-mapping",),
    ),
    "port-mapping": Shape(
        required={"id": ID},
        optional={"port": PORT, "internal-port": PORT, "range": RANGE},
        one_of=(("port", "range"),),
    ),
    "storage": Shape(children=("storage-mapping",)),
    "storage-mapping": Shape(
        required={"id": ID, "target-dir": NAME},
        optional={"source-dir": NAME, "source-dir-root": NAME, "options": TEXT},
        one_of=(("source-dir", "source-dir-root"),),
    ),
}

_CONSTRAINTS: Final = {
    "constraints": Shape(children=("rsc_location", "rsc_order", "rsc_colocation", "rsc_ticket")),
    "rsc_location": Shape(
        required={"id": ID},
        optional={
            "rsc": NAME,
            "rsc-pattern": TEXT,
            "node": NAME,
            "score": SCORE,
            "role": ROLE,
            "resource-discovery": enum("always", "never", "exclusive"),
        },
        children=("resource_set", "rule"),
        single=("lifetime",),
        one_of=(("rsc", "rsc-pattern", "<resource_set"), ("node", "<rule")),
    ),
    "rsc_order": Shape(
        required={"id": ID},
        optional={
            "first": NAME,
            "then": NAME,
            "first-action": _ACTION,
            "then-action": _ACTION,
            "first-instance": COUNT,
            "then-instance": COUNT,
            "kind": _ORDER_KIND,
            "score": SCORE,
            "symmetrical": BOOLEAN,
            "require-all": BOOLEAN,
        },
        children=("resource_set",),
        single=("lifetime",),
        one_of=(("first", "<resource_set"), ("then", "<resource_set")),
    ),
    "rsc_colocation": Shape(
        required={"id": ID},
        optional={
            "rsc": NAME,
            "with-rsc": NAME,
            "rsc-role": ROLE,
            "with-rsc-role": ROLE,
            "rsc-instance": COUNT,
            "with-rsc-instance": COUNT,
            "node-attribute": NAME,
            "influence": BOOLEAN,
            "symmetrical": BOOLEAN,
            **_RULED,
        },
        children=("resource_set",),
        single=("lifetime",),
        one_of=(("rsc", "<resource_set"), ("with-rsc", "<resource_set")),
    ),
    "rsc_ticket": Shape(
        required={"id": ID, "ticket": NAME},
        optional={
            "rsc": NAME,
            "rsc-role": ROLE,
            "loss-policy": enum("stop", "demote", "fence", "freeze"),
        },
        children=("resource_set",),
        one_of=(("rsc", "<resource_set"),),
    ),
    "resource_set": Shape(
        optional={
            "id": ID,
            "id-ref": NAME,
            "sequential": BOOLEAN,
            "require-all": BOOLEAN,
            "ordering": enum("group", "listed"),
            "action": _ACTION,
            "role": ROLE,
            "score": SCORE,
            "kind": _ORDER_KIND,
        },
        children=("resource_ref",),
        one_of=(("id", "id-ref"),),
    ),
    "resource_ref": _ID_ONLY,
    "lifetime": Shape(children=("rule",)),
    "rule": Shape(
        optional={
            "id": ID,
            "id-ref": NAME,
            "role": ROLE,
            "boolean-op": enum("and", "or"),
            **_RULED,
        },
        children=("expression", "date_expression", "rsc_expression", "op_expression", "rule"),
        one_of=(("id", "id-ref"),),
    ),
    "expression": Shape(
        required={
            "id": ID,
            "attribute": NAME,
            "operation": enum("lt", "gt", "lte", "gte", "eq", "ne", "defined", "not_defined"),
        },
        optional={
            "value": TEXT,
            "type": enum("string", "integer", "number", "version"),
            "value-source": enum("literal", "param", "meta"),
        },
    ),
    "date_expression": Shape(
        required={"id": ID},
        optional={
            "operation": enum("in_range", "gt", "lt", "date_spec", "eq", "neq"),
            "start": NAME,
            "end": NAME,
        },
        single=("date_spec", "duration"),
    ),
    "date_spec": Shape(
        required={"id": ID},
        optional=dict.fromkeys(
            (
                "seconds",
                "minutes",
                "hours",
                "monthdays",
                "weekdays",
                "yeardays",
                "yearsdays",
                "months",
                "weeks",
                "years",
                "weekyears",
                "moon",
            ),
            RANGE,
        ),
    ),
    "duration": Shape(
        required={"id": ID},
        optional=dict.fromkeys(
            ("seconds", "minutes", "hours", "days", "monthdays", "weeks", "months", "years"), INTEGER
        ),
    ),
    "rsc_expression": Shape(required={"id": ID}, optional={"class": NAME, "provider": NAME, "type": NAME}),
    "op_expression": Shape(required={"id": ID, "name": NAME}, optional={"interval": DURATION}),
}

_OTHERS: Final = {
    "fencing-topology": Shape(children=("fencing-level",)),
    "fencing-level": Shape(
        required={"id": ID, "index": LEVEL, "devices": NAME},
        optional={
            "target": NAME,
            "target-pattern": NAME,
            "target-attribute": NAME,
            "target-value": TEXT,
        },
        one_of=(("target", "target-pattern", "target-attribute"),),
    ),
    "acls": Shape(children=("acl_target", "acl_group", "acl_role", "acl_user")),
    "acl_target": _ACL_SUBJECT,
    "acl_group": _ACL_SUBJECT,
    "role": _ID_ONLY,
    "acl_role": Shape(
        required={"id": ID},
        optional={"description": TEXT},
        children=("acl_permission", *_LEGACY_ACL),
    ),
    "acl_permission": Shape(
        required={"id": ID, "kind": enum("read", "write", "deny")},
        optional={
            "xpath": TEXT,
            "reference": NAME,
            "object-type": NAME,
            "attribute": NAME,
            "description": TEXT,
        },
        one_of=(("xpath", "reference", "object-type"),),
    ),
    "acl_user": Shape(required={"id": NAME}, children=("role_ref", *_LEGACY_ACL)),
    "role_ref": _ID_ONLY,
    **dict.fromkeys(_LEGACY_ACL, _LEGACY_PERMISSION),
    "tags": Shape(children=("tag",)),
    "tag": Shape(required={"id": ID}, children=("obj_ref",), needs=("obj_ref",)),
    "obj_ref": _ID_ONLY,
    "alerts": Shape(children=("alert",)),
    "alert": Shape(
        required={"id": ID, "path": NAME},
        optional={"description": TEXT},
        children=(*_SETS, "recipient"),
        single=("select",),
    ),
    "recipient": Shape(required={"id": ID, "value": TEXT}, optional={"description": TEXT}, children=_SETS),
    "select": Shape(single=("select_nodes", "select_fencing", "select_resources", "select_attributes")),
    "select_nodes": _MARK,
    "select_fencing": _MARK,
    "select_resources": _MARK,
    "select_attributes": Shape(children=("attribute",)),
    "attribute": Shape(required={"id": ID, "name": NAME}),
}

SHAPES: Final[Mapping[str, Shape]] = {**_STRUCTURE, **_RESOURCES, **_CONSTRAINTS, **_OTHERS}
"""Every element of a configuration, by its tag; a tag means the same wherever it is allowed."""

REFERRING: Final = frozenset({"resource_ref", "obj_ref", "role", "role_ref"})
"""Elements whose `id` names another element."""

SEPARATE_IDS: Final = frozenset({"node", "acl_target", "acl_group", "acl_user"})
"""Elements whose ids name something outside the configuration, and are unique only among their own kind."""
