import pytest

from komainu.network.doctor import corosync
from komainu.network.doctor.corosync import Version, parse, reaction, version_of
from komainu.network.doctor.evidence import File


def test_blocks_nest_and_lines_are_kept() -> None:
    text = "# c\ntotem {\n  token: 5000\n  interface {\n    mcastport: 5555\n  }\n}\n"
    root, odd = parse(File("f", text))
    assert odd == ()
    assert root.first("totem").number("token") == 5000
    entry = root.first("totem").first("interface").entry("mcastport")
    assert entry is not None
    assert str(entry.place) == "f:5"


@pytest.mark.parametrize(("text", "lines"), [("totem {\n", [1]), ("what\n}\n", [1, 2]), ("a {\n" * 20, None)])
def test_what_makes_no_sense_is_named(text: str, lines: list[int] | None) -> None:
    _, odd = parse(File("f", text))
    assert odd if lines is None else [place.line for place in odd] == lines


@pytest.mark.parametrize(
    ("settings", "nodes", "version", "token", "consensus"),
    [
        ("", 2, (3, 1, 7), 3000, 3600),
        ("", 3, (3, 1, 7), 3650, 4380),
        ("", 2, (2, 4, 3), 1000, 1200),
        ("token: 5000\ntoken_coefficient: 0\nconsensus: 9000", 4, (3, 1, 7), 5000, 9000),
    ],
)
def test_times_that_the_file_leaves_out(
    settings: str, nodes: int, version: Version, token: int, consensus: int
) -> None:
    totem = parse(File("f", f"totem {{\n{settings}\n}}\n"))[0].first("totem")
    assert corosync.token_ms(totem, nodes, version) == token
    assert corosync.consensus_ms(totem, token) == consensus


@pytest.mark.parametrize(
    ("version", "transport", "after_ms", "crashes", "freezes"),
    [
        ((2, 4, 4), "udpu", 6000, True, False),
        ((2, 4, 5), "udpu", 6000, False, True),
        ((3, 1, 7), "udpu", 6000, False, True),
        ((3, 1, 7), "udpu", 7000, False, False),
        ((3, 1, 7), "knet", 6000, False, False),
        (None, "knet", 6000, False, False),
    ],
)
def test_what_each_version_does(
    version: Version | None, transport: str, after_ms: int, crashes: bool, freezes: bool
) -> None:
    found = reaction(version, transport, after_ms=after_ms, formed_ms=6600)
    assert (found.crashes, found.freezes) == (crashes, freezes)


def test_versions_are_found_in_what_programs_and_packages_say() -> None:
    assert version_of("Corosync Cluster Engine, version '2.4.3'\nCopyright (c) 2006-2009") == (2, 4, 3)
    assert version_of("3.1-rc1") == (3, 1, 0)
    assert version_of("no version") is None
