"""Decide which device fences a node, when and how often, and whether the node counts as off.

Knows nothing of processes or the cluster state. It never says DONE unless an agent exited 0 for the target:
on that word a lost node's resources are started elsewhere (S2).
Source: Pacemaker Explained, "Fencing"; the fence agent API. Deviations: pcmk_delay_max is not used, since
chance is no argument here and pcmk_delay_base by node does what it is for; fencing topology is not read.

Theory of operation: requests for the same target and action share one *hunt*. A hunt has the devices that may
reach the target, in the order of the configuration, and goes through them: ask whether the device reaches the
target (where no list says so), wait for its delay, wait until the device is free, run it, again after a
failure while attempts and time are left. The first exit 0 ends the hunt well; no device left ends it badly.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, assert_never

from komainu.fencing import device as options
from komainu.fencing.device import HostCheck
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
    RunFenceAgent,
)
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import Instant, NodeName, WallTime
from komainu.model.report import Level, Note

TIMEOUT_MS_DEFAULT: Final = 60_000
"""Time for one device when neither the request nor the device says more; the field's stonith-timeout."""

ATTEMPT_MS_MIN: Final = 1000
"""Time that must be left of a device's time-out for another attempt: no agent answers in less."""

QUERY_MS_MAX: Final = 20_000
"""Time for a device to say which nodes it reaches; the node that is to be fenced waits meanwhile."""

OUTCOME_CHARACTERS_MAX: Final = 300
"""Longest text of a device that is kept in the fencing history."""


class _Step(Enum):
    """What a hunt is at."""

    CHOOSING = "choosing"  # the next device is to be looked at
    ASKING = "asking"  # the device says whether it reaches the target
    WAITING = "waiting"  # for the delay, and until the device is free
    RUNNING = "running"


@dataclass(slots=True)
class _Hunt:
    """The fencing of one target by one action, for all who asked."""

    target: NodeName
    action: str
    timeout_ms: int
    devices: list[Device]  # that are still to be tried; the first is the current one
    requests: dict[str, FenceRequested]
    wall: WallTime
    step: _Step = _Step.CHOOSING
    not_before: Instant | None = None  # the end of the device's delay
    device_ends: Instant | None = None  # when the device's time is over, once it was run
    attempts_left: int = 0
    failures: list[str] = field(default_factory=list)


class Fencer:
    """Fence nodes with the devices of the configuration."""

    deadline: Instant | None  # wake me then with DeadlinePassed: a delay is over

    def __init__(self, node: NodeName) -> None:
        self.node = node
        self.deadline = None
        self._devices: tuple[Device, ...] = ()
        self._hunts: dict[tuple[NodeName, str], _Hunt] = {}
        self._runs: dict[FenceRunId, tuple[_Hunt, Device]] = {}
        self._run_counter = 0

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return not self._hunts

    def handle(self, event: FencingEvent, now: Instant) -> list[FencingEffect]:
        """Apply one event; return what the shell must do, in order."""
        effects: list[FencingEffect] = []
        match event:
            case DevicesChanged(devices):
                self._devices = devices
            case FenceRequested():
                self._on_request(event)
            case FenceAgentFinished():
                effects.extend(self._on_finished(event, now))
            case DeadlinePassed():
                pass
            case _:
                assert_never(event)
        for hunt in list(self._hunts.values()):
            effects.extend(self._advance(hunt, now))
        self.deadline = min(
            (
                hunt.not_before
                for hunt in self._hunts.values()
                if hunt.step is _Step.WAITING and hunt.not_before is not None and hunt.not_before > now
            ),
            default=None,
        )
        return effects

    # -- events -----------------------------------------------------------------------------------------

    def _on_request(self, event: FenceRequested) -> None:
        key = (event.target, event.action)
        hunt = self._hunts.get(key)
        if hunt is not None:
            hunt.requests.setdefault(event.request, event)
            return
        self._hunts[key] = _Hunt(
            target=event.target,
            action=event.action,
            timeout_ms=event.timeout_ms or TIMEOUT_MS_DEFAULT,
            devices=list(self._devices),
            requests={event.request: event},
            wall=event.wall,
        )

    def _on_finished(self, event: FenceAgentFinished, now: Instant) -> list[FencingEffect]:
        hunt, device = self._runs.pop(event.run, (None, None))
        if hunt is None or device is None:
            return [
                Note(
                    Level.WARNING,
                    "fencing.unknown-run",
                    f"fence run {event.run} ended, but none was asked for",
                )
            ]
        hunt.wall = event.wall
        if hunt.step is _Step.ASKING:
            self._on_answer(hunt, device, event, now)
            return []
        assert hunt.step is _Step.RUNNING, f"a run for {hunt.target} ended in step {hunt.step}"
        assert hunt.device_ends is not None
        if event.exit_code == 0 and not event.timed_out and not event.missing:
            return self._end(hunt, FenceState.DONE, device.name, f"{device.agent} answered: done")
        outcome = f"{device.name}: {_failure(device, event)}"
        hunt.attempts_left -= 1
        if event.missing or hunt.attempts_left < 1 or hunt.device_ends - now < ATTEMPT_MS_MIN:
            self._give_up(hunt, outcome)
        else:
            hunt.step = _Step.WAITING
        message = f"{hunt.action} of {hunt.target} by {outcome}"
        return [Note(Level.WARNING, "fencing.attempt-failed", message, {"device": device.name})]

    def _on_answer(self, hunt: _Hunt, device: Device, event: FenceAgentFinished, now: Instant) -> None:
        """Take a device's word on whether it reaches the target."""
        if options.host_check(device) is HostCheck.STATUS:
            is_able = event.exit_code in {0, 2}  # on, off
        else:
            plug = options.host_map(device).get(hunt.target, str(hunt.target))
            is_able = event.exit_code == 0 and not options.listed_names(event.output).isdisjoint(
                {plug, hunt.target}
            )
        if is_able:
            self._take(hunt, device, now)
        elif event.exit_code == 0:
            self._give_up(hunt, f"{device.name} does not know {hunt.target}")
        else:
            self._give_up(
                hunt, f"{device.name} did not say which nodes it reaches: {_failure(device, event)}"
            )

    # -- the hunt ---------------------------------------------------------------------------------------

    def _advance(self, hunt: _Hunt, now: Instant) -> list[FencingEffect]:
        """Go on with a hunt as far as it goes without waiting."""
        while hunt.step is _Step.CHOOSING:
            if not hunt.devices:
                return self._end(hunt, FenceState.FAILED, "", self._why_none(hunt))
            device = hunt.devices[0]
            check = options.host_check(device)
            if check in {HostCheck.LIST, HostCheck.STATUS}:
                hunt.step = _Step.ASKING
                query, target = ("list", None) if check is HostCheck.LIST else ("status", hunt.target)
                timeout_ms = min(QUERY_MS_MAX, options.timeout_ms(device, query, hunt.timeout_ms))
                return [self._run(hunt, device, options.options_of(device, query, target), timeout_ms)]
            if check is HostCheck.NONE or hunt.target in options.static_hosts(device):
                self._take(hunt, device, now)
            else:
                hosts = ", ".join(options.static_hosts(device)) or "no node"
                self._give_up(hunt, f"{device.name} reaches only {hosts}")
        if (
            hunt.step is not _Step.WAITING
            or (hunt.not_before or 0) > now
            or not self._is_free(hunt.devices[0])
        ):
            return []
        device = hunt.devices[0]
        if hunt.device_ends is None:
            hunt.device_ends = Instant(now + options.timeout_ms(device, hunt.action, hunt.timeout_ms))
        hunt.step = _Step.RUNNING
        given = options.options_of(device, hunt.action, hunt.target)
        return [self._run(hunt, device, given, hunt.device_ends - now)]

    def _take(self, hunt: _Hunt, device: Device, now: Instant) -> None:
        """Choose this device: its delay begins, its time only when it is run."""
        hunt.step = _Step.WAITING
        hunt.not_before = Instant(now + options.delay_ms(device, hunt.action, hunt.target))
        hunt.device_ends = None
        hunt.attempts_left = options.attempts(device, hunt.action)

    def _give_up(self, hunt: _Hunt, reason: str) -> None:
        """Leave the current device for the next one."""
        hunt.failures.append(reason)
        del hunt.devices[0]
        hunt.step = _Step.CHOOSING

    def _is_free(self, device: Device) -> bool:
        limit = options.parallel_runs(device)
        busy = sum(other.name == device.name for _, other in self._runs.values())
        return limit is None or busy < limit

    def _run(
        self, hunt: _Hunt, device: Device, given: tuple[tuple[str, str], ...], timeout_ms: int
    ) -> RunFenceAgent:
        self._run_counter += 1
        run = FenceRunId(self._run_counter)
        self._runs[run] = (hunt, device)
        return RunFenceAgent(run, device.agent, given, timeout_ms)

    def _end(self, hunt: _Hunt, state: FenceState, device: str, outcome: str) -> list[FencingEffect]:
        """Settle all requests of a hunt alike."""
        del self._hunts[hunt.target, hunt.action]
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
                )
            )
            for request in hunt.requests.values()
        ]

    def _why_none(self, hunt: _Hunt) -> str:
        if not hunt.failures:
            return f"no fence device is configured, so {hunt.target} cannot be fenced"
        return f"no fence device could fence {hunt.target}: " + "; ".join(hunt.failures)


def _failure(device: Device, event: FenceAgentFinished) -> str:
    """Say in one phrase what went wrong with a run."""
    if event.missing:
        return f"the agent {device.agent} is not installed"
    if event.timed_out:
        return f"{device.agent} gave no answer in time"
    lines = [line.strip() for line in event.error_output.splitlines() if line.strip()]
    if lines:
        return lines[-1]
    return (
        f"{device.agent} exited {event.exit_code}"
        if event.exit_code is not None
        else f"{device.agent} was killed"
    )
