"""Say before it is needed what would keep a fencing from working.

Pure. Decides nothing. Each sentence names what is wrong and, where there is a sum, shows it.
"""

from collections.abc import Iterable, Iterator, Mapping

from komainu.cib.element import Element
from komainu.cib.nodes import node_entries
from komainu.cib.options import cluster_option, is_true
from komainu.cib.pairs import transient_value
from komainu.cib.state import ClusterState
from komainu.fencing import device as options
from komainu.fencing.device import HostCheck
from komainu.fencing.interface import DevicesChanged
from komainu.model.fencing import FenceState
from komainu.model.ids import NodeName
from komainu.model.report import Place, Report
from komainu.node.devices import (
    MARGIN_FACTOR,
    armed_watchdogs,
    fencing_of,
    fencing_option,
    watchdog_timeout_ms,
)
from komainu.node.race import CLIENTS, LOST


def of(state: ClusterState, troubles: Mapping[str, str], *, halves_stay: bool) -> tuple[str, ...]:
    """Return the warnings about fencing, the gravest first. `troubles`: what is wrong with agents, by agent."""
    cib = state.cib
    if not is_true(fencing_option(cib, "enabled"), default=True):
        return ()
    known = fencing_of(cib, halves_stay=halves_stay)
    nodes = tuple(NodeName(entry.get("uname") or "") for entry in node_entries(cib))
    return tuple(
        dict.fromkeys(
            (
                *_failing(state),
                *(f"fence agent {agent}: {text}" for agent, text in sorted(troubles.items())),
                *_unreached(known, nodes),
                *_wrong_names(known, nodes),
                *_levels(known),
                *(text for _, text in _slow(known)),
                *_watchdogs(cib, halves_stay=halves_stay),
            )
        )
    )


def of_losses(cib: Element, lost: tuple[NodeName, ...], *, links: int) -> Iterator[str]:
    """Say what the loss of a node would lead to here, and what that of these nodes has led to."""
    is_off = not is_true(fencing_option(cib, "enabled"), default=True)
    if is_off:
        yield (
            "fencing is off (stonith-enabled=false): after a lost node its resources start elsewhere "
            "although it may still run them"
            + (", and with one link only one pulled cable is enough for that" if links < 2 else "")
        )
    elif cluster_option(cib, "have-watchdog") != "true" and not any(
        element.get("class") == "stonith" for element in cib.walk() if element.tag == "primitive"
    ):
        yield "no fence device is configured: resources of a lost node cannot be taken over"
    for entry in node_entries(cib):
        name = NodeName(entry.get("uname") or "")
        if transient_value(cib, name, CLIENTS) == LOST:
            yield f"no client reaches node {name}: none of its targets answers ([clients] in komainu.toml)"
    for name in lost:
        yield (
            f"node {name} is lost, and nothing confirmed that it is off: what ran there was started elsewhere all "
            "the same, since fencing is off; if it is only cut off, both serve now"
            if is_off
            else f"node {name} is lost and not confirmed off: its resources wait for its fencing "
            f"(or: komainu fence confirm {name})"
        )


def contradictions(cib: Element, watchdogs: Iterable[tuple[str, int]], file: str) -> tuple[Report, ...]:
    """Return what of fencing contradicts itself, each with its place and the sum that shows it.

    `watchdogs`: nodes and the time-outs of their watchdogs in milliseconds, as far as they are known.
    """
    if not is_true(fencing_option(cib, "enabled"), default=True):
        return ()
    found = []
    for name, text in dict(_slow(fencing_of(cib, halves_stay=False))).items():
        hint = "a shorter pcmk_delay_base or pcmk_delay_max, or a longer pcmk_off_timeout"
        found.append(Report("fencing.delay", text, hint, _place(cib, file, "id", name)))
    timeout_ms = watchdog_timeout_ms(cib)
    for text in _too_short(timeout_ms, watchdogs) if timeout_ms else ():
        hint = "a longer stonith-watchdog-timeout (-1: as long as the watchdogs need), or a shorter [watchdog] timeout"
        names = ("stonith-watchdog-timeout", "fencing-watchdog-timeout")
        found.append(Report("fencing.watchdog-timeout", text, hint, _place(cib, file, "name", *names)))
    return tuple(found)


def _place(cib: Element, file: str, key: str, *values: str) -> Place:
    """Return where the element stands that has one of these values."""
    element = next((one for one in cib.walk() if one.get(key) in values), None)
    return Place(file) if element is None else Place(file, element.line, element.id or None)


def _failing(state: ClusterState) -> Iterator[str]:
    """A node whose last fencings failed and that was not fenced since."""
    settled: dict[NodeName, list[str]] = {}
    for record in state.fencing:
        if record.state is FenceState.DONE:
            settled.pop(record.target, None)
        elif record.state is FenceState.FAILED:
            settled.setdefault(record.target, []).append(record.outcome)
    for target, outcomes in settled.items():
        yield f"fencing of {target} failed {len(outcomes)} times in a row: {outcomes[-1]}"


def _unreached(known: DevicesChanged, nodes: tuple[NodeName, ...]) -> Iterator[str]:
    """A node that no device reaches, as far as the configuration says."""
    if not known.devices:
        return
    for node in nodes:
        leveled = {name for level in known.levels if level.target == node for name in level.devices}
        usable = [device for device in known.devices if not leveled or device.name in leveled]
        if node not in known.self_resetting and not any(
            options.host_check(device) is not HostCheck.STATIC or node in options.static_hosts(device)
            for device in usable
        ):
            yield f"no fence device reaches node {node}: its resources cannot be taken over when it is lost"


def _wrong_names(known: DevicesChanged, nodes: tuple[NodeName, ...]) -> Iterator[str]:
    """Devices for nodes, and levels with devices, that do not exist."""
    for device in known.devices:
        unknown = [host for host in options.static_hosts(device) if host not in nodes]
        if unknown:
            listed = ", ".join(unknown)
            yield f"fence device {device.name} names {listed}, which is no node of the cluster"
        said = options.option_of(device, "pcmk_host_check")
        if said is not None and options.said_check(device) is None:
            yield f"fence device {device.name}: pcmk_host_check={said} is none of its values and is ignored"
        unread = [
            part
            for part in (options.option_of(device, "pcmk_host_map") or "").replace(";", " ").split()
            if not set(part) & {":", "="}
        ]
        if unread:
            yield (
                f"fence device {device.name}: pcmk_host_map has {', '.join(unread)}, which is no NODE:PLUG and is "
                "ignored"
            )


def _levels(known: DevicesChanged) -> Iterator[str]:
    """Levels that cannot be what was meant."""
    names = {device.name for device in known.devices} | {"watchdog"}
    for level in known.levels:
        missing = [name for name in level.devices if name not in names]
        if missing:
            listed = ", ".join(missing)
            yield f"level {level.index} for {level.target} names {listed}, which is no enabled fence device"

    for level in known.levels:
        twice = sorted({name for name in level.devices if level.devices.count(name) > 1})
        if twice:
            yield f"level {level.index} for {level.target} names {', '.join(twice)} twice: it would be run twice"
    for target, index in sorted({(level.target, level.index) for level in known.levels}):
        count = sum((level.target, level.index) == (target, index) for level in known.levels)
        if count > 1:
            yield f"there are {count} levels {index} for {target}: which is tried first is not said"


def _slow(known: DevicesChanged) -> Iterator[tuple[str, str]]:
    """Delays that are longer than the fencing may take, by device."""
    for device in known.devices:
        base = options.option_of(device, "pcmk_delay_base") or "0"
        for target in options.static_hosts(device) or ("",):
            delay = options.delay_ms(device, "off", NodeName(target), 1.0)
            allowed = options.timeout_ms(device, "off", known.timeout_ms)
            if delay > allowed:
                yield (
                    device.name,
                    (
                        f"fence device {device.name} waits up to {delay} ms (pcmk_delay_base {base}) before it begins, "
                        f"longer than the {allowed} ms that it may take"
                    ),
                )


def _too_short(timeout_ms: int, watchdogs: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Promises of watchdogs that fire later than they are waited for."""
    for node, armed_ms in watchdogs:
        if MARGIN_FACTOR * armed_ms > timeout_ms:
            yield (
                f"stonith-watchdog-timeout ({timeout_ms} ms) is below {MARGIN_FACTOR} x the watchdog of {node} "
                f"({armed_ms} ms) = {MARGIN_FACTOR * armed_ms} ms: its watchdog is not counted on"
            )


def _watchdogs(cib: Element, *, halves_stay: bool) -> Iterator[str]:
    """A promise of watchdogs that cannot be kept, with the sum that shows it."""
    timeout_ms = watchdog_timeout_ms(cib)
    if not timeout_ms:
        return
    if halves_stay:
        yield (
            "stonith-watchdog-timeout has no effect: with two_node both halves keep quorum, so a lost node does "
            "not reset itself; use a fence device"
        )
        return
    if not is_true(cluster_option(cib, "have-watchdog"), default=False):
        yield "stonith-watchdog-timeout is set, but have-watchdog is not true, so it is not planned with"
    yield from _too_short(timeout_ms, armed_watchdogs(cib))
