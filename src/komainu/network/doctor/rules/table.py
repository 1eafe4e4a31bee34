"""List every rule: its id and the function that finds it. A new rule is a line here, and a page in pages/.

Decides nothing. The pages are named after the ids: pages/NET001.md. CLU011 and CLU012, which need several
machines, are in peers.py.
"""

from collections.abc import Callable, Iterable
from typing import Final

from komainu.network.doctor.finding import Finding
from komainu.network.doctor.machine import Machine
from komainu.network.doctor.rules import (
    carrier,
    firewall,
    host,
    links,
    loaded,
    names,
    resources,
    timing,
    unchecked,
)

Rule = Callable[[Machine], Iterable[Finding]]

RULES: Final[dict[str, Rule]] = {
    "NET001": carrier.carrier_takes_address,
    "NET002": carrier.setting_is_global,
    "NET003": carrier.setting_is_overruled,
    "NET004": links.dhcp,
    "NET005": carrier.boot_without_cable,
    "NET006": links.single_link,
    "NET007": links.shared_hardware,
    "NET008": links.same_network,
    "NET009": links.shared_switch,
    "NET010": links.direct_with_watchdog,
    "NET011": links.mtu,
    "NET012": links.duplicate_address,
    "NET013": links.missing_address,
    "NET014": firewall.blocked_port,
    "NET015": carrier.nobody_manages,
    "NET016": links.odd_name,
    "NET017": loaded.not_loaded,
    "NET018": carrier.two_managers,
    "CLU001": timing.corosync_version,
    "CLU002": timing.token,
    "CLU003": timing.watchdog,
    "CLU004": resources.fencing_off,
    "CLU005": resources.two_node,
    "CLU006": resources.ignored_quorum,
    "CLU007": resources.monitors,
    "CLU008": resources.stickiness,
    "CLU009": names.node_names,
    "CLU013": resources.profile,
    "CLU010": names.host_name,
    "SYS001": host.watchdog_device,
    "SYS002": host.clock,
    "SYS003": host.confinement,
    "SYS004": host.key_files,
    "DOC001": unchecked.could_not_be_checked,
    "DOC002": unchecked.no_cluster,
    "DOC003": unchecked.who_am_i,
    "DOC004": host.file_tree,
}
