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


def test_a_migration_that_cannot_go_on_is_recovered_on_both_nodes() -> None:
    """Whatever is said of a resource that is active too often: here it is active twice because it was on its way."""
    way = entry("x", "a", "migrate_to", 4).replace("/>", ' migrate_source="a" migrate_target="b"/>')
    sent = state("a", past("x", entry("x", "a", "start", 3), way))
    known = state("b", past("x", entry("x", "b", "monitor", 2, rc_code="7", target="7")))
    inside = meta("x", multiple_active="stop_unexpected", allow_migrate="true")
    home = '<rsc_location id="l" rsc="x" node="a" score="INFINITY"/>'
    job = recipe.read(whole("ab", dummy("x", inside), sent + known, constraints=home), 1000)
    done = {
        (synapse.action.task, synapse.action.node.name)
        for synapse in recipe.schedule(job).synapses
        if synapse.action.node is not None and not synapse.action.is_pseudo
    }
    assert done == {("stop", "a"), ("stop", "b"), ("start", "a")}
