"""The flight records of all nodes tell the story of a step, each change once."""

import json
from pathlib import Path

from komainu.lab import flight
from komainu.lab.flight import FlightCause, FlightLine


def line(at: int, kind: str, code: str, text: str = "", position: str = "", node: str = "a") -> FlightLine:
    return FlightLine(position, at, node, kind, FlightCause(code, text))


def test_a_change_of_membership_counts_once_however_many_nodes_saw_it() -> None:
    lines = [line(1, "change-membership", "", position="7.1", node=node) for node in "ab"]
    assert flight.membership_changes([*lines, line(2, "change-membership", "", position="8.1")]) == 2


def test_the_story_of_links() -> None:
    fell = line(1000, "link", "link.no-carrier", "link 0 to b: eth1: carrier lost")
    silent = line(1001, "link", "link.silent", "link 0 to b: nothing heard", node="b")
    rose = line(3500, "link", "link.up", "link 0 to b: packets arrive")
    assert flight.link_story([silent, fell]) == "a: link 0 to b: eth1: carrier lost"
    assert flight.link_story([fell, rose]) == "a: link 0 to b: eth1: carrier lost; up again after 2.5 s"
    assert flight.link_story([rose]) == "a: link 0 to b: packets arrive again"
    assert not flight.link_story([])


def test_torn_lines_and_missing_files_are_left_out(tmp_path: Path) -> None:
    assert flight.read(tmp_path, 0) == ()
    path = tmp_path / flight.FLIGHT_FILE
    path.parent.mkdir(parents=True)
    record = {
        "position": "",
        "at": 5,
        "node": "a",
        "kind": "link",
        "cause": {"code": "x", "text": "y", "because": []},
    }
    path.write_text(json.dumps(record) + "\n" + json.dumps(record)[:20], encoding="utf-8")
    assert len(flight.read(tmp_path, 0)) == 1
    assert flight.read(tmp_path, 6) == ()
