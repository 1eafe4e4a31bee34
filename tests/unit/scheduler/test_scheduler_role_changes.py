"""The way from the present role to the next."""

from whole_text import dummy, entry, meta, past, state, whole

from komainu.scheduler import recipe


def test_a_group_begins_again_when_the_start_of_a_member_is_under_way_and_has_to_be_undone() -> None:
    pending = entry("x", "a", "start", 3, rc_code="193", op_status="-1")
    group = f'<group id="g">{meta("g", target_role="Stopped")}{dummy("x")}</group>'
    job = recipe.read(whole("a", group, state("a", past("x", pending))), 1000)
    synapses = recipe.schedule(job).synapses
    keys = [synapse.action.key for synapse in synapses]
    assert "g_start_0" in keys
    assert "x_stop_0" in keys
    assert "x_start_0" not in keys
