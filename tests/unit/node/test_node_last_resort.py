"""Orders to fence, a node's own reset, and the warnings before either is needed."""

import msgspec
import pytest
from test_node_devices import cib, option

from komainu.cib.command import EditConfiguration, RecordFencing
from komainu.cib.document import parse, show
from komainu.cib.state import Applied, ClusterState
from komainu.fencing.interface import FenceRequested
from komainu.model.edit import SetOption
from komainu.model.fencing import FenceState
from komainu.model.ids import NodeId, NodeName, WallTime
from komainu.model.report import Report
from komainu.model.request import Done, FenceNode, RefusedReply
from komainu.model.view import Position, View, ViewId
from komainu.node import fence_warnings
from komainu.node.devices import WATCHDOG_MARK
from komainu.node.interface import ClientId
from komainu.node.last_resort import RESET_MARK, LastResort
from komainu.node.replica import CommandApplied

A, B = NodeName("a"), NodeName("b")
POSITION = Position(1, 1)
WALL = WallTime(5)
TIMEOUT = option("stonith-watchdog-timeout", "10s")
VIP_RUNS = (
    "<node_state id='1' uname='a'><lrm id='1'><lrm_resources><lrm_resource id='vip' class='ocf' type='vip'>"
    "<lrm_rsc_op id='vip_last_0' operation='start' rc-code='0' op-status='0' call-id='3'/>"
    "</lrm_resource></lrm_resources></lrm></node_state>"
)


def view(*, quorate: bool) -> View:
    return View(ViewId(1, NodeId(1)), (NodeId(1),), quorate=quorate, quorum_reason="1 of 3 votes")


def armed(me: NodeName = A, last_reset: str = "") -> LastResort:
    resort = LastResort(me, last_reset=last_reset)
    resort.armed(5000)
    return resort


def applied(command: object, *refusals: Report) -> CommandApplied:
    assert isinstance(command, RecordFencing)
    return CommandApplied(command, Applied(ClusterState(cib()), refusals), POSITION, A, None)


def test_an_order_runs_here_and_is_answered_when_it_has_ended() -> None:
    resort = LastResort(A)
    started = resort.order(FenceNode(B, "off"), ClientId(7), cib(), user="root", at=WALL)
    (request,) = resort.started(applied(started), WALL)
    assert isinstance(request, FenceRequested)
    assert (request.target, request.action) == (B, "off")
    assert resort.settle(applied(started)) == []
    ended = msgspec.structs.replace(started.record, state=FenceState.DONE, device="p", outcome="done")
    done = msgspec.structs.replace(started, record=ended)
    assert resort.started(applied(done), WALL) == []
    (answer,) = resort.settle(applied(done))
    assert answer.client == 7
    assert isinstance(answer.reply, Done)
    assert resort.settle(applied(done)) == []


@pytest.mark.parametrize("is_refused", [True, False])
def test_an_order_that_fails_or_is_refused_says_why(*, is_refused: bool) -> None:
    resort = LastResort(A)
    command = resort.order(FenceNode(B, "off"), ClientId(7), cib(), user="root", at=WALL)
    if not is_refused:
        ended = msgspec.structs.replace(command.record, state=FenceState.FAILED, outcome="no route")
        command = msgspec.structs.replace(command, record=ended)
    refusals = (Report("cib.unknown-node", "there is no node b"),) if is_refused else ()
    (answer,) = resort.settle(applied(command, *refusals))
    assert isinstance(answer.reply, RefusedReply)
    assert answer.reply.reasons[0].message == ("there is no node b" if is_refused else "no route")


def test_a_node_that_lost_quorum_is_reset_only_where_the_others_count_on_it() -> None:
    promised = cib(TIMEOUT)

    def lost(resort: LastResort, *, halves_stay: bool = False, options: str = TIMEOUT) -> str:
        resort.lost_quorum(view(quorate=True), promised, halves_stay=halves_stay)
        return resort.lost_quorum(view(quorate=False), cib(options), halves_stay=halves_stay)

    assert "a lost quorum (1 of 3 votes)" in lost(armed())
    assert not lost(LastResort(A)), "no watchdog"
    assert not lost(armed(), options=""), "no promise"
    assert not lost(armed(), halves_stay=True), "two_node"
    assert not armed().lost_quorum(view(quorate=False), promised, halves_stay=False), "never had any"


def test_a_lone_half_without_its_disks_is_reset_unless_it_runs_nothing() -> None:
    """With two_node it has quorum whatever the other half does, which may have left a pill that it cannot read."""

    def lost(
        members: tuple[int, ...], *, quorate: bool = True, runs: str = VIP_RUNS, pair: bool = True
    ) -> str:
        seen = View(ViewId(1, NodeId(1)), tuple(map(NodeId, members)), quorate=quorate, quorum_reason="")
        status = parse(show(cib()).replace("<status>", "<status>" + runs, 1))
        return armed().lost_disks(seen, status, halves_stay=pair)

    assert "lost its shared disks and is alone" in lost((1,))
    assert not lost((1,), runs="")
    assert not lost((1, 2))
    assert not lost((1,), pair=False), "a witness or a majority vouches for it"
    assert "lost its shared disks and has no quorum" in lost((1,), quorate=False, runs="")


def test_a_node_that_joins_says_why_it_was_reset_and_that_its_watchdog_is_armed() -> None:
    resort = armed(last_reset="it stood still")
    (reset,) = resort.before_join(WALL)
    assert resort.before_join(WALL) == []
    (mark,) = resort.after_join(cib(), WALL)
    assert (reset.name, reset.cause.text) == (RESET_MARK, "it stood still")
    assert (mark.name, mark.value) == (WATCHDOG_MARK, "5000")
    assert resort.after_join(cib(marks=(5000, 0, 0)), WALL), "the join will wipe it"
    joined = "<node_state id='1' in_ccm='true' join='member'"
    still = parse(show(cib(marks=(5000, 0, 0))).replace('<node_state id="1"', joined))
    assert resort.after_join(still, WALL) == []


def test_the_others_are_told_before_a_reset_that_a_shell_saw_coming() -> None:
    said = armed().farewell("a read the poison pill `reset`", WALL)
    assert (said.node, said.name, said.cause.code) == (A, RESET_MARK, "reset.coming")
    assert said.cause.text == "a read the poison pill `reset`"


def test_have_watchdog_is_set_where_a_watchdog_is_armed_and_asked_for() -> None:
    marks = (5000, 0, 0)
    for options in (TIMEOUT, option("stonith-watchdog-timeout", "-1")):
        (wish,) = armed().planned_with(cib(options, marks=marks), WALL)
        command = wish.command
        assert isinstance(command, EditConfiguration)
        (edit,) = command.edits
        assert edit == SetOption("crm_config", "cluster_property_set", "have-watchdog", "true")
        assert command.cause.text == "stonith-watchdog-timeout is set, and armed is the watchdog of a"
    assert armed().planned_with(cib(TIMEOUT), WALL) == [], "none is armed"
    assert armed().planned_with(cib(marks=marks), WALL) == [], "nobody asked for it"
    has = TIMEOUT + option("have-watchdog", "true")
    assert armed().planned_with(cib(has, marks=marks), WALL) == []


def warnings(options: str = "", levels: str = "", **parts: object) -> str:
    halves_stay = bool(parts.pop("halves_stay", False))
    troubles: dict[str, str] = parts.pop("troubles", {})  # type: ignore[assignment] # given as a dict
    document = cib(options, levels, **parts)  # type: ignore[arg-type] # only marks is left
    return "\n".join(fence_warnings.of(ClusterState(document), troubles, halves_stay=halves_stay))


def test_nothing_to_warn_of() -> None:
    assert not warnings()
    assert not warnings(option("stonith-enabled", "false"), troubles={"fence_x": "is not installed"})


def test_what_is_said_before_it_is_needed() -> None:
    assert "fence agent fence_x: is missing" in warnings(troubles={"fence_x": "is missing"})
    levels = "<fencing-level id='1' target='b' index='1' devices='p,typo'/>"
    assert "level 1 for b names typo, which is no enabled fence device" in warnings(levels=levels)
    said = warnings(TIMEOUT + option("have-watchdog", "true"), marks=(6000, 5000, 5000))
    assert said == (
        "stonith-watchdog-timeout (10000 ms) is below 2 x the watchdog of a (6000 ms) = 12000 ms: "
        "its watchdog is not counted on"
    )
    assert "with two_node both halves keep quorum" in warnings(TIMEOUT, halves_stay=True)
    assert "have-watchdog is not true" in warnings(TIMEOUT, marks=(5000, 5000, 5000))


def test_levels_and_maps_that_cannot_be_what_was_meant() -> None:
    twice = "<fencing-level id='1' target='b' index='1' devices='p,p'/>"
    assert "level 1 for b names p twice: it would be run twice" in warnings(levels=twice)
    same = "".join(f"<fencing-level id='{name}' target='b' index='2' devices='p'/>" for name in "xy")
    assert "there are 2 levels 2 for b: which is tried first is not said" in warnings(levels=same)


@pytest.mark.parametrize(
    ("options", "links", "expected"),
    [
        ("", 2, ["its resources wait for its fencing"]),
        (option("stonith-enabled", "false"), 2, ["may still run them", "both serve now"]),
        (option("fencing-enabled", "no"), 1, ["one pulled cable is enough for that", "both serve now"]),
        (option("stonith-enabled", "0"), 2, ["may still run them", "both serve now"]),
    ],
)
def test_a_loss_is_told_by_what_it_leads_to(options: str, links: int, expected: list[str]) -> None:
    """Without fencing nothing waits: what ran there was started elsewhere, perhaps beside itself."""
    said = list(fence_warnings.of_losses(cib(options), (B,), links=links))
    assert all(wanted in text for wanted, text in zip(expected, said, strict=True))
    assert len(list(fence_warnings.of_losses(cib(options), (), links=links))) == len(expected) - 1
