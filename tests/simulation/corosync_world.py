"""A made-up Corosync for several CorosyncRings: partitions, crashes, hung daemons, engines that end, in a virtual time.

What it promises is what closed process groups promise, and no more: members that move together from one change of the
group to the next see the same; what was on its way at a split may be seen by one side only.
"""

import json
from dataclasses import dataclass, field
from random import Random

from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.report import Note
from komainu.model.view import Position
from komainu.ring.corosync.interface import (
    CorosyncEvent,
    Ending,
    EngineLost,
    GroupChanged,
    GroupMember,
    GroupMessage,
    LeaveGroup,
    Multicast,
    QuorumSeen,
    Reconnect,
)
from komainu.ring.corosync.ring import CorosyncRing
from komainu.ring.interface import (
    Absorbed,
    DeadlinePassed,
    Deliver,
    InstallView,
    Past,
    RingEffect,
    RingEvent,
    Stable,
    Stored,
    Submit,
)
from komainu.ring.settings import Engine, NodeSettings, RingSettings

STEP_MS = 5


@dataclass
class Life:
    """One life of a daemon with a small application on it: a log of payloads."""

    node: NodeId
    ring: CorosyncRing
    process: int
    is_connected: bool = False
    inbox: list[tuple[int, CorosyncEvent]] = field(default_factory=list)  # (place in the order, event)
    outbox: list[bytes] = field(default_factory=list)
    events: list[tuple[int, RingEvent]] = field(default_factory=list)  # (not before, event)
    paused_until: int = 0
    recent: dict[Position, str] = field(default_factory=dict)
    queue: list[RingEvent] = field(default_factory=list)
    is_busy: bool = False
    begun: InstallView | None = None
    has_state: bool = True
    log: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    submitted: int = 0
    tokens: dict[int, str] = field(default_factory=dict)


class World:
    """Nodes, components, and what was seen."""

    def __init__(self, seed: int, count: int) -> None:
        self.random = Random(seed)
        self.now = 0
        self.place = 0
        self.processes = 100
        nodes = tuple(
            NodeSettings(NodeId(n), NodeName(f"n{n}"), (LinkEnd(LinkNumber(0), f"10.0.0.{n}"),))
            for n in range(1, count + 1)
        )
        self.settings = {
            node.node: RingSettings("c", node.node, nodes, 1000, engine=Engine.COROSYNC) for node in nodes
        }
        self.lives: dict[NodeId, Life] = {}
        self.disks: dict[NodeId, tuple[Position, list[str]]] = {node.node: (Position(), []) for node in nodes}
        self.component: dict[NodeId, int] = {node.node: 0 for node in nodes}
        self.delivered: dict[tuple[str, Position], str] = {}
        self.acknowledged: set[str] = set()
        self.views = 0
        self.submitted_at: dict[str, int] = {}
        self.booted_at = 0
        self.trace: list[str] = []
        for node in self.settings:
            self.boot(node)

    # -- faults -----------------------------------------------------------------------------------------

    def boot(self, node: NodeId) -> None:
        position, log = self.disks[node]
        self.booted_at = self.now
        life = Incarnation(self.random.getrandbits(60))
        ring = CorosyncRing(self.settings[node], life, Instant(self.now), Past(position))
        self.lives[node] = Life(node, ring, self._process(), log=list(log))
        self.connect(node)

    def crash(self, node: NodeId) -> None:
        life = self.lives.pop(node)
        self.say(f"n{node} dies")
        if life.is_connected:
            self._announce(self.component[node], [(GroupMember(node, life.process), Ending.PROCESS_DIED)])

    def connect(self, node: NodeId) -> None:
        life = self.lives[node]
        if life.is_connected:
            return
        life.is_connected, life.process = True, self._process()
        life.inbox, life.outbox = [], []
        self._announce(self.component[node], [])
        self._tell_quorum()

    def disconnect(self, node: NodeId, *, tell: bool) -> None:
        life = self.lives[node]
        if not life.is_connected:
            return
        life.is_connected = False
        life.inbox, life.outbox = [], []
        if tell:
            life.events.append((self.now, EngineLost("Corosync ended")))
        self._announce(self.component[node], [(GroupMember(node, life.process), Ending.PROCESS_DIED)])

    def split(self) -> None:
        """Put every node into one of two components."""
        before = dict(self.component)
        fresh = max(self.component.values()) + 1
        for node in self.component:
            if self.random.random() < 0.5:
                self.component[node] += fresh
        self.say(f"partition {self.component}")
        self._move(before)

    def heal(self) -> None:
        before = dict(self.component)
        self.component = dict.fromkeys(self.component, 0)
        self.say("healed")
        self._move(before)

    def _move(self, before: dict[NodeId, int]) -> None:
        for component in sorted(set(self.component.values())):
            nodes = [node for node in self.component if self.component[node] == component]
            for old in sorted({before[node] for node in nodes}):
                came = [node for node in nodes if before[node] == old]
                gone = [node for node in before if before[node] == old and node not in nodes]
                if gone:
                    self._part(came, gone)
            self._announce(component, [])
        self._tell_quorum()

    def _part(self, came: list[NodeId], gone: list[NodeId]) -> None:
        """Let a part see the end of the old order: perhaps without its last messages, perhaps with more of its own."""
        lives = [self.lives[node] for node in came if node in self.lives and self.lives[node].is_connected]
        if not lives:
            return
        waiting = set.intersection(*({place for place, _ in life.inbox} for life in lives))
        for place in sorted(waiting, reverse=True):
            event = next(event for at, event in lives[0].inbox if at == place)
            is_foreign = isinstance(event, GroupMessage) and event.sender.node in gone
            if not is_foreign or self.random.random() < 0.3:
                break
            for life in lives:
                life.inbox = [(at, each) for at, each in life.inbox if at != place]
        for life in lives:
            while life.outbox and self.random.random() < 0.5:
                self._order(life, lives)
        missing = [
            (GroupMember(node, self.lives[node].process), Ending.NODE_LOST)
            for node in gone
            if node in self.lives and self.lives[node].is_connected
        ]
        members = tuple(sorted(GroupMember(life.node, life.process) for life in lives))
        self.place += 1
        for life in lives:
            life.inbox.append((self.place, GroupChanged(members, tuple(missing))))

    def _announce(self, component: int, gone: list[tuple[GroupMember, Ending]]) -> None:
        lives = self._connected(component)
        members = tuple(sorted(GroupMember(life.node, life.process) for life in lives))
        self.place += 1
        for life in lives:
            life.inbox.append((self.place, GroupChanged(members, tuple(gone))))

    def _tell_quorum(self) -> None:
        for node, life in self.lives.items():
            if life.is_connected:
                here = [other for other in self.component if self.component[other] == self.component[node]]
                needed = len(self.component) // 2 + 1
                seen = QuorumSeen(
                    len(here) >= needed, tuple((each, 1) for each in here), len(self.component), needed
                )
                life.events.append((self.now + self.random.randrange(300), seen))

    def _connected(self, component: int) -> list[Life]:
        return [
            life
            for life in self.lives.values()
            if life.is_connected and self.component[life.node] == component
        ]

    def _process(self) -> int:
        self.processes += 1
        return self.processes

    # -- going on ---------------------------------------------------------------------------------------

    def run(self, until: int) -> None:
        while self.now < until:
            self.now += STEP_MS
            for component in sorted(set(self.component.values())):
                lives = self._connected(component)
                for life in lives:
                    if life.outbox and self.random.random() < 0.8:
                        self._order(life, lives)
            for life in list(self.lives.values()):
                if self.now >= life.paused_until:
                    self._pump(life)

    def _order(self, sender: Life, lives: list[Life]) -> None:
        event = GroupMessage(GroupMember(sender.node, sender.process), sender.outbox.pop(0))
        self.place += 1
        for life in lives:
            life.inbox.append((self.place, event))

    def _pump(self, life: Life) -> None:
        due = [event for at, event in life.events if at <= self.now]
        life.events = [(at, event) for at, event in life.events if at > self.now]
        for event in due:
            self.give(life, event)
        while life.inbox and self.random.random() < 0.9:
            _, arrived = life.inbox.pop(0)
            self.give(life, arrived)
        deadline = life.ring.deadline
        if deadline is not None and self.now >= deadline:
            self.give(life, DeadlinePassed())

    def submit(self, node: NodeId) -> None:
        life = self.lives[node]
        life.submitted += 1
        payload = f"{node}.{life.process}.{life.submitted}"
        self.submitted_at[payload] = self.now
        life.tokens[life.submitted] = payload
        self.give(life, Submit(payload.encode(), life.submitted))

    def give(self, life: Life, event: RingEvent) -> None:
        life.queue.append(event)
        if life.is_busy:
            return
        life.is_busy = True
        while life.queue and self.lives.get(life.node) is life:
            for effect in life.ring.handle(life.queue.pop(0), Instant(self.now)):
                self._carry_out(life, effect)
        life.is_busy = False

    def _carry_out(self, life: Life, effect: RingEffect) -> None:
        match effect:
            case Multicast(data=data):
                if life.is_connected:
                    life.outbox.append(data)
            case Reconnect() | LeaveGroup():
                self.disconnect(life.node, tell=False)
                life.events.append((self.now + 50, DeadlinePassed()))
                self.connect(life.node)
            case InstallView():
                self._install(life, effect)
            case Deliver():
                self._deliver(life, effect)
            case Absorbed(token=token):
                life.tokens.pop(token)
            case Stable(position=position):
                self._check_stable(life, position)
            case Note(message=message):
                self.say(f"n{life.node} {message}")
            case _:
                pass

    # -- the application, and what it checks --------------------------------------------------------------

    def _install(self, life: Life, begun: InstallView) -> None:
        self.views += 1
        before, life.begun, life.kept = life.begun, begun, []
        life.recent.clear()
        life.has_state = life.node in begun.keeps_state
        key = self._key(life)
        self.say(f"n{life.node} begins {key} of {begun.view.members} owner {begun.owner} {begun.keeps_state}")
        assert begun.view.view_id != (before.view.view_id if before else None)
        if life.has_state:
            self.same(f"log at the beginning of {key} {begun.view.members}", json.dumps(life.log))
            self._store(life, begun.position)
        if begun.owner == life.node:
            if begun.view.quorate:
                lost = self.acknowledged - set(life.log)
                assert not lost, f"acknowledged, and not in the line of {key}: {sorted(lost)[:5]}"
            if len(begun.keeps_state) < len(begun.view.members):
                payload = b"S" + json.dumps([str(begun.position), life.log]).encode()
                self.give(life, Submit(payload, 10**9, is_snapshot=True))

    @staticmethod
    def _key(life: Life) -> str:
        """Name a view for ever: a restarted node may use a number again."""
        stream = life.ring._self.stream
        assert stream is not None
        return f"{stream.key.view_id} {stream.key.life} {stream.agreed.begun.view.members}"

    def same(self, what: str, value: str) -> None:
        """Check that everybody says the same about one thing."""
        known = self.delivered.setdefault((what, Position()), value)
        assert known == value, f"{what}: {known[-300:]} and {value[-300:]}"

    def _deliver(self, life: Life, effect: Deliver) -> None:
        begun = life.begun
        assert begun is not None
        text = effect.payload.decode()
        life.recent[effect.position] = text
        if effect.token is not None and effect.token < 10**9:
            assert life.tokens.pop(effect.token) == text
        if text.startswith("S"):
            position, log = json.loads(text[1:])
            if not life.has_state and effect.origin == begun.owner and position == str(begun.position):
                life.log, life.has_state = [*log, *life.kept], True
                self._store(life, effect.position)
            return
        if not life.has_state:
            life.kept.append(text)
            return
        # Who restarts has its log, but no memory of whose payloads are in it: an older one may come again.
        assert text not in life.log or self.submitted_at[text] <= self.booted_at, f"{text} is delivered twice"
        life.log.append(text)
        self._store(life, effect.position)

    def _store(self, life: Life, position: Position) -> None:
        self.disks[life.node] = (position, list(life.log))
        life.events.append((self.now + self.random.randrange(20), Stored(position)))

    def _check_stable(self, life: Life, position: Position) -> None:
        begun = life.begun
        assert begun is not None
        assert begun.view.quorate
        for node in begun.view.members:
            other = self.lives.get(node)
            assert other is None or self.disks[node][0] >= position or other.begun is not begun
        for at, text in life.recent.items():
            if at <= position:  # beyond it, the last of a view may be seen by one side of a split only
                self.same(f"{self._key(life)} {at}", text)
        stored, log = self.disks[life.node]
        if stored == position:
            self.acknowledged |= set(log)

    def say(self, text: str) -> None:
        self.trace.append(f"{self.now / 1000:8.3f} {text}")
