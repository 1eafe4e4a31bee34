"""Settings: a good file gives its values, and every mistake is refused with its line and a remedy."""

from pathlib import Path

import pytest

from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.report import Refused
from komainu.node.key import read_key, write_new_key
from komainu.node.settings import PORT, DaemonSettings, read_settings
from komainu.ring.settings import QuorumOptions, WitnessOptions

GOOD = """\
[cluster]
name = "demo"
key_file = "KEY"

[[node]]
name = "a"
id = 1
links = ["192.168.33.101", "10.77.0.1"]

[[node]]
name = "b"
id = 2
links = ["192.168.33.102", "10.77.0.2"]
"""


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = str(tmp_path / "cluster.key")
    write_new_key(path)
    return path


def read(tmp_path: Path, key: str, text: str, *names: str) -> DaemonSettings:
    file = tmp_path / "komainu.toml"
    file.write_text(text.replace("KEY", key))
    return read_settings(str(file), names or ("a",))


def refusals(tmp_path: Path, key: str, text: str, *names: str) -> str:
    with pytest.raises(Refused) as caught:
        read(tmp_path, key, text, *names)
    return str(caught.value).replace(str(tmp_path) + "/", "")


def test_a_good_file(tmp_path: Path, key: str) -> None:
    settings = read(tmp_path, key, GOOD, "b.example.org", "b")
    assert settings.ring.me == NodeId(2)
    assert settings.ring.cluster == "demo"
    assert [node.name for node in settings.ring.nodes] == ["a", "b"]
    assert settings.ring.of(NodeId(2)).ends == (
        LinkEnd(LinkNumber(0), "192.168.33.102", keep_talking=True),
        LinkEnd(LinkNumber(1), "10.77.0.2", keep_talking=True),
    )
    assert settings.port == PORT
    assert settings.watchdog is None
    assert settings.sbd_devices == ()
    assert len(settings.key) == 32
    assert settings.ring.detect_within_ms is None
    assert "key=" not in repr(settings)


def test_every_optional_key(tmp_path: Path, key: str) -> None:
    text = GOOD.replace(
        "[[node]]",
        'detect_within = "500ms"\nport = 6000\n[cluster.quorum]\ntwo_node = false\nwait_for_all = true\n'
        "auto_tie_breaker = true\n"
        '[watchdog]\ndevice = "/dev/watchdog0"\ntimeout = "10s"\n[paths]\nstate = "/s"\nrun = "/r"\n[[node]]\nvotes = 2',
        1,
    ).replace('"10.77.0.1"', '{ address = "fe80::1", interface = "eth1" }')
    text = text.replace('"10.77.0.2"', '{ address = "fe80::2", interface = "eth1" }')
    settings = read(tmp_path, key, text)
    assert settings.ring.detect_within_ms == 500
    assert settings.ring.quorum.two_node is False
    assert settings.ring.quorum.wait_for_all is True
    assert settings.ring.quorum.auto_tie_breaker is True
    assert settings.watchdog is not None
    assert (settings.watchdog.path, settings.watchdog.timeout_ms) == ("/dev/watchdog0", 10_000)
    assert (settings.state_folder, settings.run_folder, settings.port) == ("/s", "/r", 6000)
    assert settings.ring.of(NodeId(1)).votes == 2
    assert settings.ring.of(NodeId(1)).ends[1] == LinkEnd(LinkNumber(1), "fe80::1", "eth1", keep_talking=True)


def test_targets_of_clients(tmp_path: Path, key: str) -> None:
    text = GOOD.replace("[[node]]", '[clients]\ntargets = ["gateway", "fd00::1"]\n[[node]]', 1)
    assert read(tmp_path, key, text).clients == ("gateway", "fd00::1")
    assert read(tmp_path, key, GOOD).clients == ()


def test_the_options_of_quorum(tmp_path: Path, key: str) -> None:
    def quorum(lines: str) -> QuorumOptions:
        text = GOOD.replace("[[node]]", f"[cluster.quorum]\n{lines}\n[[node]]", 1)
        return read(tmp_path, key, text).ring.quorum

    ties = "two_node = false\nauto_tie_breaker = true\nauto_tie_breaker_node = "
    assert quorum(ties + '"lowest"').tie_breakers == ()
    assert quorum(ties + '"highest"').tie_breakers == (2,)
    assert quorum(ties + '["b", "a"]').tie_breakers == (2, 1)
    last = quorum('last_man_standing = true\nlast_man_standing_window = "20s"')
    assert (last.last_man_standing, last.last_man_standing_window_ms) == (True, 20_000)
    down = quorum("allow_downscale = true\nexpected_votes = 1")
    assert (down.allow_downscale, down.expected_votes) == (True, 1)
    with pytest.raises(Refused, match="needs expected_votes"):
        quorum("allow_downscale = true")


def test_one_node_alone_is_a_cluster(tmp_path: Path, key: str) -> None:
    alone = GOOD[: GOOD.index('[[node]]\nname = "b"')]
    assert [node.name for node in read(tmp_path, key, alone).ring.nodes] == [NodeName("a")]


MISTAKES = {
    "no TOML": ('name = "demo"', "name = demo", "komainu.toml:2: error: this is no TOML"),
    "unknown key": (
        "[cluster]",
        '[cluster]\ndetect_witin = "1s"',
        "2: cluster.detect_witin",
        "did you mean detect_within?",
    ),
    "unknown table": (
        "[cluster]",
        "[claster]",
        'the key "claster" is unknown',
        "there is no [cluster] table",
    ),
    "no unit": (
        "[cluster]",
        "[cluster]\ndetect_within = 1",
        "a duration needs its unit",
        'detect_within = "1s"',
    ),
    "no unit in text": ("[cluster]", '[cluster]\ndetect_within = "1"', "a duration needs its unit"),
    "no duration": ("[cluster]", '[cluster]\ndetect_within = "soon"', '"soon" is no duration'),
    "too quick": ("[cluster]", '[cluster]\ndetect_within = "1ms"', "200 ms to 60 s"),
    "wrong type": (
        'name = "demo"',
        "name = 5",
        '2: cluster.name: error: "name" is a whole number',
        "write a text in quotes",
    ),
    "truth in quotes": ("[cluster]", '[cluster]\nquorum.two_node = "yes"', "true or false, without quotes"),
    "no such port": ("[cluster]", "[cluster]\nport = 70000", "70000 is not from 1 to 65535"),
    "bad name": ('name = "demo"', 'name = "a cluster"', '"a cluster" cannot be a name'),
    "missing id": ("id = 1\n", "", 'komainu.toml:5: node[0].id: error: the key "id" is missing'),
    "id too great": ("id = 1\n", "id = 65536\n", "65536 is not from 1 to 65535"),
    "id twice": ("id = 2", "id = 1", '12: node[1].id: error: the id 1 is already that of node "a"'),
    "name twice": ('"b"', '"a"', 'node[1].name: error: the name a is already that of node "a"'),
    "address twice": (
        '"10.77.0.2"',
        '"10.77.0.1"',
        '13: node[1].links: error: the address 10.77.0.1 is already that of node "a"',
    ),
    "own address twice": ('"10.77.0.2"', '"192.168.33.102"', "already that of another of its links"),
    "a link too few": (', "10.77.0.2"', "", "the number of links is 1, but node a has 2"),
    "no address": ('"10.77.0.2"', '"10.77.0.2/24"', 'link 1: "10.77.0.2/24" is no address', "without prefix"),
    "a host name": ('"10.77.0.2"', '"b.lan"', '"b.lan" is no address'),
    "everybody's address": ('"10.77.0.2"', '"0.0.0.0"', "belongs to no single node"),
    "two families": ('"10.77.0.2"', '"fd00::2"', "link 1 is IPv6 here and IPv4 on node a"),
    "link-local without interface": (
        '"10.77.0.2"',
        '"fe80::2"',
        "fe80::2 needs its interface",
        'interface = "eth1"',
    ),
    "no links": ('["192.168.33.102", "10.77.0.2"]', "[]", "a list with at least one entry"),
    "nine links": (
        '["192.168.33.102", "10.77.0.2"]',
        str([f"10.0.0.{n}" for n in range(9)]),
        "9 links; at most 8",
    ),
    "two_node of one": (
        '[[node]]\nname = "b"\nid = 2\nlinks = ["192.168.33.102", "10.77.0.2"]\n',
        "[cluster.quorum]\ntwo_node = true",
        "exactly two nodes; there are 1",
    ),
    "tie-breaker with two": (
        "[[node]]",
        "[cluster.quorum]\nauto_tie_breaker = true\n[[node]]",
        "two_node = false",
    ),
    "a stranger breaks ties": (
        "[[node]]",
        '[cluster.quorum]\ntwo_node = false\nauto_tie_breaker = true\nauto_tie_breaker_node = ["a", "x"]\n[[node]]',
        "there is no node 'x'",
        "a list of node names: a, b",
    ),
    "clients without targets": ("[[node]]", "[clients]\ntargets = []\n[[node]]", "0 targets are named"),
    "a client that is a name": (
        "[[node]]",
        '[clients]\ntargets = ["router"]\n[[node]]',
        "'router' is neither an address nor the word gateway",
    ),
    "clients misspelled": ("[[node]]", '[clients]\ntarget = ["10.0.0.1"]\n[[node]]', "target"),
    "no watchdog named": ("[[node]]", "[watchdog]\n[[node]]", "no watchdog is named"),
    "two watchdogs": (
        "[[node]]",
        '[watchdog]\ndevice = "/d"\nsocket = "/s"\n[[node]]',
        "both a device and a socket",
    ),
    "no key": (
        '"KEY"',
        '"/nowhere/key"',
        "the cluster key does not exist",
        "komainu key new --file /nowhere/key",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_refused_with_its_place_and_remedy(name: str, tmp_path: Path, key: str) -> None:
    old, new, *expected = MISTAKES[name]
    assert old in GOOD
    shown = refusals(tmp_path, key, GOOD.replace(old, new, 1))
    for part in expected:
        assert part in shown
    assert "hint:" in shown or "is not from" in shown or "at most" in shown


def test_all_mistakes_are_shown_at_once_in_the_order_of_the_file(tmp_path: Path, key: str) -> None:
    text = GOOD.replace('name = "demo"', 'nam = "demo"').replace("id = 2", "id = 0")
    lines = [line for line in refusals(tmp_path, key, text).splitlines() if "error" in line]
    assert [line.split(":")[1] for line in lines] == ["1", "2", "12"]


def test_one_mistake_is_said_once(tmp_path: Path, key: str) -> None:
    shown = refusals(tmp_path, key, GOOD.replace('"10.77.0.2"', '"b.lan"'))
    assert shown.count("error") == 1


def test_a_host_that_is_no_node_is_told_which_names_there_are(tmp_path: Path, key: str) -> None:
    shown = refusals(tmp_path, key, GOOD, "c.example.org", "c")
    assert 'no node is called "c.example.org" (the host name); known: a, b' in shown


def test_a_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read: No such file"):
        read_settings(str(tmp_path / "none.toml"), ("a",))


def test_key_open_to_others_is_refused(key: str) -> None:
    Path(key).chmod(0o640)
    with pytest.raises(Refused, match=f"chmod 600 {key}"):
        read_key(key)


@pytest.mark.parametrize("content", [b"", b"short", b"c2hvcnQ="])
def test_key_too_short_is_refused(key: str, content: bytes) -> None:
    Path(key).write_bytes(content)
    with pytest.raises(Refused, match="at least 32 are needed"):
        read_key(key)


def test_raw_keys_are_taken_as_they_are(key: str) -> None:
    raw = bytes(range(128, 168))
    Path(key).write_bytes(raw)
    assert read_key(key) == raw


def test_a_key_is_never_overwritten(key: str) -> None:
    before = read_key(key)
    with pytest.raises(Refused, match="the file exists"):
        write_new_key(key)
    assert read_key(key) == before
    assert Path(key).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[sbd]\ndevices = ["/dev/a"]\n', "needs a watchdog"),
        ('[watchdog]\ndevice = "/dev/watchdog"\n[sbd]\ndevices = ["/dev/a", "/dev/b"]\n', "one or three"),
        ('[watchdog]\ndevice = "/dev/watchdog"\n[sbd]\ndevices = ["relative"]\n', "one or three"),
    ],
)
def test_shared_disks_that_are_of_no_use_are_refused(tmp_path: Path, key: str, text: str, words: str) -> None:
    assert words in refusals(tmp_path, key, f"{GOOD}\n{text}")


QNETD = '\n[ring]\nengine = "corosync"\n[cluster.quorum.witness]\naddress = "10.0.0.5"\n'
WITNESS = '\n[cluster.quorum.witness]\naddress = "10.0.0.5"\n'
TWIN = '[[node]]\nname = "c"\nid = 65\nlinks = ["192.168.33.103", "10.77.0.3"]\n'
LEASE = '\n[cluster.quorum.witness]\npath = "/shared/komainu.lease"\n'


def test_a_witness_has_one_vote_or_one_less_than_all(tmp_path: Path, key: str) -> None:
    said = read(tmp_path, key, GOOD + WITNESS).ring.quorum.witness
    assert said is not None
    assert (said.name, said.address, said.port, said.votes) == ("witness", "10.0.0.5", 5416, 1)
    third = '[[node]]\nname = "c"\nid = 3\nlinks = ["192.168.33.103", "10.77.0.3"]\n'
    lone = read(tmp_path, key, GOOD + third + WITNESS + 'algorithm = "lms"\n').ring.quorum.witness
    assert lone is not None
    assert lone.votes == 2


def test_a_file_or_disk_can_be_the_witness(tmp_path: Path, key: str) -> None:
    said = read(tmp_path, key, GOOD + LEASE + 'algorithm = "lms"\n').ring.quorum.witness
    assert said is not None
    assert (said.path, said.address, said.votes) == ("/shared/komainu.lease", "", 1)


def test_the_witness_of_corosync_is_a_qnetd(tmp_path: Path, key: str) -> None:
    plain = read(tmp_path, key, GOOD + QNETD).ring.quorum.witness
    assert plain == WitnessOptions("witness", address="10.0.0.5", port=5403)
    text = GOOD + QNETD + 'tie_breaker = "b"\ntls = "required"\nalgorithm = "lms"\nport = 5500\n'
    said = read(tmp_path, key, text).ring.quorum.witness
    assert said is not None
    assert (said.tie_breaker, said.tls, said.algorithm, said.port) == ("2", "required", "lms", 5500)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WITNESS.replace("10.0.0.5", "witness.example.org"), '"witness.example.org" is no address'),
        (WITNESS + 'algorithm = "best"\n', '"best" is no algorithm of a witness'),
        (WITNESS + "prot = 1\n", "prot"),
        ("\n[cluster.quorum]\ntwo_node = true\n" + WITNESS, "two_node and a witness exclude each other"),
        (WITNESS + 'tls = "off"\n', "tls is an option of corosync-qnetd"),
        (LEASE + 'address = "10.0.0.5"\n', "a witness has an address or a path, not both"),
        (LEASE + "port = 5416\n", "a file or disk has no port"),
        (LEASE.replace("/shared", "shared"), '"shared/komainu.lease" is no absolute path'),
        ("\n[cluster.quorum.witness]\n", "the witness has no place"),
        (QNETD + 'path = "/shared/komainu.lease"\n', "the witness is a corosync-qnetd, no file or disk"),
        (QNETD.replace("address", "name").replace("10.0.0.5", "w"), "the witness has no place"),
        (LEASE + TWIN, "node ids 1 and 65 share a slot on /shared/komainu.lease"),
        (QNETD + 'tie_breaker = "z"\n', 'there is no node "z"'),
        (QNETD + 'tls = "maybe"\n', '"maybe" is no way to use TLS'),
    ],
)
def test_what_contradicts_a_witness_is_refused(tmp_path: Path, key: str, text: str, said: str) -> None:
    assert said in refusals(tmp_path, key, GOOD + text)
