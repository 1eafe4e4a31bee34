"""One word stands for settings that belong together, and what a configuration lacks of them is named."""

from pathlib import Path

import pytest
from test_node_settings import GOOD, read, refusals

from komainu.cib.document import parse, show
from komainu.cib.initial import empty_cib
from komainu.cib.schema import validate
from komainu.model.report import Refused
from komainu.node.key import write_new_key
from komainu.node.profile import LINUX_HA_JAPAN, departures, meaning
from komainu.node.settings import WatchdogSettings
from komainu.node.startup import mark_life, prepare, unmark_life
from komainu.ring.settings import LinkMode

WORD = GOOD.replace('name = "demo"', 'name = "demo"\nprofile = "linux-ha-japan"')
DEVICE = '<primitive id="p" class="stonith" type="fence_ipmilan"/>'


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = str(tmp_path / "cluster.key")
    write_new_key(path)
    return path


def test_the_word_gives_the_defaults_and_the_file_wins(tmp_path: Path, key: str) -> None:
    settings = read(tmp_path, key, WORD)
    assert settings.profile is LINUX_HA_JAPAN
    assert settings.watchdog == WatchdogSettings("/dev/watchdog", is_socket=False, timeout_ms=6_000)
    assert settings.ring.link_mode is LinkMode.ACTIVE
    own = (
        WORD.replace("profile", 'link_mode = "passive"\nprofile') + '[watchdog]\ndevice = "/dev/watchdog1"\n'
    )
    settings = read(tmp_path, key, own)
    assert settings.watchdog == WatchdogSettings("/dev/watchdog1", is_socket=False, timeout_ms=6_000)
    assert settings.ring.link_mode is LinkMode.PASSIVE
    assert read(tmp_path, key, GOOD).profile is None


def test_one_link_is_refused_with_the_remedy(tmp_path: Path, key: str) -> None:
    one_link = WORD.replace(', "10.77.0.1"', "").replace(', "10.77.0.2"', "")
    said = refusals(tmp_path, key, one_link)
    assert "linux-ha-japan wants 2 links; node a has 1" in said
    assert "add the address on a second, independent cable" in said


def test_an_unknown_word_is_refused_with_those_that_are_known(tmp_path: Path, key: str) -> None:
    said = refusals(tmp_path, key, WORD.replace("linux-ha-japan", "linux-ha"))
    assert 'there is no profile "linux-ha"' in said
    assert 'known: "linux-ha-japan"' in said


def test_a_new_cluster_begins_with_the_defaults_of_its_profile(tmp_path: Path, key: str) -> None:
    folders = f'[paths]\nstate = "{tmp_path}/state"\nrun = "{tmp_path}/run"\n'
    prepared = prepare(read(tmp_path, key, WORD + folders))
    cib = prepared.state.cib
    assert 'name="resource-stickiness" value="INFINITY"' in show(cib)
    assert 'name="migration-threshold" value="1"' in show(cib)
    assert validate(cib, "first") == ()
    assert list(departures(LINUX_HA_JAPAN, cib)) == ["there is no fence device: add one for each node"]


def test_what_a_configuration_lacks_is_named_with_its_remedy() -> None:
    bare = parse(show(empty_cib()).replace("<resources/>", f"<resources>{DEVICE}</resources>"))
    said = list(departures(LINUX_HA_JAPAN, bare))
    assert len(said) == 2
    assert said[0].startswith("the resource default resource-stickiness is not set, not INFINITY: ")
    assert said[1].endswith("it moves at its first failure. Set it in rsc_defaults")
    wanted = empty_cib(defaults=(("resource-stickiness", "1000000"), ("migration-threshold", "3")))
    text = show(wanted).replace("<resources/>", f"<resources>{DEVICE}</resources>")
    (only,) = departures(LINUX_HA_JAPAN, parse(text))
    assert "migration-threshold is 3, not 1" in only, "1000000 is INFINITY"


def test_the_meaning_tells_every_setting_of_the_word() -> None:
    said = {what: value for what, value, _ in meaning(LINUX_HA_JAPAN)}
    assert said == {
        "[watchdog] device": "/dev/watchdog",
        "[watchdog] timeout": "6 s",
        "fail fast": "yes",
        "links of each node": "at least 2",
        "[cluster] link_mode": "active",
        "default resource-stickiness": "INFINITY",
        "default migration-threshold": "1",
        "in a split": "who runs the service wins",
    }


@pytest.mark.parametrize("has_profile", [True, False])
def test_a_daemon_that_died_is_started_again_only_without_fail_fast(
    tmp_path: Path, key: str, has_profile: bool
) -> None:
    folders = f'[paths]\nstate = "{tmp_path}/state"\nrun = "{tmp_path}/run"\n'
    settings = read(tmp_path, key, (WORD if has_profile else GOOD) + folders)
    (tmp_path / "run").mkdir()
    mark_life(settings.run_folder)
    unmark_life(settings.run_folder)
    mark_life(settings.run_folder)  # and it dies
    if not has_profile:
        prepare(settings)
        return
    with pytest.raises(Refused, match=r"the daemon of this node died, and the profile linux-ha-japan wants"):
        prepare(settings)
    unmark_life(settings.run_folder)
