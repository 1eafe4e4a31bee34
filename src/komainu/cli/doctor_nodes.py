"""Check all nodes of a cluster: ask the others over ssh, compare, and show each one's findings.

Decides nothing but words and the exit code: 0 when every node was asked and has nothing but notes, else 1.
"""

import shlex
from typing import TYPE_CHECKING

import click
import msgspec

from komainu.cli.asking import show_json
from komainu.cli.terminal import fold, width

if TYPE_CHECKING:
    from komainu.node.survey.others import Answer
    from komainu.node.survey.survey import Checkup, Summary


def say_how(nodes: tuple[tuple[str, ...], ...]) -> int:
    """Say how all nodes are checked, where this is not one of them but only its files."""
    names = [shlex.quote(ways[0]) for ways in nodes]
    for name in names:
        click.echo(f"ssh {name} komainu doctor --format json > {name}.json")
    peers = " ".join(f"--peer {name}.json" for name in names)
    click.echo(f"komainu doctor {peers}".rstrip())
    return 0


def check_all(checkup: "Checkup", compared: "tuple[Summary, ...]", form: str) -> int:
    """Check every node, this one in comparison with the others."""
    from komainu.node.survey.others import ask

    ways = checkup.other_nodes
    if ways:
        click.echo(f"asking {', '.join(names[0] for names in ways)} over ssh", err=True)
    answers = ask(ways, checkup.machine.hostname)
    asked = tuple(one.summary for one in answers if one.summary is not None)
    checkup = checkup.beside((*asked, *compared))
    if form == "json":
        show_json(
            {
                "here": checkup.report(),
                "others": {one.node: msgspec.Raw(one.report) for one in answers if one.report},
                "not_asked": {one.node: one.problem for one in answers if one.problem},
            }
        )
    else:
        click.echo(checkup.text(width()))
        for answer in answers:
            _show(answer)
        _sum_up(answers)
    is_ill = any(one.problem or any(told.gravity != "note" for told in one.findings) for one in answers)
    return 1 if is_ill else checkup.exit_code


def _show(answer: "Answer") -> None:
    """Show what one node found in a line for each finding, or why it could not be asked."""
    if answer.problem:
        _say(f"{answer.node} could not be asked: {answer.problem}", "    ", is_new=True)
        by_hand = f"on {answer.node}: komainu doctor --format json > {answer.node}.json; "
        by_hand += f"here: komainu doctor --peer {answer.node}.json"
        click.echo(f"  hint: {answer.hint or by_hand}", err=True)
        return
    number = len(answer.findings)
    click.echo(f"\n{answer.node}: {number or 'no'} finding{'s' * (number != 1)}")
    for told in answer.findings:
        _say(f"  {told.gravity} {told.rule}  {told.subject}: {told.title}", "    ")
    if number:
        click.echo(f"  hint: ssh {answer.node} komainu doctor", err=True)


def _sum_up(answers: "tuple[Answer, ...]") -> None:
    """Say of how many nodes this is the report, so that a node that is missing is never overlooked."""
    asked = sum(1 for one in answers if not one.problem)
    click.echo(f"\n{asked + 1} of {len(answers) + 1} nodes checked")


def _say(text: str, rest: str, *, is_new: bool = False) -> None:
    click.echo(("\n" if is_new else "") + "\n".join(fold(text, rest)))
