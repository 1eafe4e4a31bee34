"""Read what komainu.toml says of one link beyond its address, and refuse what would be dangerous on this machine.

Decides whether an address may be kept by force: on interconnects only, never where clients or the default route
are. The keys are documented in docs/reference/komainu-toml.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from komainu.model.ids import LinkNumber
from komainu.model.link import LinkEnd
from komainu.model.report import Place, Refused, Report
from komainu.network.interface import KernelEvent
from komainu.network.mirror import Mirror
from komainu.node.toml_document import Table

INTERFACE_BYTES_MAX: Final = 15
"""IFNAMSIZ less one: the kernel takes no longer name."""

_KINDS: Final = ("interconnect", "service")
_FORBIDDEN_IN_NAMES: Final = frozenset("/:")


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """The options of one link; where nothing is said, these."""

    interface: str | None = None
    prefix: int | None = None
    keep_talking: bool = True
    keep_address: bool = False
    is_service: bool = False

    def end(self, number: LinkNumber, address: str) -> LinkEnd:
        """Return the end that has these options."""
        return LinkEnd(
            number,
            address,
            self.interface,
            prefix=self.prefix,
            keep_talking=self.keep_talking,
            keep_address=self.keep_address,
            is_service=self.is_service,
        )


def read_link_options(table: Table, number: LinkNumber) -> LinkOptions:
    """Read the options from the table of one link; mistakes are collected in its document."""
    kind = table.text("kind", _KINDS[0])
    if kind not in _KINDS:
        hint = 'write kind = "interconnect", or "service" where clients come by this network, too'
        table.complain("kind", "settings.link-kind", f'link {number}: "{kind}" is no kind of link', hint)
    keep_address = _yes_or_no(table, "keep_address", default=False)
    if keep_address and kind == "service":
        message = f"link {number}: an address of a service LAN is never put back by force"
        hint = "remove keep_address, or see what deletes the address: docs/guides/links.md"
        table.complain("keep_address", "settings.keep-address", message, hint)
    prefix = table.whole("prefix", 0, low=1, high=128) if table.has("prefix") else 0
    return LinkOptions(
        interface=_interface(table, number),
        prefix=prefix or None,
        keep_talking=_yes_or_no(table, "keep_talking", default=True),
        keep_address=keep_address,
        is_service=kind == "service",
    )


def _interface(table: Table, number: LinkNumber) -> str | None:
    """Read the name of an interface: whatever the kernel takes, since some of them are odd."""
    name = table.text("interface")
    is_odd = name in {".", ".."} or any(one in _FORBIDDEN_IN_NAMES or one.isspace() for one in name)
    if is_odd or len(name.encode()) > INTERFACE_BYTES_MAX or "\0" in name:
        message = f"link {number}: {name!r} cannot be the name of an interface"
        hint = f"at most {INTERFACE_BYTES_MAX} bytes without space, slash and colon; `ip -br link` lists them"
        table.complain("interface", "settings.interface", message, hint)
        return None
    return name or None


def _yes_or_no(table: Table, key: str, *, default: bool) -> bool:
    """Read "yes" or "no"."""
    word = table.text(key, "yes" if default else "no")
    if word not in {"yes", "no"}:
        table.complain(
            key, "settings.yes-no", f'"{word}" is neither yes nor no', f'write {key} = "yes" or "no"'
        )
        return default
    return word == "yes"


def refuse_kept_addresses(ends: Iterable[LinkEnd], seen: Iterable[KernelEvent], place: Place) -> None:
    """Refuse to start when an address is to be kept on an interface that carries the default route.

    `seen` is what the kernel says of this machine now. Raises Refused.
    """
    kept = [end for end in ends if end.keep_address]
    mirror = Mirror(frozenset(end.address for end in kept))
    for event in seen:
        mirror.take(event)
    picture = mirror.now
    reports = []
    for end in kept:
        interface = picture.named(end.interface) or picture.holder(end.address)
        if interface is None or not picture.has_default_route(interface.index):
            continue
        message = f"link {end.link}: keep_address is for interconnects, but {interface.name} carries the default route"
        hint = 'remove keep_address from this link, or give it kind = "service"'
        reports.append(Report("settings.keep-address", message, hint, place))
    if reports:
        raise Refused(tuple(reports))
