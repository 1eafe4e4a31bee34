"""What the configuration says about single operations."""

import pytest
from whole_text import dummy, state, whole

from komainu.scheduler import operations, recipe
from komainu.scheduler.words import OnFail


@pytest.mark.parametrize("value", ["stop", "standby", "demote"])
def test_a_stop_cannot_have_every_on_fail(value: str) -> None:
    text = dummy("r", f'<operations><op id="s" name="stop" interval="0" on-fail="{value}"/></operations>')
    job = recipe.read(whole("a", text, state("a")), 1000)
    rsc = job.by_id["r"]
    meta = operations.meta_of(job, rsc, "stop", 0)
    assert "on-fail" not in meta
    assert operations.on_fail(job, rsc, ("stop", 0), meta) is OnFail.BLOCK


def test_a_demote_inherits_from_the_monitor_of_the_promoted_role() -> None:
    text = dummy(
        "r",
        '<operations><op id="m" name="monitor" interval="5" role="Promoted" on-fail="block"/></operations>',
    )
    job = recipe.read(whole("a", text, state("a")), 1000)
    rsc = job.by_id["r"]
    assert operations.meta_of(job, rsc, "demote", 0)["on-fail"] == "block"
