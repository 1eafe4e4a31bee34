"""Sets of name-value pairs: what takes a value back."""

from whole_text import dummy, entry, past, state, whole

from komainu.scheduler.plan import plan


def test_default_takes_back_what_a_stronger_set_said() -> None:
    text = dummy(
        "r",
        '<meta_attributes id="a" score="10"><nvpair id="a1" name="target-role" value="Stopped"/></meta_attributes>'
        '<meta_attributes id="b" score="5"><nvpair id="b1" name="target-role" value="#default"/></meta_attributes>',
    )
    found = plan(whole("a", text, state("a")), 1000)
    assert "start r on a" in [action.label for action in found.actions]


def test_a_parameter_left_to_its_default_does_not_count_as_a_change() -> None:
    text = dummy(
        "r",
        '<instance_attributes id="i"><nvpair id="i1" name="old" value="#default"/></instance_attributes>',
    )
    up = past("r", entry("r", "a", "start", 3))
    assert plan(whole("a", text, state("a", up)), 1000).actions == ()
