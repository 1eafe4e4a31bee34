"""Hold the ring of a made-up world to its promises: order, synchrony, quorum, stability, and what is acknowledged.

Looks at what each life of each node was told by its ring, in order, and compares it with what the others were
told. Must not know what commands do. A broken promise ends the run (sim/checks.py).

Source: total order and virtual synchrony as in Birman & Joseph, "Exploiting Virtual Synchrony" (1987).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from komainu.cib.state import ClusterState
from komainu.model.ids import Instant, NodeId
from komainu.model.view import Position, View, ViewId
from komainu.node.drive import Drive
from komainu.recorder.record import Record
from komainu.ring.interface import Deliver, InstallView, RingEffect
from komainu.ring.quorum import is_two_node
from komainu.sim.checks import fail
from komainu.sim.machine import Machine

if TYPE_CHECKING:
    from komainu.sim.world import World

CALM_MS: Final = 8_000
"""So long after the last thing that happened to a cluster its membership has settled: a detection, an agreement,
and a node that needed several turns to be let in."""

VIEWS_KEPT: Final = 64
STATES_KEPT: Final = 128
"""What is remembered of the past, to compare with members that are late."""

COMPARED_EVERY: Final = 4
"""Whole states are compared at every so many positions. States that differ stay different, and comparing is slow."""

MEASURED_EVERY_MS: Final = 15_000
"""How often what the cores hold is measured. Looking costs more than the other checkers."""

HAVE_CAUSES: Final = frozenset({"start-transition", "start-action"})
"""Kinds of records that are never the beginning of a chain (S6)."""

_Key = tuple[ViewId, Position, tuple[int, ...]]
_Entry = tuple[Position, NodeId, bytes]


class WatchedDrive(Drive):
    """A drive that shows what its ring tells it, in order, before it acts on it."""

    watch: Callable[[RingEffect], None]

    def _take_ring(self, effect: RingEffect) -> None:
        self.watch(effect)
        super()._take_ring(effect)


@dataclass(slots=True)
class _Here:
    """Where one life of a node stands in the order."""

    life: int
    key: _Key | None = None
    view: View | None = None
    delivered: int = 0
    compared: Position | None = None


class Observer:
    """The checkers of agreement of one world, and what they must remember."""

    def __init__(self, world: "World") -> None:
        self.view_changes = 0
        self.hears_of_all = False  # everything that happens to this world is told to `disturbed`
        self._world = world
        self._here: dict[NodeId, _Here] = {}
        self._installs: dict[_Key, InstallView] = {}
        self._orders: dict[_Key, list[_Entry]] = {}
        self._moves: dict[tuple[_Key, _Key], int] = {}
        self._states: dict[tuple[_Key, Position], ClusterState] = {}
        self._positions: set[str] = set()
        self._disturbed_at = Instant(0)
        self._cut_changes: dict[NodeId, int] | None = None  # since a static cut; None: there is none
        self._views_max = 0  # how many of them the cut allows

    # -- what the ring tells ------------------------------------------------------------------------------

    def took(self, machine: Machine, effect: RingEffect) -> None:
        """Take note of what a ring tells its node."""
        match effect:
            case InstallView():
                self._install(machine, effect)
            case Deliver():
                self._deliver(machine, effect)
            case _:
                pass

    def _install(self, machine: Machine, begun: InstallView) -> None:
        now, view = self._world.now, begun.view
        machines = self._world.machines
        key = (view.view_id, begun.position, tuple(machines[node].life for node in view.members))
        self.view_changes += 1
        if self._installs.setdefault(key, begun) != begun:
            fail("agreement", now, f"view {view.view_id} is not the same on all its members")
        if machine.node_id not in view.members:
            fail("agreement", now, f"{machine.name} is in a view of others: {view.members}")
        here = self._of(machine)
        if here.view is not None and here.key is not None:
            if view.view_id <= here.view.view_id:
                fail("agreement", now, f"{machine.name} goes back from {here.view.view_id} to {view.view_id}")
            if self._moves.setdefault((here.key, key), here.delivered) != here.delivered:
                fail("synchrony", now, f"{machine.name} came to view {view.view_id} with other deliveries")
        here.key, here.view, here.delivered, here.compared = key, view, 0, None
        _bound(self._installs, VIEWS_KEPT)
        _bound(self._orders, VIEWS_KEPT)
        _bound(self._moves, VIEWS_KEPT)
        self._check_quorum(machine, view)
        self._count_change(machine)
        if begun.owner == machine.node_id and view.quorate and machine.drive is not None:
            self._world.checks.acknowledged_is_kept(machine, now)

    def _deliver(self, machine: Machine, delivery: Deliver) -> None:
        here = self._of(machine)
        assert here.key is not None, "a ring delivers only within views"
        entry = (delivery.position, delivery.origin, delivery.payload)
        order = self._orders.setdefault(here.key, [])
        if here.delivered == len(order):
            order.append(entry)
        elif order[here.delivered] != entry:
            fail(
                "order",
                self._world.now,
                f"{machine.name} delivers {delivery.position} otherwise than the rest of its view",
            )
        here.delivered += 1

    def _of(self, machine: Machine) -> _Here:
        here = self._here.get(machine.node_id)
        if here is None or here.life != machine.life:
            here = self._here[machine.node_id] = _Here(machine.life)
        return here

    def _check_quorum(self, machine: Machine, view: View) -> None:
        """Two partitions never have quorum at one time, but for the halves of a pair (two_node)."""
        if not view.quorate:
            return
        for node, here in sorted(self._here.items()):
            other = self._world.machines[node]
            if other.drive is None or here.life != other.life or here.view is None or not here.view.quorate:
                continue
            if machine.drive is not None and _are_a_pair(machine.drive, other.drive):
                continue
            if not set(here.view.members) & set(view.members):
                fail(
                    "quorum",
                    self._world.now,
                    f"{machine.name} ({view.members}) and {other.name} ({here.view.members}) both have quorum",
                )

    # -- what happens to the world ------------------------------------------------------------------------

    def disturbed(self, *, views_max: int | None = None) -> None:
        """Take note that something happened to the cluster; alone, in a calm, it changes views so often at most."""
        now = self._world.now
        is_calm = now - self._disturbed_at >= CALM_MS and self._world.network.is_clean
        self._cut_changes = {} if views_max is not None and is_calm else None
        self._views_max = views_max or 0
        self._disturbed_at = now
        self._world.clock.after(CALM_MS, self._check_calm)

    def _count_change(self, machine: Machine) -> None:
        world = self._world
        is_calm = world.now - self._disturbed_at > CALM_MS and world.network.is_clean
        if is_calm and self.hears_of_all:
            fail("calm", world.now, f"{machine.name} changed its view, and nothing happened for long")
        if self._cut_changes is None:
            return
        count = self._cut_changes.get(machine.node_id, 0) + 1
        self._cut_changes[machine.node_id] = count
        if count > self._views_max:
            rule, what = (
                ("static-cut", "twice for one cut") if count > 1 else ("no-cut", "although nothing was cut")
            )
            fail(rule, self._world.now, f"{machine.name} changed its view {what}")

    def _check_calm(self) -> None:
        """By now every partition knows where it stands: only one has quorum."""
        world = self._world
        if world.now - self._disturbed_at < CALM_MS or not world.network.is_clean or len(world.machines) == 2:
            return
        views = {
            here.view.view_id
            for node, here in self._here.items()
            if here.view is not None and here.view.quorate and self._is_current(node, here)
        }
        if len(views) > 1:
            fail("quorum", world.now, f"{len(views)} views have quorum, and nothing happened for long")

    def _is_current(self, node: NodeId, here: _Here) -> bool:
        machine = self._world.machines[node]
        return machine.drive is not None and machine.life == here.life and machine.waiting is None

    def measure(self) -> None:
        """See now and then that no core holds on to too much, and that nothing spoiled was believed."""
        world = self._world
        if world.noise.believed:
            fail(
                "seal", world.now, f"{world.noise.believed} packets were believed although they were spoiled"
            )
        for machine in world.machines.values():
            if machine.drive is not None:
                world.checks.is_bounded(machine, world.now)
        world.clock.after(MEASURED_EVERY_MS, self.measure)

    # -- the agreed state ---------------------------------------------------------------------------------

    def stepped(self, machine: Machine) -> None:
        """Compare a node's state with those that others had at the same place of the same view."""
        drive, here = machine.drive, self._of(machine)
        if drive is None or here.key is None or not drive.replica.is_synced:
            return
        state = drive.replica.state
        if state.position == here.compared or state.position.index % COMPARED_EVERY:
            return
        here.compared = state.position
        known = self._states.setdefault((here.key, state.position), state)
        if known is not state and known != state:
            fail("agreement", self._world.now, f"{machine.name} has another state at {state.position}")
        _bound(self._states, STATES_KEPT)

    def acknowledged(self, machine: Machine, name: str) -> None:
        """S3: what is answered "done" is on the disk of every member of a quorate view."""
        drive = machine.drive
        assert drive is not None, "only a living daemon answers"
        view = drive.ring.view
        if view is None or not view.quorate:
            fail("S3", self._world.now, f"{machine.name} says done without quorum")
        for node in view.members:
            member = self._world.machines[node]
            if f'name="{name}"' not in (member.disk.text or ""):
                fail(
                    "S3",
                    self._world.now,
                    f"{machine.name} says done, but {member.name} has not stored {name}",
                )
        self._world.checks.acknowledged[name] = machine.name

    def recorded(self, machine: Machine, record: Record) -> None:
        """S6: every record says why, and what it names as its cause was recorded."""
        now, cause = self._world.now, record.cause
        if not cause.code or not cause.text:
            fail("S6", now, f"{machine.name} records a {record.kind} without a reason")
        if record.kind in HAVE_CAUSES and not cause.because:
            fail("S6", now, f'{machine.name} records a {record.kind} that nothing led to: "{cause.text}"')
        unknown = [position for position in cause.because if position not in self._positions]
        if unknown:
            fail(
                "S6",
                now,
                f'{machine.name} records "{cause.text}" because of {unknown}, which nobody recorded',
            )
        if record.position:
            self._positions.add(record.position)


Key = TypeVar("Key")
Value = TypeVar("Value")


def _bound(kept: dict[Key, Value], most: int) -> None:
    """Forget the oldest."""
    while len(kept) > most:
        del kept[next(iter(kept))]


def _are_a_pair(one: Drive, other: Drive) -> bool:
    """Whether these are the two nodes that are left, and know it: one of two is enough for each (two_node)."""
    same = {node.node for node in one.settings.nodes} == {node.node for node in other.settings.nodes}
    return same and is_two_node(one.settings) and is_two_node(other.settings)
