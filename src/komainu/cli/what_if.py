"""Show what a change would make different: `komainu simulate --what-if`.

Decides how a difference reads; what it is decides the scheduler's what_if.py.
"""

from collections.abc import Iterator

import click

from komainu.cib.element import Element
from komainu.cli.asking import show_json
from komainu.cli.terminal import printable
from komainu.scheduler import what_if
from komainu.scheduler.simulation import Moment
from komainu.scheduler.what_if import Changed, Difference, ResourceDifference


def show(cib: Element, moment: Moment, changes: tuple[str, ...], form: str) -> None:
    """Apply all changes, and show what they make different. Raises Refused."""
    changed = Changed(cib, "")
    for text in changes:
        one = what_if.apply(changed.cib, text, moment.now_s)
        changed = Changed(one.cib, f"{changed.text} and {one.text}" if changed.text else one.text)
    difference = what_if.compare(cib, changed, moment.now_s)
    if form == "json":
        show_json(difference)
    else:
        click.echo("\n".join(printable(line) for line in lines(difference)))


def lines(difference: Difference) -> Iterator[str]:
    """Write a difference."""
    if difference.is_empty:
        yield f"If {difference.condition}, nothing else would be done than without that."
        return
    yield f"If {difference.condition}:"
    for node in difference.nodes:
        yield f"  {node.reason}" if node.only_with_change else f"  no longer: {node.reason}"
    for rsc in difference.resources:
        yield from _resource(rsc)
    for title, names in (
        ("What would no longer be done", difference.no_longer),
        ("What would be done instead" if difference.no_longer else "What would be done", difference.instead),
    ):
        if names:
            yield ""
            yield f"{title}:"
            yield from (f"  {name}" for name in names)


def _resource(rsc: ResourceDifference) -> Iterator[str]:
    then, without = _where(rsc.with_change), _where(rsc.without)
    if rsc.with_change != rsc.without:
        yield f"  {rsc.resource} would run {then}, not {without}"
        if rsc.reason:
            yield f"    {rsc.reason}"
        return
    yield f"  {rsc.reason}" if rsc.reason else f"  no longer: {rsc.reason_without}"
    yield f"    in the end {rsc.resource} would run {then}, as without that"


def _where(places: tuple[str, ...]) -> str:
    return "on " + " and ".join(places) if places else "nowhere"
