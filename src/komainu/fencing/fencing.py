"""Decide which device fences a node, when and how often, and whether the node counts as off.

Knows nothing of processes or the cluster state. It never says DONE unless each device of one level did its
part: an agent exited 0 for the target, or the target's watchdog had the time that it needs. On that word a
lost node's resources are started elsewhere (S2).
Source: Pacemaker Explained, "Fencing"; the fence agent API.

Theory of operation: requests for the same target and action share one *hunt* (hunt.py lays out its way). For
each step: find out whether the device reaches the target (reach.py), wait for its delay, wait until the
device is free, run it, again after a failure while attempts and time are left. A step that fails fails its
stage; the first stage whose steps all went well ends the hunt well; no stage left ends it badly.

A hunt is for the life that its target had when it began. Once the target is back in another one, nobody joins the
hunt any more: a watchdog that was counted out for one life says nothing of the next.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, assert_never

from komainu.fencing import device as options
from komainu.fencing.agent_facts import METADATA_OPTIONS, WATCHDOG_AGENT
from komainu.fencing.duel import Duel
from komainu.fencing.hunt import Hunt, Phase, Step, stages_of, steps_of
from komainu.fencing.interface import (
    DeadlinePassed,
    Device,
    DevicesChanged,
    FenceAgentFinished,
    FenceRequested,
    FenceRunId,
    FencingEffect,
    FencingEnded,
    FencingEvent,
    PeerDoubted,
    RaceBegan,
    RunFenceAgent,
    TurnsChanged,
)
from komainu.fencing.reach import GHOST, Question, Reach, Reached, Unreached, Verdict, failure
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import Incarnation, Instant, NodeName
from komainu.model.report import Level, Note

ATTEMPT_MS_MIN: Final = 1000
"""Time that must be left of a device's time-out for another attempt: no agent answers in less."""

QUERY_MS_MAX: Final = 20_000
"""Time for a device to say which nodes it reaches; the node that is to be fenced waits meanwhile."""

META_DATA_MS_MAX: Final = 5_000
"""Time for an agent to give its meta-data; a fencing that comes meanwhile waits for it."""

OUTCOME_CHARACTERS_MAX: Final = 300
"""Longest text of a device that is kept in the fencing history."""

_TIMED: Final = frozenset({Phase.WAITING, Phase.COUNTING})


class Fencer:
    """Fence nodes with the devices of the configuration."""

    deadline: Instant | None  # wake me then with DeadlinePassed: a delay is over

    def __init__(self, node: NodeName, seed: int = 0) -> None:
        """`seed` makes the delays by chance of different nodes differ."""
        self.node = node
        self.deadline = None
        self._seed = seed
        self._reach = Reach()
        self._hunts: list[Hunt] = []
        self._lives: dict[NodeName, Incarnation] = {}  # of each node, the newest
        self._learning: dict[FenceRunId, str] = {}
        self._runs: dict[FenceRunId, tuple[Hunt, Device]] = {}
        self._duel = Duel(self._reach)
        self._run_counter = 0

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return not self._hunts

    @property
    def troubles(self) -> Mapping[str, str]:
        """Why agents of the configuration cannot be used as they are, by agent."""
        return self._reach.troubles

    def handle(self, event: FencingEvent, now: Instant) -> list[FencingEffect]:
        """Apply one event; return what the shell must do, in order."""
        effects: list[FencingEffect] = []
        match event:
            case DevicesChanged():
                effects += self._on_changed(event)
            case FenceRequested():
                self._on_request(event)
            case PeerDoubted():
                effects += self._ask_power(self._duel.doubt(event, now))
            case RaceBegan():
                _meet(self._hunts, self._lives, event)
                asked = self._ask_power(self._duel.begin(event, now))
                effects += [TurnsChanged(self._duel.turns), *asked]
            case FenceAgentFinished():
                effects += self._on_finished(event, now)
            case DeadlinePassed():
                effects += self._ask_power(self._duel.tick(now))
            case _:
                assert_never(event)
        for hunt in list(self._hunts):
            effects += self._advance(hunt, now)
        waits = (hunt.not_before for hunt in self._hunts if hunt.phase in _TIMED)
        moments = [*waits, self._duel.deadline]
        self.deadline = min(
            (moment for moment in moments if moment is not None and moment > now), default=None
        )
        return effects

    # -- events -----------------------------------------------------------------------------------------

    def _on_changed(self, event: DevicesChanged) -> list[FencingEffect]:
        """Take the new configuration; ask agents that have not said yet what they can."""
        effects: list[FencingEffect] = []
        for agent in self._reach.change(event):
            if agent not in self._learning.values():
                run = self._next_run()
                self._learning[run] = agent
                effects.append(RunFenceAgent(run, agent, METADATA_OPTIONS, META_DATA_MS_MAX))
        return effects

    def _ask_power(self, devices: list[Device]) -> list[FencingEffect]:
        return [self._duel.asked(self._next_run(), device) for device in devices]

    def _on_request(self, event: FenceRequested) -> None:
        for hunt in self._hunts:
            if (hunt.target, hunt.action, hunt.is_past) == (event.target, event.action, False):
                hunt.requests.setdefault(event.request, event)
                return
        self._hunts.append(
            Hunt(
                target=event.target,
                action=event.action,
                timeout_ms=event.timeout_ms or self._reach.known.timeout_ms,
                delay_ms=event.delay_ms,
                requests={event.request: event},
                wall=event.wall,
            )
        )

    def _on_finished(self, event: FenceAgentFinished, now: Instant) -> list[FencingEffect]:
        if self._duel.is_asked(event.run):
            return self._duel.answered(event, now)
        if event.run in self._learning:
            return list(self._reach.learn(self._learning.pop(event.run), event))
        hunt, device = self._runs.pop(event.run, (None, None))
        if hunt is None or device is None:
            text = f"fence run {event.run} ended, but none was asked for"
            return [Note(Level.WARNING, "fencing.unknown-run", text)]
        hunt.wall = event.wall
        if hunt.phase is Phase.RUNNING:
            return self._on_run(hunt, device, event, now)
        verdict = self._reach.answered(device, hunt.target, hunt.question, event, now)
        self._judge(hunt, verdict, now)
        return []

    def _on_run(
        self, hunt: Hunt, device: Device, event: FenceAgentFinished, now: Instant
    ) -> list[FencingEffect]:
        """A device ended its step: go on, try again, or give its stage up."""
        step = hunt.steps[0]
        assert hunt.device_ends is not None, "what ran had a time-out"
        if event.exit_code == 0 and not event.timed_out and not event.missing:
            _step_done(hunt, device)
            return []
        outcome = f"{device.name}: {failure(device.agent, event)}"
        hunt.attempts_left -= 1
        if event.missing or hunt.attempts_left < 1 or hunt.device_ends - now < ATTEMPT_MS_MIN:
            if step.is_needed:
                _fail_stage(hunt, outcome)
            else:
                _next_step(hunt)
        else:
            hunt.phase = Phase.WAITING
        text = f"{step.action} of {hunt.target} by {outcome}"
        return [Note(Level.WARNING, "fencing.attempt-failed", text, {"device": device.name})]

    # -- the hunt ---------------------------------------------------------------------------------------

    def _advance(self, hunt: Hunt, now: Instant) -> list[FencingEffect]:
        """Go on with a hunt as far as it goes without waiting."""
        if hunt.phase is Phase.LEARNING and not self._learning:
            hunt.stages = stages_of(hunt.target, hunt.action, self._reach.known, self._reach.facts)
            hunt.phase = Phase.CHOOSING
        if hunt.phase is Phase.COUNTING and now >= (hunt.not_before or 0):
            _step_done(hunt, hunt.steps[0].device)
        while hunt.phase is Phase.CHOOSING:
            if hunt.steps:
                device = hunt.steps[0].device
                is_known = device.name in hunt.reached
                verdict = Reached() if is_known else self._reach.check(device, hunt.target, now)
                self._judge(hunt, verdict, now)
            elif hunt.is_under_way and hunt.worked:
                return self._end(hunt, FenceState.DONE, now)
            elif hunt.is_under_way:
                _fail_stage(hunt, f"none of its devices reaches {hunt.target}")
            elif hunt.stages:
                self._begin_stage(hunt)
            else:
                return self._end(hunt, FenceState.FAILED, now)
        if hunt.phase is Phase.ASKING:
            return self._ask(hunt, hunt.steps[0].device)
        if hunt.phase is Phase.WAITING and (hunt.not_before or 0) <= now:
            return self._strike(hunt, hunt.steps[0], now)
        return []

    def _begin_stage(self, hunt: Hunt) -> None:
        stage = hunt.stages[0]
        hunt.is_under_way = True
        hunt.worked = []
        if stage.missing or not stage.devices:
            missing = ", ".join(stage.missing) or "any device"
            _fail_stage(hunt, f"{stage.title} names {missing}, which is not configured")
            return
        hunt.steps = steps_of(stage, hunt.action, self._reach.facts)

    def _judge(self, hunt: Hunt, verdict: Verdict, now: Instant) -> None:
        """Use the current device, ask it, pass it over, or give its stage up."""
        step = hunt.steps[0]
        match verdict:
            case Question():
                hunt.phase, hunt.question = Phase.ASKING, verdict
            case Reached(wait_ms=wait_ms) if wait_ms:
                hunt.phase = Phase.COUNTING
                hunt.not_before = Instant(now + wait_ms)
            case Reached():
                self._take(hunt, step.device, now)
            case Unreached(reason=reason) if step.may_skip:
                hunt.failures.append(f"{step.device.name} {reason}")
                _next_step(hunt)
            case Unreached(reason=reason):
                _fail_stage(hunt, f"{step.device.name} {reason}")
            case _:
                assert_never(verdict)

    def _take(self, hunt: Hunt, device: Device, now: Instant) -> None:
        """Choose this device: its delay begins, its time only when it is run."""
        action = hunt.steps[0].action
        hunt.reached.add(device.name)
        hunt.phase = Phase.WAITING
        own = options.delay_ms(device, action, hunt.target, self._chance(hunt, device))
        hunt.not_before = Instant(now + (0 if hunt.delay_ms < 0 else own + hunt.delay_ms))
        hunt.delay_ms = min(hunt.delay_ms, 0)
        hunt.device_ends = None
        hunt.attempts_left = options.attempts(device, action)

    def _strike(self, hunt: Hunt, step: Step, now: Instant) -> list[FencingEffect]:
        """Run the device on the target, once it is free."""
        if not self._is_free(step.device):
            return []
        if not self._duel.may_strike(hunt.target, step.action, now):
            _fail_stage(hunt, f"it is the turn of {hunt.target}, which may be alive: this side strikes later")
            return self._advance(hunt, now)
        hunt.struck = hunt.struck or now
        if hunt.device_ends is None:
            hunt.device_ends = Instant(now + options.timeout_ms(step.device, step.action, hunt.timeout_ms))
        hunt.phase = Phase.RUNNING
        given = options.options_of(step.device, step.action, hunt.target, self._reach.of(step.device))
        return [self._run(hunt, step.device, given, hunt.device_ends - now)]

    def _ask(self, hunt: Hunt, device: Device) -> list[FencingEffect]:
        """Put the hunt's question to the device, unless it is being asked already."""
        if any(other is hunt for other, _ in self._runs.values()):
            return []
        query = "list" if hunt.question is Question.LIST else "status"
        target = {Question.STATUS: hunt.target, Question.GHOST: GHOST}.get(hunt.question)
        given = options.options_of(device, query, target, self._reach.of(device))
        timeout_ms = min(QUERY_MS_MAX, options.timeout_ms(device, query, hunt.timeout_ms))
        return [self._run(hunt, device, given, timeout_ms)]

    # -- runs -------------------------------------------------------------------------------------------

    def _chance(self, hunt: Hunt, device: Device) -> float:
        """Return a number from 0 up to 1 that no other node can foresee: the seed is our own."""
        text = f"{self._seed} {self.node} {device.name} {' '.join(hunt.requests)}"
        return int.from_bytes(sha256(text.encode()).digest()[:6]) / 2**48

    def _is_free(self, device: Device) -> bool:
        limit = options.parallel_runs(device)
        busy = sum(other.name == device.name for _, other in self._runs.values())
        return limit is None or busy < limit

    def _next_run(self) -> FenceRunId:
        self._run_counter += 1
        return FenceRunId(self._run_counter)

    def _run(
        self, hunt: Hunt, device: Device, given: tuple[tuple[str, str], ...], timeout_ms: int
    ) -> RunFenceAgent:
        run = self._next_run()
        self._runs[run] = (hunt, device)
        return RunFenceAgent(run, device.agent, given, timeout_ms)

    def _end(self, hunt: Hunt, state: FenceState, now: Instant) -> list[FencingEffect]:
        """Settle all requests of a hunt alike."""
        self._hunts = [other for other in self._hunts if other is not hunt]
        is_done = state is FenceState.DONE
        device = "+".join(hunt.worked) if is_done else ""
        outcome = _how_done(hunt, self._reach.known.watchdog_ms) if is_done else _why_none(hunt)
        return [
            FencingEnded(
                FenceRecord(
                    request=request.request,
                    target=hunt.target,
                    action=hunt.action,
                    state=state,
                    delegate=self.node,
                    device=device,
                    reason=request.reason,
                    outcome=outcome[:OUTCOME_CHARACTERS_MAX],
                    at=hunt.wall,
                    took_ms=0 if hunt.struck is None else now - hunt.struck,
                )
            )
            for request in hunt.requests.values()
        ]


def _meet(hunts: list[Hunt], known: dict[NodeName, Incarnation], event: RaceBegan) -> None:
    """See who is in a view: a hunt for an earlier life of a member is not about the present one."""
    for hunt in hunts:
        life = dict(event.lives).get(hunt.target)
        hunt.is_past |= life is not None and life != known.get(hunt.target)
    known.update(event.lives)


def _step_done(hunt: Hunt, device: Device) -> None:
    """A device did its part: go on with the next step."""
    if device.name not in hunt.worked:
        hunt.worked.append(device.name)
    _next_step(hunt)


def _next_step(hunt: Hunt) -> None:
    del hunt.steps[0]
    hunt.phase = Phase.CHOOSING


def _fail_stage(hunt: Hunt, reason: str) -> None:
    """Leave the current stage for the next one."""
    title = hunt.stages[0].title
    hunt.failures.append(f"{title}: {reason}" if title and not reason.startswith(title) else reason)
    del hunt.stages[0]
    hunt.steps = []
    hunt.is_under_way = False
    hunt.phase = Phase.CHOOSING


def _how_done(hunt: Hunt, watchdog_ms: int) -> str:
    agents = {device.name: device.agent for device in hunt.stages[0].devices}
    if [agents.get(name) for name in hunt.worked] == [WATCHDOG_AGENT]:
        return f"its watchdog had {watchdog_ms} ms to reset it"
    return " and ".join(f"{agents.get(name)} answered: done" for name in hunt.worked)


def _why_none(hunt: Hunt) -> str:
    if not hunt.failures:
        return f"no fence device is configured, so {hunt.target} cannot be fenced"
    return f"no fence device could fence {hunt.target}: " + "; ".join(hunt.failures)
