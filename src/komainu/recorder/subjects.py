"""Make flight records of applied commands, and decide which resources and nodes each is about.

Must not know how records are kept or asked for.
"""

import base64
from typing import Final, assert_never

import msgspec

from komainu.cib.command import (
    AdoptSnapshot,
    AnyCommand,
    CancelAction,
    ChangeLayout,
    ChangeMembership,
    ConfirmKey,
    ConfirmOff,
    EditConfiguration,
    ForgetOperations,
    JoinNode,
    LeaveNode,
    RecordFencing,
    RecordOperation,
    ReleaseNode,
    ReplaceConfiguration,
    RotateKey,
    SetAttribute,
    StartAction,
    StartTransition,
    decode,
    encode,
)
from komainu.cib.document import parse
from komainu.cib.element import Element
from komainu.cib.state import Applied
from komainu.model.edit import Edit, Put, Remove, SetOption
from komainu.model.ids import NodeName
from komainu.model.report import Refused
from komainu.model.view import Position
from komainu.recorder.record import Record

CONFIGURATION_SUBJECT: Final = "configuration"
"""What a change of the whole configuration is about."""

COMMAND_CHARACTERS_MAX: Final = 1024 * 1024
"""Largest command that a record carries; a larger configuration is stored with the state anyway."""

_REFERENCES: Final = ("rsc", "with-rsc", "first", "then", "node", "target")


def record_of(command: AnyCommand, position: Position, node: NodeName, applied: Applied) -> Record:
    """Write the flight record of an applied command; `node` is the one that submitted it."""
    text = "" if isinstance(command, AdoptSnapshot) else base64.b64encode(encode(command)).decode()
    return Record(
        position=str(position),
        at=command.at,
        node=node,
        kind=str(command.__struct_config__.tag),
        cause=command.cause,
        subjects=subjects_of(command),
        refused="; ".join(report.message for report in applied.refusals),
        command=text if len(text) <= COMMAND_CHARACTERS_MAX else "",
    )


def command_of(record: Record) -> AnyCommand | None:
    """Return the command that a record carries; None when it carries none that this version can read."""
    if not record.command:
        return None
    try:
        return decode(base64.b64decode(record.command))
    except (ValueError, msgspec.DecodeError):
        return None


def subjects_of(command: AnyCommand) -> tuple[str, ...]:
    """Name the resources and nodes that a command is about, sorted, each once."""
    return tuple(sorted({name for name in _subjects(command) if name}))


def _subjects(command: AnyCommand) -> tuple[str, ...]:
    match command:
        case ReplaceConfiguration():
            return (CONFIGURATION_SUBJECT,)
        case EditConfiguration():
            return tuple(name for edit in command.edits for name in _edited(edit))
        case ChangeMembership():
            return tuple(name for name, _ in (*command.lost, *command.left))
        case JoinNode() | LeaveNode() | ReleaseNode() | SetAttribute() | ConfirmOff():
            return (command.node,)
        case StartTransition():
            resources = tuple(name for name, _ in command.resource_causes)
            return (*resources, *(name for name, _ in command.node_causes))
        case StartAction():
            return (command.request.resource, command.request.node)
        case CancelAction():
            return (command.resource, command.node)
        case RecordOperation():
            return (command.result.request.resource, command.result.request.node)
        case ForgetOperations():
            return (command.resource or "", command.node or "")
        case RecordFencing():
            return (command.record.target,)
        case ChangeLayout(layout=layout, removed=removed):
            links = dict.fromkeys(f"link{end.link}" for node in layout.nodes for end in node.ends)
            return (*links, *(node.name for node in layout.nodes), removed or "")
        case AdoptSnapshot() | RotateKey() | ConfirmKey():
            return ()
        case _:
            assert_never(command)


def _edited(edit: Edit) -> tuple[str, ...]:
    """Name what an edit touches: of a constraint also the resources and nodes that it speaks of."""
    match edit:
        case SetOption():
            return (edit.owner,)
        case Remove():
            return (edit.element_id,)
        case Put():
            return _named_in(edit.xml)
        case _:
            assert_never(edit)


def _named_in(xml: str) -> tuple[str, ...]:
    try:
        root = parse(xml)
    except Refused:
        return ()
    names = [root.id]
    for element in root.walk():
        names += [element.get(name) or "" for name in _REFERENCES]
        names += [_member(element)]
    return tuple(names)


def _member(element: Element) -> str:
    return element.id if element.tag in {"resource_ref", "obj_ref", "primitive"} else ""
