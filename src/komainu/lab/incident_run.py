"""Carry out the cells of the founding incident on a lab, and write down what became of each.

One lab serves all faults of a set-up; when a cell leaves it unwell, the next one gets a new lab. Watches from
outside only: the kernel's addresses, each stack's own tools, the client's answers, the machines' power.
"""

import time
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from komainu.lab import incident, protocol, sight
from komainu.lab import lab as labs
from komainu.lab.drill import ClusterPart, Drill
from komainu.lab.files import DAEMON_LOG
from komainu.lab.incident import NIC, Cell, Command, Fault, Setup, Step
from komainu.lab.layout import SERVICE_ADDRESS
from komainu.lab.managers import Network
from komainu.lab.plant import LabFailure
from komainu.lab.runner import Runner
from komainu.lab.stacks import COROSYNC_LOG, DAEMON, Stack
from komainu.lab.watch import Watch, at_once_ms, first
from komainu.model.duration import show_ms

WAIT_MS: Final = 12_000
"""From a fault to its repair: longer than NetworkManager's 6.0 s, than Corosync's token and consensus, 6.6 s,
and than komainu waits for a peer that may fence first."""

HEAL_WITHIN_MS: Final = 30_000
STEADY_MS: Final = 1_500
"""How long a cluster must stay well until it counts as healed; the time is given without it."""

SETUP_WITHIN_MS: Final = 90_000
"""Pacemaker alone takes 20 s until it has elected."""

ANSWERING_MS: Final = 300
POLL_S: Final = 0.1
EVIDENCE_LINES: Final = 12


class Incident:
    """Runs the faults of one set-up. `tell` hears in a few words what is going on."""

    def __init__(self, setup: Setup, name: str, tell: Callable[[str], None], wait_ms: int = WAIT_MS) -> None:
        self._setup = setup
        self._stack = setup.stack
        self._name = name
        self._tell = tell
        self._wait_ms = wait_ms
        self._layout = setup.layout
        self._cable = self._layout.cables[0]
        self._lab: labs.Lab | None = None

    def run(self, faults: tuple[Fault, ...]) -> Iterator[Cell]:
        """Carry out the faults, one cell after the other, and leave nothing behind."""
        try:
            for fault in faults:
                lab = self._lab or self._raise()
                cell = self._cell(lab, fault)
                if cell.healed_ms is None or not self._tidy(lab):
                    self._end()
                yield cell
        finally:
            self._end()

    def _end(self) -> None:
        if self._lab is not None:
            self._lab.down()
            self._lab = None

    def _raise(self) -> labs.Lab:
        """Raise the lab, give it its configuration and wait until all is well. Raises LabFailure."""
        setup = self._setup
        self._tell("the machines boot")
        probe = incident.PROBE if self._stack.runs_service else ""
        lab = self._lab = labs.start(
            protocol.Blueprint(
                self._name,
                self._layout,
                DAEMON[self._stack],
                probe,
                network=setup.network,
                server_config=setup.server_config,
                stack=self._stack,
            )
        )
        if self._stack.is_komainu:
            drill = Drill("incident", self._layout, ClusterPart(), incident.CIB, ())
            Runner(drill, lab, self._tell).set_up()
        elif self._stack is Stack.PACEMAKER:
            self._configure(lab)
        lacking = self._until_well(lab, SETUP_WITHIN_MS)[1]
        if lacking:
            raise LabFailure("\n  ".join(("the cluster did not come up:", *lacking)))
        return lab

    def _configure(self, lab: labs.Lab) -> None:
        """Give Pacemaker the configuration once all nodes are together; earlier, an empty one may win over it."""
        node, end = self._layout.nodes[0], _now() + SETUP_WITHIN_MS
        while True:
            one = sight.look(lab, self._stack, node)
            if one is not None and one.members == frozenset(self._layout.nodes):
                break
            if _now() > end:
                raise LabFailure(f"Pacemaker did not come up: {one.membership() if one else 'no answer'}")
            time.sleep(POLL_S)
        command = ["cibadmin", "--replace", "--scope", "configuration", "--xml-text", incident.CONFIGURATION]
        while (done := lab.run(node, command)).returncode:
            if _now() > end:
                raise LabFailure(f"cibadmin: {done.stderr.strip()}")
            time.sleep(POLL_S)

    # -- one cell -----------------------------------------------------------------------------------------

    def _cell(self, lab: labs.Lab, fault: Fault) -> Cell:
        victim = self._active(lab)
        offsets = {node: sight.log_size(lab, node) for node in self._layout.nodes}
        first_event = len(lab.events())
        address = self._layout.address(victim, self._cable)
        with Watch(self._name, self._layout.nodes, (address, SERVICE_ADDRESS)) as watch:
            began, began_wall = _now(), time.time_ns() // 1_000_000
            self._tell(fault.name)
            self._perform(lab, fault.harm, victim)
            time.sleep(self._wait_ms / 1000)
            before_repair = self._sights(lab)
            listing = lab.run(victim, ["ip", "address", "show", NIC]).stdout
            repaired = _now()
            self._perform(lab, fault.repair, victim)
            self._tell(f"{fault.name}: repaired")
            healed, lacking = self._until_well(lab, HEAL_WITHIN_MS)
            ended = _now()
        events = lab.events(first_event)
        exits = sum(event.kind == "daemon-exited" for event in events)
        reboots = sum(event.kind == "boot" for event in events)
        gone = first(watch.changes, victim, address, stands=False, since=began)
        back = first(watch.changes, victim, address, stands=True, since=repaired)
        seen = lab.service(since=began, until=ended) if self._stack.runs_service else None
        return Cell(
            stack=self._stack.value,
            network=self._setup.network.value,
            server_config=self._setup.server_config,
            cabling=self._setup.cabling.value,
            fault=fault.name,
            gone_ms=None if gone is None else gone - began,
            back_ms=None if back is None or gone is None else back - repaired,
            links=_links(before_repair),
            thought={node: one.membership() if one else "no answer" for node, one in before_repair.items()},
            membership_changes=max(
                sight.membership_changes(lab, self._stack, node, since=began_wall, offset=offsets[node])
                for node in self._layout.nodes
            ),
            daemon_exits=exits,
            reboots=reboots,
            gap_ms=None if seen is None else seen.longest_gap_ms,
            two_at_once_ms=at_once_ms(watch.changes, SERVICE_ADDRESS, ended),
            healed_ms=None if lacking else healed - repaired,
            lacking=lacking,
            listing=listing,
            evidence=self._evidence(lab, events) if exits or reboots or lacking else (),
        )

    def _tidy(self, lab: labs.Lab) -> bool:
        """Let NetworkManager take the interfaces back: what was done with `ip` made them foreign to it."""
        if self._setup.network is Network.NETWORKMANAGER:
            for node in self._layout.nodes:
                lab.run(node, ["nmcli", "connection", "up", NIC])
        return not self._until_well(lab, HEAL_WITHIN_MS)[1]

    def _perform(self, lab: labs.Lab, steps: tuple[Step, ...], victim: str) -> None:
        for step in steps:
            if isinstance(step, Command):
                done = lab.run(victim, step.words)
                if done.returncode:
                    raise LabFailure(f"`{' '.join(step.words)}` on {victim}: {done.stderr.strip()}")
            else:
                is_victim = getattr(step, "node", None) == incident.VICTIM
                lab.perform(msgspec.structs.replace(step, node=victim) if is_victim else step)

    def _active(self, lab: labs.Lab) -> str:
        """Name the node that runs the service; the first one when the stack runs none."""
        one = sight.look(lab, self._stack, self._layout.nodes[0])
        return next(iter(one.service), self._layout.nodes[0]) if one else self._layout.nodes[0]

    # -- watching -----------------------------------------------------------------------------------------

    def _sights(self, lab: labs.Lab) -> dict[str, sight.Sight | None]:
        return {node: sight.look(lab, self._stack, node) for node in self._layout.nodes}

    def _until_well(self, lab: labs.Lab, limit_ms: int) -> tuple[int, tuple[str, ...]]:
        """Wait until all has been well for a while; give when it became so, and what is lacking at the limit."""
        end, well_since = _now() + limit_ms, None
        while True:
            now, lacking = _now(), tuple(self._lacking(lab))
            if lacking:
                well_since = None
                if now > end:
                    return now, lacking
            else:
                well_since = well_since or now
                if now - well_since >= STEADY_MS:
                    return well_since, ()
            time.sleep(POLL_S)

    def _lacking(self, lab: labs.Lab) -> Iterator[str]:
        """Say what is not as it should be, one phrase each."""
        nodes = self._layout.nodes
        for node in nodes:
            address = self._layout.address(node, self._cable)
            if node not in lab.holders(address):
                yield f"{node} lacks {address}"
        sights = self._sights(lab)
        for node, one in sights.items():
            if one is None:
                yield f"{node} does not answer"
                continue
            if one.members != frozenset(nodes) or not one.is_quorate:
                yield f"{node} sees: {one.membership()}"
            yield from (f"{node}: link {link}" for link in one.links)
            if one.is_busy:
                yield f"{node} is busy"
            if self._stack.runs_service and len(one.service) != 1:
                yield f"{node} sees the service on {' and '.join(one.service) or 'no node'}"
        if not self._stack.runs_service:
            return
        holders = lab.holders(SERVICE_ADDRESS)
        if len(holders) != 1:
            yield f"{SERVICE_ADDRESS} stands on {' and '.join(holders) or 'no node'}"
        now = _now()
        seen = lab.service(since=now - 1_000, until=now)
        if seen.silent_ms > ANSWERING_MS:
            yield f"the client has heard nothing for {show_ms(seen.silent_ms)}"

    def _evidence(self, lab: labs.Lab, events: tuple[protocol.LabEvent, ...]) -> tuple[str, ...]:
        """Take the last words of the daemons and what happened to the machines."""
        found = [f"{event.node} {event.kind}: {event.reason}" for event in events]
        for node in self._layout.nodes:
            log = COROSYNC_LOG if self._stack.has_corosync else DAEMON_LOG
            said = lab.run(node, ["tail", "-n", str(EVIDENCE_LINES), log]).stdout
            found += [f"{node}: {line}" for line in said.splitlines()]
        return tuple(found)


def _links(sights: dict[str, sight.Sight | None]) -> tuple[str, ...]:
    return tuple(f"{node}: {link}" for node, one in sights.items() if one for link in one.links)


def _now() -> int:
    return time.monotonic_ns() // 1_000_000
