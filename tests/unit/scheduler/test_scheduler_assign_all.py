"""In which order resources are placed."""

from whole_text import dummy, entry, past, state, whole

from komainu.scheduler import recipe


def _running(name: str, node: str) -> str:
    return past(name, entry(name, node, "start", 3))


def test_a_group_that_is_on_two_nodes_counts_where_it_was_found_first() -> None:
    """Not where its first member is: on a it is wanted more than r is, on b less."""
    group = f'<group id="g">{dummy("x")}{dummy("y")}</group>'
    places = "".join(
        f'<rsc_location id="l-{rsc}-{node}" rsc="{rsc}" node="{node}" score="{score}"/>'
        for rsc, node, score in (("r", "a", 50), ("g", "a", 100), ("g", "b", -10))
    )
    states = state("a", _running("y", "a"), _running("r", "a")) + state("b", _running("x", "b"))
    room = {"placement-strategy": "minimal"}
    job = recipe.read(whole("ab", dummy("r") + group, states, constraints=places, options=room), 1000)
    recipe.schedule(job)
    assert [rsc.id for rsc in job.resources] == ["g", "r"]
