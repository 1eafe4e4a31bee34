"""What one scheduling run holds."""

from whole_text import dummy, entry, past, state, whole

from komainu.scheduler import recipe


def test_each_part_is_shown_in_a_line_and_not_the_whole_job_behind_it() -> None:
    resources = dummy("r") + dummy("s")
    together = '<rsc_colocation id="c" rsc="r" with-rsc="s" score="INFINITY"/>'
    up = state("a", past("r", entry("r", "a", "start", 3)))
    job = recipe.read(whole("ab", resources, up + state("b"), constraints=together), 1000)
    recipe.schedule(job)
    shown = [*job.nodes, *job.resources, *job.actions, *job.colocations, *job.orderings]
    assert max(len(repr(part)) for part in shown) < 400
    assert repr(job.nodes[0]) == "Node(a)"
    assert repr(job.by_id["r"].actions[0]).startswith("Action(r_")
    assert repr(job.colocations[0]).startswith(
        "Colocation(id='c', dependent=Resource(r), primary=Resource(s)"
    )
