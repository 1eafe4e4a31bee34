"""Whatever stands in the files, the doctor answers; and every rule has its page."""

from pathlib import Path

import pytest
from doctor_evidence import tree
from hypothesis import given, settings
from hypothesis import strategies as st

import komainu.network.doctor as package
from komainu.model.report import Place
from komainu.network.doctor.checkup import check_up
from komainu.network.doctor.evidence import CONFIGURATION, STATE, Evidence, Output
from komainu.network.doctor.finding import Gravity, Seen, Write
from komainu.network.doctor.rules.table import RULES

PAGES = Path(package.__file__).parent / "pages"
PATHS = [pattern.replace("*", "x1") for pattern in (*CONFIGURATION, *STATE)]
PIECES = [
    "[main]", "ignore-carrier=*", "[Match]", "Name=*", "[Network]", "network:", "  ethernets:", "    x1:", "      - a",
    "totem {", "}", "nodelist {", "node {", "ring0_addr: 10.0.0.1", "name: x1", "interface {", "linknumber: x",
    "[cluster]", "[[node]]", 'links = ["10.0.0.1", 3]', "name = 3", "port = true", "iface", "iface x1 inet static",
    "address 10.0.0.1/99", "IPADDR=10.0.0.1", "PREFIX=x", "IPADDR='", "<cib><configuration/></cib>", "\x1b[2J", "\\",
]  # fmt: skip


def test_every_rule_has_its_page_and_every_page_its_rule() -> None:
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted([*RULES, "CLU011", "CLU012"])
    for rule in RULES:
        assert (PAGES / f"{rule}.md").read_text().startswith(f"# {rule}: ")


@given(st.dictionaries(st.sampled_from(PATHS), st.lists(st.sampled_from(PIECES)).map("\n".join), max_size=12))
@settings(max_examples=40)
def test_no_file_makes_it_fail(files: dict[str, str]) -> None:
    text = check_up(tree(files)).text()
    assert all(line.isprintable() for line in text.splitlines())


@given(
    st.dictionaries(
        st.sampled_from(["addresses", "devices", "corosync", "nftables", "iptables", "cib"]),
        st.one_of(st.text(max_size=30), st.sampled_from(['[{"ifname": 3}]', '[{"ifname":"x1","addr_info":[{"local":"q"}]}]'])),
        min_size=1,
    )
)  # fmt: skip
@settings(max_examples=30)
def test_no_answer_of_a_command_makes_it_fail(outputs: dict[str, str]) -> None:
    check_up(Evidence({}, {name: Output(text) for name, text in outputs.items()}, {})).text()


def test_nothing_known_is_never_called_fine() -> None:
    checkup = check_up(Evidence({}))
    assert checkup.exit_code == 1
    assert [finding.rule for finding in checkup.findings] == ["DOC002", "DOC004"]


def test_the_worst_stands_first_and_notes_alone_are_no_failure() -> None:
    toml = (
        '[cluster]\nname="x"\n[[node]]\nname="a"\nid=1\nlinks=["10.0.0.1"]\n'
        '[[node]]\nname="b"\nid=2\nlinks=["10.0.0.2"]\n'
    )
    checkup = check_up(tree({"/etc/komainu/komainu.toml": toml}))
    weights = [list(Gravity).index(finding.gravity) for finding in checkup.findings]
    assert weights == sorted(weights)
    assert checkup.exit_code == 1
    two = toml.replace('"]', '", "10.1.0.9"]', 1).replace('.2"]', '.2", "10.1.0.8"]')
    files = {
        "/etc/komainu/komainu.toml": two,
        "/etc/hostname": "a",
        "/etc/network/interfaces": "iface e0 inet static\naddress 10.0.0.1/24\niface e1 inet static\naddress 10.1.0.9/24\n",
    }
    assert check_up(tree(files)).exit_code == 0


@pytest.mark.parametrize(("seen", "text"), [(Seen("x"), "x"), (Seen("x", Place("f", 3)), "f:3: x")])
def test_evidence_names_its_place(seen: Seen, text: str) -> None:
    assert str(seen) == text


def test_a_change_shows_itself_as_a_difference() -> None:
    assert Write("/f", "a\n", "b\n").diff() == "--- /f\n+++ /f\n@@ -1 +1 @@\n-a\n+b\n"
    assert Write("/f", None, "b\n").diff().startswith("--- /dev/null\n")
