"""The status as text."""

from whole_text import dummy, entry, past, state, whole

from komainu.scheduler import recipe, status_text


def test_what_is_under_way_is_shown_unless_all_was_carried_out() -> None:
    pending = past("r", entry("r", "a", "start", -1, op_status="-1", rc_code="193"))
    job = recipe.read(whole("a", dummy("r"), state("a", pending)), 1000)
    assert any("Starting a" in line for line in status_text.write(job))
    assert any("Started a" in line for line in status_text.write(job, shows_pending=False))
