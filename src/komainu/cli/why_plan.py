"""Show why a plan would make a resource or a node as it is: `komainu why NAME --file CIB`.

Decides how an answer reads; what it says decides the scheduler's why.py.
"""

import time
from collections.abc import Iterator

import click

from komainu.cib.element import Element
from komainu.cli.asking import show_json
from komainu.cli.terminal import fold
from komainu.model.provenance import Demand, NodeWeight, Weighing
from komainu.scheduler import simulation
from komainu.scheduler.why import Answer, Inquiry, Part


def show(cib: Element, subject: str, form: str) -> None:
    """Answer about a subject. Raises Refused when there is none of this name."""
    moment = simulation.moment_of(cib, None, int(time.time()))
    assert moment is not None, "without a given time there always is one"
    answer = Inquiry(cib, moment.now_s).answer(subject)
    if form == "json":
        show_json(answer)
        return
    for line in lines(answer):
        click.echo(line)


def lines(answer: Answer) -> Iterator[str]:
    """Write an answer."""
    yield from _wrapped(answer.answer, 0)
    for text in answer.details:
        yield from _wrapped(text, 2)
    for demand in answer.fencing:
        yield ""
        yield from _demand(demand, 0)
    for part in answer.parts:
        yield ""
        yield from _part(part)


def _part(part: Part) -> Iterator[str]:
    weighing = part.weighing
    if weighing is not None:
        where = f" on {weighing.chosen}" if weighing.chosen else " nowhere"
        yield from _wrapped(f"{part.resource}{where}: {weighing.decision}.", 0)
    if part.promotion:
        yield from _wrapped(part.promotion, 2)
    for demand in part.done:
        yield from _demand(demand, 2)
    for text in part.failures:
        yield from _wrapped(f"failed: {text}", 2)
    if weighing is not None:
        yield from _nodes(weighing)
        if weighing.to_change:
            yield from _wrapped(f"to change it: {weighing.to_change}", 2)
    if part.tried:
        yield from _wrapped(part.tried, 2)


def _nodes(weighing: Weighing) -> Iterator[str]:
    width = max((len(node.node) for node in weighing.nodes), default=0)
    for node in weighing.nodes:
        state = f"  excluded: {node.excluded}" if node.excluded else ""
        yield from _wrapped(f"{node.node:{width}}  {node.score:>9}{state}", 2)
        yield from _contributions(node)


def _contributions(node: NodeWeight) -> Iterator[str]:
    for one in node.contributions:
        if one.text == node.excluded:
            continue
        score = one.score if one.score.startswith("-") else f"+{one.score}"
        yield from _wrapped(f"{score:>9}  {one.text}", 6)


def _demand(demand: Demand, indent: int) -> Iterator[str]:
    blocked = " (but it cannot be done)" if demand.is_blocked else ""
    yield from _wrapped(f"{demand.action}{blocked}", indent)
    for depth, text in enumerate(demand.because, 1):
        if text:
            yield from _wrapped(f"because {text}", indent + 2 * depth)


def _wrapped(text: str, indent: int) -> Iterator[str]:
    yield from fold(" " * indent + text)
