"""Join the cores of one node: route each event to its core, and each effect to the next core or to a shell.

Pure: it decides nothing of its own beyond the routing, and does no input or output, so that the daemon
(node/daemon.py) and the simulator (sim/world.py) run the very same node. What leaves here is carried out by
them, in order.

The way of a change: a client or a core asks (`_broadcast`) -> the ring orders it -> the replica applies it ->
the executor, the fencer and, on the coordinator, the coordination look at what was applied.
"""

from collections import deque
from typing import Final, assert_never

from komainu.cib.command import (
    AnyCommand,
    CancelAction,
    ChangeMembership,
    ConfirmOff,
    EditConfiguration,
    ForgetOperations,
    JoinNode,
    LeaveNode,
    RecordFencing,
    RecordOperation,
    ReleaseNode,
    ReplaceConfiguration,
    StartAction,
    encode,
)
from komainu.cib.state import ClusterState
from komainu.executor import interface as executing
from komainu.executor.executor import Executor
from komainu.executor.interface import (
    ActionCancelled,
    ActionRequested,
    AgentFinished,
    ProcessesGone,
    ReportResult,
    RunAgent,
    StopWatching,
)
from komainu.fencing import interface as fencing
from komainu.fencing.fencing import Fencer
from komainu.fencing.interface import DevicesChanged, FenceAgentFinished, FencingEnded, RunFenceAgent
from komainu.model.cause import Cause
from komainu.model.ids import Incarnation, Instant, WallTime
from komainu.model.operation import OperationResult
from komainu.model.report import Level, Note
from komainu.model.request import (
    ApplyConfiguration,
    AskConfiguration,
    AskStatus,
    AskWhy,
    Cleanup,
    ConfirmNodeOff,
    Done,
    EditConfigurationRequest,
    Refusal,
    RefusedReply,
    Reply,
    StopNode,
)
from komainu.model.view import Position
from komainu.network import interface as network
from komainu.network.link_ends import LinkEnds
from komainu.node import race, status
from komainu.node.coordination import Coordination, MakePlan
from komainu.node.devices import fence_devices
from komainu.node.interface import (
    Answer,
    AppendRecord,
    ClientAsked,
    ClientId,
    DeadlinePassed,
    DriveEffect,
    DriveEvent,
    Exit,
    Persist,
    Persisted,
    PersistFailed,
    StopAsked,
)
from komainu.node.membership import node_conditions
from komainu.node.replica import (
    Broadcast,
    CommandApplied,
    Reached,
    Replica,
    ReplicaEffect,
    SnapshotAdopted,
    Store,
)
from komainu.recorder.flight_index import FlightIndex
from komainu.recorder.record import Record
from komainu.recorder.subjects import record_of
from komainu.ring import interface as ring
from komainu.ring.builtin import BuiltinRing
from komainu.ring.settings import RingSettings, derive

STOP_WITHIN_MS: Final = 20 * 60_000
"""How long an orderly stop may take before the daemon leaves anyway (Pacemaker's shutdown-escalation)."""

ASKED_MAX: Final = 1_000
"""Operations whose command position is remembered, to name it as the cause of their result."""

_CHECK_HINT: Final = "see what holds with `komainu config show`, then ask again"
_REFUSED_ABANDONED: Final = RefusedReply(
    (
        Refusal(
            "node.abandoned",
            "this node was cut off when it made the change, which was not kept",
            _CHECK_HINT,
            "",
        ),
    )
)
_REFUSED_UNKNOWN: Final = RefusedReply(
    (Refusal("node.unknown-outcome", "this node was cut off when the change had its turn", _CHECK_HINT, ""),)
)


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
    ) -> None:
        self.settings = settings
        self.names = {node.node: node.name for node in settings.nodes}
        self.me = self.names[settings.me]
        self.ring = BuiltinRing(settings, incarnation=incarnation, now=now, position=state.position)
        self.replica = Replica(settings.me, self.names, state)
        self.executor = Executor(self.me)
        self.fencer = Fencer(self.me)
        self.ends = LinkEnds(settings.of(settings.me).ends)
        self.index = FlightIndex()
        self.coordination = Coordination(self.me, _life(incarnation), make_plan)
        self.make_plan = make_plan
        self._now, self._wall = now, wall
        self._started_wall, self._started = wall, now
        self._out: list[DriveEffect] = []
        self._to_ring: deque[ring.RingEvent] = deque()
        self._token = 0
        self._questions: dict[int, ClientId] = {}  # by the token of the command that answers them
        self._promised: list[tuple[Position, ClientId]] = []  # applied, not yet stored everywhere
        self._asked: dict[str, str] = {}  # transition key -> position of its StartAction
        self._processes_gone: dict[str, Instant] = {}
        self._stop_by: Instant | None = None
        self._has_ended = False
        for record in history:
            self.index.add(record)

    @property
    def deadline(self) -> Instant | None:
        """When `DeadlinePassed` is wanted."""
        cores = (self.ring, self.executor, self.fencer, self.coordination)
        deadlines = [core.deadline for core in cores] + [self._stop_by]
        return min((moment for moment in deadlines if moment is not None), default=None)

    def start(self) -> list[DriveEffect]:
        """Record that this life began."""
        self._note_local("daemon", Cause("daemon.started", f"the daemon of {self.me} started"), (self.me,))
        self._change_devices()
        return self._settle()

    def handle(self, event: DriveEvent, now: Instant, wall: WallTime) -> list[DriveEffect]:
        """Apply one event; return what the shells must do, in order."""
        self._now, self._wall = now, wall
        if self._has_ended:
            return []
        match event:
            case ring.PacketReceived() | ring.PeerRefused():
                self._to_ring.append(event)
            case (
                network.InterfaceSeen()
                | network.InterfaceGone()
                | network.AddressSeen()
                | network.AddressGone()
                | network.DumpBegins()
                | network.DumpEnds()
            ):
                self._take_network(self.ends.handle(event, now))
            case ProcessesGone(resource=resource):
                self._processes_gone[resource] = now
                self._take_executor(self.executor.handle(event, now))
            case AgentFinished():
                self._take_executor(self.executor.handle(event, now))
            case FenceAgentFinished():
                self._take_fencer(self.fencer.handle(event, now))
            case Persisted(token=token):
                self._take_replica(self.replica.stored(token))
            case PersistFailed(reason=reason):
                # What could not be stored must not be promised, and memory that differs from the disk is a trap.
                self._end(74, f"the cluster state could not be stored: {reason}")
            case ClientAsked():
                self._answer(event)
            case StopAsked():
                self._stop()
            case DeadlinePassed():
                self._pass_deadlines()
            case _:
                assert_never(event)
        return self._settle()

    # -- routing ----------------------------------------------------------------------------------------

    def _settle(self) -> list[DriveEffect]:
        """Feed the ring until nothing is left for it, then hand out all effects."""
        while self._to_ring:
            for effect in self.ring.handle(self._to_ring.popleft(), self._now):
                self._take_ring(effect)
        self._keep_promises()
        out, self._out = self._out, []
        return out

    def _pass_deadlines(self) -> None:
        now = self._now

        def is_due(moment: Instant | None) -> bool:
            return moment is not None and now >= moment

        if is_due(self.ring.deadline):
            self._to_ring.append(ring.DeadlinePassed())
        if is_due(self.executor.deadline):
            self._take_executor(self.executor.handle(executing.DeadlinePassed(), now))
        if is_due(self.fencer.deadline):
            self._take_fencer(self.fencer.handle(fencing.DeadlinePassed(), now))
        if is_due(self.coordination.deadline):
            self._take_coordination(self.coordination.tick(self.replica.state, now, self._wall))
        if is_due(self._stop_by):
            self._end(0, "the orderly stop took too long")

    def _take_ring(self, effect: ring.RingEffect) -> None:
        match effect:
            case ring.SendPacket() | Note():
                self._out.append(effect)
            case ring.Deliver():
                self._take_replica(self.replica.deliver(effect))
            case ring.Absorbed(token=token):
                client = self._questions.pop(token, None)
                if client is not None:
                    self._reply(client, _REFUSED_UNKNOWN)
            case ring.InstallView(view=view):
                self._abandon_promises(effect)
                self.coordination.begin_view(
                    view.view_id,
                    is_coordinator=view.coordinator == self.settings.me,
                    yield_ms=self._yield_ms(effect),
                    now=self._now,
                )
                self._take_replica(self.replica.install(effect, self._wall))
            case ring.Stable():
                pass  # _keep_promises looks at the ring's mark after every event
            case ring.LinkChanged():
                self._note_link(effect)
            case _:
                assert_never(effect)

    def _take_replica(self, effects: list[ReplicaEffect]) -> None:
        for effect in effects:
            match effect:
                case Broadcast(command=command):
                    self._broadcast(command)
                case Store(token=token, text=text):
                    self._out.append(Persist(token, text))
                case Reached(position=position):
                    self._to_ring.append(ring.Stored(position))
                case CommandApplied():
                    self._observe(effect)
                case SnapshotAdopted():
                    self._change_devices()
                case Note():
                    self._out.append(effect)
                case _:
                    assert_never(effect)

    def _take_coordination(self, effects: list["Broadcast | fencing.FenceRequested | Note"]) -> None:
        for effect in effects:
            match effect:
                case Broadcast(command=command):
                    self._broadcast(command)
                case fencing.FenceRequested():
                    self._take_fencer(self.fencer.handle(effect, self._now))
                case Note():
                    self._out.append(effect)
                case _:
                    assert_never(effect)

    def _take_executor(self, effects: list[executing.ExecutorEffect]) -> None:
        for effect in effects:
            match effect:
                case RunAgent() | StopWatching() | Note():
                    self._out.append(effect)
                case ReportResult(result=result):
                    cause = self._cause_of(result)
                    self._broadcast(RecordOperation(cause=cause, at=self._wall, user="", result=result))
                case _:
                    assert_never(effect)

    def _take_fencer(self, effects: list[fencing.FencingEffect]) -> None:
        for effect in effects:
            match effect:
                case RunFenceAgent() | Note():
                    self._out.append(effect)
                case FencingEnded(record=record):
                    started = self._asked.get(f"fence {record.request}")
                    text = f"fencing of {record.target} by {record.device or 'no device'}: {record.outcome}"
                    because = () if started is None else (started,)
                    cause = Cause(f"fencing.{record.state.value}", text, because)
                    self._broadcast(RecordFencing(cause, self._wall, "", record))
                case _:
                    assert_never(effect)

    def _take_network(self, effects: list[network.NetworkEffect]) -> None:
        for effect in effects:
            match effect:
                case network.EndChanged(link=link, state=state, reason=reason):
                    self._to_ring.append(ring.EndChanged(link, state, reason))
                case Note():
                    self._out.append(effect)
                case _:
                    assert_never(effect)

    def _yield_ms(self, begun: ring.InstallView) -> int:
        """How long this side of a split lets the other one act first."""
        lost = {self.names[gone.node] for gone in begun.departures if not gone.clean}
        members = {self.names[node] for node in begun.view.members}
        if not lost or 2 * len(members) > len(self.names):
            return 0
        return race.yield_ms(
            race.Split(
                weight=race.weight_of(self.replica.state.cib, members),
                lost_weight=race.weight_of(self.replica.state.cib, lost),
                is_lowest=min(begun.view.members) < min(gone.node for gone in begun.departures),
                links=tuple(self.ring.links()),
            ),
            detect_within_ms=derive(self.settings).detect_within_ms,
            now=self._now,
        )

    # -- what was applied -------------------------------------------------------------------------------

    def _observe(self, done: CommandApplied) -> None:
        """Let each core look at a command that took its turn."""
        record = record_of(done.command, position=done.position, node=done.origin, applied=done.applied)
        self.index.add(record)
        self._out.append(AppendRecord(record))
        self._settle_question(done)
        if done.applied.is_accepted:
            self._carry_out(done)
        effects = self.coordination.observe(done, self.replica.state, self._now, self._wall)
        self._take_coordination(effects)

    def _carry_out(self, done: CommandApplied) -> None:
        """Do this node's own part of an accepted command."""
        match done.command:
            case StartAction(request=request) if request.node == self.me:
                self._remember(request.transition_key, str(done.position))
                self._take_executor(self.executor.handle(ActionRequested(request, self._wall), self._now))
            case CancelAction() as cancel if cancel.node == self.me:
                event = ActionCancelled(cancel.resource, cancel.operation, cancel.interval_ms)
                self._take_executor(self.executor.handle(event, self._now))
            case ForgetOperations() as forget if forget.node in {None, self.me} and not forget.failures_only:
                self.executor.forget(forget.resource)
            case RecordFencing(record=record) if record.delegate == self.me:
                self._remember(f"fence {record.request}", str(done.position))
            case ChangeMembership() if self._must_join():
                cause = Cause("membership.joined", f"{self.me} says what runs on it", (str(done.position),))
                history = self.executor.history()
                self._broadcast(JoinNode(cause, self._wall, "", self.me, history))
            case ReleaseNode(node=node) if node == self.me and self._stop_by is not None:
                self._end(0, "left the cluster, as it was asked to")
            case ReplaceConfiguration() | EditConfiguration():
                self._change_devices()
            case _:
                pass

    def _must_join(self) -> bool:
        """Whether the state does not know yet what runs here."""
        mine = (node for node in node_conditions(self.replica.state.cib) if node.name == self.me)
        return self.replica.has_adopted or not any(node.has_joined for node in mine)

    def _change_devices(self) -> None:
        devices = fence_devices(self.replica.state.cib)
        self._take_fencer(self.fencer.handle(DevicesChanged(devices), self._now))

    def _remember(self, key: str, position: str) -> None:
        self._asked[key] = position
        while len(self._asked) > ASKED_MAX:
            del self._asked[next(iter(self._asked))]

    def _cause_of(self, result: OperationResult) -> Cause:
        """Name why a result came: the action that was asked for, or what was seen here."""
        request = result.request
        what = f"{request.operation} of {request.resource} on {self.me}"
        if result.is_expected:
            because = self._asked.get(request.transition_key)
            text = f"{what}: as expected"
            return Cause("operation.done", text, () if because is None else (because,))
        gone = self._processes_gone.pop(request.resource, None)
        seen = "" if gone is None else f"a process of {request.resource} ended; "
        outcome = result.exit_reason or f"exit code {result.exit_code}"
        return Cause("operation.failed", f"{seen}{what} failed: {outcome}")

    # -- commands and clients ---------------------------------------------------------------------------

    def _broadcast(self, command: AnyCommand, client: ClientId | None = None) -> None:
        self._token += 1
        if client is not None:
            self._questions[self._token] = client
        self._to_ring.append(ring.Submit(encode(command), self._token))

    def _answer(self, asked: ClientAsked) -> None:
        """Answer at once what needs no agreement; submit the rest."""
        request, client, at = asked.request, asked.client, self._wall
        match request:
            case AskStatus():
                self._reply(client, status.status_of(self, self._now, at))
            case AskConfiguration(status=with_status):
                self._reply(client, status.configuration_of(self.replica.state, with_status=with_status))
            case AskWhy(subject=subject, at=moment):
                self._reply(client, self.index.why(subject, moment))
            case StopNode():
                self._stop()
                self._reply(client, Done(str(self.replica.state.position), f"{self.me} is stopping"))
            case ApplyConfiguration(xml=xml, expected=expected):
                cause = _operator(asked.user, "replaced the configuration")
                self._ask_ring(ReplaceConfiguration(cause, at, asked.user, xml, expected), client)
            case EditConfigurationRequest(edits=edits, reason=reason):
                cause = _operator(asked.user, f"ran: {reason}")
                self._ask_ring(EditConfiguration(cause, at, asked.user, edits, None), client)
            case Cleanup(resource=resource, node=node):
                cause = _operator(asked.user, f"asked to forget failures of {resource or 'all resources'}")
                command = ForgetOperations(cause, at, asked.user, resource, node, failures_only=False)
                self._ask_ring(command, client)
            case ConfirmNodeOff(node=node):
                cause = _operator(asked.user, f"confirmed that {node} is off")
                self._ask_ring(ConfirmOff(cause, at, asked.user, node), client)
            case _:
                assert_never(request)

    def _ask_ring(self, command: AnyCommand, client: ClientId) -> None:
        if self.ring.view is None or not self.replica.is_synced:
            hint = "wait until `komainu status` shows this node as online, then try again"
            refusal = Refusal("node.not-joined", "this node has not joined the cluster yet", hint, "")
            self._reply(client, RefusedReply((refusal,)))
            return
        self._broadcast(command, client)

    def _settle_question(self, done: CommandApplied) -> None:
        """Refuse a client's command at once, or promise an answer for when it is stored everywhere."""
        client = None if done.token is None else self._questions.pop(done.token, None)
        if client is None:
            return
        if done.applied.is_accepted:
            self._promised.append((done.position, client))
            return
        reasons = tuple(
            Refusal(
                report.code, report.message, report.hint, "" if report.place is None else str(report.place)
            )
            for report in done.applied.refusals
        )
        self._reply(client, RefusedReply(reasons))

    def _keep_promises(self) -> None:
        """Say done for what every member has stored and no lost peer can still contradict (S3)."""
        if not self._promised or not self._may_acknowledge():
            return
        stable = self.ring.stable
        for position, client in self._promised:
            if position <= stable:
                self._reply(client, Done(str(position)))
        self._promised = [(position, client) for position, client in self._promised if position > stable]

    def _abandon_promises(self, begun: ring.InstallView) -> None:
        """Another line of state goes on: what was applied here without it will not be kept."""
        if self.settings.me in begun.keeps_state:
            return
        for _, client in self._promised:
            self._reply(client, _REFUSED_ABANDONED)
        self._promised = []

    def _may_acknowledge(self) -> bool:
        """Whether what this view agrees on cannot be lost to another partition.

        A partition with at most half of the nodes (two_node) may still meet its equal: it promises nothing
        until each lost peer is confirmed off.
        """
        view = self.ring.view
        if view is None or not view.quorate:
            return False
        if 2 * len(view.members) > len(self.names):
            return True
        return not any(node.is_lost for node in node_conditions(self.replica.state.cib))

    def _reply(self, client: ClientId, reply: Reply) -> None:
        self._out.append(Answer(client, reply))

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
        """Leave the ring and end the daemon."""
        for effect in self.ring.handle(ring.Leave(), self._now):
            if isinstance(effect, ring.SendPacket):
                self._out.append(effect)
        level = Level.NOTICE if code == 0 else Level.ERROR
        self._out.append(Note(level, "daemon.ending", reason))
        self._note_local(
            "daemon", Cause("daemon.ended", f"the daemon of {self.me} ended: {reason}"), (self.me,)
        )
        self._out.append(Exit(code, reason))
        self._to_ring.clear()
        self._has_ended = True

    def _note_link(self, change: ring.LinkChanged) -> None:
        peer = self.names[change.peer]
        text = f"link {change.link} to {peer}: {change.state.label}"
        if change.reason:
            text = f"link {change.link} to {peer}: {change.reason}"
        cause = Cause(f"link.{change.state.value}", text)
        self._note_local("link", cause, (self.me, peer))
        level = Level.NOTICE if change.state.value == "up" else Level.WARNING
        self._out.append(Note(level, cause.code, text))

    def _note_local(self, kind: str, cause: Cause, subjects: tuple[str, ...]) -> None:
        record = Record(position="", at=self._wall, node=self.me, kind=kind, cause=cause, subjects=subjects)
        self.index.add(record)
        self._out.append(AppendRecord(record))


def _life(incarnation: Incarnation) -> str:
    """Write an incarnation in the form of a UUID, as transition keys want it."""
    digits = f"{incarnation & (2**128 - 1):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _operator(user: str, what: str) -> Cause:
    return Cause("operator", f"{user or 'somebody'} {what}")
