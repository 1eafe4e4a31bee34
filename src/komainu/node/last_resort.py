"""Decide what one node does about fencing beside the plan: orders of the operator, and its own reset.

A core without input or output. It must not know devices. A node that relies on its watchdog resets itself when
it lost quorum, since the others count on that (S2); it says why, to its own black box and after the boot to all.
Source: sbd(8), "Watchdog only" operation; docs/concepts/fencing.md.
"""

from typing import Final

from komainu.cib.command import EditConfiguration, RecordFencing, SetAttribute
from komainu.cib.element import Element
from komainu.cib.nodes import has_joined, is_member, node_state, node_states
from komainu.cib.options import cluster_option, is_true
from komainu.cib.pairs import transient_value
from komainu.fencing.interface import FenceRequested
from komainu.model.cause import Cause
from komainu.model.edit import SetOption
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import NodeName, WallTime
from komainu.model.request import Done, FenceNode, Refusal, RefusedReply
from komainu.model.view import View
from komainu.node.devices import WATCHDOG_MARK, armed_watchdogs, fencing_option, watchdog_timeout_ms
from komainu.node.interface import Answer, ClientId
from komainu.node.orders import delegate_of, fence_request
from komainu.node.race import weight_of
from komainu.node.replica import Broadcast, CommandApplied

RESET_MARK: Final = "#last-reset"
"""The transient attribute by which a node that is back says why it was reset."""

ORDERS_MAX: Final = 100
"""Operators that wait for a fencing at one time."""

_OPERATOR: Final = "operator."


class LastResort:
    """Orders to fence, and this node's own watchdog."""

    def __init__(self, me: NodeName, *, last_reset: str = "") -> None:
        """`last_reset` is why this node was reset before this life; "" when it was not, or nobody knows."""
        self._me = me
        self._watchdog_ms = 0  # none is armed
        self._last_reset = last_reset
        self._orders: dict[str, ClientId] = {}
        self._was_quorate = False

    def armed(self, watchdog_ms: int) -> None:
        """Take note of the time-out that the armed watchdog really has."""
        self._watchdog_ms = watchdog_ms

    # -- orders -----------------------------------------------------------------------------------------

    def order(
        self, request: FenceNode, client: ClientId, cib: Element, *, user: str, at: WallTime
    ) -> RecordFencing:
        """Write an operator's wish as the command that starts it; the client is answered when it has ended."""
        name = f"{_OPERATOR}{self._me}.{at}.{client}"
        self._orders[name] = client
        while len(self._orders) > ORDERS_MAX:
            del self._orders[next(iter(self._orders))]
        members = tuple(NodeName(state.get("uname") or "") for state in node_states(cib) if is_member(state))
        reason = f"{user or 'somebody'} asked for it with komainu fence now"
        record = FenceRecord(
            request=name,
            target=request.node,
            action=request.action,
            state=FenceState.STARTED,
            delegate=delegate_of(request.action, request.node, self._me, members),
            device="",
            reason=reason,
            outcome="",
            at=at,
        )
        return RecordFencing(Cause("operator", reason), at, user, record)

    def started(self, done: CommandApplied, wall: WallTime) -> list[FenceRequested]:
        """Begin a fencing that this node is to do and that its coordination does not begin itself."""
        assert isinstance(done.command, RecordFencing), "called for RecordFencing only"
        record = done.command.record
        is_ordered = record.request.startswith(_OPERATOR) or done.origin != self._me
        if record.state is not FenceState.STARTED or record.delegate != self._me or not is_ordered:
            return []
        return [fence_request(record, wall)]

    def settle(self, done: CommandApplied) -> list[Answer]:
        """Answer the operator whose fencing has ended, or was refused."""
        if not isinstance(done.command, RecordFencing):
            return []
        record = done.command.record
        if record.state is FenceState.STARTED and done.applied.is_accepted:
            return []
        client = self._orders.pop(record.request, None)
        if client is None:
            return []
        if record.state is FenceState.DONE:
            return [Answer(client, Done(str(done.position), f"{record.device}: {record.outcome}"))]
        reasons = tuple(
            Refusal(report.code, report.message, report.hint, "") for report in done.applied.refusals
        )
        failed = Refusal("fence.failed", record.outcome, "komainu fence test says which devices work", "")
        return [Answer(client, RefusedReply(reasons or (failed,)))]

    # -- the node's own reset ---------------------------------------------------------------------------

    def lost_quorum(self, view: View, cib: Element, *, halves_stay: bool) -> str:
        """Return why this node must be reset now that this view began; "" when it need not."""
        had, self._was_quorate = self._was_quorate, self._was_quorate or view.quorate
        timeout_ms = watchdog_timeout_ms(cib)
        if not had or view.quorate or halves_stay or not self._watchdog_ms or not timeout_ms:
            return ""
        return (
            f"{self._me} lost quorum ({view.quorum_reason}), and stonith-watchdog-timeout promises the others "
            f"that it is reset within {timeout_ms} ms"
        )

    def lost_disks(self, view: View | None, cib: Element, *, halves_stay: bool) -> str:
        """Return why this node must be reset now that no pill would reach it; "" when it need not.

        A peer that is here vouches for it, and so does a real majority. With two_node (`halves_stay`) a lone node has
        quorum, too, but its peer may have left a pill; then only a node that runs nothing lives on: nothing of it
        could run twice, and where both lost the disks by one fault, not both are reset.
        """
        if view is not None and view.quorate:
            is_vouched_for = not halves_stay or len(view.members) > 1
            if is_vouched_for or weight_of(cib, self._me) == (0, 0):
                return ""
        alone = "is alone" if view is not None and view.quorate else "has no quorum"
        return f"{self._me} lost its shared disks and {alone}: no pill would reach it"

    def farewell(self, reason: str, at: WallTime) -> SetAttribute:
        """Tell the others why this machine is about to be reset, while it still can."""
        return SetAttribute(Cause("reset.coming", reason), at, "", self._me, RESET_MARK, str(at))

    def before_join(self, at: WallTime) -> list[SetAttribute]:
        """Say to all why this node was reset, once: who asks about a node that is back wants to know."""
        if not self._last_reset:
            return []
        cause = Cause("reset.explained", self._last_reset)
        self._last_reset = ""
        return [SetAttribute(cause, at, "", self._me, RESET_MARK, str(at))]

    def planned_with(self, cib: Element, at: WallTime) -> list[Broadcast]:
        """Let have-watchdog say whether watchdogs can be planned with, as Pacemaker's daemons do where sbd runs.

        Only where stonith-watchdog-timeout is set: without it the option alone would pass for a fence device.
        """
        armed = armed_watchdogs(cib)
        asked_for = (fencing_option(cib, "watchdog-timeout") or "0").strip()
        is_wanted = asked_for.startswith("-") or bool(watchdog_timeout_ms(cib))
        has = is_true(cluster_option(cib, "have-watchdog"), default=False)
        if has or not is_wanted or not armed:
            return []
        names = ", ".join(node for node, _ in armed)
        cause = Cause(
            "watchdog.planned-with", f"stonith-watchdog-timeout is set, and armed is the watchdog of {names}"
        )
        edit = SetOption("crm_config", "cluster_property_set", "have-watchdog", "true")
        return [Broadcast(EditConfiguration(cause, at, "", (edit,), None))]

    def after_join(self, cib: Element, at: WallTime) -> list[SetAttribute]:
        """Say to all whether this node's watchdog is armed; a join wipes what was said in an earlier life."""
        armed = str(self._watchdog_ms) if self._watchdog_ms else None
        is_wiped = not has_joined(node_state(cib, self._me))
        if transient_value(cib, self._me, WATCHDOG_MARK) == armed and not (armed and is_wiped):
            return []
        what = "armed" if armed else "not armed any more"
        cause = Cause("watchdog.armed", f"the watchdog of {self._me} is {what}")
        return [SetAttribute(cause, at, "", self._me, WATCHDOG_MARK, armed)]
