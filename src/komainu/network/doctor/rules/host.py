"""Find machines that cannot reset themselves, whose clock drifts, or whose keys lie open.

Source: rules SYS001 to SYS004 and DOC004; the reasons stand in their pages.
"""

from collections.abc import Iterator

from komainu.model.report import Place
from komainu.network.doctor.evidence import File
from komainu.network.doctor.finding import Finding, Fix, Gravity, Seen, SetMode, Sureness
from komainu.network.doctor.machine import Machine

_CLOCKS = ("chronyd", "chrony", "ntpd", "ntp", "systemd-timesyncd", "ntpsec")


def watchdog_device(machine: Machine) -> Iterator[Finding]:
    """SYS001: there is no watchdog, or only one that dies with the kernel."""
    if not machine.clusters:
        return
    watchdogs = machine.guards.watchdogs
    if machine.lacks_watchdog:
        yield Finding(
            "SYS001",
            Gravity.WARNING,
            "watchdog",
            "there is none",
            (Seen("/dev/watchdog does not exist"),),
            "A node that hangs does not reset itself; only its peers can fence it, as long as they reach their "
            "fence device.",
            fix=Fix(
                "load the driver of the board's watchdog (iTCO_wdt, ipmi_watchdog, i6300esb), else: modprobe softdog"
            ),
        )
    elif watchdogs and all(one.is_software for one in watchdogs):
        yield Finding(
            "SYS001",
            Gravity.WARNING,
            watchdogs[0].name,
            "the only watchdog is software",
            (
                Seen(
                    f"its identity is {watchdogs[0].identity}",
                    Place(f"/sys/class/watchdog/{watchdogs[0].name}/identity"),
                ),
            ),
            "It is a timer of the kernel: when the kernel hangs, so does it, and the node is not reset.",
            fix=Fix("use the board's watchdog where there is one; in a virtual machine, i6300esb"),
        )
    taken = machine.guards.systemd_watchdog
    if taken is not None and (machine.guards.uses_sbd or any(one.has_watchdog for one in machine.clusters)):
        yield Finding(
            "SYS001",
            Gravity.ERROR,
            "watchdog",
            "systemd holds the watchdog",
            (Seen(str(taken), taken.place),),
            "A watchdog can be open once: the cluster's daemon finds it busy and is not guarded.",
            fix=Fix("remove RuntimeWatchdogSec, and boot"),
        )


def clock(machine: Machine) -> Iterator[Finding]:
    """SYS002: nothing keeps the clock right."""
    evidence = machine.evidence
    if evidence.is_clock_synchronised or not machine.clusters:
        return
    running = evidence.is_running(*_CLOCKS)
    enabled = [
        file.path
        for name in _CLOCKS
        for file in evidence.matching(f"/etc/systemd/system/*.wants/{name}.service")
    ]
    if running is None and (enabled or not any(evidence.matching("/etc/systemd/system/*.wants/*.service"))):
        return  # a file tree that says so, or one that says nothing at all
    package = "chrony"
    is_certain = evidence.is_clock_synchronised is False
    yield Finding(
        "SYS002",
        Gravity.WARNING,
        "clock",
        "it is not kept right" if not running else "it is not yet synchronised",
        (Seen("the kernel calls the clock unsynchronised" if is_certain else "no time service is enabled"),),
        "The times of two nodes drift apart: logs cannot be put in order, time-based rules and failure time-outs "
        "differ from node to node, certificates may be refused.",
        Sureness.CERTAIN if is_certain else Sureness.LIKELY,
        "" if is_certain else "a host may keep the clock of a virtual machine right",
        Fix(f"{machine.distribution.installer} {package}, and let it run"),
    )


def confinement(machine: Machine) -> Iterator[Finding]:
    """SYS003: SELinux or AppArmor confines what the cluster runs."""
    if not machine.clusters:
        return
    enforce = machine.evidence.text("/sys/fs/selinux/enforce").strip()
    configured = machine.evidence.text("/etc/selinux/config")
    if enforce == "1" or (not machine.is_live and "\nSELINUX=enforcing" in f"\n{configured}"):
        yield Finding(
            "SYS003",
            Gravity.NOTE,
            "SELinux",
            "it is enforcing",
            (Seen("enforcing", Place("/sys/fs/selinux/enforce" if enforce else "/etc/selinux/config")),),
            "Agents of your own run confined: what is denied to them looks like a failed operation, and can end in "
            "a fenced node.",
            Sureness.UNKNOWN,
            "only a denial shows whether it matters",
            Fix("after a try, look for denials: ausearch -m avc -ts recent"),
        )
    for file in machine.evidence.matching("/etc/apparmor.d/*"):
        yield Finding(
            "SYS003",
            Gravity.NOTE,
            "AppArmor",
            "it has a profile for the cluster's programs",
            (Seen("a profile", Place(file.path)),),
            "What the profile does not name is denied to them: files and sockets of agents, other state folders.",
            Sureness.UNKNOWN,
            "only a denial shows whether it matters",
            Fix("after a try, look for denials: journalctl -k --grep apparmor"),
        )


def key_files(machine: Machine) -> Iterator[Finding]:
    """SYS004: a key may be read by others, or a profile is refused since it may."""
    files = machine.evidence.files
    paths = dict.fromkeys(
        ("/etc/corosync/authkey", "/etc/komainu/cluster.key", *(one.key_file for one in machine.clusters))
    )
    for path in paths:
        file = files.get(path)
        if file is not None and file.mode & 0o077:
            yield _open_key(file, 0o600 if "komainu" in path else 0o400)
    shared = files.get("/etc/pacemaker/authkey")
    if shared is not None and shared.mode & 0o007:
        yield _open_key(shared, 0o640)
    for file in machine.wiring.networkmanager.refused:
        change = (SetMode(file.path, file.mode, 0o600),) if file.mode & 0o077 else ()
        yield Finding(
            "SYS004",
            Gravity.ERROR,
            file.path,
            "NetworkManager ignores this profile",
            (Seen(f"mode {file.mode:04o}, owner {file.owner}", Place(file.path)),),
            "A profile that others than root may read or own is not used: its interface gets no address, or "
            "another one, when NetworkManager starts next.",
            fix=Fix("let root alone read it", change, ("nmcli connection reload",) if change else ()),
        )


def _open_key(file: File, mode: int) -> Finding:
    return Finding(
        "SYS004",
        Gravity.ERROR,
        file.path,
        "others may read the cluster's key",
        (Seen(f"mode {file.mode:04o}", Place(file.path)),),
        "Who has the key can speak as a node of the cluster: change its configuration, have nodes fenced.",
        fix=Fix(
            "let its owner alone read it; if somebody may have read it, make a new one",
            (SetMode(file.path, file.mode, mode),),
        ),
    )


def file_tree(machine: Machine) -> Iterator[Finding]:
    """DOC004: a file tree does not show what runs."""
    if machine.is_live:
        return
    yield Finding(
        "DOC004",
        Gravity.NOTE,
        "this tree",
        "it shows files, not a running machine",
        (Seen("no command was run"),),
        "Addresses of the kernel, the firewall, the clock and watchdog devices were not checked, unless the tree "
        "has their traces.",
        Sureness.UNKNOWN,
        "only a running machine knows",
        Fix("run this on the machine itself"),
    )
