"""Join the cores of one node: route each event to its core, and each effect to the next core or to a shell.

Pure: it decides nothing of its own beyond the routing, and does no input or output, so that the daemon
(node/daemon.py) and the simulator (sim/world.py) run the very same node, and carry out what leaves here, in order.

The way of a change: a client or a core asks (`_broadcast`) -> the ring orders it -> the replica applies it ->
the executor, the fencer and, on the coordinator, the coordination look at what was applied.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from komainu.cib.command import (
    AdoptSnapshot,
    AnyCommand,
    CancelAction,
    ChangeLayout,
    ChangeMembership,
    ConfirmKey,
    ConfirmOff,
    EditConfiguration,
    ForgetOperations,
    LeaveNode,
    RecordFencing,
    RecordOperation,
    ReleaseNode,
    ReplaceConfiguration,
    RotateKey,
    SetAttribute,
    StartAction,
    encode,
)
from komainu.cib.state import ClusterState
from komainu.executor import interface as executing
from komainu.executor.executor import Executor
from komainu.fencing import interface as fencing
from komainu.fencing.fencing import Fencer
from komainu.fencing.interface import DevicesChanged, FenceAgentFinished, FencingEnded, RunFenceAgent
from komainu.model.cause import Cause
from komainu.model.ids import Incarnation, Instant, LinkNumber, WallTime
from komainu.model.moment import earliest, is_due
from komainu.model.report import Level, Note
from komainu.model.request import (
    AskStatus,
    Done,
    FenceNode,
    LayoutChange,
    RefusedReply,
    ReleaseLink,
    RotateClusterKey,
    StopNode,
)
from komainu.model.view import Position
from komainu.network import interface as network
from komainu.network.guard import NetworkGuard
from komainu.node import groups, status
from komainu.node.causes import Causes, seen_by_ring
from komainu.node.coordination import Coordination, CoordinationEffect
from komainu.node.desk import NOT_JOINED, Desk, command_of, may_promise, no_link
from komainu.node.devices import WATCHDOG_MARK, fencing_of
from komainu.node.engines import have_heard, life_of, make_ring
from komainu.node.groups import Groups
from komainu.node.interface import (
    Answer,
    AppendRecord,
    ClientAsked,
    ClientId,
    DeadlinePassed,
    DrawKey,
    DriveEffect,
    DriveEvent,
    Exit,
    KeyAccepted,
    KeyDrawn,
    MachineSeen,
    Persist,
    Persisted,
    PersistFailed,
    PlanArrived,
    PlanBeside,
    ResetComing,
    ResetMachine,
    StopAsked,
    UseLayout,
    WriteLayout,
)
from komainu.node.joining import Joining
from komainu.node.last_resort import LastResort
from komainu.node.lone_start import LoneStart
from komainu.node.membership import has_joined
from komainu.node.outlook import MakePlan
from komainu.node.pair import Pair
from komainu.node.reconfiguration import LayoutKeeper, change_for, is_removed
from komainu.node.replica import (
    Broadcast,
    CommandApplied,
    Missed,
    Reached,
    Replica,
    ReplicaEffect,
    SnapshotAdopted,
    Store,
)
from komainu.node.rotation import Rotation
from komainu.node.service_addresses import service_addresses
from komainu.recorder.flight_index import FlightIndex
from komainu.recorder.record import Record
from komainu.recorder.subjects import record_of
from komainu.ring import interface as ring
from komainu.ring.corosync import interface as corosync
from komainu.ring.quorum import is_two_node
from komainu.ring.settings import RingSettings

STOP_WITHIN_MS: Final = 20 * 60_000
"""How long an orderly stop may take before the daemon leaves anyway (Pacemaker's shutdown-escalation)."""

FAREWELL_MS: Final = 2_000
"""How long a node that may go waits until all members know what it did last. Who leaves before they know that its
resources are stopped is fenced for them. Twice the usual time of detection: who did not hear by then is lost itself."""


class Drive:
    """One node: its cores and what flows between them."""

    def __init__(
        self,
        settings: RingSettings,
        *,
        state: ClusterState,
        incarnation: Incarnation,
        history: tuple[Record, ...],
        make_plan: MakePlan,
        now: Instant,
        wall: WallTime,
        last_reset: str = "",
        promised: int = 0,
    ) -> None:
        """`last_reset`: why this machine was reset before this life, if somebody knows; `promised`: see ring.Past."""
        self.layouts = LayoutKeeper(settings, state)
        self.settings = settings = self.layouts.settings
        self.names = {node.node: node.name for node in settings.nodes}
        self.me = self.names[settings.me]
        self.ring = make_ring(settings, incarnation, now, ring.Past(state.position, promised, state.taken))
        self.replica = Replica(settings.me, self.names, state)
        self.executor = Executor(self.me)
        self.fencer = Fencer(self.me, seed=incarnation)
        self._fencing = DevicesChanged(())
        self.pair = Pair(settings)
        self.last_resort = LastResort(self.me, last_reset=last_reset)
        self.network = NetworkGuard(settings.of(settings.me).ends)
        self.index = FlightIndex()
        self.coordination = Coordination(self.me, life_of(incarnation), make_plan)
        self.desk = Desk()
        self.groups = Groups(self.me)
        self.rotation = Rotation(self.names)
        self.lone_start = LoneStart(self.names)
        self.causes = Causes(self.me)
        self.joining = Joining(self.executor, self.last_resort)
        self._now, self._wall = now, wall
        self._started_wall, self._started = wall, now
        self._out: list[DriveEffect] = []
        self._to_ring: deque[ring.RingEvent] = deque()
        self._token = 0
        self._stop_by: Instant | None = None
        self._released: Position | None = None  # all that was to be stopped here is, as of this position
        self._view_begun = Position()
        self._has_ended = False
        self._others_due: Instant | None = None  # when a core other than the ring wants to be woken
        for record in history:
            self.index.add(record)

    @property
    def deadline(self) -> Instant | None:
        """When `DeadlinePassed` is wanted."""
        due, others = self.ring.deadline, self._others_due
        return due if others is None or (due is not None and due < others) else others

    def start(self) -> list[DriveEffect]:
        """Record that this life began."""
        self._note_local("daemon", Cause("daemon.started", f"the daemon of {self.me} started"), (self.me,))
        self._change_configuration()
        return self._settle(is_news=True)

    def handle(self, event: DriveEvent, now: Instant, wall: WallTime) -> list[DriveEffect]:
        """Apply one event; return what the shells must do, in order."""
        self.pair.wake(now, due=self.ring.deadline)
        self._now, self._wall = now, wall
        if self._has_ended:
            return []
        is_news = True
        match event:
            case ring.PacketReceived():
                self._to_ring.append(event)
                is_news = False
            case DeadlinePassed():
                is_news = self._pass_deadlines()
            case (
                ring.PeerRefused()
                | ring.WitnessVoted()
                | ring.PromiseKept()
                | corosync.GroupChanged()
                | corosync.GroupMessage()
                | corosync.QuorumSeen()
                | corosync.PathsSeen()
                | corosync.EngineLost()
            ):
                self._to_ring.append(event)
            case executing.ProcessesGone(resource=resource):
                self.causes.saw(resource, f"a process of {resource} ended")
                self._take_executor(self.executor.handle(event, now))
            case executing.AgentFinished() | executing.AgentDescribed():
                self._take_executor(self.executor.handle(event, now))
            case FenceAgentFinished():
                self._take_fencer(self.fencer.handle(event, now))
            case Persisted(token=token):
                self._take_replica(self.replica.stored(token))
            case PersistFailed(reason=reason):
                # What could not be stored must not be promised, and memory that differs from the disk is a trap.
                self._end(74, f"the cluster state could not be stored: {reason}")
            case PlanArrived():
                self._take_coordination(self.coordination.planned(event, self.replica.state, now, wall))
            case ClientAsked():
                self._answer(event)
            case groups.ProgramJoins() | groups.ProgramSends() | groups.ProgramLeaves():
                self._take_replica(self.groups.handle(event))
            case KeyDrawn(client=client):
                self._broadcast(Rotation.command(event, wall), client)
            case KeyAccepted():
                self._broadcast(Rotation.confirmation(self.me, event, wall))
            case MachineSeen():
                self.joining.workload.saw(event)
            case ResetComing(reason=reason):
                self._broadcast(self.last_resort.farewell(reason, wall))
            case StopAsked():
                self._stop()
            case network.ClientsSeen():
                if race := self.pair.clients_seen(event, self.ring):
                    self._take_fencer(self.fencer.handle(race, now))
            case _:  # what is left is what the shells of the network tell
                self._take_network(self.network.handle(event, now))
        return self._settle(is_news=is_news)

    # -- routing ----------------------------------------------------------------------------------------

    def _settle(self, *, is_news: bool) -> list[DriveEffect]:
        """Feed the ring until nothing is left for it, do what that makes due, then hand out all effects.

        Nothing is due without news: after a heartbeat that says what the one before it said, or our own.
        """

        def is_the_line() -> bool:
            """Whether what this view agrees on can be promised: nobody else can go on from an older state."""
            state = self.replica.state
            return self.replica.is_synced and may_promise(self.ring.view, len(self.settings.nodes), state.cib)

        has_confirmed = False
        while True:
            while self._to_ring:
                for effect in self.ring.handle(self._to_ring.popleft(), self._now):
                    self._take_ring(effect)
                    is_news |= not isinstance(effect, ring.SendPacket)
            if not is_news:
                out, self._out = self._out, []
                return out
            if self.layouts.due(self.ring.stable):
                self._change_configuration()
                self._out.append(WriteLayout(self.settings))
                continue
            if self.replica.is_synced:
                doing = self.coordination.doing()
                if word := self.pair.word(self.replica.state, self.ring, self._wall, doing):
                    self._broadcast(word)
                    continue
            view, lineage = self.ring.view, self.replica.state.position.lineage
            if self.replica.is_synced:
                said = self.joining.due(self.ring, self._view_begun, self.replica.state.cib, self._wall)
                for command in said:
                    self._broadcast(command)
                if said:
                    continue
            if has_confirmed or view is None or lineage >= view.view_id.counter or not is_the_line():
                break
            has_confirmed = True
            self._to_ring.append(ring.Confirmed())
        # The ring's mark may be that of an earlier view, whose members were others.
        if self.desk.has_promised and self.ring.stable >= self._view_begun and is_the_line():
            self._out += self.desk.keep(self.ring.stable)
        if self._released is not None and not self._has_ended and have_heard(self.ring, self._released):
            self._end(0, "left the cluster, as it was asked to")
        cores = (self.executor, self.fencer, self.coordination, self.network)
        self._others_due = earliest(self._stop_by, *(core.deadline for core in cores))
        out, self._out = self._out, []
        return out

    def _pass_deadlines(self) -> bool:
        """Wake who waits for this moment; whether anybody but the ring does."""
        now = self._now
        if is_due(now, self.ring.deadline):
            self._to_ring.append(ring.DeadlinePassed())
        if not is_due(now, self._others_due):
            return False
        if is_due(now, self.executor.deadline):
            self._take_executor(self.executor.handle(executing.DeadlinePassed(), now))
        if is_due(now, self.fencer.deadline):
            self._take_fencer(self.fencer.handle(fencing.DeadlinePassed(), now))
        if is_due(now, self.network.deadline):
            self._take_network(self.network.handle(network.DeadlinePassed(), now))
        if is_due(now, self.coordination.deadline):
            self._take_coordination(self.coordination.tick(self.replica.state, now, self._wall))
        if is_due(now, self._stop_by):
            self._end(0, "the orderly stop took too long")
        return True

    def _take_ring(self, effect: ring.RingEffect) -> None:
        match effect:
            case ring.SendPacket() | ring.AskWitness() | ring.KeepPromise() | Note():
                self._out.append(effect)
            case corosync.Multicast() | corosync.LeaveGroup() | corosync.Reconnect():
                self._out.append(effect)
            case ring.Deliver(payload=payload) if groups.is_word(payload):
                self._take_replica(self.groups.deliver(payload, effect.position))
            case ring.Deliver():
                self._take_replica(self.replica.deliver(effect))
            case ring.Absorbed(token=token):
                self._out += self.desk.absorbed(token)
            case ring.InstallView(view=view):
                self._view_begun = effect.position
                if self.settings.me not in effect.keeps_state:
                    self._out += self.desk.abandon()
                race = self.pair.begin(effect, self.replica.state, self.ring, self._now)
                self._out += self.rotation.begin_view(view.members, effect.keeps_state)
                self.lone_start.begin_view(view.members)
                is_coordinator = view.coordinator == self.settings.me
                self.coordination.begin_view(view.view_id, is_coordinator=is_coordinator, now=self._now)
                self._take_fencer(self.fencer.handle(race, self._now))
                self._take_replica(self.replica.install(effect, self._wall))
                self._take_replica(self.groups.install(effect, self.names, self.settings.me))
                if not self.layouts.is_current(self.replica.state):
                    self._change_configuration()  # a node that was removed had to leave the view first
                cib, halves_stay = self.replica.state.cib, is_two_node(self.settings)
                if reason := self.last_resort.lost_quorum(view, cib, halves_stay=halves_stay):
                    self._note_local("reset", Cause("reset.quorum-lost", reason), (self.me,))
                    self._out.append(ResetMachine(reason))
            case ring.LineRaised(position=position):
                self._take_replica(self.replica.raise_line(position))
            case ring.Stable():
                pass  # _settle looks at the ring's mark after every event
            case ring.LayoutLearned(layout=layout):
                members = self.ring.view.members if self.ring.view else ()
                if cause := self.layouts.turned_away(layout, members):
                    self._note_local("layout", cause, (self.me,))
                elif self.layouts.learn(layout, members):
                    self._change_configuration()
                    self._out.append(WriteLayout(self.settings))
            case ring.PeerDoubted():
                if doubt := self.pair.doubts(effect, self.replica.state):
                    self._take_fencer(self.fencer.handle(doubt, self._now))
            case ring.LinkChanged() | ring.PeerEndChanged() | ring.RouteChanged():
                self._note_local(*seen_by_ring(effect, self.me, self.names[effect.peer]))
            case _:
                assert_never(effect)

    def _take_replica(self, effects: Sequence[ReplicaEffect | groups.GroupsEffect]) -> None:
        for effect in effects:
            match effect:
                case Broadcast(command=command):
                    self._broadcast(command)
                case Store(token=token, text=text):
                    self._out.append(Persist(token, text))
                case Reached(position=position):
                    self._to_ring.append(ring.Stored(position))
                case groups.SubmitWord(payload=payload):
                    self._token += 1
                    self._to_ring.append(ring.Submit(payload, self._token))
                case Missed(token=token):
                    self._out += self.desk.absorbed(token)
                case CommandApplied():
                    self._observe(effect)
                case SnapshotAdopted(records=lines):
                    self._out += [AppendRecord(record) for record in self.index.adopt(lines)]
                    self._change_configuration()
                case groups.TellProgram() | Note():
                    self._out.append(effect)
                case _:
                    assert_never(effect)

    def _take_coordination(self, effects: list[CoordinationEffect]) -> None:
        for effect in effects:
            match effect:
                case Broadcast(command=command):
                    self._broadcast(command)
                case fencing.FenceRequested():
                    self._change_configuration()  # what watchdogs promise is status, and may have changed
                    self._take_fencer(self.fencer.handle(effect, self._now))
                case PlanBeside() | Note():
                    self._out.append(effect)
                case _:
                    assert_never(effect)

    def _take_executor(self, effects: list[executing.ExecutorEffect]) -> None:
        for effect in effects:
            match effect:
                case executing.RunAgent() | executing.DescribeAgent() | executing.StopWatching() | Note():
                    self._out.append(effect)
                case executing.ReportResult(result=result):
                    cause = self.causes.of_result(result)
                    self._broadcast(RecordOperation(cause=cause, at=self._wall, user="", result=result))
                case _:
                    assert_never(effect)

    def _take_fencer(self, effects: list[fencing.FencingEffect]) -> None:
        for effect in effects:
            match effect:
                case RunFenceAgent() | Note():
                    self._out.append(effect)
                case fencing.TurnsChanged(turns=turns):
                    self.pair.turns = turns
                    state = self.replica.state
                    self._take_coordination(self.coordination.take_turns(turns, state, self._now, self._wall))
                case fencing.PeerFoundOff(target=target):
                    self._to_ring.append(ring.PeerOff(self.pair.id_of(target)))
                case FencingEnded(record=record):
                    cause = self.causes.of_fencing(record)
                    self._broadcast(RecordFencing(cause, self._wall, "", record))
                case _:
                    assert_never(effect)

    def _take_network(self, effects: list[network.NetworkEffect]) -> None:
        for effect in effects:
            match effect:
                case network.EndChanged(link=link, state=state, reason=reason):
                    self._to_ring.append(ring.EndChanged(link, state, reason))
                case network.Remark(link=link, level=level, code=code, text=text):
                    self._out.append(Note(level, code, f"link {link}: {text}"))
                    self._note_local("link", Cause(code, f"link {link}: {text}"), (f"link{link}", self.me))
                case network.ServiceAddressGone(resource=resource, address=address):
                    self.causes.saw(resource, f"address {address} was deleted")
                    lost = executing.AddressLost(resource, address)
                    self._take_executor(self.executor.handle(lost, self._now))
                case (
                    network.UseInterface()
                    | network.FindCulprit()
                    | network.AddAddress()
                    | network.RemoveAddress()
                    | Note()
                ):
                    self._out.append(effect)
                case _:
                    assert_never(effect)

    # -- what was applied -------------------------------------------------------------------------------

    def _observe(self, done: CommandApplied) -> None:
        """Let each core look at a command that took its turn."""
        record = record_of(done.command, position=done.position, node=done.origin, applied=done.applied)
        self.index.add(record)
        self._out.append(AppendRecord(record))
        self._out += self.last_resort.settle(done)
        if done.applied.is_accepted:
            self._carry_out(done)
        self._out += self.desk.settle(done)
        effects = self.coordination.observe(done, self.replica.state, self._now, self._wall)
        self._take_coordination(effects)

    def _carry_out(self, done: CommandApplied) -> None:
        """Do this node's own part of an accepted command."""
        match done.command:
            case StartAction(request=request) if request.node == self.me:
                self.causes.asked(request.transition_key, str(done.position))
                wanted = executing.ActionRequested(request, self._wall)
                self._take_executor(self.executor.handle(wanted, self._now))
            case CancelAction() as cancel if cancel.node == self.me:
                event = executing.ActionCancelled(cancel.resource, cancel.operation, cancel.interval_ms)
                self._take_executor(self.executor.handle(event, self._now))
            case ForgetOperations() as forget if forget.node in {None, self.me} and not forget.failures_only:
                self.executor.forget(forget.resource)
            case RecordFencing(record=record) if record.delegate == self.me:
                self.causes.asked(record.request, str(done.position))
                self._take_coordination([*self.last_resort.started(done, self._wall)])
            case SetAttribute(name=name) if name == WATCHDOG_MARK:
                self._change_configuration()
            case ChangeMembership() if self.replica.has_adopted or not has_joined(
                self.replica.state.cib, self.me
            ):
                self.joining.begin(done.position)
            case ReleaseNode(node=node) if node == self.me and self._stop_by is not None:
                self._released = done.position
                self._stop_by = Instant(self._now + FAREWELL_MS)
            case ReplaceConfiguration() | EditConfiguration() | ChangeLayout():
                self._change_configuration()
            case ConfirmOff(node=node) if self.lone_start.confirmed(node, self.ring.view):
                self._to_ring.append(ring.StartAlone())
            case RotateKey() as rotate:
                self._out += self.rotation.begin(rotate, self.desk.hand_over(done.token))
            case ConfirmKey() as confirm:
                self._out += self.rotation.confirmed(confirm, done.origin, done.position)
            case _:
                pass

    def _change_configuration(self) -> None:
        """Tell the cores what the configuration says that they act on by themselves."""
        if is_removed(self.settings, self.replica.state.layout) and not self._has_ended:
            self._end(0, f"{self.me} was removed from the cluster; it comes back once it is added again")
            return
        self.layouts.follow(self.replica.state, self.ring.view.members if self.ring.view else ())
        if self.layouts.settings is not self.settings:
            self.settings = newer = self.layouts.settings
            self.names.clear()
            self.names.update((node.node, node.name) for node in newer.nodes)
            self.pair.reconfigure(newer)
            self._take_network(self.network.reconfigure(newer.of(newer.me).ends))
            self._to_ring.appendleft(ring.Reconfigure(newer))  # before anything else happens to the ring
            self._out.append(UseLayout(newer))
        cib = self.replica.state.cib
        fresh = fencing_of(cib, halves_stay=is_two_node(self.settings))
        if fresh != self._fencing:
            self._fencing = fresh
            self._take_fencer(self.fencer.handle(fresh, self._now))
        if self.coordination.is_coordinator and not is_two_node(self.settings):
            self._take_replica(self.last_resort.planned_with(cib, self._wall))
        self._take_network(self.network.handle(network.ServiceAddresses(service_addresses(cib)), self._now))

    # -- commands and clients ---------------------------------------------------------------------------

    def _broadcast(self, command: AnyCommand, client: ClientId | None = None) -> None:
        self._token += 1
        if client is not None:
            self.desk.expect(self._token, client)
        is_snapshot = isinstance(command, AdoptSnapshot)
        if isinstance(command, AdoptSnapshot):
            command = msgspec.structs.replace(command, records=self.index.newest())
        self._to_ring.append(ring.Submit(encode(command), self._token, is_snapshot))

    def _answer(self, asked: ClientAsked) -> None:
        """Answer at once what needs no agreement; submit the rest."""
        request, client, at = asked.request, asked.client, self._wall
        here = Done(str(self.replica.state.position))
        if isinstance(request, status.Question):
            self._out.append(Answer(client, status.answer(self, request, self._now, at)))
            if isinstance(request, AskStatus):
                self._out += self.coordination.outlook.look(self.replica.state, at)
        elif isinstance(request, ReleaseLink):
            link = LinkNumber(request.link)
            if is_known := self.network.has_link(link):
                wish = network.LinkReleased(link, request.is_released, asked.user or "somebody")
                self._take_network(self.network.handle(wish, self._now))
            self._out.append(Answer(client, here if is_known else no_link(link)))
        elif isinstance(request, StopNode):
            self._stop()
            self._out.append(Answer(client, Done(here.version, f"{self.me} is stopping")))
        elif self.ring.view is None or not self.replica.is_synced:
            self._out.append(Answer(client, NOT_JOINED))
        elif isinstance(request, RotateClusterKey):
            refusal = self.rotation.refuse(self.ring.view.members)
            self._out.append(DrawKey(client, asked.user) if refusal is None else Answer(client, refusal))
        elif isinstance(request, FenceNode):
            cib = self.replica.state.cib
            self._broadcast(self.last_resort.order(request, client, cib, user=asked.user, at=at))
        elif isinstance(request, LayoutChange):
            members = self.ring.view.members
            change = change_for(request, self.settings, members=members, user=asked.user, at=at)
            if isinstance(change, RefusedReply):
                self._out.append(Answer(client, change))
            else:
                self._broadcast(change, client)
        else:
            self._broadcast(command_of(request, asked.user, at), client)

    # -- ending, and what only this node sees -----------------------------------------------------------

    def _stop(self) -> None:
        """Begin an orderly stop; without a state to agree on there is nothing to hand over."""
        if self._stop_by is not None:
            return
        self._stop_by = Instant(self._now + STOP_WITHIN_MS)
        if self.ring.view is None or not self.replica.is_synced:
            self._end(0, "stopped before it had joined")
            return
        cause = Cause("operator.stop", f"{self.me} was asked to stop")
        self._broadcast(LeaveNode(cause, self._wall, "", self.me))

    def _end(self, code: int, reason: str) -> None:
        """End the daemon. Only who ends in order bids farewell: what still runs here must not be thought stopped."""
        for effect in self.ring.handle(ring.Leave(), self._now) if code == 0 else ():
            if isinstance(effect, ring.SendPacket | corosync.LeaveGroup):
                self._out.append(effect)
        self._out.append(Note(Level.NOTICE if code == 0 else Level.ERROR, "daemon.ending", reason))
        ended = Cause("daemon.ended", f"the daemon of {self.me} ended: {reason}")
        self._note_local("daemon", ended, (self.me,))
        self._out.append(Exit(code, reason))
        self._to_ring.clear()
        self._has_ended = True

    def _note_local(self, kind: str, cause: Cause, subjects: tuple[str, ...]) -> None:
        record = Record(position="", at=self._wall, node=self.me, kind=kind, cause=cause, subjects=subjects)
        self.index.add(record)
        self._out.append(AppendRecord(record))
