import re
from dataclasses import replace
from pathlib import Path

import pytest

from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.report import Refused
from komainu.node.corosync.conf import AUTHKEY_BYTES, authkey, read_conf, write_conf
from komainu.node.settings import read_settings
from komainu.ring.settings import Engine, NodeSettings, QuorumOptions, RingSettings, WitnessOptions

QNETD = WitnessOptions("witness", address="10.0.0.5", port=5403)


def ring(count: int = 2, links: int = 2, **changes: object) -> RingSettings:
    nodes = tuple(
        NodeSettings(
            NodeId(n),
            NodeName(f"n{n}"),
            tuple(LinkEnd(LinkNumber(link), f"10.0.{link}.{n}") for link in range(links)),
        )
        for n in range(1, count + 1)
    )
    plain = RingSettings("demo", NodeId(1), nodes, 4400, engine=Engine.COROSYNC)
    return replace(plain, **changes)  # type: ignore[arg-type]  # fields by name


def read_back(text: str, folder: Path) -> RingSettings:
    key = folder / "cluster.key"
    key.write_text("A" * 43 + "=")
    key.chmod(0o600)
    toml = read_conf(text, "corosync.conf").replace("[cluster]", f'[cluster]\nkey_file = "{key}"', 1)
    (folder / "komainu.toml").write_text(toml)
    return read_settings(str(folder / "komainu.toml"), ("n1",)).ring


@pytest.mark.parametrize(
    "settings",
    [
        ring(quorum=QuorumOptions(two_node=True, wait_for_all=True)),
        ring(3, 1, detect_within_ms=1100, quorum=QuorumOptions(wait_for_all=False)),
        ring(4, quorum=QuorumOptions(wait_for_all=True, auto_tie_breaker=True)),
        ring(
            5,
            quorum=QuorumOptions(
                wait_for_all=True,
                expected_votes=5,
                auto_tie_breaker=True,
                tie_breakers=(NodeId(3), NodeId(1)),
                last_man_standing=True,
                last_man_standing_window_ms=20_000,
                allow_downscale=True,
            ),
        ),
        ring(2, quorum=QuorumOptions(wait_for_all=False, witness=QNETD)),
        ring(
            4,
            quorum=QuorumOptions(
                wait_for_all=False,
                expected_votes=7,
                witness=replace(QNETD, votes=3, algorithm="lms", tie_breaker="3", tls="off", port=5500),
            ),
        ),
        ring(5, 8, detect_within_ms=60_000, quorum=QuorumOptions(wait_for_all=False)),
    ],
)
def test_what_was_written_is_read_back_as_it_was(settings: RingSettings, tmp_path: Path) -> None:
    assert read_back(write_conf(settings), tmp_path) == settings


def test_votes_and_containers() -> None:
    settings = ring(3)
    heavy = replace(settings, nodes=(replace(settings.nodes[0], votes=2), *settings.nodes[1:]))
    text = write_conf(heavy, in_container=True)
    assert text.count("quorum_votes: 2") == 1
    assert "sched_rr: no" in text
    assert "votes = 2" in read_conf(text, "x")


def test_with_several_links_the_token_leaves_time_to_switch_them() -> None:
    assert "token: 2000\n" in write_conf(ring(detect_within_ms=1000))
    assert "token: 454\n" in write_conf(ring(links=1, detect_within_ms=1000))


def test_the_key_is_the_same_everywhere_and_not_the_clusters() -> None:
    key = authkey(b"secret")
    assert len(key) == AUTHKEY_BYTES
    assert key == authkey(b"secret") != authkey(b"other")
    assert b"secret" not in key


WRONG = """totem {
    version: 2
    transport: udpu
}
nodelist {
    node {
        ring0_addr: one.example
        nodeid: 1
    }
    node {
        name: b
        ring1_addr: 10.0.0.2
    }
}
quorum {
}
what is this
"""


def test_everything_that_cannot_be_carried_over_is_named_with_its_line() -> None:
    with pytest.raises(Refused) as refused:
        read_conf(WRONG, "corosync.conf")
    text = str(refused.value)
    for said in (
        "corosync.conf:3: transport",
        "transport udpu has one link",
        "a node has no name",
        "one.example is a name",
        "a node has no nodeid",
        "not numbered 0, 1",
        "without votequorum",
        "corosync.conf:17",
    ):
        assert said in text, text


def test_a_file_without_nodes_and_with_an_odd_token_is_refused() -> None:
    with pytest.raises(Refused, match="there is no node"):
        read_conf("totem {\n token: 50\n}\n", "x")
    with pytest.raises(Refused, match="token and consensus make 110 ms"):
        read_conf("totem {\n token: 50\n}\n", "x")


def test_a_pair_with_a_qnetd_is_no_two_node_cluster() -> None:
    text = write_conf(ring(quorum=QuorumOptions(witness=QNETD)))
    assert "two_node" not in text
    assert (
        "    device {\n        model: net\n        votes: 1\n        net {\n            host: 10.0.0.5\n"
        in text
    )


ODD_DEVICE = """    device {
        model: disk
        timeout: 2000
        net {
            host: qnetd.example
            algorithm: 2nodelms
            tie_breaker: 9
            tls: maybe
        }
        heuristics {
            mode: sync
        }
    }
"""


def test_what_cannot_be_said_of_a_quorum_device_is_refused_with_its_line() -> None:
    before, _, after = write_conf(ring(3)).partition("    wait_for_all: 0\n")
    line = before.count("\n") + 1
    with pytest.raises(Refused) as refused:
        read_conf(before + ODD_DEVICE + after, "x")
    text = str(refused.value)
    for offset, said in (
        (1, 'the model "disk" is not known'),
        (2, "the timeout of a quorum device stays at 10000"),
        (4, '"qnetd.example" is no address'),
        (5, "2nodelms is no algorithm"),
        (6, "9 is no tie_breaker"),
        (7, "maybe is no tls"),
        (10, "no heuristics"),
    ):
        assert re.search(rf"x:{line + offset}\b.*{re.escape(said)}", text), (offset, said, text)


def test_an_unknown_tie_breaker_is_refused() -> None:
    text = write_conf(ring(3)).replace("wait_for_all: 0", "auto_tie_breaker_node: 9")
    with pytest.raises(Refused, match="there is no node 9"):
        read_conf(text, "x")
