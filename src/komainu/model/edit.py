"""Name the version of the CIB and the edits that change its configuration, for commands and for clients."""

import msgspec


class Version(msgspec.Struct, frozen=True, order=True):
    """The CIB's version: epoch grows with the configuration, num_updates with the status."""

    admin_epoch: int = 0
    epoch: int = 0
    num_updates: int = 0

    def __str__(self) -> str:
        """Write it as the field does: 0.7.12."""
        return f"{self.admin_epoch}.{self.epoch}.{self.num_updates}"


class Put(msgspec.Struct, frozen=True, tag="put"):
    """Put an element into a section of the configuration; the one with the same id is replaced."""

    section: str  # crm_config, nodes, resources, constraints, rsc_defaults, op_defaults, fencing-topology …
    xml: str


class Remove(msgspec.Struct, frozen=True, tag="remove"):
    """Remove the element with this id from the configuration."""

    element_id: str


class SetOption(msgspec.Struct, frozen=True, tag="set-option"):
    """Set, or with value None remove, one nvpair in a set of name-value pairs; the set is made at need.

    `owner` is the id of the resource or node it belongs to (a node's name will do), or the section name
    crm_config, rsc_defaults or op_defaults. `set_tag` is meta_attributes, instance_attributes, utilization
    or cluster_property_set.
    """

    owner: str
    set_tag: str
    name: str
    value: str | None


Edit = Put | Remove | SetOption
