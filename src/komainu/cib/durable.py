"""Write the cluster state as text for a disk or a snapshot, and read it back only when it is whole.

Decides which stored text is believed. Must not know where it is stored.
Form 1: one line with the form's number, the position, and the SHA-256 of the position and what follows; one
line of JSON with the fencing history; then the CIB as XML, its status included, so that a snapshot carries all.
Form 2, written once nodes or links were changed while the cluster ran: a line of JSON with them before the CIB.
Form 3, written once the ring delivered a command: that line, or null, and one with the last command of each node.
"""

import hashlib
import re
from collections.abc import Collection
from dataclasses import replace
from typing import Final, NoReturn, TypeVar

import msgspec

from komainu.cib.document import parse, show
from komainu.cib.element import Element
from komainu.cib.nodes import DOWN, STATUS, is_cleanly_down, name_of, node_states
from komainu.cib.state import ClusterState
from komainu.cib.tree import update_at
from komainu.model.fencing import FenceRecord
from komainu.model.ids import NodeName
from komainu.model.layout import Layout
from komainu.model.report import Place, Refused, Report
from komainu.model.view import Delivered, Position

FORM: Final = 1
FORM_WITH_LAYOUT: Final = 2
FORM_WITH_TAKEN: Final = 3

STATE_BYTES_MAX: Final = 256 * 1024 * 1024
"""Largest state that is read: the status of 32 nodes with 1000 resources takes some 60 megabytes."""

_HEADER: Final = re.compile(
    r"komainu-state (?P<form>\d{1,9}) (?P<lineage>\d{1,18})\.(?P<index>\d{1,18}) sha256=(?P<sum>[0-9a-f]{64})$",
    re.ASCII,
)
_FENCING: Final = msgspec.json.Decoder(tuple[FenceRecord, ...])
_LAYOUT: Final = msgspec.json.Decoder(Layout | None)
_TAKEN: Final = msgspec.json.Decoder(tuple[Delivered, ...])
_Line = TypeVar("_Line")
_REMEDY: Final = "remove the file: the node then takes the state from its peers, or from an older file"


def store(state: ClusterState) -> str:
    """Write a state. Promise: `load(store(state))` equals the state."""
    form, heads = FORM, [msgspec.json.encode(state.fencing).decode()]
    if state.layout is not None or state.taken:
        form, heads = FORM_WITH_LAYOUT, [*heads, msgspec.json.encode(state.layout).decode()]
    if state.taken:
        form, heads = FORM_WITH_TAKEN, [*heads, msgspec.json.encode(state.taken).decode()]
    body = "\n".join((*heads, show(state.cib)))
    position = str(state.position)
    return f"komainu-state {form} {position} sha256={_checksum(position, body)}\n{body}"


def load(text: str, file: str = "<state>") -> ClusterState:
    """Read a state. Raises Refused when the text is damaged, cut off, or of another form."""
    header, _, body = text.partition("\n")
    found = _HEADER.match(header)
    if found is None:
        _refuse(file, 1, "does not begin as a stored state does")
    form = int(found["form"])
    if not FORM <= form <= FORM_WITH_TAKEN:
        _refuse(file, 1, f"has form {form}; this version reads forms {FORM} to {FORM_WITH_TAKEN}")
    position = Position(int(found["lineage"]), int(found["index"]))
    if _checksum(str(position), body) != found["sum"]:
        _refuse(file, 1, "is damaged: its checksum does not fit")
    *heads, xml = body.split("\n", form)
    heads += [""] * (form - len(heads))  # a text that ends too early is refused where it ends
    fencing = _read_line(_FENCING, heads[0], "a fencing history", (file, 2))
    layout = None if form == FORM else _read_line(_LAYOUT, heads[1], "nodes and links", (file, 3))
    taken = _read_line(_TAKEN, heads[2], "last commands", (file, 4)) if form == FORM_WITH_TAKEN else ()
    cib = parse(xml, file, bytes_max=STATE_BYTES_MAX)
    if cib.tag != "cib":
        _refuse(file, 2 + form, f"holds a <{cib.tag}>, not a <cib>")
    return ClusterState(cib, fencing, position, layout, taken)


def _read_line(decoder: msgspec.json.Decoder[_Line], line: str, what: str, place: tuple[str, int]) -> _Line:
    """Read one line before the CIB. Raises Refused."""
    try:
        return decoder.decode(line)
    except msgspec.DecodeError as error:
        raise Refused((_report(*place, f"has {what} that cannot be read: {error}"),)) from error


def without_status(state: ClusterState, *, keeps_down: bool = False) -> ClusterState:
    """Return what survives a crash of the whole cluster: what ran where is not known any more.

    `keeps_down`: who was down in order still is. That holds where nothing can be started on such a node without a
    newer state on some disk of every later majority (ring/quorum.py, majorities_meet; node/replica.py).
    """
    others = tuple(child for child in state.cib.children if child.tag != "status")
    down = tuple(_down(each) for each in node_states(state.cib) if keeps_down and is_cleanly_down(each))
    status = (Element("status", {}, down),) if down else ()
    cib = state.cib.with_children((*others, *status))
    cib = cib.with_attribute("dc-uuid", None).with_attribute("have-quorum", "0")
    return replace(state, cib=cib)


def without_marks_of(state: ClusterState, members: Collection[NodeName]) -> ClusterState:
    """Return a state that says of none of these nodes that it is down: they are about to join."""

    def is_void(child: Element) -> bool:
        return child.tag == "node_state" and name_of(child) in members and is_cleanly_down(child)

    if not any(is_void(each) for each in node_states(state.cib)):
        return state
    return replace(state, cib=update_at(state.cib, STATUS, lambda status: status.without(is_void)))


def _down(state: Element) -> Element:
    """Return a node's state as one that is down, and nothing more of it."""
    return Element("node_state", {"id": state.id, "uname": name_of(state), **DOWN})


def _checksum(position: str, body: str) -> str:
    return hashlib.sha256(f"{position}\n{body}".encode("utf-8", "surrogatepass")).hexdigest()


def _refuse(file: str, line: int, message: str) -> NoReturn:
    raise Refused((_report(file, line, message),))


def _report(file: str, line: int, message: str) -> Report:
    return Report("state.damaged", f"the stored state {message}", _REMEDY, Place(file, line))
