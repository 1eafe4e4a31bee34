"""Find versions and waiting times that do not fit together: token, links, watchdog, SBD.

Source: rules CLU001 to CLU003; the reasons stand in their pages.
"""

from collections.abc import Iterator

from komainu.model.duration import parse_ms, show_ms
from komainu.model.report import Place
from komainu.network.doctor import ini
from komainu.network.doctor.cluster import KOMAINU_FILE, Stack
from komainu.network.doctor.corosync import reaction
from komainu.network.doctor.finding import Finding, Fix, Gravity, Seen, Sureness
from komainu.network.doctor.machine import Machine
from komainu.network.doctor.rules.remedy import set_option

ONE_LINK_SILENCE_MS = 3_000
"""With one link, a shorter silence than this is borne by too few ports: a switch needs seconds to come back."""

SILENCE_MS_MAX = 10_000
"""A dead node that is noticed later than this makes people think that the cluster does not work."""


def corosync_version(machine: Machine) -> Iterator[Finding]:
    """CLU001: what this version of Corosync does when an address goes."""
    for cluster in machine.clusters:
        if cluster.stack is not Stack.COROSYNC:
            continue
        if cluster.version is None:
            yield _unknown_version()
            continue
        found = reaction(cluster.version, cluster.transport, after_ms=0, formed_ms=cluster.formed_ms)
        if not found.crashes and not found.freezes:
            continue
        words = found.words
        yield Finding(
            "CLU001",
            Gravity.ERROR if found.crashes else Gravity.WARNING,
            cluster.label,
            "it does not survive the loss of its address"
            if found.crashes
            else "it stands still without its address",
            (
                Seen(
                    f"{cluster.label} ({cluster.version_seen}), transport {cluster.transport}",
                    Place(cluster.file),
                ),
            ),
            f"Whatever takes the interconnect's address away (a cable, ifdown, a restart of the network): {words}."
            if not found.crashes
            else f"Whatever takes the interconnect's address away (a cable, ifdown, a restart of the network): "
            f"{words}. Until then it hears nobody and goes on saying that all nodes are there.",
            fix=Fix(
                "keep the address (NET001), never use ifdown on the interconnect; "
                "then move to Corosync 3 with transport knet, or to komainu"
            ),
        )


def _unknown_version() -> Finding:
    return Finding(
        "CLU001",
        Gravity.WARNING,
        "Corosync",
        "its version is not known",
        (Seen("neither `corosync -v` nor the files of its package could be read"),),
        "Before 2.4.5 it crashes when it loses its address.",
        Sureness.UNKNOWN,
        "the version decides",
        Fix("corosync -v"),
    )


def token(machine: Machine) -> Iterator[Finding]:
    """CLU002: the time that silence is borne, against the number of links."""
    for cluster in machine.clusters:
        if len(cluster.members) < 2:
            continue
        said = "detect_within" if cluster.stack is Stack.KOMAINU else "token"
        seen = (
            Seen(f"{said} is {show_ms(cluster.silence_ms)}", cluster.timing_place or Place(cluster.file)),
        )
        if cluster.links == 1 and cluster.silence_ms < ONE_LINK_SILENCE_MS:
            yield Finding(
                "CLU002",
                Gravity.WARNING,
                cluster.file,
                "it is impatient for a cluster with one link",
                seen,
                f"A cable or port that is gone for {show_ms(cluster.silence_ms)} parts the nodes; a switch port that "
                "renegotiates, or a bond that fails over, takes 1 to 3 s.",
                Sureness.LIKELY,
                "it depends on the switch",
                Fix(f"add a second link, or let {said} be {show_ms(ONE_LINK_SILENCE_MS)}"),
            )
        elif cluster.silence_ms > SILENCE_MS_MAX:
            yield Finding(
                "CLU002",
                Gravity.NOTE,
                cluster.file,
                "a dead node is noticed late",
                seen,
                f"From the death of a node to the membership without it {show_ms(cluster.formed_ms)} pass, and only "
                "then its services are started elsewhere.",
                fix=Fix(f"with two links, {said} may be shorter"),
            )


def watchdog(machine: Machine) -> Iterator[Finding]:
    """CLU003: the watchdog's time against the ring's, and SBD's against both."""
    guards = machine.guards
    for cluster in machine.clusters:
        times = [(cluster.watchdog_ms, "[watchdog] timeout", Place(cluster.file))]
        if guards.uses_sbd and cluster.stack is Stack.COROSYNC:
            times.append(
                (
                    guards.sbd_timeout_ms,
                    "SBD_WATCHDOG_TIMEOUT",
                    guards.sbd_place or Place("/etc/sysconfig/sbd"),
                )
            )
        for time_ms, name, place in times:
            if time_ms is not None and time_ms < cluster.silence_ms:
                yield Finding(
                    "CLU003",
                    Gravity.WARNING,
                    name,
                    "the watchdog is less patient than the ring",
                    (Seen(f"{name} is {show_ms(time_ms)}", place), Seen(f"silence is borne for {show_ms(cluster.silence_ms)}", cluster.timing_place)),
                    f"A stall of {show_ms(time_ms)} resets this machine, although its peers would have waited "
                    f"{show_ms(cluster.silence_ms)} for it.",
                    fix=Fix(f"let {name} be {show_ms(cluster.silence_ms * 2)}"),
                )  # fmt: skip
    yield from _too_early(machine)


def _too_early(machine: Machine) -> Iterator[Finding]:
    guards = machine.guards
    own_ms = max((one.watchdog_ms or 0 for one in machine.clusters if one.stack is Stack.KOMAINU), default=0)
    patience_ms = guards.sbd_timeout_ms if guards.uses_sbd else own_ms
    name, place = (
        ("SBD_WATCHDOG_TIMEOUT", guards.sbd_place)
        if guards.uses_sbd
        else ("[watchdog] timeout", Place(KOMAINU_FILE))
    )
    needed_ms = 2 * patience_ms
    if guards.wait_ms is not None and 0 < guards.wait_ms < needed_ms:
        yield Finding(
            "CLU003",
            Gravity.ERROR,
            "stonith-watchdog-timeout",
            "a lost node is taken for off too early",
            (
                Seen(f"stonith-watchdog-timeout is {show_ms(guards.wait_ms)} in {machine.cib_source}"),
                Seen(
                    f"{name} is {show_ms(patience_ms)}, and 2 x {show_ms(patience_ms)} = {show_ms(needed_ms)}",
                    place,
                ),
            ),
            f"The survivors start its services after {show_ms(guards.wait_ms)}, while it may run them until its "
            f"watchdog has fired: two copies of one service.",
            fix=Fix(set_option(machine, "stonith-watchdog-timeout", f"{-(-needed_ms // 1000)}s")),
        )
    if guards.uses_sbd:
        yield from _sbd_delay(machine)


def _sbd_delay(machine: Machine) -> Iterator[Finding]:
    """Find a fenced node that is back before the others have noticed that it was gone."""
    delay = machine.guards.sbd_delay
    formed_ms = max((one.formed_ms for one in machine.clusters if one.stack is Stack.COROSYNC), default=0)
    if not machine.guards.sbd_disks or not formed_ms:
        return
    waits = None if delay is None else parse_ms(delay.value)
    if delay is not None and (ini.is_true(delay.value) is True or (waits or 0) > formed_ms):
        return
    place = machine.guards.sbd_place if delay is None else delay.place
    yield Finding(
        "CLU003",
        Gravity.NOTE,
        "SBD_DELAY_START",
        "a node that was reset may be back too soon",
        (Seen("SBD_DELAY_START is not set" if delay is None else str(delay), place),),
        f"A machine that boots in less than {show_ms(formed_ms)} is a member again before the others have noticed "
        "that it was gone.",
        Sureness.LIKELY,
        "it depends on how quickly this machine boots",
        Fix(f"SBD_DELAY_START=yes, or more than {show_ms(formed_ms)}"),
    )
