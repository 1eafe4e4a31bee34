"""Play a cluster of rings alone: a small state machine on top of each, disks, faults, and checkers of the truth.

The state machine does what the daemon's replica does: it applies what is delivered, waits for the owner's
snapshot when it came from another view, and tells the ring what is stored.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import assert_never

from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd, LinkState
from komainu.model.report import Note
from komainu.model.view import Delivered, Position, ViewId
from komainu.ring.builtin import BuiltinRing
from komainu.ring.corosync.interface import LeaveGroup, Multicast, Reconnect
from komainu.ring.interface import (
    Absorbed,
    AskWitness,
    DeadlinePassed,
    Deliver,
    EndChanged,
    InstallView,
    KeepPromise,
    LayoutLearned,
    Leave,
    LineRaised,
    LinkChanged,
    PacketReceived,
    Past,
    PeerDoubted,
    PeerEndChanged,
    PeerRefused,
    PromiseKept,
    RingEffect,
    RingEvent,
    RouteChanged,
    SendPacket,
    Stable,
    Stored,
    Submit,
    WitnessVoted,
)
from komainu.ring.packet import Member, ViewKey
from komainu.ring.quorum import is_two_node
from komainu.ring.settings import NodeSettings, QuorumOptions, RingSettings
from komainu.sim.clock import Clock
from komainu.sim.network import Network, Quality

SNAPSHOT = b"snapshot "
END_STATES = (LinkState.NO_CARRIER, LinkState.NO_ADDRESS, LinkState.NO_INTERFACE, LinkState.ADMIN_DOWN)


class Broken(AssertionError):
    """A checker found something that must not be."""


def name_of(payload: bytes) -> str:
    """Read the name of a payload; what follows it only makes it large, and does not let itself be compressed."""
    return (payload if payload.startswith(SNAPSHOT) else payload.partition(b" ")[0]).decode()


def ring_settings(me: int, count: int, links: int = 2, quorum: QuorumOptions | None = None) -> RingSettings:
    nodes = tuple(
        NodeSettings(
            NodeId(node),
            NodeName(f"n{node}"),
            tuple(LinkEnd(LinkNumber(link), f"10.{link}.0.{node}") for link in range(links)),
        )
        for node in range(1, count + 1)
    )
    return RingSettings("test", NodeId(me), nodes, quorum=quorum or QuorumOptions())


@dataclass(frozen=True, slots=True)
class State:
    """The state of the little machine: the payloads it took in, in order, and a digest over them."""

    payloads: tuple[str, ...] = ()
    digest: str = ""
    taken: tuple[tuple[NodeId, Delivered], ...] = ()

    def then(self, payload: str, memory: Delivered) -> "State":
        digest = hashlib.md5(f"{self.digest} {payload}".encode(), usedforsecurity=False).hexdigest()
        taken = {**dict(self.taken), memory.node: memory}
        return State((*self.payloads, payload), digest, tuple(taken.items()))


@dataclass(slots=True)
class Disk:
    state: State = field(default_factory=State)
    position: Position = field(default_factory=Position)
    promised: int = 0


@dataclass(slots=True)
class Life:
    """One life of one node, with what the checkers need to know of it."""

    node: NodeId
    ring: BuiltinRing
    state: State
    begun: InstallView | None = None
    synced: bool = False
    kept: list[Deliver] = field(default_factory=list)
    writing: int = 0
    delivered: dict[ViewKey, list[tuple[Position, NodeId, str]]] = field(default_factory=dict)
    views: list[ViewKey] = field(default_factory=list)
    members: tuple[Member, ...] = ()
    position: Position = field(default_factory=Position)  # of the order
    holds: Position = field(default_factory=Position)  # of the state
    tokens: dict[int, str] = field(default_factory=dict)  # not answered yet
    absorbed: list[str] = field(default_factory=list)
    promised: dict[str, Position] = field(default_factory=dict)  # delivered in a quorate view, not yet stable
    stored: Position = field(default_factory=Position)
    asleep: list[RingEvent] | None = None
    wake_at: Instant | None = None


class RingWorld:
    """Rings on a network, with checkers that look after every event."""

    def __init__(self, count: int, seed: int, *, links: int = 2, quorum: QuorumOptions | None = None) -> None:
        self.chance = Random(seed)
        self.clock = Clock()
        self.count, self.links, self.quorum = count, links, quorum
        self.nodes = [NodeId(node) for node in range(1, count + 1)]
        self.network = Network(self.clock, Random(self.chance.getrandbits(64)), self._arrive)
        self.disks = {node: Disk() for node in self.nodes}
        self.lives: dict[NodeId, Life] = {}
        self.trace: list[str] = []
        self.installs: dict[ViewKey, InstallView] = {}
        self.orders: dict[ViewKey, list[tuple[Position, NodeId, str]]] = {}
        self.moves: dict[tuple[ViewKey, ViewKey], list[tuple[Position, NodeId, str]]] = {}
        self.digests: dict[tuple[ViewKey, Position], str] = {}
        self.stored: dict[tuple[ViewKey, NodeId], Position] = {}
        self.acknowledged: set[str] = set()
        self.acknowledged_at: dict[ViewKey, frozenset[str]] = {}  # when the view was decided
        self.snapshots: dict[bytes, tuple[Position, State]] = {}
        self.witness_reach = set(self.nodes)
        self.witness_holds: tuple[NodeId, ...] = ()
        self.submitted = 0
        self.messages = True
        self.may_have_twins = is_two_node(ring_settings(1, count, links, quorum))

    # -- nodes --------------------------------------------------------------------------------------------

    def start(self, node: NodeId) -> None:
        if node in self.lives:
            return
        disk = self.disks[node]
        incarnation = Incarnation(self.chance.getrandbits(62) + 1)
        settings = ring_settings(node, self.count, self.links, self.quorum)
        taken = tuple(memory for _, memory in disk.state.taken)
        ring = BuiltinRing(settings, incarnation, self.clock.now, Past(disk.position, disk.promised, taken))
        self.lives[node] = Life(node, ring, disk.state, holds=disk.position)
        self.say(f"{node} starts at {disk.position}")
        for link in range(self.links):
            state = self.network.end_of(node, LinkNumber(link))
            self.give(node, EndChanged(LinkNumber(link), state, f"eth{link}: {state.value}"))
        self.give(node, DeadlinePassed())

    def crash(self, node: NodeId) -> None:
        if self.lives.pop(node, None) is not None:
            self.say(f"{node} crashes")

    def leave(self, node: NodeId) -> None:
        if node in self.lives:
            self.say(f"{node} leaves")
            self.give(node, Leave())
            self.lives.pop(node, None)

    def sleep(self, node: NodeId, milliseconds: int) -> None:
        life = self.lives.get(node)
        if life is None or life.asleep is not None:
            return
        self.say(f"{node} stands still for {milliseconds} ms")
        life.asleep = []

        def awake() -> None:
            if self.lives.get(node) is not life:
                return
            missed, life.asleep = life.asleep or [], None
            for event in missed:
                self.give(node, event)
            self.give(node, DeadlinePassed())

        self.clock.after(milliseconds, awake)

    def submit(self, node: NodeId, size: int = 0) -> str:
        life = self.lives.get(node)
        if life is None:
            return ""
        self.submitted += 1
        payload = f"{node}-{self.submitted}"
        life.tokens[self.submitted] = payload
        self.give(
            node, Submit(payload.encode() + b" " + Random(self.submitted).randbytes(size), self.submitted)
        )
        return payload

    def set_end(self, node: NodeId, link: LinkNumber, state: LinkState) -> None:
        self.network.set_end(node, link, state)
        self.say(f"end of link {link} at {node}: {state.value}")
        self.give(node, EndChanged(link, state, f"eth{link}: {state.value}"))

    def run_for(self, milliseconds: int) -> None:
        self.clock.run_until(Instant(self.clock.now + milliseconds))

    def say(self, what: str) -> None:
        self.trace.append(f"{self.clock.now} {what}")

    def fail(self, why: str) -> None:
        raise Broken(f"{self.clock.now}: {why}")

    # -- events and effects -------------------------------------------------------------------------------

    def give(self, node: NodeId, event: RingEvent) -> None:
        life = self.lives.get(node)
        if life is None:
            return
        if life.asleep is not None:
            if not isinstance(event, DeadlinePassed):
                life.asleep.append(event)
            return
        self._carry_out(life, life.ring.handle(event, self.clock.now))
        self._wake(life)

    def _arrive(self, receiver: NodeId, received: PacketReceived) -> None:
        if receiver in self.lives:
            self.give(receiver, received)
        elif self.messages and self.network.carries(receiver, received.peer, received.link):
            self.give(received.peer, PeerRefused(received.link, receiver))

    def _carry_out(self, life: Life, effects: list[RingEffect]) -> None:
        for effect in effects:
            match effect:
                case SendPacket(link=link, peer=peer, packet=packet):
                    self.network.send(life.node, peer, link, packet)
                case Deliver():
                    self._deliver(life, effect)
                case InstallView():
                    self._install(life, effect)
                case Absorbed(token=token):
                    self.say(f"{life.node} absorbed {life.tokens[token]}")
                    life.absorbed.append(life.tokens.pop(token))
                case AskWitness(view_id=view_id, members=members):
                    self._ask_witness(life.node, view_id, members)
                case KeepPromise(counter=counter):
                    self._promise(life, counter)
                case LayoutLearned():
                    raise AssertionError("nodes and links stay as they are in a world of rings alone")
                case LineRaised():
                    raise AssertionError("nobody confirms anything in a world of rings alone")
                case Stable(position=position):
                    self._stable(life, position)
                case LinkChanged(link=link, peer=peer, state=state, reason=reason):
                    self.say(f"{life.node} link {link} to {peer}: {state.value} ({reason})")
                case PeerEndChanged(link=link, peer=peer, state=state):
                    self.say(f"{life.node} hears that the end of link {link} at {peer} is {state.value}")
                case PeerDoubted(peer=peer, is_over=is_over):
                    self.say(f"{life.node} {'hears' if is_over else 'doubts'} {peer}")
                case RouteChanged(reason=reason):
                    self.say(f"{life.node} {reason}")
                case Note(message=message):
                    self.say(f"{life.node} {message}")
                case Multicast() | LeaveGroup() | Reconnect():
                    raise AssertionError("this world is the builtin ring's")
                case _:
                    assert_never(effect)

    def _ask_witness(self, node: NodeId, view_id: ViewId, members: tuple[NodeId, ...]) -> None:
        """Play a witness: it answers whom it reaches, and gives its votes to one part, as long as that part is there."""

        def answer() -> None:
            if node not in self.witness_reach:
                return
            held = set(self.witness_holds) & self.lives.keys() & self.witness_reach
            is_cast = not held or bool(held & set(members))
            if is_cast:
                self.witness_holds = members
            self.say(f"the witness tells {node}: {view_id} {'gets' if is_cast else 'does not get'} its votes")
            self.give(node, WitnessVoted(view_id, is_cast, "as the witness says"))

        self.clock.after(self.chance.randint(1, 30), answer)

    def _wake(self, life: Life) -> None:
        deadline = life.ring.deadline
        if deadline is None or (life.wake_at is not None and life.wake_at <= deadline):
            return
        life.wake_at = deadline

        def wake() -> None:
            if life.wake_at != deadline:
                return
            life.wake_at = None
            if self.lives.get(life.node) is not life or life.asleep is not None:
                return
            due = life.ring.deadline
            if due is not None and due <= self.clock.now:
                self.give(life.node, DeadlinePassed())
            else:
                self._wake(life)

        self.clock.at(deadline, wake)

    # -- the state machine, and the checkers --------------------------------------------------------------

    def _install(self, life: Life, begun: InstallView) -> None:
        view = begun.view
        self.say(f"{life.node} view {view.view_id} {view.members} {begun.position} owner {begun.owner}")
        current = life.ring._formation.passage.current
        assert current is not None
        key = current.key
        if key not in self.installs:
            self.acknowledged_at[key] = frozenset(self.acknowledged)
        if self.installs.setdefault(key, begun) != begun:
            self.fail(f"view {view.view_id} is not the same on all members")
        if life.node not in view.members or view.members != tuple(sorted(view.members)):
            self.fail(f"{life.node} is in a view of others: {view.members}")
        if life.views and view.view_id <= life.views[-1].view_id:
            self.fail(f"{life.node} goes back from view {life.views[-1]} to {view.view_id}")
        # A member that still waited for a snapshot may go on from what it holds itself.
        if begun.position <= life.holds:
            self.fail(f"{life.node} goes back from {life.holds} to {begun.position}")
        for old in life.members:
            if any(new.node == old.node and new.life != old.life for new in current.members):
                self.fail(f"{life.node} did not see that {old.node} was restarted")
        for other in self.lives.values():
            theirs = other.begun.view if other.begun is not None else view
            if (
                view.quorate
                and theirs.quorate
                and not set(view.members) & set(theirs.members)
                and not self.may_have_twins
            ):
                self.fail(
                    f"two parts have quorum: {view.members} ({view.quorum_reason}) and {theirs.members} ({theirs.quorum_reason})"
                )
        life.members = current.members
        if life.views:
            last = life.views[-1]
            mine = life.delivered[last]
            if self.moves.setdefault((last, key), mine) != mine:
                self.fail(f"{life.node} moved from {last} to {view.view_id} with other deliveries")
        was_synced = life.synced
        life.views.append(key)
        life.delivered[key] = []
        life.begun, life.kept, life.position = begun, [], begun.position
        if begun.owner == life.node and life.node not in begun.keeps_state:
            self.fail("the owner keeps its state")
        life.synced = life.node in begun.keeps_state
        if life.synced and not was_synced and begun.owner != life.node:
            self.fail(f"{life.node} is to keep a state that it never got")
        if not life.synced:
            life.promised.clear()  # the outcome is not known here
        if life.synced:
            life.holds = begun.position
            self._check_state(life, begun.position)
            self._check_absorbed(life)
            self._persist(life)
        if life.node == begun.owner:
            missing = self.acknowledged_at[key].difference(life.state.payloads)
            if view.quorate and self.count > 2 and missing:
                self.fail(f"view {view.view_id} lost what was acknowledged: {sorted(missing)}")
            if len(begun.keeps_state) < len(view.members):
                name = SNAPSHOT + f"{view.view_id} {life.node}".encode()
                self.snapshots[name] = (begun.position, life.state)
                token = -len(self.snapshots)
                self.clock.at(
                    self.clock.now,
                    lambda: self._send_snapshot(life, key, Submit(name, token, is_snapshot=True)),
                )

    def _send_snapshot(self, life: Life, view: ViewKey, submit: Submit) -> None:
        if self.lives.get(life.node) is life and life.views[-1] == view:
            self.give(life.node, submit)

    def _deliver(self, life: Life, delivery: Deliver) -> None:
        assert life.begun is not None
        payload = name_of(delivery.payload)
        view_id = life.views[-1]
        if delivery.position != Position(life.position.lineage, life.position.index + 1):
            self.fail(f"{life.node} leaps from {life.position} to {delivery.position}")
        life.position = delivery.position
        entry = (delivery.position, delivery.origin, payload)
        mine = life.delivered[view_id]
        order = self.orders.setdefault(view_id, [])
        if len(mine) == len(order):
            order.append(entry)
        elif order[len(mine)] != entry:
            self.fail(f"{life.node} delivers {entry} where another delivered {order[len(mine)]}")
        mine.append(entry)
        if delivery.token is not None:
            if delivery.token > 0 and life.tokens.pop(delivery.token, None) != payload:
                self.fail(f"{life.node} got {payload} with token {delivery.token}")
        elif delivery.origin == life.node:
            self.fail("an own payload comes back without its token")
        self._apply(life, delivery)

    def _apply(self, life: Life, delivery: Deliver) -> None:
        assert life.begun is not None
        if delivery.payload.startswith(SNAPSHOT):
            position, state = self.snapshots[delivery.payload]
            if not life.synced and delivery.origin == life.begun.owner and position == life.begun.position:
                life.synced, life.state, life.holds = True, state, position
                self._check_absorbed(life)
                kept, life.kept = life.kept, []
                for earlier in kept:
                    self._apply(life, earlier)
                self._persist(life)
        if not life.synced:
            life.kept.append(delivery)
            return
        payload = name_of(delivery.payload)
        if payload in life.state.payloads:
            self.fail(f"{life.node} applies {payload} twice")
        assert delivery.memory is not None
        life.state = life.state.then(payload, delivery.memory)
        life.holds = delivery.position
        self._check_state(life, delivery.position)
        if life.begun.view.quorate and delivery.origin == life.node:
            life.promised[payload] = delivery.position
        if self.chance.random() < 0.4:
            self._persist(life)
        elif not life.writing:
            self._store(life, life.holds)

    def _check_state(self, life: Life, position: Position) -> None:
        key = (life.views[-1], position)
        if self.digests.setdefault(key, life.state.digest) != life.state.digest:
            self.fail(f"{life.node} holds another state at {position} of view {life.views[-1]}")

    def _check_absorbed(self, life: Life) -> None:
        missing = [payload for payload in life.absorbed if payload not in life.state.payloads]
        if missing:
            self.fail(f"{missing} were said to be part of the adopted state, but are not")
        life.absorbed.clear()

    def _persist(self, life: Life) -> None:
        life.writing += 1
        state, position = life.state, life.holds

        def done() -> None:
            if self.lives.get(life.node) is not life:
                return
            life.writing -= 1
            disk = self.disks[life.node]
            if position > disk.position:
                disk.state, disk.position = state, position
            if not life.writing:
                self._store(life, life.holds)

        self.clock.after(self.chance.randint(1, 30), done)

    def _promise(self, life: Life, counter: int) -> None:
        def done() -> None:
            if self.lives.get(life.node) is life:
                self.disks[life.node].promised = max(counter, self.disks[life.node].promised)
                self.give(life.node, PromiseKept(counter))

        self.clock.after(self.chance.randint(1, 30), done)

    def _store(self, life: Life, position: Position) -> None:
        """Tell the ring what is stored, from outside the effect that led to it."""
        now = self.clock.now

        def tell() -> None:
            if self.lives.get(life.node) is not life:
                return
            key = (life.views[-1], life.node)
            self.stored[key] = max(self.stored.get(key, Position()), position)
            self.give(life.node, Stored(position))

        self.clock.at(now, tell)

    def _stable(self, life: Life, position: Position) -> None:
        assert life.begun is not None
        view = life.begun.view
        for member in view.members:
            if self.stored.get((life.views[-1], member), Position()) < position:
                self.fail(f"{life.node} calls {position} stable, but {member} has not stored it")
        if life.ring.stable != position:
            self.fail("the ring says one thing is stable and tells another")
        for payload, where in list(life.promised.items()):
            if where <= position and life.synced:
                del life.promised[payload]
                if all(payload in self.disks[member].state.payloads for member in view.members):
                    self.acknowledged.add(payload)

    # -- the end ------------------------------------------------------------------------------------------

    def check_converged(self) -> None:
        lives = [self.lives[node] for node in sorted(self.lives)]
        views = {life.views[-1] if life.views else None for life in lives}
        if len(views) != 1 or None in views:
            self.fail(f"no common view: {[life.ring.view and life.ring.view.view_id for life in lives]}")
        members = lives[0].ring.view.members if lives[0].ring.view else ()
        if members != tuple(life.node for life in lives):
            self.fail(f"the view is {members}, but here are {sorted(self.lives)}")
        states = {life.state.digest for life in lives}
        if len(states) != 1 or not all(life.synced for life in lives):
            self.fail("the states differ")
        open_tokens = [payload for life in lives for payload in life.tokens.values()]
        if open_tokens:
            self.fail(f"never delivered: {open_tokens}")
        stables = {life.ring.stable for life in lives}
        if stables != {lives[0].position} and lives[0].begun and lives[0].begun.view.quorate:
            self.fail(f"not all is stable: {stables}, {lives[0].position}")
        blocked = [life.node for life in lives if life.ring._formation.passage.blocked]
        if blocked:
            self.fail(f"{blocked} still wait for a view")


Fault = Callable[[], None]


class Faults:
    """Things that go wrong, and are mended."""

    def __init__(self, world: RingWorld) -> None:
        self.world = world
        self.chance = Random(world.chance.getrandbits(64))

    def plan(self, count: int, within_ms: int) -> None:
        kinds = (
            self.part,
            self.one_way,
            self.cut_link,
            self.break_end,
            self.crash,
            self.leave,
            self.sleep,
            self.bad,
        )
        for _ in range(count):
            self.world.clock.at(Instant(self.chance.randrange(within_ms)), self.chance.choice(kinds))

    def submits(self, count: int, within_ms: int) -> None:
        for _ in range(count):
            moment = Instant(self.chance.randrange(within_ms))
            size = self.chance.choice((0, 0, 0, 100, 3000, 40_000))
            node = self.chance.choice(self.world.nodes)
            burst = self.chance.choice((1, 1, 1, 5, 20)) if size < 1000 else 1

            def act(node: NodeId = node, size: int = size, burst: int = burst) -> None:
                for _ in range(burst):
                    self.world.submit(node, size)

            self.world.clock.at(moment, act)

    def heal(self) -> None:
        world = self.world
        world.say("all is mended")
        world.network.heal()
        world.network.quality = Quality()
        for node in world.nodes:
            for link in range(world.links):
                world.set_end(node, LinkNumber(link), LinkState.UP)
            world.start(node)

    def later(self, mend: Fault, most_ms: int = 4000) -> None:
        self.world.clock.after(
            self.chance.choice((self.chance.randint(1, 300), self.chance.randint(300, most_ms))), mend
        )

    def part(self) -> None:
        world = self.world
        side = set(self.chance.sample(world.nodes, self.chance.randint(1, len(world.nodes) - 1)))
        others = set(world.nodes) - side
        world.say(f"parted: {sorted(side)} from {sorted(others)}")
        world.network.part(side, others)
        self.later(lambda: world.network.join(side, others))

    def one_way(self) -> None:
        world = self.world
        sender, receiver = self.chance.sample(world.nodes, 2)
        link = self.chance.choice((None, LinkNumber(0), LinkNumber(1)))
        world.say(f"one-way cut {sender} to {receiver} on {link}")
        world.network.cut_one_way(sender, receiver, link)
        self.later(lambda: world.network.mend_one_way(sender, receiver, link))

    def cut_link(self) -> None:
        link, network = LinkNumber(self.chance.randrange(self.world.links)), self.world.network
        network.cut_link(link)
        self.world.say(f"link {link} is cut")
        self.later(lambda: network.mend_link(link))

    def break_end(self) -> None:
        node = self.chance.choice(self.world.nodes)
        link = LinkNumber(self.chance.randrange(self.world.links))
        self.world.set_end(node, link, self.chance.choice(END_STATES))
        self.later(lambda: self.world.set_end(node, link, LinkState.UP))

    def crash(self) -> None:
        node = self.chance.choice(self.world.nodes)
        self.world.crash(node)
        self.later(lambda: self.world.start(node))

    def leave(self) -> None:
        node = self.chance.choice(self.world.nodes)
        self.world.leave(node)
        self.later(lambda: self.world.start(node))

    def sleep(self) -> None:
        self.world.sleep(self.chance.choice(self.world.nodes), self.chance.choice((200, 600, 900, 2000)))

    def bad(self) -> None:
        """Let the whole network be bad for a while."""
        chance, network = self.chance, self.world.network
        network.quality = Quality(
            delay_ms=(0, chance.choice((1, 5, 20))),
            loss=chance.choice((0.0, 0.02, 0.1, 0.3)),
            doubled=chance.choice((0.0, 0.05)),
            late=chance.choice((0.0, 0.05)),
        )
        self.world.say(f"the network is {network.quality}")

        def mend() -> None:
            network.quality = Quality()

        self.later(mend)


def play(count: int, seed: int, quorum: QuorumOptions | None = None) -> RingWorld:
    """Play one run of faults and see that it ends well."""
    chance = Random(seed * 1000 + count)
    world = RingWorld(count, seed, quorum=quorum)
    world.messages = chance.random() < 0.5
    faults = Faults(world)
    for node in world.nodes:
        world.clock.at(Instant(chance.choice((0, chance.randint(0, 1500)))), partial(world.start, node))
    faults.plan(chance.randint(1, 14), within_ms=7_000)
    faults.submits(chance.randint(0, 60), within_ms=8_000)
    world.clock.run_until(Instant(7_000))
    faults.heal()
    world.run_for(6_000)
    world.check_converged()
    return world
