"""Decide which agent runs when on this node: one operation at a time per resource, recurring ones again.

Knows nothing of processes, clocks or the cluster: it is told what to run and says what came of it.
Source: Pacemaker Explained, "Resource operations"; Pacemaker's executor is followed in that an interval
counts from the end of a run, that a recurring result is reported only when it changed, and that whatever
changes a resource's state ends its recurring operations. Deviation: the end of a process that a start left
behind runs the monitors at once (DESIGN.md, section 7).

Theory of operation: each resource has a line of jobs, in order of arrival, of which the first runs. A
recurring operation is a job now and then: when it was asked for (that result is *owed* to the cluster), and
whenever it is due. A job that is owed is never dropped by an operation behind it, so that everything the
cluster recorded as pending comes to an end.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, assert_never

from komainu.executor.environment import environment_of
from komainu.executor.interface import (
    ActionCancelled,
    ActionRequested,
    AddressLost,
    AgentDescribed,
    AgentFinished,
    DeadlinePassed,
    ExecutorEffect,
    ExecutorEvent,
    ProcessesGone,
    ReportResult,
    RunAgent,
    RunId,
    StopWatching,
)
from komainu.executor.traits import KnownAgents
from komainu.executor.verdict import Verdict, judge
from komainu.model.ids import Instant, NodeName, ResourceId, WallTime
from komainu.model.operation import ActionRequest, ExitCode, OperationResult, OpStatus
from komainu.model.report import Level, Note

QUEUE_JOBS_MAX: Final = 32
"""Operations that may wait for one resource. A plan never has more than a handful at a time."""

REPEATED_RUNS_MAX: Final = 32
"""Agents in flight beyond which due recurring operations wait, so that a hundred monitors that hang do not
fill the machine. What the cluster asked for is never held back: the controller bounds that."""

HURRY_GAP_MS: Final = 1000
"""Least time between the end of a monitor and the next one that an ended process calls for. A server that
replaces its workers all the time is looked at once a second, not all the time."""

TIMEOUT_MS_DEFAULT: Final = 20_000
"""Time-out of an operation that came without one; the field's default."""

_STATE_CHANGES: Final = frozenset({"start", "stop", "promote", "demote", "migrate_to", "migrate_from"})
_CLASSES: Final = frozenset({"ocf", "stonith", "lsb", "systemd", "service"})
_OWN_PROCESSES: Final = frozenset({"ocf", "lsb"})
"""Classes of agents that start processes of their own; those of a unit are systemd's."""

_LEAVES_PROCESSES: Final = frozenset({"start", "promote", "demote", "migrate_from", "reload", "reload-agent"})


@dataclass(slots=True)
class _Recurrence:
    """One recurring operation of one resource, from its request to its cancellation."""

    request: ActionRequest
    call_id: int
    due: Instant | None = None  # None while its job waits or runs
    reported: OperationResult | None = None
    ended: Instant | None = None
    is_hurried: bool = False  # a process ended while it ran: look again


@dataclass(slots=True)
class _Job:
    """One run that waits or is under way."""

    request: ActionRequest
    call_id: int
    asked: Instant
    recurrence: _Recurrence | None
    is_owed: bool
    queue_ms: int = 0

    @property
    def timeout_ms(self) -> int:
        return self.request.timeout_ms or TIMEOUT_MS_DEFAULT


@dataclass(slots=True)
class _Resource:
    """What is known and under way for one resource."""

    waiting: deque[_Job] = field(default_factory=deque)
    running: _Job | None = None
    recurring: dict[tuple[str, int], _Recurrence] = field(default_factory=dict)
    last: dict[str, OperationResult] = field(default_factory=dict)  # single operations, by history slot
    is_device_on: bool = False  # fence devices only: started here

    def drop_repeats(self) -> None:
        """End all recurring operations; what is owed of them still runs once."""
        self.recurring.clear()
        self.waiting = deque(job for job in self.waiting if job.is_owed)

    def forget(self, recurrence: _Recurrence | None) -> None:
        """Take one recurring operation out of the line; a run under way is not reported any more."""
        if recurrence is None:
            return
        self.waiting = deque(job for job in self.waiting if job.recurrence is not recurrence)
        if self.running is not None and self.running.recurrence is recurrence:
            self.running.is_owed = False


class Executor:
    """Run the operations of one node's resources, one at a time per resource."""

    deadline: Instant | None  # wake me then with DeadlinePassed: a recurring operation is due

    def __init__(self, node: NodeName) -> None:
        self.node = node
        self.deadline = None
        self._resources: dict[ResourceId, _Resource] = {}
        self._runs: dict[RunId, ResourceId] = {}
        self._agents = KnownAgents()
        self._run_counter = 0
        self._call_counter = 0

    def handle(self, event: ExecutorEvent, now: Instant) -> list[ExecutorEffect]:
        """Apply one event; return what the shell must do, in order."""
        effects: list[ExecutorEffect]
        match event:
            case ActionRequested():
                effects = [*self._agents.ask(event.request.agent), *self._on_request(event, now)]
            case ActionCancelled():
                effects = self._on_cancel(event)
            case AgentFinished():
                effects = self._on_finished(event, now)
            case AgentDescribed():
                effects = [*self._agents.told(event)]
            case ProcessesGone(resource=resource):
                effects = self._hurry(resource, f"a process of {resource} ended", now)
            case AddressLost(resource=resource, address=address):
                effects = self._hurry(resource, f"address {address} of {resource} was deleted", now)
            case DeadlinePassed():
                effects = []
            case _:
                assert_never(event)
        self._queue_due(now)
        effects.extend(self._start_waiting(now))
        self.deadline = self._next_due()
        return effects

    def history(self) -> tuple[OperationResult, ...]:
        """Return what a node tells when it joins: last single operations, active recurring ones, by call."""
        known: list[OperationResult] = []
        for resource in self._resources.values():
            known.extend(resource.last.values())
            known.extend(
                recurrence.reported
                for recurrence in resource.recurring.values()
                if recurrence.reported is not None
            )
        return tuple(sorted(known, key=lambda result: result.call_id))

    def owed(self) -> frozenset[str]:
        """Return the transition keys of what was asked for and will still be answered."""
        return frozenset(
            job.request.transition_key
            for resource in self._resources.values()
            for job in (resource.running, *resource.waiting)
            if job is not None and job.is_owed
        )

    def forget(self, resource_id: ResourceId | None) -> None:
        """Forget the history and the recurring operations of a resource, or with None of all.

        The cluster forgot them too, probes anew, and asks again for what should recur. What it still waits for
        (cib/failures.py keeps what is pending) is answered, and recurs.
        """
        self._agents.forget()
        for forgotten in sorted(self._resources) if resource_id is None else [resource_id]:
            resource = self._resources.get(forgotten)
            if resource is None:
                continue
            for slot, recurrence in list(resource.recurring.items()):
                if recurrence.reported is not None:
                    resource.forget(resource.recurring.pop(slot))
            resource.last.clear()
            if not (resource.waiting or resource.running or resource.is_device_on):
                del self._resources[forgotten]
        self.deadline = self._next_due()

    @property
    def is_idle(self) -> bool:
        """Whether no agent runs and none waits."""
        return not self._runs and not any(resource.waiting for resource in self._resources.values())

    # -- events -----------------------------------------------------------------------------------------

    def _on_request(self, event: ActionRequested, now: Instant) -> list[ExecutorEffect]:
        request = event.request
        assert request.node == self.node, f"{request.key} is meant for {request.node}, not {self.node}"
        resource = self._resources.setdefault(request.resource, _Resource())
        self._call_counter += 1
        job = _Job(request, self._call_counter, now, recurrence=None, is_owed=True)
        refusal = _refusal(request, len(resource.waiting))
        if refusal is not None:
            return self._settle(resource, job, refusal, exec_ms=0, wall=event.wall)
        if request.operation in _STATE_CHANGES:
            resource.drop_repeats()
        if request.interval_ms:
            slot = (request.operation, request.interval_ms)
            resource.forget(resource.recurring.pop(slot, None))
            job.recurrence = resource.recurring[slot] = _Recurrence(request, job.call_id)
        answer = _device_answer(resource, request)
        if answer is not None:
            return self._settle(resource, job, answer, exec_ms=0, wall=event.wall)
        resource.waiting.append(job)
        return []

    def _on_cancel(self, event: ActionCancelled) -> list[ExecutorEffect]:
        resource = self._resources.get(event.resource)
        if resource is None:
            return []
        resource.forget(resource.recurring.pop((event.operation, event.interval_ms), None))
        return []

    def _on_finished(self, event: AgentFinished, now: Instant) -> list[ExecutorEffect]:
        resource_id = self._runs.pop(event.run, None)
        if resource_id is None:
            return [
                Note(Level.WARNING, "executor.unknown-run", f"run {event.run} ended, but none was asked for")
            ]
        resource = self._resources[resource_id]
        job = resource.running
        assert job is not None, f"a run of {resource_id} ended while none was under way"
        resource.running = None
        recurrence = job.recurrence
        if recurrence is not None:
            recurrence.ended = now
            gap = HURRY_GAP_MS if recurrence.is_hurried else job.request.interval_ms
            recurrence.due = Instant(now + min(gap, job.request.interval_ms))
            recurrence.is_hurried = False
        return self._settle(
            resource, job, judge(job.request, event, job.timeout_ms), exec_ms=event.exec_ms, wall=event.wall
        )

    def _hurry(self, resource_id: ResourceId, seen: str, now: Instant) -> list[ExecutorEffect]:
        """Run a resource's monitors now, for what was seen of it."""
        resource = self._resources.get(resource_id)
        if resource is None or not resource.recurring:
            return []
        for recurrence in resource.recurring.values():
            if recurrence.due is not None:
                # Never later than it was due anyway.
                earliest = now if recurrence.ended is None else Instant(recurrence.ended + HURRY_GAP_MS)
                recurrence.due = min(recurrence.due, max(now, earliest))
            elif resource.running is not None and resource.running.recurrence is recurrence:
                recurrence.is_hurried = True
        fields = {"resource": resource_id}
        return [Note(Level.NOTICE, "executor.looking-now", f"{seen}; looking at it now", fields)]

    # -- the line of jobs -------------------------------------------------------------------------------

    def _next_due(self) -> Instant | None:
        due = [
            recurrence.due
            for resource in self._resources.values()
            for recurrence in resource.recurring.values()
        ]
        return min((moment for moment in due if moment is not None), default=None)

    def _queue_due(self, now: Instant) -> None:
        for resource in self._resources.values():
            for recurrence in resource.recurring.values():
                if recurrence.due is not None and recurrence.due <= now:
                    recurrence.due = None
                    resource.waiting.append(
                        _Job(recurrence.request, recurrence.call_id, now, recurrence, is_owed=False)
                    )

    def _start_waiting(self, now: Instant) -> list[ExecutorEffect]:
        effects: list[ExecutorEffect] = []
        for resource_id, resource in self._resources.items():
            if resource.running is not None or not resource.waiting:
                continue
            if not resource.waiting[0].is_owed and len(self._runs) >= REPEATED_RUNS_MAX:
                continue
            job = resource.running = resource.waiting.popleft()
            job.queue_ms = now - job.asked
            self._run_counter += 1
            run = RunId(self._run_counter)
            self._runs[run] = resource_id
            is_probe = job.request.operation == "monitor" and job.request.interval_ms == 0
            effects.append(
                RunAgent(
                    run,
                    job.request,
                    environment_of(job.request),
                    job.timeout_ms,
                    action=self._agents.action_of(job.request),
                    watch=job.request.agent.agent_class in _OWN_PROCESSES
                    and (is_probe or job.request.operation in _LEAVES_PROCESSES),
                )
            )
        return effects

    def _settle(
        self, resource: _Resource, job: _Job, verdict: Verdict, *, exec_ms: int, wall: WallTime
    ) -> list[ExecutorEffect]:
        """Keep and report what came of a job."""
        request = job.request
        if request.agent.agent_class == "stonith":
            _note_device(resource, request, verdict)
        result = OperationResult(
            request=request,
            call_id=job.call_id,
            status=verdict.status,
            exit_code=verdict.exit_code,
            exit_reason=verdict.reason,
            last_change_s=wall // 1000,
            exec_ms=exec_ms,
            queue_ms=job.queue_ms,
            restart_on=self._agents.restart_on(request),
        )
        if job.recurrence is not None:
            return _settle_recurring(resource, job, result)
        _keep(resource, result)
        effects: list[ExecutorEffect] = [ReportResult(result)]
        if request.operation == "stop" and result.is_expected:
            effects.append(StopWatching(request.resource))
        return effects


def _settle_recurring(resource: _Resource, job: _Job, result: OperationResult) -> list[ExecutorEffect]:
    """Report a recurring result the first time, and then when it differs from the last one."""
    recurrence = job.recurrence
    assert recurrence is not None
    before = recurrence.reported
    slot = (job.request.operation, job.request.interval_ms)
    is_active = resource.recurring.get(slot) is recurrence
    if not is_active and not job.is_owed:
        return []  # it was cancelled while it ran
    is_news = before is None or (before.status, before.exit_code) != (result.status, result.exit_code)
    if not is_news and not job.is_owed:
        return []
    recurrence.reported = result
    return [ReportResult(result)]


def _keep(resource: _Resource, result: OperationResult) -> None:
    """Remember a single operation as the CIB does: the last one, and migrations beside it."""
    operation = result.request.operation
    if operation == "notify":
        return
    if operation in {"migrate_to", "migrate_from"}:
        resource.last[operation] = result
        return
    if operation in {"start", "stop"} and result.is_expected:
        resource.last.clear()
    resource.last["last"] = result


def _refusal(request: ActionRequest, waiting: int) -> Verdict | None:
    """Say why an operation is not run at all; None when it is."""
    if request.agent.agent_class not in _CLASSES:
        reason = (
            f"agents of class {request.agent.agent_class} are not supported: {request.agent} cannot be run"
        )
        return Verdict(OpStatus.NOT_INSTALLED, ExitCode.NOT_INSTALLED, reason)
    if waiting >= QUEUE_JOBS_MAX:
        return Verdict(
            OpStatus.ERROR, ExitCode.ERROR, f"{waiting} operations of {request.resource} wait already"
        )
    return None


def _device_answer(resource: _Resource, request: ActionRequest) -> Verdict | None:
    """Answer for a fence device what needs no run: to stop it, and whether it is started here."""
    if request.agent.agent_class != "stonith":
        return None
    if request.operation == "stop":
        return Verdict(OpStatus.DONE, ExitCode.OK, "")
    if request.operation == "monitor" and not request.interval_ms and not resource.is_device_on:
        return Verdict(OpStatus.DONE, ExitCode.NOT_RUNNING, "")
    return None


def _note_device(resource: _Resource, request: ActionRequest, verdict: Verdict) -> None:
    """Remember whether a fence device is started here. Its start is a run of the agent's monitor."""
    if request.operation == "start":
        resource.is_device_on = verdict.status is OpStatus.DONE and verdict.exit_code == ExitCode.OK
    elif request.operation == "stop":
        resource.is_device_on = False
