"""Keep what this node owes its clients: which command answers whom, and when "done" may be said.

A core without input or output. It must not know what commands do. "Done" is a promise (S3): the change is on
stable storage of every member of a quorate view, and no other partition can still contradict it.
"""

from collections.abc import Iterable
from typing import Final

from komainu.cib.command import (
    AnyCommand,
    ConfirmOff,
    EditConfiguration,
    ForgetOperations,
    ReplaceConfiguration,
    SetAttribute,
)
from komainu.cib.element import Element
from komainu.cib.options import is_true
from komainu.model.cause import Cause
from komainu.model.ids import LinkNumber, WallTime
from komainu.model.report import Report
from komainu.model.request import (
    ApplyConfiguration,
    Cleanup,
    ConfirmNodeOff,
    Done,
    EditConfigurationRequest,
    RecordTrial,
    Refusal,
    RefusedReply,
    Reply,
)
from komainu.model.view import Position, View
from komainu.node.devices import fencing_option
from komainu.node.interface import Answer, ClientId
from komainu.node.membership import node_conditions
from komainu.node.replica import CommandApplied

Change = ApplyConfiguration | EditConfigurationRequest | Cleanup | ConfirmNodeOff | RecordTrial
"""The requests that become commands."""

TRIAL_MARK: Final = "#fence-tried"
"""The transient attribute with what came of the last `komainu fence test` on a node, and when."""

_CHECK_HINT: Final = "see what holds with `komainu config show`, then ask again"


def refused(code: str, message: str, hint: str) -> RefusedReply:
    """Write a refusal with one reason."""
    return RefusedReply((Refusal(code, message, hint, ""),))


def no_link(link: LinkNumber) -> RefusedReply:
    """Refuse to do something with a link that is none."""
    return refused("link.unknown", f"there is no link {link}", "`komainu link list` shows all")


def refused_for(reports: Iterable[Report]) -> RefusedReply:
    """Write a refusal with these reasons."""
    return RefusedReply(
        tuple(
            Refusal(
                report.code, report.message, report.hint, "" if report.place is None else str(report.place)
            )
            for report in reports
        )
    )


NOT_JOINED: Final = refused(
    "node.not-joined",
    "this node has not joined the cluster yet",
    "wait until `komainu status` shows this node as online, then try again",
)
ABANDONED: Final = refused(
    "node.abandoned", "this node was cut off when it made the change, which was not kept", _CHECK_HINT
)
UNKNOWN: Final = refused(
    "node.unknown-outcome", "this node was cut off when the change had its turn", _CHECK_HINT
)


def command_of(request: Change, user: str, at: WallTime) -> AnyCommand:
    """Write a client's wish as the command that carries it."""

    def because(what: str) -> Cause:
        return Cause("operator", f"{user or 'somebody'} {what}")

    match request:
        case ApplyConfiguration(xml=xml, expected=expected):
            return ReplaceConfiguration(because("replaced the configuration"), at, user, xml, expected)
        case EditConfigurationRequest(edits=edits, reason=reason):
            return EditConfiguration(because(f"ran: {reason}"), at, user, edits, None)
        case Cleanup(resource=resource, node=node):
            cause = because(f"asked to forget failures of {resource or 'all resources'}")
            return ForgetOperations(cause, at, user, resource, node, failures_only=False)
        case ConfirmNodeOff(node=node):
            return ConfirmOff(because(f"confirmed that {node} is off"), at, user, node)
        case RecordTrial(node=node, text=text):
            cause = because(f"tried the fence devices from {node}: {text}")
            return SetAttribute(cause, at, user, node, TRIAL_MARK, f"{at} {text}")


class Desk:
    """The clients of one node that wait for an answer."""

    def __init__(self) -> None:
        self._questions: dict[int, ClientId] = {}  # by the token of the command that answers them
        self._promised: list[tuple[Position, ClientId]] = []  # applied, not yet stored everywhere

    def expect(self, token: int, client: ClientId) -> None:
        """Remember that the command with this token answers this client."""
        self._questions[token] = client

    def settle(self, done: CommandApplied) -> list[Answer]:
        """Refuse a client's command at once, or promise an answer for when it is stored everywhere."""
        client = self.hand_over(done.token)
        if client is None:
            return []
        if done.applied.is_accepted:
            self._promised.append((done.position, client))
            return []
        return [Answer(client, refused_for(done.applied.refusals))]

    def hand_over(self, token: int | None) -> ClientId | None:
        """Leave the answer to somebody else, who knows more than that the command was applied."""
        return None if token is None else self._questions.pop(token, None)

    def absorbed(self, token: int) -> list[Answer]:
        """A command took effect where this node could not see with which outcome."""
        client = self._questions.pop(token, None)
        return [] if client is None else [Answer(client, UNKNOWN)]

    def abandon(self) -> list[Answer]:
        """Another line of state goes on: what was applied here without it will not be kept."""
        promised, self._promised = self._promised, []
        return [Answer(client, ABANDONED) for _, client in promised]

    def keep(self, stable: Position) -> list[Answer]:
        """Say done for what every member has stored up to here."""
        kept = [(position, client) for position, client in self._promised if position <= stable]
        self._promised = [(position, client) for position, client in self._promised if position > stable]
        return [Answer(client, _done(position)) for position, client in kept]

    @property
    def has_promised(self) -> bool:
        """Whether somebody waits for a change to be stored."""
        return bool(self._promised)


def may_promise(view: View | None, nodes: int, cib: Element) -> bool:
    """Whether what this view agrees on cannot be lost to another partition.

    A partition with at most half of the nodes (two_node) may still meet its equal: it promises nothing until
    each lost peer is confirmed off.
    """
    if view is None or not view.quorate:
        return False
    if 2 * len(view.members) > nodes or not is_true(fencing_option(cib, "enabled"), default=True):
        return True  # without fencing nothing will ever be confirmed: who switched it off chose that
    return not any(node.is_lost for node in node_conditions(cib))


def _done(position: Position) -> Reply:
    return Done(str(position))
