"""Carry out a drill on a lab, watch the cluster from outside, and compare what came with what was expected.

Watches only what an operator could: the daemons' status, the client's answers, the machines' power. What it
sees is judged by settle.py; this shell polls and writes down.
"""

import contextlib
import shlex
import time
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from komainu.client.client import Client
from komainu.lab import action, flight, peer, settle, sight
from komainu.lab.drill import Drill, Expect, Step
from komainu.lab.files import DAEMON_LOG
from komainu.lab.lab import Lab
from komainu.lab.plant import LabFailure
from komainu.lab.protocol import LabEvent, ServiceSeen
from komainu.lab.stacks import Stack
from komainu.model import duration
from komainu.model.ids import ResourceId
from komainu.model.report import Refused
from komainu.model.request import AskStatus, AskWhy, Reply, Request, Status, Why

DAEMON_SOCKET: Final = "run/komainu/komainu.sock"
ASK_TIMEOUT_S: Final = 2
POLL_S: Final = 0.2
SETTLED_WITHIN_MS: Final = 30_000
"""For a step that names no limit: fencing, take-over and a boot fit in easily."""

HOLD_MS: Final = 1_500
"""How long a cluster must stay as it settled: longer than the default detect_within, so that a late suspicion
is seen in the step that caused it."""

PEER_WITHIN_MS: Final = 120_000
"""The same for a peer: Pacemaker waits 20 s for others, and 60 s for a fence device."""

ORDERLY: Final = "TERM"
"""The signal that asks a daemon to leave; Pacemaker gets it, while Corosync is hit by all others."""

PEER_HOLD_MS: Final = 5_000
"""A node of a peer that is back is asked for what runs on it, and its attributes follow seconds later."""

SETUP_WITHIN_MS: Final = 60_000
LOG_LINES: Final = 15
"""Enough of a log for a traceback's end."""

CIB_FILE: Final = "/etc/komainu/drill.cib.xml"


class Outcome(msgspec.Struct, frozen=True):
    """What came of one step."""

    step: str
    happened: str  # one sentence
    power: tuple[str, ...]  # what happened to machines and daemons, and why: "b boot: it was switched on"
    reboots: int
    daemon_exits: int
    membership_changes: int
    longest_gap_ms: int
    stalled_ms: int
    service_on: str
    settled_ms: int
    took_ms: int
    misses: tuple[str, ...]  # expectations that were not met; empty: passed
    machines: int = 0  # how many machines booted
    is_broken_off: bool = False  # it could not be carried out, so the drill ended with it
    is_restless: bool = False  # the cluster did not come to rest in time


class Result(msgspec.Struct, frozen=True):
    """What came of a drill."""

    title: str
    is_passed: bool
    setup_ms: int
    steps_ms: int
    outcomes: tuple[Outcome, ...]


def now_ms() -> int:
    """Read the monotonic clock, as the lab's host and client do."""
    return time.monotonic_ns() // 1_000_000


class Runner:
    """Runs one drill on one lab. `tell` hears in a few words what is going on."""

    def __init__(
        self, drill: Drill, lab: Lab, tell: Callable[[str], None], stack: Stack = Stack.KOMAINU
    ) -> None:
        self._drill = drill
        self._stack = stack
        self._lab = lab
        self._tell = tell
        self._service = drill.cluster.service
        self._address = urllib.parse.urlsplit(drill.cluster.probe).hostname
        self._doubles: list[str] = []  # moments of this step in which the service's address stood twice

    def set_up(self) -> int:
        """Wait for the members, give them the configuration, wait for the service. Returns ms; raises LabFailure."""
        began = now_ms()
        self._tell("the machines boot and find each other")
        self._await(
            lambda: tuple(self._without_service()), SETUP_WITHIN_MS, "the nodes did not find each other"
        )
        self._tell("the configuration is applied")
        node = self._drill.layout.nodes[0]
        if self._stack.is_komainu:
            self._command(node, ["tee", CIB_FILE], stdin=self._drill.cib)
            self._command(node, ["komainu", "config", "apply", CIB_FILE])
        else:
            peer.configure(self._lab, node, self._drill.cib)
        self._tell("the service starts")
        place = settle.Place(self._service, None, Expect(link_down="none"), bool(self._drill.cluster.probe))
        self._await(
            lambda: settle.unsettled(self._scene(), place), SETUP_WITHIN_MS, "the service did not start"
        )
        return now_ms() - began

    def run(self, done: Callable[[Outcome], None]) -> tuple[Outcome, ...]:
        """Carry out every step; `done` hears of each. One that cannot be carried out is missed, and the last.

        With a peer, one after which the cluster does not come to rest is the last, too.
        """
        outcomes = []
        for step in self._drill.steps:
            began = now_ms()
            try:
                outcome = self._step(step)
            except LabFailure as failure:
                outcome = broken_off(step.name, now_ms() - began, str(failure))
            done(outcome)
            outcomes.append(outcome)
            if outcome.is_broken_off or (outcome.is_restless and not self._stack.is_komainu):
                break
        return tuple(outcomes)

    def _step(self, step: Step) -> Outcome:
        self._doubles = []
        offsets = {node: sight.log_size(self._lab, node) for node in self._drill.layout.nodes}
        began, began_wall = now_ms(), time.time_ns() // 1_000_000
        statuses = self._statuses()
        active = next(iter(settle.running_on(statuses, self._service)), None)
        first_event = len(self._lab.events())
        place = settle.Place(self._service, active, step.expect, bool(self._drill.cluster.probe))
        for one in step.actions:
            self._tell(described(one))
            self._perform(one, active)
        acted = now_ms()
        limit = duration.parse_ms(step.expect.settled_within) or SETTLED_WITHIN_MS
        limit = limit if self._stack.is_komainu else max(limit, PEER_WITHIN_MS)
        self._tell("waiting until the cluster is at rest")
        misses = [*self._until(lambda: settle.unsettled(self._scene(), place), limit)]
        is_restless = bool(misses)
        settled = now_ms()
        if not misses:
            hold_ms = HOLD_MS if self._stack.is_komainu else PEER_HOLD_MS
            time.sleep((duration.parse_ms(step.expect.hold) or hold_ms) / 1000)
            misses = [f"settled, but then: {text}" for text in settle.unsettled(self._scene(), place)]
        seen = self._lab.service(since=began, until=now_ms())
        statuses = self._statuses()
        where = next(iter(settle.running_on(statuses, self._service)), "")
        events = self._lab.events(first_event)
        records = self._records(began_wall)
        outcome = Outcome(
            step=step.name,
            happened=self._happened(records, where, moved=where != active, since=began_wall),
            power=tuple(f"{one.node} {one.kind}: {one.reason}" for one in events if one.reason),
            reboots=sum(event.kind == "boot" for event in events),
            daemon_exits=sum(event.kind == "daemon-exited" for event in events),
            membership_changes=self._views(records, offsets),
            longest_gap_ms=seen.longest_gap_ms,
            stalled_ms=seen.stalled_ms,
            service_on=where,
            settled_ms=settled - acted,
            took_ms=now_ms() - began,
            misses=(),
            machines=len({event.node for event in events if event.kind == "boot"}),
            is_restless=is_restless,
        )
        misses += missed(step.expect, outcome)
        if step.expect.fenced_first and not self._stack.is_komainu:
            misses += not_off_first(events, seen, active)
        elif step.expect.fenced_first:
            misses += not_fenced_first(statuses, seen, active, since=began_wall, offset=began_wall - began)
        if step.expect.two_copies and not self._doubles:
            misses.append(f"{self._address} never stood on two machines")
        doubles = () if step.expect.two_copies else self._doubles[:1]
        return msgspec.structs.replace(outcome, misses=(*doubles, *misses))

    # -- doing --------------------------------------------------------------------------------------------

    def _perform(self, one: action.DrillAction, active: str | None) -> None:
        match one:
            case action.Wait(span):
                time.sleep((duration.parse_ms(span) or 0) / 1000)
            case action.WaitUntil():
                self._wait_until(one, active)
            case action.StopResource(resource):
                ours = ["komainu", "resource", "stop", resource]
                command = ours if self._stack.is_komainu else peer.stop_command(resource)
                self._command(str(self._named(action.PASSIVE, active)), command)
            case action.KillDaemon(node, signal) if not self._stack.is_komainu and signal != ORDERLY:
                named = str(self._named(node, active))
                self._lab.perform(action.Kill(named, pattern="corosync", signal=signal))
            case action.Run(node, command):
                words = [str(self._named(word, active)) for word in shlex.split(command)]
                self._command(str(self._named(node, active)), words)
            case action.Isolate() | action.Rejoin() | action.FenceDevice():
                self._lab.perform(one)
            case _:
                self._lab.perform(msgspec.structs.replace(one, node=self._named(one.node, active)))

    def _wait_until(self, one: action.WaitUntil, active: str | None) -> None:
        """Wait for the things that are named, whatever else is going on."""
        expect = Expect(link_down=one.link_down, service_on=self._named(one.service_on, active))
        online = self._named(one.online, active)

        def lacking() -> tuple[str, ...]:
            scene = self._scene()
            found = list(settle.links_lacking(scene, expect.link_down))
            elsewhere = settle.place_lacking(scene, settle.Place(self._service, active, expect))
            if expect.service_on is not None and elsewhere is not None:
                found.append(elsewhere)
            if online is not None and online not in settle.online(scene.statuses):
                found.append(f"{online} is not online")
            return tuple(found)

        self._await(lacking, duration.parse_ms(one.within) or SETTLED_WITHIN_MS, "the wait was in vain")

    def _named(self, word: str | None, active: str | None) -> str | None:
        """Put a node's name for ACTIVE and PASSIVE."""
        if word == action.ACTIVE:
            if active is None:
                raise LabFailure(f"{self._service} runs nowhere, so no node is {action.ACTIVE}")
            return active
        if word == action.PASSIVE:
            return next(node for node in self._drill.layout.nodes if node != active)
        return word

    def _command(self, node: str, command: list[str], stdin: str = "") -> None:
        ended = self._lab.run(node, command, stdin=stdin)
        if ended.returncode:
            said = (ended.stderr or ended.stdout).strip()
            raise LabFailure(f"`{shlex.join(command)}` on {node} ended with {ended.returncode}:\n{said}")

    # -- watching -----------------------------------------------------------------------------------------

    def _scene(self) -> settle.Scene:
        on = tuple(one.node for one in self._lab.describe().machines if one.is_on)
        if self._address is not None:
            holders = self._lab.holders(self._address)
            if len(holders) > 1:
                self._doubles.append(f"{self._address} stood on {' and '.join(holders)} at once")
        now = now_ms()
        return settle.Scene(on, self._statuses(), self._lab.service(since=now - 1000, until=now))

    def _without_service(self) -> tuple[str, ...]:
        """Say what is missing until the nodes are together. Raises LabFailure when a daemon ended already."""
        for one in self._lab.describe().machines:
            if one.daemon not in {"running", "not started"}:
                said = self._lab.run(one.node, ["tail", "-n", str(LOG_LINES), DAEMON_LOG]).stdout
                raise LabFailure(f"the daemon of {one.node} {one.daemon}; its last words:\n{said.rstrip()}")
        return settle.cluster_lacking(self._scene())

    def _statuses(self) -> dict[str, Status]:
        found: dict[str, Status] = {}
        for node in self._drill.layout.nodes:
            reply = self._ask(node, AskStatus()) if self._stack.is_komainu else peer.status(self._lab, node)
            if isinstance(reply, Status):
                found[node] = reply
        return found

    def _ask(self, node: str, request: Request) -> Reply | None:
        """Ask a node's daemon; None when it does not answer."""
        with contextlib.suppress(Refused, LabFailure, OSError):
            root = self._lab.root(node)
            if root is not None:
                return Client(str(root / DAEMON_SOCKET), timeout_s=ASK_TIMEOUT_S).ask(request)
        return None

    def _until(self, lacking: Callable[[], tuple[str, ...]], limit_ms: int) -> tuple[str, ...]:
        """Poll until nothing is lacking; say what still is when the limit is reached."""
        end = now_ms() + limit_ms
        while found := lacking():
            if now_ms() > end:
                return tuple(f"not at rest after {duration.show_ms(limit_ms)}: {text}" for text in found)
            time.sleep(POLL_S)
        return ()

    def _await(self, lacking: Callable[[], tuple[str, ...]], limit_ms: int, complaint: str) -> None:
        found = self._until(lacking, limit_ms)
        if found:
            raise LabFailure("\n  ".join((f"{complaint}:", *found)))

    def _records(self, since: int) -> list[flight.FlightLine]:
        """Read what all machines that are on wrote into their flight records since this moment (wall clock)."""
        found: list[flight.FlightLine] = []
        for node in self._drill.layout.nodes:
            root = self._lab.root(node)
            if root is not None:
                found.extend(flight.read(root, since))
        return found

    def _views(self, records: list[flight.FlightLine], offsets: dict[str, int]) -> int:
        """Count the changes of the membership: the cluster's, or the most that one node of a peer logged."""
        if self._stack.is_komainu:
            return flight.membership_changes(records)
        counts = (
            sight.membership_changes(self._lab, self._stack, node, since=0, offset=offset)
            for node, offset in offsets.items()
        )
        return max(counts, default=0)

    def _happened(self, records: list[flight.FlightLine], where: str, *, moved: bool, since: int) -> str:
        """Say in one sentence what the cluster itself says that happened: the node that runs the service."""
        if not self._stack.is_komainu:
            return f"{self._service} runs on {where or 'no node'}; the peer gives no reason"
        why = self._ask(where, AskWhy(ResourceId(self._service))) if where else None
        if isinstance(why, Why) and (moved or any(line.at >= since for line in why.chain)):
            return why.answer
        return flight.link_story(records) or "nothing changed"


def broken_off(step: str, took_ms: int, why: str) -> Outcome:
    """Tell of a step that could not be carried out to its end."""
    return Outcome(
        step=step,
        happened="the step could not be carried out; the drill ended here",
        power=(),
        reboots=0,
        daemon_exits=0,
        membership_changes=0,
        longest_gap_ms=took_ms,
        stalled_ms=0,
        service_on="",
        settled_ms=took_ms,
        took_ms=took_ms,
        misses=(why,),
        is_broken_off=True,
    )


def missed(expect: Expect, outcome: Outcome) -> list[str]:
    """Compare the figures of a step with what was expected; one sentence for each miss."""
    misses = []
    for key in ("reboots", "daemon_exits", "membership_changes"):
        wanted, got = getattr(expect, key), getattr(outcome, key)
        if wanted is not None and wanted != got:
            misses.append(f"{key.replace('_', ' ')}: {got}; expected: {wanted}")
    if expect.reboots_max is not None and outcome.reboots > expect.reboots_max:
        misses.append(f"reboots: {outcome.reboots}; allowed: {expect.reboots_max}")
    if expect.machines_max is not None and outcome.machines > expect.machines_max:
        misses.append(f"machines that booted: {outcome.machines}; allowed: {expect.machines_max}")
    if expect.gap_max_ms is not None and outcome.longest_gap_ms > expect.gap_max_ms:
        misses.append(
            f"longest gap of the service: {outcome.longest_gap_ms} ms; allowed: {expect.gap_max_ms} ms"
        )
    return misses


def not_fenced_first(
    statuses: dict[str, Status], seen: ServiceSeen, lost: str | None, *, since: int, offset: int
) -> list[str]:
    """Check that the lost node was fenced, in this step, before another one answered.

    `since` is the step's begin by the wall clock, `offset` the wall clock less the monotonic one; both in ms.
    """
    answered = [stint.began + offset for stint in seen.stints if stint.node != lost]
    fenced = [
        one.at
        for status in statuses.values()
        for one in status.fencing
        if one.target == lost and one.state == "done" and one.at >= since
    ]
    if not fenced:
        return [f"{lost} was not fenced"]
    if answered and min(answered) < min(fenced):
        return [f"another node answered {min(fenced) - min(answered)} ms before {lost} was confirmed off"]
    return []


def not_off_first(events: Sequence[LabEvent], seen: ServiceSeen, lost: str | None) -> list[str]:
    """Check that the lost node's machine was off, whoever did it, before another one answered."""
    answered = [stint.began for stint in seen.stints if stint.node != lost]
    off = [event.at for event in events if event.node == lost and event.kind in {"power-off", "reset"}]
    if not off:
        return [f"{lost} was never off"]
    if answered and min(answered) < min(off):
        return [f"another node answered {min(off) - min(answered)} ms before {lost} was off"]
    return []


def described(one: action.DrillAction) -> str:
    """Say an action in a few words: `pull cable=interconnect`."""
    fields = msgspec.to_builtins(one)
    verb = str(fields.pop("do"))
    return " ".join((verb, *(f"{key}={value}" for key, value in fields.items() if value is not None)))
