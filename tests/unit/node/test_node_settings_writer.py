"""node/settings_writer.py: komainu.toml has other nodes and links, and all else as it stood."""

from dataclasses import replace
from pathlib import Path

import pytest

from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.report import Level
from komainu.node.key import write_new_key
from komainu.node.settings import read_settings
from komainu.node.settings_writer import with_layout_text, write_layout
from komainu.ring.settings import NodeSettings, RingSettings

TEXT = """# our pair
[cluster]
name = "demo"  # do not change
key_file = "{key}"
link_priority = [
    0,
    10,
]

# the one upstairs
[[node]]
name = "a"
id = 1
links = ["10.0.0.1", {{ address = "10.1.0.1", keep_address = "yes" }}]  # lan, cable

# the one in the cellar
[[node]]
name = "b"   # renamed in spring
id = 2
links = [
    "10.0.0.2",  # [lan]
    "10.1.0.2",
]
votes = 1

[paths]
state = "{folder}/state"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    key = tmp_path / "cluster.key"
    write_new_key(str(key))
    path = tmp_path / "komainu.toml"
    path.write_text(TEXT.format(key=key, folder=tmp_path))
    return path


def settings_of(file: Path) -> RingSettings:
    return read_settings(str(file), ("a",), named=True).ring


def moved(settings: RingSettings, address: str) -> RingSettings:
    """Node b's end of link 1 at another address, by the first change."""
    a, b = settings.nodes
    ends = (b.ends[0], LinkEnd(LinkNumber(1), address, keep_talking=True))
    return replace(settings, nodes=(a, replace(b, ends=ends)), layout=1)


def test_only_what_changed_is_written(file: Path) -> None:
    before = file.read_text()
    changed = moved(settings_of(file), "10.1.0.9")
    note = write_layout(str(file), changed)
    assert note.code == "layout.written"
    after = file.read_text()
    assert settings_of(file) == changed
    old, new = before.splitlines(), after.splitlines()
    assert new[: new.index("[[node]]") + 4] == [
        "# our pair",
        "[cluster]",
        "layout = 1",
        *old[2:4],
        "link_priority = [0, 10]",
        *old[8:14],
    ]
    assert new[new.index('name = "b"   # renamed in spring') :] == [
        *old[17:19],
        'links = ["10.0.0.2", "10.1.0.9"]',
        *old[23:],
    ]
    write_layout(str(file), changed)
    assert file.read_text() == after  # what is right already stays as it is


def test_nodes_come_and_go_with_their_comments(file: Path) -> None:
    settings = settings_of(file)
    ends = tuple(LinkEnd(LinkNumber(link), f"10.{link}.0.3", keep_talking=True) for link in range(2))
    third = NodeSettings(NodeId(3), NodeName("c"), ends, votes=2)
    grown = replace(settings, nodes=(*settings.nodes, third), layout=1)
    write_layout(str(file), grown)
    assert settings_of(file) == grown
    text = file.read_text()
    assert text.index('[[node]]\nname = "c"') < text.index("[paths]")
    shrunk = replace(settings, nodes=(settings.nodes[0], third), layout=2)
    write_layout(str(file), shrunk)
    assert settings_of(file) == shrunk
    assert "cellar" not in file.read_text()
    assert "upstairs" in file.read_text()


def test_ends_with_options_are_written_as_tables(file: Path) -> None:
    settings = settings_of(file)
    a, b = settings.nodes
    odd = LinkEnd(LinkNumber(0), "fd00::1", "eth7", prefix=64, keep_talking=False, is_service=True)
    other = replace(odd, address="fd00::2", interface=None, prefix=None)
    changed = replace(
        settings, nodes=(replace(a, ends=(odd, a.ends[1])), replace(b, ends=(other, b.ends[1]))), layout=3
    )
    write_layout(str(file), changed)
    assert settings_of(file) == changed


def test_a_file_that_cannot_be_changed_is_said_with_what_to_write(file: Path) -> None:
    settings = settings_of(file)
    missing = write_layout(str(file.with_name("nowhere.toml")), moved(settings, "10.1.0.9"))
    assert missing.level is Level.ERROR
    assert "layout = 1" in missing.message
    assert 'links = ["10.0.0.2", "10.1.0.9"]' in missing.message
    file.write_text("this is [no TOML")
    assert write_layout(str(file), settings).code == "layout.unwritable"
    assert file.read_text() == "this is [no TOML"


def test_brackets_in_texts_and_comments_end_no_table() -> None:
    text = '[cluster]\nname = "[x"\n[[node]]\nname = "a"\nid = 1\nlinks = [  # [\n  "10.0.0.1" ]\n'
    end = LinkEnd(LinkNumber(0), "10.0.0.9", keep_talking=True)
    settings = RingSettings("x", NodeId(1), (NodeSettings(NodeId(1), NodeName("a"), (end,)),), layout=7)
    assert with_layout_text(text, settings) == (
        '[cluster]\nlayout = 7\nname = "[x"\n[[node]]\nname = "a"\nid = 1\nlinks = ["10.0.0.9"]\n'
    )
