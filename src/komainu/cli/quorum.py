"""Show what quorum rests on. Decides only how it is written; says what corosync-quorumtool -s says, and why."""

import click

from komainu.cli.asking import as_json, ask, with_format
from komainu.cli.examples import examples
from komainu.cli.terminal import fold, folded
from komainu.client.client import Client
from komainu.model.request import AskRing, RingStatus, VoterView


@click.group(invoke_without_command=True, epilog=examples("komainu quorum", "komainu quorum status"))
@click.pass_context
def quorum(context: click.Context) -> None:
    """Show whether this part of the cluster has quorum, and why."""
    if context.invoked_subcommand is None:
        context.invoke(status, form="text")


@quorum.command(epilog=examples("komainu quorum status", "komainu quorum status --format json"))
@with_format
@click.pass_obj
def status(client: Client, *, form: str) -> int:
    """Show the votes, who has them, and what is needed. Exit code 1 without quorum."""
    ring = ask(client, AskRing(), RingStatus)
    click.echo(as_json(ring.quorum) if form == "json" else folded(_lines(ring)))
    return 0 if ring.quorum.is_quorate else 1


def _lines(ring: RingStatus) -> list[str]:
    found = ring.quorum
    head = "quorate" if found.is_quorate else "NOT QUORATE"
    highest = f" (at most {found.highest_expected})" if found.highest_expected != found.expected_votes else ""
    lines = [
        f"Cluster {ring.cluster}: {head}: {found.reason}",
        "",
        f"view             {ring.view or 'none yet'}",
        f"coordinator      {ring.coordinator or 'none'}",
        f"this node        {ring.node} (id {ring.node_id})",
        f"expected votes   {found.expected_votes}{highest}",
        f"total votes      {found.total_votes}",
        f"needed           {found.needed}",
        *fold(f"flags            {' '.join(found.flags) or 'none'}", " " * 17),
    ]
    if found.witness:
        lines += fold(f"witness          {found.witness_votes} votes: {found.witness}", " " * 17)
    width = max(len(voter.node) for voter in found.voters)
    lines += ["", f"{'id':>5}  {'votes':>5}  {'node':{width}}"]
    lines += [
        f"{each.node_id:>5}  {each.votes:>5}  {each.node:{width}}  {_part(each)}" for each in found.voters
    ]
    return lines


def _part(voter: VoterView) -> str:
    words = ["here" if voter.is_member else "not here"]
    words += [] if voter.is_counted else ["not counted"]
    words += ["this node"] if voter.is_local else []
    return ", ".join(words)
