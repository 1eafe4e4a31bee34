"""node/link_settings.py: the options of a link, and what is refused with its line."""

from pathlib import Path

import pytest

from komainu.model.ids import LinkNumber
from komainu.model.link import LinkEnd
from komainu.model.report import Place, Refused
from komainu.network.interface import AddressSeen, InterfaceSeen, RouteSeen
from komainu.node.key import write_new_key
from komainu.node.link_settings import refuse_kept_addresses
from komainu.node.settings import read_settings

TEXT = """\
[cluster]
name = "demo"
key_file = "KEY"
[[node]]
name = "a"
id = 1
links = [LINK]
[[node]]
name = "b"
id = 2
links = ["192.168.33.102"]
"""
PLAIN = 'address = "192.168.33.101"'


def read(folder: Path, link: str) -> LinkEnd:
    key = folder / "key"
    if not key.exists():
        write_new_key(str(key))
    file = folder / "komainu.toml"
    file.write_text(TEXT.replace("KEY", str(key)).replace("LINK", link))
    settings = read_settings(str(file), ("a",))
    return settings.ring.of(settings.ring.me).ends[0]


def test_the_options_of_a_link(tmp_path: Path) -> None:
    end = LinkEnd(LinkNumber(0), "192.168.33.101", keep_talking=True)
    assert read(tmp_path, '"192.168.33.101"') == end
    assert read(tmp_path, f"{{ {PLAIN} }}") == end
    full = f'{{ {PLAIN}, interface = "eth1", prefix = 24, keep_address = "yes", keep_talking = "no" }}'
    assert read(tmp_path, full) == LinkEnd(
        LinkNumber(0), "192.168.33.101", "eth1", prefix=24, keep_address=True
    )
    assert read(tmp_path, f'{{ {PLAIN}, kind = "service" }}').is_service


@pytest.mark.parametrize("name", ["eth1.100", "ünï", "a-b_c@d", "eth'0", '\\"', "$(id)"])
def test_odd_names_of_interfaces_are_taken(tmp_path: Path, name: str) -> None:
    wanted = name.replace('\\"', '"')
    assert read(tmp_path, f'{{ {PLAIN}, interface = "{name}" }}').interface == wanted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('keep_address = "maybe"', '"maybe" is neither yes nor no'),
        ("keep_address = true", '"keep_address" is true or false'),
        ('kind = "lan"', '"lan" is no kind of link'),
        ('kind = "service", keep_address = "yes"', "never put back by force"),
        ("prefix = 33", "longer than the address"),
        ("prefix = 0", "not from 1 to 128"),
        ('interface = "a b"', "cannot be the name of an interface"),
        ('interface = "a/b"', "cannot be the name of an interface"),
        ('interface = "sixteen-letters-"', "cannot be the name of an interface"),
        ('keep_adress = "yes"', "did you mean keep_address?"),
    ],
)
def test_a_mistake_is_refused_with_its_line(tmp_path: Path, options: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        read(tmp_path, f"{{ {PLAIN}, {options} }}")
    assert message in str(caught.value)
    assert "komainu.toml:7: " in str(caught.value)


def test_an_address_is_not_kept_where_the_default_route_is() -> None:
    end = LinkEnd(LinkNumber(0), "10.0.0.1", keep_address=True)
    seen = (
        InterfaceSeen(2, "eth0", is_up=True, has_carrier=True),
        AddressSeen(2, "10.0.0.1", 24),
        RouteSeen(2, "0.0.0.0/0"),
    )
    with pytest.raises(Refused, match="eth0 carries the default route"):
        refuse_kept_addresses((end,), seen, Place("komainu.toml"))
    refuse_kept_addresses((end,), seen[:2], Place("komainu.toml"))
    refuse_kept_addresses((LinkEnd(LinkNumber(0), "10.0.0.1"),), seen, Place("komainu.toml"))
