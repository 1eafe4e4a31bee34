"""Decide what a missing ticket means for the resources that depend on it.

Source: Pacemaker Explained, "Multi-Site Clusters and Tickets" (loss-policy).
"""

from komainu.cib.element import Element
from komainu.model.role import Role
from komainu.model.role import parse as parse_role
from komainu.scheduler import actions, tree
from komainu.scheduler.job import Job, Resource, Ticket, TicketConstraint
from komainu.scheduler.options import is_true


def read_states(job: Job) -> None:
    """Read the tickets of the status section."""
    holder = job.cib.at("status", "tickets")
    for state in [] if holder is None else holder.all("ticket_state"):
        job.tickets[state.id] = Ticket(
            state.id,
            is_granted=is_true(state.get("granted")),
            is_standby=is_true(state.get("standby")),
            last_granted=state.get("last-granted"),
            attributes=state.attributes,
        )


def read(job: Job, element: Element, rsc: Resource, role_word: str | None) -> None:
    """Read one dependence on a ticket and apply it."""
    name = element.get("ticket")
    if not name:
        return
    ticket = job.tickets.setdefault(name, Ticket(name))
    role = parse_role(role_word) or Role.UNKNOWN
    role = Role.UNKNOWN if role is Role.STARTED else role
    constraint = TicketConstraint(element.id, rsc, ticket, _policy(job, element, role), role)
    rsc.tickets.append(constraint)
    job.ticket_constraints.append(constraint)
    if not ticket.is_granted or ticket.is_standby:
        _apply(job, rsc, constraint)


def _policy(job: Job, element: Element, role: Role) -> str:
    word = (element.get("loss-policy") or "").lower()
    if word == "fence":
        return "fence" if job.options.fencing_enabled else "stop"
    if word in {"freeze", "demote", "stop"}:
        return word
    return "demote" if role is Role.PROMOTED else "stop"


def _concerns(rsc: Resource, constraint: TicketConstraint) -> bool:
    return constraint.role in {Role.UNKNOWN, rsc.role}


def _apply(job: Job, rsc: Resource, constraint: TicketConstraint) -> None:
    if rsc.children:
        for child in rsc.children:
            _apply(job, child, constraint)
        return
    if not constraint.ticket.is_granted and rsc.active:
        _lose(job, rsc, constraint)
    elif constraint.role is not Role.PROMOTED or constraint.loss_policy == "stop":
        tree.ban_everywhere(job, rsc)


def _lose(job: Job, rsc: Resource, constraint: TicketConstraint) -> None:
    """Apply the loss policy to a resource that is active without its ticket."""
    match constraint.loss_policy:
        case "stop":
            tree.ban_everywhere(job, rsc)
        case "demote":
            # What was promoted is demoted when promotion is decided.
            if constraint.role is not Role.PROMOTED:
                tree.ban_everywhere(job, rsc)
        case "fence":
            if _concerns(rsc, constraint):
                tree.ban_everywhere(job, rsc)
                for node in list(rsc.active):
                    actions.fence_node(job, node, "deadman ticket was lost")
        case _:
            if _concerns(rsc, constraint):
                rsc.managed, rsc.blocked = False, True
