"""The checkers are checked: bugs planted on purpose, each found by the simulator within a bounded number of seeds.

A bug is planted by replacing one function of the real program. A checker that finds none of them is no checker.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from komainu.cib import membership, nodes
from komainu.cib.command import StartAction
from komainu.cib.state import ClusterState
from komainu.controller.controller import Controller
from komainu.fencing.fencing import Fencer
from komainu.fencing.interface import FenceAgentFinished, FenceRequested, FencingEnded
from komainu.model.cause import Cause
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import NodeName
from komainu.model.plan import Plan
from komainu.model.view import Position
from komainu.network import link_ends
from komainu.network.interface import AddressGone
from komainu.node import desk, drive, race
from komainu.node.coordination import Coordination
from komainu.node.desk import Desk
from komainu.node.drive import Drive
from komainu.node.interface import Exit
from komainu.node.replica import Reached, Replica
from komainu.ring import decision, quorum, wire
from komainu.ring.builtin import BuiltinRing
from komainu.ring.interface import Deliver, PacketReceived
from komainu.sim import agents, machine, observer, world
from komainu.sim.faults import MIXED
from komainu.sim.scenario import Run, nodes_of, play

SEEDS_MAX = 1_000

SHOWN_BY: dict[str, tuple[str, ...]] = {
    "who_cannot_store_takes_his_leave": ("full-disk", "power", "partition"),
    "a_plan_is_carried_out_although_the_state_moved_on": (
        "crash",
        "leave",
        "standby",
        "resource",
        "partition",
    ),
    "raw_frames_do_not_keep_a_link": ("by-frames", "cut-link"),
}
"""The classes of faults with which a bug shows itself soon; among all of them it takes a minute."""

SHOWN_BESIDE = {"a_plan_is_carried_out_although_the_state_moved_on"}
"""Bugs that show themselves soon where plans take their time, as those of large clusters do."""

Plant = Callable[[pytest.MonkeyPatch], None]
PLANTED: dict[str, Plant] = {}


def planted(plant: Plant) -> Plant:
    PLANTED[plant.__name__] = plant
    return plant


@planted
def a_fencing_counts_as_done_before_the_device_answered(patch: pytest.MonkeyPatch) -> None:
    handle = Fencer.handle

    def trusting(self: Fencer, event: Any, now: Any) -> Any:
        if not isinstance(event, FenceRequested):
            return handle(self, event, now)
        record = FenceRecord(
            request=event.request,
            target=event.target,
            action=event.action,
            state=FenceState.DONE,
            delegate=NodeName("a"),
            device="trust",
            reason=event.reason,
            outcome="it will be off by now",
            at=event.wall,
        )
        return [FencingEnded(record)]

    patch.setattr(Fencer, "handle", trusting)


@planted
def raw_frames_do_not_keep_a_link(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(link_ends, "_PASSED_BY_FRAMES", frozenset())


@planted
def nobody_waits_in_a_split(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(race, "place_of", lambda split: 0)


@planted
def both_sides_think_that_they_are_favoured_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(race, "place_of", lambda split: 1)


@planted
def done_is_said_before_the_others_have_it(patch: pytest.MonkeyPatch) -> None:
    keep = Desk.keep
    patch.setattr(Desk, "keep", lambda self, stable: keep(self, Position(2**40, 0)))
    patch.setattr(desk, "may_promise", lambda view, nodes, cib: True)
    patch.setattr(drive, "may_promise", lambda view, nodes, cib: True)


@planted
def what_a_lone_half_agrees_on_is_promised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(drive, "may_promise", lambda view, nodes, cib: view is not None)


@planted
def the_disk_is_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """Stored is said at once; then power is lost before the write."""
    patch.setattr(Replica, "_mark", lambda self: [Reached(self.state.position)])
    patch.setattr(world, "DISK_MS", (4_000, 8_000))


@planted
def an_abandoned_line_still_promises(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Desk, "abandon", lambda self: [])


@planted
def a_plan_is_carried_out_although_the_state_moved_on(patch: pytest.MonkeyPatch) -> None:
    planned = Coordination.planned

    def stale(self: Any, arrived: Any, state: Any, now: Any, wall: Any) -> Any:
        if self._asked is not None:
            self._asked = dataclasses.replace(self._asked, changes=self._changes)
        return planned(self, arrived, state, now, wall)

    patch.setattr(Coordination, "planned", stale)


@planted
def actions_do_not_wait_for_what_they_need(patch: pytest.MonkeyPatch) -> None:
    handle = Controller.handle

    def hasty(self: Controller, event: Any, now: Any) -> Any:
        if hasattr(event, "plan"):
            loose = tuple(dataclasses.replace(action, needs=()) for action in event.plan.actions)
            event = dataclasses.replace(event, plan=dataclasses.replace(event.plan, actions=loose))
        return handle(self, event, now)

    patch.setattr(Controller, "handle", hasty)


@planted
def every_partition_is_quorate(patch: pytest.MonkeyPatch) -> None:
    judge = quorum.judge

    def generous(*given: Any, **named: Any) -> Any:
        return dataclasses.replace(judge(*given, **named), quorate=True)

    patch.setattr(decision, "judge", generous)


@planted
def the_planner_is_not_a_function(patch: pytest.MonkeyPatch) -> None:
    plan = world.__dict__["plan"]
    calls = [0]

    def moody(*given: Any, **named: Any) -> Plan:
        calls[0] += 1
        made: Plan = plan(*given, **named)
        return dataclasses.replace(made, summary=(*made.summary, f"call {calls[0]}"))

    patch.setattr(world, "plan", moody)


@planted
def a_lost_node_counts_as_cleanly_down(patch: pytest.MonkeyPatch) -> None:
    def bury(cib: Any, name: NodeName) -> Any:
        down = {"in_ccm": "false", "crmd": "offline", "join": "down", "expected": "down"}
        return nodes.update_state(cib, name, lambda here: nodes.with_all(here.with_children(()), down))

    patch.setattr(membership, "_with_lost", bury)


@planted
def commands_are_applied_a_little_differently_on_one_node(patch: pytest.MonkeyPatch) -> None:
    apply = Replica._apply

    def sloppy(self: Any, command: Any, delivery: Any) -> Any:
        effects = apply(self, command, delivery)
        if self._me == 2 and delivery.position.index % 7 == 0:
            cib = self.state.cib.with_attribute("num_updates", "0")
            self.state = ClusterState(cib, self.state.fencing, self.state.position)
        return effects

    patch.setattr(Replica, "_apply", sloppy)


@planted
def a_snapshot_is_adopted_without_the_last_change(patch: pytest.MonkeyPatch) -> None:
    adopt = Replica._adopt

    def stale(self: Any, command: Any, delivery: Any) -> Any:
        text = getattr(self, "_first", None)
        self._first = text or command.state
        return adopt(self, msgspec.structs.replace(command, state=self._first), delivery)

    patch.setattr(Replica, "_adopt", stale)


# -- the ring ---------------------------------------------------------------------------------------------


@planted
def a_vote_is_counted_twice(patch: pytest.MonkeyPatch) -> None:
    judge = quorum.judge

    def twice(settings: Any, *given: Any, **named: Any) -> Any:
        first, *others = settings.nodes
        heavy = dataclasses.replace(first, votes=2 * first.votes)
        # Who counts itself twice still believes in the same number of expected votes.
        expected = dataclasses.replace(
            settings.quorum, expected_votes=sum(node.votes for node in settings.nodes)
        )
        told = dataclasses.replace(settings, nodes=(heavy, *others), quorum=expected)
        return judge(told if len(settings.nodes) > 2 else settings, *given, **named)

    patch.setattr(decision, "judge", twice)


@planted
def two_messages_change_places_once(patch: pytest.MonkeyPatch) -> None:
    take = observer.WatchedDrive._take_ring
    held: dict[int, Any] = {}

    def swapped(self: Any, effect: Any) -> None:
        if isinstance(effect, Deliver) and self.settings.me == 2 and effect.position.index % 11 == 3:
            held[id(self)] = effect
            return
        take(self, effect)
        late = held.pop(id(self), None)
        if late is not None:
            take(self, late)

    patch.setattr(observer.WatchedDrive, "_take_ring", swapped)


@planted
def a_message_is_forgotten_on_one_node(patch: pytest.MonkeyPatch) -> None:
    take = observer.WatchedDrive._take_ring

    def deaf(self: Any, effect: Any) -> None:
        if isinstance(effect, Deliver) and self.settings.me == 2 and effect.position.index % 13 == 5:
            return
        take(self, effect)

    patch.setattr(observer.WatchedDrive, "_take_ring", deaf)


@planted
def every_ordered_message_is_kept_for_ever(patch: pytest.MonkeyPatch) -> None:
    handle = BuiltinRing.handle

    def hoarding(self: Any, event: Any, now: Any) -> Any:
        self.hoard = [*getattr(self, "hoard", ()), event]
        return handle(self, event, now)

    patch.setattr(BuiltinRing, "handle", hoarding)


@planted
def spoiled_datagrams_are_believed(patch: pytest.MonkeyPatch) -> None:
    opened = AESGCM.decrypt

    class Gullible:
        """A seal that opens whatever it is given."""

        def __init__(self, key: bytes) -> None:
            self.key = key
            self.aead = AESGCM(key)

        def encrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
            return self.aead.encrypt(nonce, data, associated)

        def decrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
            try:
                return opened(self.aead, nonce, data, associated)
            except InvalidTag:
                return Cipher(AES(self.key), CTR(nonce + b"\0\0\0\2")).decryptor().update(data[:-16])

    patch.setattr(wire, "AESGCM", Gullible)


@planted
def the_membership_is_formed_anew_again_and_again(patch: pytest.MonkeyPatch) -> None:
    """As Corosync 3.1 does when two of three nodes lose sight of each other."""
    receive = BuiltinRing._receive

    def deaf(self: Any, event: Any, now: Any) -> Any:
        is_deaf = isinstance(event, PacketReceived) and now % 6_000 < 1_500 and now > 5_000
        return [] if is_deaf else receive(self, event, now)

    patch.setattr(BuiltinRing, "_receive", deaf)


# -- fencing, leaving, reasons -------------------------------------------------------------------------------


@planted
def a_fencing_is_skipped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agents, "run_fence_agent", _says_that_it_is_off)


def _says_that_it_is_off(world_: Any, machine: Any, run: Any) -> None:
    """Answer for a device that does nothing."""
    done = FenceAgentFinished(run.run, 0, False, False, "", "", world_.wall)
    world_.later(machine, 50, lambda: world_.give(machine, done))


@planted
def who_cannot_store_takes_his_leave(patch: pytest.MonkeyPatch) -> None:
    end = Drive._end
    patch.setattr(Drive, "_end", lambda self, code, reason: end(self, 0, reason))


@planted
def the_last_words_of_who_leaves_are_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(drive, "have_heard", lambda ring, position: True)


@planted
def an_action_has_no_reason(patch: pytest.MonkeyPatch) -> None:
    broadcast = Drive._broadcast

    def silent(self: Any, command: Any, client: Any = None) -> None:
        if isinstance(command, StartAction):
            command = msgspec.structs.replace(command, cause=Cause("because", "it is so"))
        broadcast(self, command, client)

    patch.setattr(Drive, "_broadcast", silent)


@planted
def a_reason_names_what_never_was(patch: pytest.MonkeyPatch) -> None:
    broadcast = Drive._broadcast

    def lying(self: Any, command: Any, client: Any = None) -> None:
        if isinstance(command, StartAction):
            command = msgspec.structs.replace(command, cause=Cause("because", "it is so", ("7.77",)))
        broadcast(self, command, client)

    patch.setattr(Drive, "_broadcast", lying)


@planted
def a_lost_address_ends_the_daemon(patch: pytest.MonkeyPatch) -> None:
    """As Corosync 2 and its specification want it."""
    handle = Drive.handle

    def proud(self: Any, event: Any, now: Any, wall: Any) -> Any:
        effects = handle(self, event, now, wall)
        return [*effects, Exit(1, "the address is gone")] if isinstance(event, AddressGone) else effects

    patch.setattr(Drive, "handle", proud)


@planted
def the_configuration_is_not_written_when_it_changes_twice(patch: pytest.MonkeyPatch) -> None:
    finish = machine.Disk.finish

    def forgetful(self: Any, token: int) -> bool:
        if len(self.writing) > 1:
            self.writing.pop(token, None)
            return True
        return finish(self, token)

    patch.setattr(machine.Disk, "finish", forgetful)


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(SEEDS_MAX):
        kinds = SHOWN_BY.get(name, MIXED)
        is_slow = name in SHOWN_BESIDE
        run = Run(seed, nodes_of(seed), kinds, count=10, within_ms=90_000, plans_beside=is_slow)
        with monkeypatch.context() as patch:
            PLANTED[name](patch)
            outcome = play(run)
        if outcome.failure and not play(run).failure:  # else it is no sign of the bug that was planted
            print(f"{name}: seed {seed}: {outcome.failure}")
            return
    pytest.fail(f"not found within {SEEDS_MAX} seeds")


def test_there_are_enough_planted_bugs() -> None:
    assert len(PLANTED) >= 20
