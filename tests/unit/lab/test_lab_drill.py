"""Drill files are read strictly: every mistake is told with its place and its remedy before anything starts."""

from pathlib import Path

import pytest

from komainu.lab import action, drill
from komainu.lab.layout import Layout
from komainu.model.report import Refused

CIB = '<cib><configuration><primitive id=\\"web\\"/></configuration></cib>'
HEAD = f'[cluster]\ncib = "{CIB}"\n'
STEP = '[[step]]\nname = "x"\nactions = [ { do = "pull", cable = "interconnect" } ]\n'


def parse(text: str, directory: Path = Path()) -> drill.Drill:
    return drill.parse(text, "x.toml", directory)


def refusals(text: str) -> str:
    with pytest.raises(Refused) as refused:
        parse(text)
    return str(refused.value)


def test_a_small_drill() -> None:
    found = parse(HEAD + STEP + 'expect = { link_down = "no-carrier" }\n')
    assert found.layout == Layout()
    assert found.steps == (
        drill.Step("x", (action.Pull(cable="interconnect"),), drill.Expect(link_down="no-carrier")),
    )


def test_common_expectations_hold_unless_a_step_has_its_own() -> None:
    text = f"{HEAD}[expect]\nreboots = 0\ngap_max_ms = 50\n{STEP}expect = {{ gap_max_ms = 900 }}\n{STEP}"
    first, second = (step.expect for step in parse(text).steps)
    assert (first.reboots, first.gap_max_ms) == (0, 900)
    assert (second.reboots, second.gap_max_ms) == (0, 50)


def step(actions: str, expect: str = "") -> str:
    return f'{HEAD}[[step]]\nname = "x"\nactions = [ {{ {actions} }} ]\nexpect = {{ {expect} }}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[cluster\n", "x.toml:1: error: this is not TOML"),
        (HEAD + STEP + "[labb]\n", "did you mean `lab`?"),
        (HEAD, "a drill needs steps"),
        (STEP, "[cluster] needs either `cib` or `cib_file`"),
        (HEAD + '[[step]]\nactions = [ { do = "wait", for = "1s" } ]\n', "a step needs a name"),
        (HEAD + '[[step]]\nname = "x"\nactions = []\n', "a step needs a list of actions"),
        (HEAD + STEP + "expects = {}\n", "did you mean `expect`?"),
        (HEAD + "[lab]\nnodez = []\n" + STEP, "did you mean `nodes`?"),
        (HEAD + '[lab]\nnodes = ["A"]\n' + STEP, "cannot name a node"),
        (HEAD + '[lab]\ninterconnects = "1"\n' + STEP, "Expected `int`, got `str`"),
        (HEAD + '[lab]\nwitness_algorithm = "lmss"\n' + STEP, "did you mean `lms`?"),
        (step('do = "fence_device", mood = "bad"'), "known: dead, good, lies, slow"),
        (step('do = "pul", cable = "interconnect"'), "did you mean `pull`?"),
        (step('cable = "interconnect"'), "an action needs the key `do`"),
        (step('do = "pull"'), "it lacks the key `cable`"),
        (step('do = "pull", cabel = "x"'), "did you mean `cable`?"),
        (step('do = "pull", cable = "inter"'), "its cables: interconnect, lan"),
        (step('do = "pull", cable = "lan", node = "c"'), "its nodes: a, b; or ACTIVE or PASSIVE"),
        (step('do = "power_off", node = "c"'), "no node `c`"),
        (step('do = "kill", node = "a"'), "either `resource` or `pattern`"),
        (step('do = "kill", node = "a", resource = "x", signal = "KIL"'), "`KIL` is no signal"),
        (step('do = "kill_daemon", node = "a", signal = "x"'), "`x` is no signal"),
        (step('do = "wait", for = "soon"'), "`soon` is no duration"),
        (step('do = "wait_until", link_down = "broken"'), "`broken` is no state of a link"),
        (step('do = "wait_until", online = "c"'), "no node `c`"),
        (step('do = "wait", for = "1s"', "reboot = 0"), "did you mean `reboots`?"),
        (step('do = "wait", for = "1s"', 'reboots = "0"'), "Expected `int | null`"),
        (step('do = "wait", for = "1s"', 'link_down = "no-carier"'), "did you mean `no-carrier`?"),
        (step('do = "wait", for = "1s"', 'service_on = "c"'), "same, other, or one of a, b"),
        (step('do = "wait", for = "1s"', 'hold = "x"'), "`x` is no duration"),
        ('[cluster]\ncib = "<cib>"\n' + STEP, "the CIB is no XML"),
        ('[cluster]\ncib_file = "none.xml"\n' + STEP, "cannot be read"),
        (f'[cluster]\nservice = "wob"\ncib = "{CIB}"\n' + STEP, "did you mean `web`?"),
    ],
)
def test_mistakes(text: str, said: str) -> None:
    assert said in refusals(text)


def test_all_mistakes_are_told_at_once_each_with_its_line() -> None:
    text = HEAD + STEP + STEP.replace("pull", "pul") + STEP.replace("interconnect", "x")
    said = refusals(text)
    assert "x.toml:6: step 2.actions[1]: error: `pul` is no action" in said
    assert "x.toml:9: step 3.actions[1]: error: the lab has no cable `x`" in said


def test_the_cib_may_stand_in_a_file_beside_the_drill(tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text(CIB.replace("\\", ""), encoding="utf-8")
    assert 'id="web"' in parse('[cluster]\ncib_file = "x.xml"\n' + STEP, tmp_path).cib


@pytest.mark.parametrize("name", sorted(drill.built_in()))
def test_the_drills_that_ship_have_no_mistakes(name: str) -> None:
    assert drill.load(drill.find(name)).steps


def test_a_drill_that_is_not_there() -> None:
    with pytest.raises(Refused, match="drills that ship: demo"):
        drill.find("dema")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(Refused, match="cannot be read"):
        drill.load(path)


def test_every_verb_is_documented_in_the_guide() -> None:
    guide = (Path(__file__).parents[3] / "docs/guides/drills.md").read_text(encoding="utf-8")
    for verb in drill.VERBS:
        assert f"`{verb}`" in guide
    for key in drill.Expect.__struct_fields__:
        assert f"`{key}`" in guide


def test_slack_is_for_gaps_only() -> None:
    shipped = drill.load(drill.find("demo"))
    loose = drill.with_slack(shipped, 10)
    for before, after in zip(shipped.steps, loose.steps, strict=True):
        assert before.expect.gap_max_ms is not None
        assert after.expect.gap_max_ms == 10 * before.expect.gap_max_ms
        assert after.expect.reboots == before.expect.reboots
