"""recorder/subjects.py: what a command is about, and that its record holds it."""

import pytest

from komainu.cib.command import (
    AdoptSnapshot,
    AnyCommand,
    ChangeMembership,
    EditConfiguration,
    ForgetOperations,
    LeaveNode,
    ReplaceConfiguration,
    StartTransition,
)
from komainu.cib.element import Element
from komainu.cib.state import Applied, ClusterState
from komainu.model.cause import Cause
from komainu.model.edit import Put, Remove, SetOption
from komainu.model.ids import NodeId, NodeName, ResourceId, WallTime
from komainu.model.report import Report
from komainu.model.view import Position, View, ViewId
from komainu.recorder.subjects import command_of, record_of, subjects_of

CAUSE = Cause("test", "a test wants it", ("1.4",))
AT = WallTime(1_800_000_000_000)
A, B = NodeName("a"), NodeName("b")
VIEW = View(ViewId(1, NodeId(1)), (NodeId(1),), True, "")
ORDER = '<rsc_order id="o"><resource_set id="s"><resource_ref id="x"/></resource_set></rsc_order>'
BAN = '<rsc_location id="ban" rsc="web" node="a" score="-INFINITY"/>'


@pytest.mark.parametrize(
    ("command", "subjects"),
    [
        (LeaveNode(CAUSE, AT, "", A), ("a",)),
        (ReplaceConfiguration(CAUSE, AT, "", "<cib/>", None), ("configuration",)),
        (EditConfiguration(CAUSE, AT, "", (SetOption("web", "meta_attributes", "x", "1"),), None), ("web",)),
        (
            EditConfiguration(CAUSE, AT, "", (Remove("web"), Put("constraints", BAN)), None),
            ("a", "ban", "web"),
        ),
        (
            EditConfiguration(CAUSE, AT, "", (Put("constraints", ORDER), Put("tags", "<bad")), None),
            ("o", "x"),
        ),
        (ChangeMembership(CAUSE, AT, "", VIEW, (A,), ((B, "silent"),), ()), ("b",)),
        (ForgetOperations(CAUSE, AT, "", None, None, False), ()),
        (StartTransition(CAUSE, AT, "", 1, (), ((ResourceId("web"), CAUSE),), ((B, CAUSE),)), ("b", "web")),
        (AdoptSnapshot(CAUSE, AT, "", Position(), "x"), ()),
    ],
)
def test_subjects(command: AnyCommand, subjects: tuple[str, ...]) -> None:
    assert subjects_of(command) == subjects


def test_a_record_holds_its_command() -> None:
    command = LeaveNode(CAUSE, AT, "root", A)
    record = record_of(command, Position(3, 7), B, Applied(ClusterState(Element("cib"))))
    assert (record.position, record.at, record.node, record.kind) == ("3.7", AT, B, "leave-node")
    assert (record.cause, record.refused) == (CAUSE, "")
    assert command_of(record) == command


def test_a_refusal_is_recorded_with_its_reasons() -> None:
    applied = Applied(ClusterState(Element("cib")), (Report("x", "no quorum"), Report("y", "stale")))
    record = record_of(LeaveNode(CAUSE, AT, "", A), Position(), A, applied)
    assert record.refused == "no quorum; stale"


def test_a_snapshot_is_not_recorded_whole() -> None:
    snapshot = AdoptSnapshot(CAUSE, AT, "", Position(), "x" * 100)
    record = record_of(snapshot, Position(), A, Applied(ClusterState(Element("cib"))))
    assert command_of(record) is None


def test_a_command_of_another_version_is_none() -> None:
    record = record_of(LeaveNode(CAUSE, AT, "", A), Position(), A, Applied(ClusterState(Element("cib"))))
    for text in ("not base64!", "AAAA"):
        assert command_of(type(record)(record.position, AT, A, "x", CAUSE, (), "", text)) is None
