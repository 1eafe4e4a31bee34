"""Find interconnects whose address goes with the carrier, and settings that promise otherwise and do not hold.

Source: rules NET001 to NET003 and NET005; the reasons stand in their pages.
"""

from collections.abc import Iterator
from typing import assert_never

from komainu.model.duration import show_ms
from komainu.model.report import Place
from komainu.network.doctor import netplan, networkd
from komainu.network.doctor.cluster import Stack
from komainu.network.doctor.corosync import reaction
from komainu.network.doctor.distribution import Family
from komainu.network.doctor.evidence import RELOAD, File
from komainu.network.doctor.finding import Finding, Fix, Gravity, Seen, Sureness, Write
from komainu.network.doctor.machine import End, Machine
from komainu.network.doctor.networkmanager import CONFIGURATION_FOLDER
from komainu.network.doctor.profile import Interface, Manager
from komainu.network.doctor.wiring import Keeping

_FILE_NAMES = ("90-komainu.conf", "zz-komainu.conf")


def carrier_takes_address(machine: Machine) -> Iterator[Finding]:
    """NET001: a pulled cable takes the interconnect's address away."""
    for end in machine.ends:
        keeping = end.keeping
        if end.interface is None or keeping is None or keeping.after_ms is None:
            continue
        address = next(
            (own for own in machine.addresses_of(end.interface) if own.startswith(f"{end.address}/")),
            end.address,
        )
        yield Finding(
            "NET001",
            Gravity.ERROR if end.cluster.links < 2 or _crashes(end) else Gravity.WARNING,
            end.interface.name,
            "a pulled cable takes its address away",
            (
                Seen(f"{end.interface.name} has {address}, link {end.number} of {end.cluster.file}"),
                *keeping.seen,
            ),
            f"If this cable is pulled, this node loses {end.address} {_after(keeping)}; {_then(machine, end)}.",
            keeping.sureness,
            keeping.because,
            _fix(machine, end.interface, keeping),
        )


def _after(keeping: Keeping) -> str:
    if keeping.after_ms is None or keeping.sureness is Sureness.UNKNOWN:
        return "soon"
    return f"after about {show_ms(keeping.after_ms)}"


def _crashes(end: End) -> bool:
    return (
        end.cluster.stack is Stack.COROSYNC
        and reaction(end.cluster.version, end.cluster.transport, after_ms=0, formed_ms=0).crashes
    )


def _then(machine: Machine, end: End) -> str:
    """Say what the cluster makes of the loss."""
    cluster = end.cluster
    if cluster.stack is Stack.KOMAINU:
        rest = "uses its other links" if cluster.links > 1 else "has no other link"
        return f"komainu stays, says so, and {rest}{_both(machine, end, 'both lose their address at once')}"
    after_ms = 0 if end.keeping is None else end.keeping.after_ms or 0
    found = reaction(cluster.version, cluster.transport, after_ms=after_ms, formed_ms=cluster.formed_ms)
    both = "both nodes do this at once" if found.crashes else "both lose their address at once"
    words = found.words
    if cluster.links > 1:
        last = f", but when its last link goes, {words}" if found.crashes else ""
        words = f"the cluster goes on over its other link{last}"
    return words + _both(machine, end, both)


def _both(machine: Machine, end: End, what: str) -> str:
    """Say what a direct cable does to a pair of nodes, and whether it is one."""
    if len(end.cluster.members) != 2:
        return ""
    if end.interface is not None and machine.has_one_neighbour(end.interface):
        return f"; the two nodes seem to be connected directly, since the peer is the only neighbour: {what}"
    return f"; if the two nodes are connected directly, {what}"


# -- the remedy -----------------------------------------------------------------------------------------


def _fix(machine: Machine, interface: Interface, keeping: Keeping) -> Fix | None:
    match keeping.manager:
        case Manager.NETWORKMANAGER:
            return fix_networkmanager(machine)
        case Manager.NETWORKD:
            return _fix_networkd(machine, interface, keeping)
        case Manager.IFUPDOWN | Manager.WICKED | Manager.INITSCRIPTS | Manager.NOBODY:
            return Fix(f"take {interface.name} out of what watches its carrier")
        case _:
            assert_never(keeping.manager)


def fix_networkmanager(machine: Machine) -> Fix:
    """Write one file with a device section for each interconnect that NetworkManager would take down.

    The file is tried on the merged configuration first: one that sorts later may overrule it.
    """
    losing = sorted(
        {
            end.interface.name: end.interface
            for end in machine.ends
            if end.interface is not None
            and end.keeping is not None
            and end.keeping.manager is Manager.NETWORKMANAGER
            and (end.keeping.after_ms is not None or end.keeping.is_global)
        }.items()
    )
    if not losing:
        return Fix("each interconnect is kept by a section of its own")
    for name in _FILE_NAMES:
        path = f"{CONFIGURATION_FOLDER}/{name}"
        old = machine.evidence.files.get(path)
        text = _with_devices("" if old is None else old.text, [name for name, _ in losing])
        tried = machine.wiring.networkmanager.with_file(File(path, text), machine.evidence)
        if all(tried.carrier(interface).is_ignored for _, interface in losing):
            change = Write(path, None if old is None else old.text, text)
            package = (
                " (the package NetworkManager-config-server would do it for every interface)"
                if machine.distribution.family is Family.RED_HAT
                else ""
            )
            named = " and ".join(name for name, _ in losing)
            advice = f"tell NetworkManager to keep {named} without carrier, and no other interface{package}"
            return Fix(advice, (change,), (RELOAD,))
    return Fix("remove the setting that overrules every other, then run this again")


def _with_devices(text: str, names: list[str]) -> str:
    """Add a device section for each interface that the text has none for."""
    lines = (
        [text.rstrip("\n"), ""]
        if text.strip()
        else [
            "# Keep the addresses of the cluster's interconnects when their cable is pulled.",
            "",
        ]
    )
    for name in names:
        if f"match-device=interface-name:{name}\n" not in text:
            lines += [
                f"[device-komainu-{name}]",
                f"match-device=interface-name:{name}",
                "ignore-carrier=yes",
                "",
            ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _fix_networkd(machine: Machine, interface: Interface, keeping: Keeping) -> Fix:
    planned = machine.wiring.netplan.find(interface)
    system = machine.distribution
    is_old = system.family is Family.UBUNTU and 0 < system.major < 20  # its netplan does not know the key
    if planned is not None and not is_old:
        file = machine.evidence.files.get(planned.place.file)
        text = None if file is None else netplan.with_key(file, planned.name, "ignore-carrier", "true")
        flag = planned.settings.get("ignore-carrier")
        if flag is not None and flag.value == "true":
            return Fix("netplan's file says so already, the file made from it does not: netplan apply")
        if file is None or text is None:
            return Fix(
                f"add `ignore-carrier: true` to {planned.name} in {planned.place.file}, then: netplan apply"
            )
        write = Write(file.path, file.text, text, file.mode)
        return Fix("tell netplan to keep the address without carrier", (write,), then=("netplan apply",))
    base = f"10-netplan-{interface.name}.network" if planned is not None else _base(keeping)
    path = f"/etc/systemd/network/{base}.d/90-komainu.conf"
    old = machine.evidence.files.get(path)
    text = "[Network]\nConfigureWithoutCarrier=yes\nIgnoreCarrierLoss=yes\n"
    return Fix(
        "tell systemd-networkd to keep the address without carrier",
        (Write(path, None if old is None else old.text, text),),
        then=(f"networkctl reload && networkctl reconfigure {interface.name}",),
    )


def _base(keeping: Keeping) -> str:
    return "" if keeping.profile is None else keeping.profile.place.file.rpartition("/")[2]


# -- settings that do not do what they seem to ----------------------------------------------------------


def setting_is_global(machine: Machine) -> Iterator[Finding]:
    """NET002: carrier is ignored for every interface, not for the interconnect alone."""
    by_manager = [
        end for end in machine.ends if end.keeping and end.keeping.manager is Manager.NETWORKMANAGER
    ]
    # An interface that nobody named has no setting of its own: what holds for it holds for all.
    verdict = machine.wiring.networkmanager.carrier(Interface("any other interface"))
    claim = verdict.claim
    if not by_manager or claim is None or not claim.is_global or not verdict.is_ignored:
        return
    names = " and ".join(sorted({end.name for end in by_manager}))
    is_package = claim.entry.place.file.startswith("/usr/lib/")
    yield Finding(
        "NET002",
        Gravity.NOTE,
        "NetworkManager",
        "carrier is ignored for every interface",
        (Seen(f"[{claim.section}] {claim.entry}", claim.entry.place),),
        f"It keeps the address of {names}, as it should be, unless another setting excepts it. But the addresses and "
        "routes of every other interface stay, too: a default route over a dead cable stays, and a second one does "
        "not take over.",
        Sureness.LIKELY,
        "it matters only where another interface has a route with a substitute",
        _narrowed(machine, is_package=is_package),
    )


def _narrowed(machine: Machine, *, is_package: bool) -> Fix:
    """Name the interconnects first, so that nothing is lost when the setting for all is taken back."""
    last = (
        "remove the package NetworkManager-config-server" if is_package else "take the setting for all back"
    )
    narrow = fix_networkmanager(machine)
    advice = (
        f"{narrow.advice}; then {last}, if routes matter here"
        if narrow.changes
        else f"{last}, if routes matter here"
    )
    return Fix(advice, narrow.changes, narrow.reload)


def setting_is_overruled(machine: Machine) -> Iterator[Finding]:
    """NET003: a setting promises to keep the address, and another one beats it."""
    for end in machine.ends:
        keeping = end.keeping
        if keeping is None or end.interface is None or keeping.after_ms is None:
            continue
        dropped = _dropped_by_netplan(machine, end.interface, keeping)
        for seen in (*keeping.overruled, *dropped):
            yield Finding(
                "NET003",
                Gravity.ERROR,
                end.interface.name,
                "a setting that should keep its address does not count",
                (seen, *keeping.seen[-1:]),
                f"The first setting looks as if {end.interface.name} kept its address without carrier. It does "
                f"not: this node loses {end.address} {_after(keeping)}.",
                keeping.sureness,
                keeping.because,
                _fix(machine, end.interface, keeping),
            )


def _dropped_by_netplan(machine: Machine, interface: Interface, keeping: Keeping) -> tuple[Seen, ...]:
    """Return netplan's ignore-carrier where the renderer is NetworkManager, which is never told of it."""
    planned = machine.wiring.netplan.find(interface)
    flag = None if planned is None else planned.settings.get("ignore-carrier")
    if flag is None or keeping.manager is not Manager.NETWORKMANAGER or flag.value != "true":
        return ()
    return (Seen(f"{flag.key}: {flag.value}, which netplan drops for NetworkManager", flag.place),)


def boot_without_cable(machine: Machine) -> Iterator[Finding]:
    """NET005: a node that boots with the cable out has no address on the interconnect."""
    for end in machine.ends:
        keeping = end.keeping
        if keeping is None or end.interface is None or keeping.after_ms is not None:
            continue
        seen = _waits_for_carrier(machine, end.interface, keeping)
        if seen is None:
            continue
        yield Finding(
            "NET005",
            Gravity.NOTE,
            end.interface.name,
            "it gets no address at boot while the cable is out",
            (seen,),
            f"A cable that is pulled later does no harm. But a node that boots without it has no {end.address} "
            f"until there is carrier, and {_boots(end)}.",
            Sureness.LIKELY,
            "it was read in the manager's documentation and source, not tried",
            _boot_fix(machine, keeping),
        )


def _boots(end: End) -> str:
    if end.cluster.stack is Stack.COROSYNC and end.cluster.transport != "knet":
        return "Corosync does not start without its address"
    return f"{end.cluster.stack.value} waits for it"


def _waits_for_carrier(machine: Machine, interface: Interface, keeping: Keeping) -> Seen | None:
    """Return what makes the manager wait for carrier at boot."""
    if keeping.profile is None:
        return None
    if keeping.manager is Manager.WICKED:
        entry = keeping.profile.settings.get("LINK_REQUIRED")
        if entry is not None and entry.value.lower() == "no":
            return None
        return (
            Seen("LINK_REQUIRED is not set: wicked waits for carrier", keeping.profile.place)
            if entry is None
            else Seen(str(entry), entry.place)
        )
    if keeping.manager is Manager.NETWORKD:
        file = next((one for one in machine.wiring.networkd if one.fits(interface)), None)
        if file is not None and networkd.carrier_loss(file).entry is not None:
            without = file.last("Network", "ConfigureWithoutCarrier")
            if without is None or without.value.lower() not in {"yes", "true", "1", "on"}:
                return Seen("ConfigureWithoutCarrier is not set", Place(file.file.path))
    return None


def _boot_fix(machine: Machine, keeping: Keeping) -> Fix:
    if keeping.manager is Manager.NETWORKD:
        return Fix("write ConfigureWithoutCarrier=yes below [Network]")
    if keeping.profile is None:
        return Fix("let the manager set the address without carrier")
    file = machine.evidence.files[keeping.profile.place.file]
    lines = [line for line in file.text.splitlines() if not line.startswith("LINK_REQUIRED=")]
    text = "\n".join([*lines, "LINK_REQUIRED='no'", ""])
    write = Write(file.path, file.text, text, file.mode)
    return Fix("tell wicked not to wait for carrier; it counts at the next boot", (write,))


def nobody_manages(machine: Machine) -> Iterator[Finding]:
    """NET015: no network manager looks after the interconnect."""
    for end in machine.ends:
        if end.keeping is None or end.interface is None or end.keeping.manager is not Manager.NOBODY:
            continue
        yield Finding(
            "NET015",
            Gravity.NOTE,
            end.interface.name,
            "nobody manages it: the address stays",
            end.keeping.seen,
            f"No program takes {end.address} away when the cable is pulled. Nor does any program set it at "
            "boot, as far as can be seen here: make sure that something does.",
            Sureness.LIKELY,
            "a script of your own may set it",
            Fix("nothing, if the address is set at boot"),
        )


def two_managers(machine: Machine) -> Iterator[Finding]:
    """NET018: two network managers look after one interconnect."""
    for end in machine.ends:
        claims = {} if end.interface is None else machine.wiring.claims(end.interface)
        if end.interface is None or len(claims) < 2:
            continue
        name = end.interface.name
        yield Finding(
            "NET018",
            Gravity.WARNING,
            name,
            "two network managers look after it",
            tuple(
                Seen(f"{manager.value} looks after {name}", None if profile is None else profile.place)
                for manager, profile in claims.items()
            ),
            f"What one of them sets the other takes away: {end.address} may go when either is restarted, reads its "
            "files again, or sees the carrier go, whatever the settings of the other say.",
            Sureness.LIKELY,
            "which of them comes last cannot be told from their files",
            Fix(
                f"let one of them have {name}: `nmcli device set {name} managed no` and a line `unmanaged-devices`, "
                f"`Unmanaged=yes` for networkd, or take it out of the other's files"
            ),
        )
