"""Read what the nodes wrote into their flight records, for the sentences and counts of a drill.

Takes the files as an operator finds them; a line that is torn is left out. Decides only which lines tell of a
step: changes of the membership are counted by their position, since every node records each of them.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from komainu.model.duration import show_ms

FLIGHT_FILE: Final = "var/lib/komainu/flight.jsonl"


class FlightCause(msgspec.Struct, frozen=True):
    """Why, in one sentence."""

    code: str
    text: str


class FlightLine(msgspec.Struct, frozen=True):
    """What a drill needs of one flight record."""

    position: str
    at: int  # wall clock, ms
    node: str
    kind: str
    cause: FlightCause


def read(root: Path, since: int) -> tuple[FlightLine, ...]:
    """Read a node's flight record from this moment on; empty when there is none."""
    try:
        data = (root / FLIGHT_FILE).read_bytes()
    except OSError:
        return ()
    lines = []
    for text in data.splitlines():
        try:
            line = msgspec.json.decode(text, type=FlightLine)
        except msgspec.MsgspecError:
            continue
        if line.at >= since:
            lines.append(line)
    return tuple(lines)


def membership_changes(lines: Iterable[FlightLine]) -> int:
    """Count the changes of the membership, each once however many nodes recorded it."""
    return len({line.position for line in lines if line.kind == "change-membership"})


def link_story(lines: Iterable[FlightLine]) -> str:
    """Say in one sentence what became of the links: what first went down and why, and when all was well again."""
    links = sorted((line for line in lines if line.kind == "link"), key=lambda line: line.at)
    fell = next((line for line in links if line.cause.code not in {"link.up", "link.silent"}), None)
    rose = next((line for line in reversed(links) if line.cause.code == "link.up"), None)
    if fell is None:
        return f"{rose.node}: {rose.cause.text} again" if rose is not None else ""
    if rose is None or rose.at < fell.at:
        return f"{fell.node}: {fell.cause.text}"
    return f"{fell.node}: {fell.cause.text}; up again after {show_ms(rose.at - fell.at)}"
