"""Check how a fence device's options are read."""

import pytest

from komainu.fencing import device as options
from komainu.fencing.agent_facts import AgentFacts
from komainu.fencing.device import HostCheck
from komainu.fencing.interface import Device
from komainu.model.ids import NodeName

B = NodeName("b")


def device(**parameters: str) -> Device:
    return Device("power", "fence_lab", tuple(sorted(parameters.items())))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:1;b:2,3", {"a": "1", "b": "2,3"}),
        ("a=1 b=2", {"a": "1", "b": "2"}),
        (r"a:plug\;1;b:p\ 2", {"a": "plug;1", "b": "p 2"}),
        ("a:00:11:22", {"a": "00:11:22"}),
        ("", {}),
        (";;a", {}),
    ],
)
def test_the_host_map(text: str, expected: dict[str, str]) -> None:
    assert options.host_map(device(pcmk_host_map=text)) == expected


def test_which_nodes_a_device_reaches() -> None:
    assert options.static_hosts(device(pcmk_host_list="a, b;c")) == ("a", "b", "c")
    assert options.static_hosts(device(pcmk_host_list="a b", pcmk_host_map="b:1;c:2")) == ("a", "b", "c")
    assert options.host_check(device(pcmk_host_list="a")) is HostCheck.STATIC
    assert options.host_check(device(pcmk_host_map="a:1")) is HostCheck.STATIC
    assert options.host_check(device()) is HostCheck.LIST
    assert options.host_check(device(pcmk_host_check="none", pcmk_host_list="a")) is HostCheck.NONE
    assert options.host_check(device(pcmk_host_check="nonsense")) is HostCheck.LIST


def test_what_the_agent_reads() -> None:
    given = device(socket="/s", pcmk_host_map="b:2", pcmk_off_action="cycle", action="x", crm_feature_set="3")
    assert options.options_of(given, "off", B) == (
        ("action", "cycle"),
        ("nodename", "b"),
        ("port", "2"),
        ("socket", "/s"),
    )
    assert options.options_of(device(socket="/s"), "list", None) == (("action", "list"), ("socket", "/s"))


def test_the_plug_can_be_called_otherwise_or_be_configured() -> None:
    assert dict(options.options_of(device(pcmk_host_argument="plug"), "off", B))["plug"] == "b"
    assert "port" not in dict(options.options_of(device(pcmk_host_argument="none"), "off", B))
    assert dict(options.options_of(device(port="4"), "off", B))["port"] == "4"
    assert dict(options.options_of(device(port="dynamic"), "off", B))["port"] == "b"


def test_times_and_numbers() -> None:
    given = device(pcmk_off_timeout="5s", pcmk_off_retries="4", pcmk_action_limit="-1")
    assert options.timeout_ms(given, "off", 60_000) == 5000
    assert options.timeout_ms(given, "reboot", 60_000) == 60_000
    assert options.attempts(given, "off") == 4
    assert options.attempts(device(pcmk_off_retries="many"), "off") == options.ATTEMPTS_DEFAULT
    assert options.parallel_runs(given) is None
    assert options.parallel_runs(device()) == 1


def test_delays_may_differ_by_node() -> None:
    assert options.delay_ms(device(pcmk_delay_base="3s"), "off", B) == 3000
    by_node = device(pcmk_delay_base="a:1s;b:5s")
    assert options.delay_ms(by_node, "reboot", B) == 5000
    assert options.delay_ms(by_node, "off", NodeName("c")) == 0
    assert options.delay_ms(by_node, "on", B) == 0


def test_a_part_of_the_delay_is_left_to_chance() -> None:
    both = device(pcmk_delay_base="2s", pcmk_delay_max="10s")
    assert options.delay_ms(both, "off", B, 0.0) == 2000
    assert options.delay_ms(both, "off", B, 0.5) == 6000
    assert options.delay_ms(device(pcmk_delay_max="a:1s;b:4s"), "reboot", B, 0.25) == 1000
    assert options.delay_ms(device(pcmk_delay_base="5s", pcmk_delay_max="1s"), "off", B, 0.9) == 5000


def test_how_an_agent_is_told_the_target_and_what_it_can_list_follows_from_its_meta_data() -> None:
    alone = AgentFacts(frozenset({"off", "status"}), plug=None, is_told=True)
    assert options.host_check(device(), alone) is HostCheck.STATUS
    assert options.host_check(device(), AgentFacts(frozenset({"off"}), is_told=True)) is HostCheck.NONE
    assert options.options_of(device(), "off", B, alone) == (("action", "off"), ("nodename", "b"))
    assert ("plug", "b") in options.options_of(device(), "off", B, AgentFacts(plug="plug"))


def test_the_answer_to_list_is_read_in_all_its_forms() -> None:
    assert options.listed_names("b,alias\nc:off\nd e\n['f']\n") >= {"b", "alias", "c", "d", "e", "f"}
