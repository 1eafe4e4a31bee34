"""recorder/flight_index.py and recorder/change.py: why a resource or node is as it is, in one sentence."""

from dataclasses import dataclass, field

import pytest

from komainu.cib.command import (
    AnyCommand,
    ChangeMembership,
    EditConfiguration,
    JoinNode,
    RecordFencing,
    RecordOperation,
    StartAction,
    StartTransition,
)
from komainu.cib.element import Element
from komainu.cib.state import Applied, ClusterState
from komainu.model.cause import Cause
from komainu.model.edit import SetOption
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import NodeId, NodeName, ResourceId, WallTime
from komainu.model.operation import ActionRequest, AgentName, OperationResult, OpStatus
from komainu.model.report import Report
from komainu.model.view import Position, View, ViewId
from komainu.recorder import flight_index
from komainu.recorder.change import REMOVED
from komainu.recorder.flight_index import DEPTH_MAX, HISTORY_MAX, LINES_MAX, FlightIndex
from komainu.recorder.record import Record
from komainu.recorder.subjects import record_of

A, B = NodeName("a"), NodeName("b")
WEB = ResourceId("web")
NOON = 1_800_014_531_000  # 12:02:11 UTC
STATE = ClusterState(Element("cib"))
SILENT = "a was lost: silent on both links for 0.80 s"
VIEW = View(ViewId(2, NodeId(2)), (NodeId(2),), True, "")


@dataclass
class Story:
    """Records that follow each other, a second apart."""

    index: FlightIndex = field(default_factory=FlightIndex)
    told: int = 0

    def tell(self, command: AnyCommand, *, refused: bool = False) -> str:
        """Add the record of a command; return its position."""
        self.told += 1
        refusals = (Report("x", "no"),) if refused else ()
        record = record_of(command, Position(2, self.told), B, Applied(STATE, refusals))
        self.index.add(record)
        return record.position

    @property
    def at(self) -> WallTime:
        return WallTime(NOON + 1000 * self.told)


def request(operation: str, interval_ms: int = 0) -> ActionRequest:
    return ActionRequest(
        node=B,
        resource=WEB,
        agent=AgentName("ocf", "komainu", "web"),
        operation=operation,
        interval_ms=interval_ms,
        timeout_ms=1000,
        parameters=(),
        meta=(),
        target_rc=0,
        transition_key="1:2:0:x",
        digest="",
    )


def result(story: Story, operation: str, *because: str, exit_code: int = 0, interval_ms: int = 0) -> str:
    outcome = OperationResult(
        request(operation, interval_ms), 1, OpStatus.DONE, exit_code, "no disk", 0, 1, 1
    )
    cause = Cause("operation.done", f"{operation} of web on b: as expected", because)
    return story.tell(RecordOperation(cause, story.at, "", outcome))


def fencing(story: Story, state: FenceState, *because: str) -> str:
    record = FenceRecord("1.1", A, "off", state, B, "lab", "a is not to be trusted", "ok", story.at)
    return story.tell(RecordFencing(Cause("fencing", "fencing of a by lab", because), story.at, "", record))


def plan(story: Story, resource_text: str, node_text: str, *because: str) -> str:
    nodes = ((A, Cause("plan.fence", node_text, because)),) if node_text else ()
    resources = ((WEB, Cause("plan.move", resource_text, because)),) if resource_text else ()
    cause = Cause("plan.made", "start web on b; fence a", because)
    return story.tell(StartTransition(cause, story.at, "", 1, (), resources, nodes))


def failover() -> Story:
    """Tell how node a was lost and fenced, and web was started on b."""
    story = Story()
    cause = Cause("membership.changed", SILENT)
    lost = ChangeMembership(cause, story.at, "", VIEW, (B,), ((A, "silent on both links for 0.80 s"),), ())
    view = story.tell(lost)
    first = plan(story, "", "a is fenced, since it was lost", view)
    started = fencing(story, FenceState.STARTED, first)
    done = fencing(story, FenceState.DONE, started)
    second = plan(story, "a is safely down", "", done)
    asked = StartAction(
        Cause("plan.resource", "start web on b", (second,)), story.at, "", request("start"), 1, 1
    )
    result(story, "start", story.tell(asked))
    result(story, "monitor", interval_ms=10_000)
    return story


def test_why_a_resource_runs_where_it_does() -> None:
    why = failover().index.why("web")
    assert why.answer == (
        "web runs on b since 12:02:17 UTC, because a is safely down, because node a was fenced, "
        "because a is fenced, since it was lost, because a was lost: silent on both links for 0.80 s"
    )
    assert [line.depth for line in why.chain] == [0, 1, 2, 3, 4, 5, 6]
    assert why.chain[-1].position == "2.1"


def test_why_a_node_is_down() -> None:
    why = failover().index.why("a")
    assert why.answer == (
        "node a was fenced at 12:02:14 UTC, because a is not to be trusted, "
        "because a is fenced, since it was lost, because a was lost: silent on both links for 0.80 s"
    )


def test_why_at_an_earlier_moment() -> None:
    story = failover()
    assert story.index.why("a", WallTime(NOON)).answer == (
        "node a was lost at 12:02:11 UTC, because silent on both links for 0.80 s"
    )
    assert "nothing is recorded" in story.index.why("a", WallTime(NOON - 1)).answer


def test_an_unknown_subject() -> None:
    assert FlightIndex().why("db").answer == "nothing is recorded about db"
    assert FlightIndex().why("db").chain == ()


def test_a_failure_says_what_the_agent_said() -> None:
    story = failover()
    result(story, "monitor", exit_code=1, interval_ms=10_000)
    assert story.index.why("web").answer == "monitor of web failed on b at 12:02:19 UTC, because no disk"


def test_what_an_operator_wished_is_a_cause() -> None:
    story = Story()
    cause = Cause("operator", "root set target-role of web to Stopped")
    edits = (SetOption("web", "meta_attributes", "target-role", "Stopped"),)
    wish = story.tell(EditConfiguration(cause, story.at, "root", edits, None))
    assert "root set target-role" in story.index.why("web").answer
    result(story, "stop", plan(story, "web is to be stopped", "", wish))
    assert story.index.why("web").answer == (
        "web was stopped on b at 12:02:13 UTC, because web is to be stopped, "
        "because root set target-role of web to Stopped"
    )


def test_a_node_that_joins_again_in_each_view_is_a_member_since_the_first() -> None:
    story = Story()
    for _ in range(3):
        story.tell(JoinNode(Cause("membership.joined", "b says what runs on it"), story.at, "", B, ()))
    assert story.index.why("b").answer == "node b is a member since 12:02:11 UTC"


def test_what_was_refused_explains_nothing() -> None:
    story = failover()
    edits = (SetOption("a", "instance_attributes", "standby", "on"),)
    story.tell(EditConfiguration(Cause("operator", "standby"), story.at, "", edits, None), refused=True)
    assert story.index.why("a").answer.startswith("node a was fenced")


def test_an_instance_is_found_by_its_resource() -> None:
    index = FlightIndex()
    index.add(Record("1.1", WallTime(NOON), B, "link", Cause("x", "web:1 was seen"), ("web:1",)))
    assert "web:1 was seen" in index.why("web").answer


def test_the_index_forgets_the_oldest() -> None:
    index = FlightIndex(limit=3)
    for number in range(10):
        cause = Cause("x", f"turn {number}", (f"1.{number - 1}",))
        index.add(Record(f"1.{number}", WallTime(NOON), A, "x", cause, (f"s{number}", "all")))
    assert "nothing is recorded" in index.why("s6").answer
    assert [line.position for line in index.why("s9").chain] == ["1.9", "1.8", "1.7"]


def test_causes_that_go_round_or_on_for_ever_end() -> None:
    index = FlightIndex()
    for number in range(100):
        because = tuple(f"1.{(number + step) % 100}" for step in (1, 2, 3))
        index.add(
            Record(f"1.{number}", WallTime(NOON), A, "x", Cause("x", f"turn {number}", because), ("s",))
        )
    chain = index.why("s").chain
    assert len(chain) <= LINES_MAX
    assert max(line.depth for line in chain) <= DEPTH_MAX


def test_a_huge_command_is_not_kept_in_memory() -> None:
    index = FlightIndex()
    index.add(
        Record("1.1", WallTime(NOON), A, "x", Cause("x", "all was replaced"), ("s",), "", "A" * 100_000)
    )
    assert index.why("s").answer == "all was replaced, at 12:02:11 UTC"


def test_large_commands_push_out_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flight_index, "CHARACTERS_MAX", 100)
    index = FlightIndex()
    for name in "abc":
        index.add(Record("", WallTime(NOON), A, "x", Cause("x", f"turn {name}"), (name,), "", "A" * 40))
    assert "nothing is recorded" in index.why("a").answer
    assert "turn c" in index.why("c").answer


def test_a_node_that_is_back_is_explained_with_why_it_went() -> None:
    story = failover()
    gone = story.index.why("a")
    story.tell(JoinNode(Cause("membership.joined", "a says what runs on it"), story.at, "", A, ()))
    back = story.index.why("a")
    assert back.answer.startswith("node a is a member since")
    assert back.answer.endswith(f"Before: {gone.answer}")
    assert back.chain[-len(gone.chain) :] == gone.chain


def test_the_reason_of_a_plan_does_not_hide_what_made_it() -> None:
    """A plan says why this resource; the event that set the coordinator planning is a cause, too."""
    story = Story()
    lost = ChangeMembership(
        Cause("membership.changed", SILENT), story.at, "", VIEW, (B,), ((A, "silent"),), ()
    )
    view = story.tell(lost)
    cause = Cause("plan.made", "move web", (view,))
    own = ((WEB, Cause("plan.move", "web moves from a to b")),)
    made = story.tell(StartTransition(cause, story.at, "", 1, (), own, ()))
    result(story, "start", made)
    assert [line.text for line in story.index.why("web").chain][1:] == ["web moves from a to b", SILENT]


def test_a_link_tells_its_history() -> None:
    """The newest event of a link seldom says why: what came before it is told, too."""
    index = FlightIndex()
    told = ["eth1: carrier lost", "eth1: address 192.168.33.101/24 deleted", "eth1: up"]
    for number, text in enumerate(told):
        at = WallTime(NOON + 1_000 * number)
        index.add(Record("", at, A, "link", Cause("network.end", f"link 0: {text}"), ("link0", A, B)))
        index.add(Record("", at, A, "peer-link", Cause("network.end", f"link 1: {text}"), ("link1", B)))
    why = index.why("link0")
    assert why.answer == "link 0: eth1: up, at 12:02:13 UTC"
    assert [line.text.rpartition(", at")[0] or line.text for line in why.chain] == [
        f"link 0: {text}" for text in reversed(told)
    ]
    assert len(index.why("link0", WallTime(NOON + 1_500)).chain) == 2
    assert len(index.why(A).chain) == 1, "a node is not explained by all that its links saw"
    for number in range(100):
        index.add(Record("", WallTime(NOON), A, "link", Cause("x", f"turn {number}"), ("link0", A)))
    assert len(index.why("link0").chain) == HISTORY_MAX


def test_what_was_found_out_later_is_not_the_answer_about_a_link() -> None:
    """What NetworkManager said a moment later is told below it, and is no answer."""
    index = FlightIndex()
    for code, text in (
        ("link.down", "link 0 to b: eth1: carrier lost; address 10.0.0.1/24 deleted 6.0 s later"),
        ("network.manager-says", "link 0: eth1: NetworkManager says: state 20"),
    ):
        index.add(Record("", WallTime(NOON), A, "link", Cause(code, text), ("link0", A)))
    why = index.why("link0")
    assert why.answer.startswith(
        "link 0 to b: eth1: carrier lost; address 10.0.0.1/24 deleted 6.0 s later, at "
    )
    assert "NetworkManager says" in why.chain[0].text


def test_why_a_node_that_was_removed_is_alone() -> None:
    story = Story()
    story.tell(JoinNode(Cause("membership.joined", "b says what runs on it"), story.at, "", B, ()))
    cause = Cause(REMOVED, "b was removed from cluster test while it was away")
    story.index.add(Record("", WallTime(NOON + 9000), B, "layout", cause, (B,)))
    assert story.index.why(B).answer.startswith("b was removed from cluster test while it was away")
