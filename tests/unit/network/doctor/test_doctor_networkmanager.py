"""The merge rules of NetworkManager, as they were measured with version 1.42."""

import pytest
from doctor_evidence import tree

from komainu.network.doctor.networkmanager import Claim, matches, read
from komainu.network.doctor.profile import Interface, Profile

ETH1 = Interface("eth1", mac="52:54:00:00:00:01", driver="e1000e")
SERVER = {"/usr/lib/NetworkManager/conf.d/00-server.conf": "[main]\nno-auto-default=*\nignore-carrier=*\n"}
LOCAL = "/etc/NetworkManager/conf.d/99-local.conf"


def ignores(files: dict[str, str], interface: Interface = ETH1) -> bool:
    return read(tree(files)).carrier(interface).is_ignored


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, False),
        (SERVER, True),
        ({**SERVER, LOCAL: "[device]\nignore-carrier=no\n"}, False),
        ({**SERVER, LOCAL: "[main]\nignore-carrier=\n"}, False),
        ({**SERVER, LOCAL: "[main]\nignore-carrier=except:interface-name:eth1\n"}, False),
        ({**SERVER, LOCAL: "[main]\nignore-carrier-=*\n"}, False),
        ({LOCAL: "[main]\nignore-carrier+=interface-name:eth*\n"}, True),
        (
            {
                "/etc/NetworkManager/NetworkManager.conf": "[main]\nignore-carrier=interface-name:eth0\n",
                LOCAL: "[main]\nignore-carrier+=mac:52:54:00:00:00:01\n",
            },
            True,
        ),
        ({LOCAL: "[device-x]\nmatch-device=interface-name:eth1\nignore-carrier=yes\n"}, True),
        ({**SERVER, LOCAL: "[device-x]\nmatch-device=interface-name:eth1\nignore-carrier=no\n"}, False),
        ({LOCAL: "[device-x]\nmatch-device=interface-name:eth2\nignore-carrier=yes\n"}, False),
        ({LOCAL: "[device]\nignore-carrier=no\n[device-x]\nmatch-device=eth1\nignore-carrier=yes\n"}, True),
    ],
)
def test_carrier_is_ignored_as_networkmanager_does(files: dict[str, str], expected: bool) -> None:
    assert ignores(files) is expected


def test_of_two_device_sections_in_two_files_the_later_file_wins() -> None:
    yes, no = (
        f"[device-{name}]\nmatch-device=interface-name:eth1\nignore-carrier={name}\n"
        for name in ("yes", "no")
    )
    folder = "/etc/NetworkManager/conf.d"
    assert ignores({f"{folder}/10.conf": yes, f"{folder}/20.conf": no}) is False
    assert ignores({f"{folder}/10.conf": no, f"{folder}/20.conf": yes}) is True


def test_of_two_device_sections_in_one_file_the_first_wins() -> None:
    text = (
        "[device-a]\nmatch-device=eth1\nignore-carrier=yes\n[device-b]\nmatch-device=*\nignore-carrier=no\n"
    )
    assert ignores({LOCAL: text}) is True


def test_etc_comes_after_run_and_run_after_usr_lib() -> None:
    names = [f"{folder}/NetworkManager/conf.d/zz.conf" for folder in ("/usr/lib", "/run", "/etc")]
    main = "/etc/NetworkManager/NetworkManager.conf"
    texts = ["[main]\nignore-carrier=*\n", "[main]\nignore-carrier=eth9\n", "[main]\nignore-carrier=eth1\n"]
    assert ignores({names[0]: texts[0]}) is True
    assert ignores({names[0]: texts[0], names[1]: texts[1]}) is False
    assert ignores(dict(zip(names, texts, strict=True))) is True
    assert ignores({names[0]: texts[0], main: texts[1]}) is False
    assert ignores({names[1].replace("zz", "aa"): texts[1], names[0]: texts[0]}) is False


def test_a_file_hides_its_namesake_and_one_that_is_switched_off_does_not_count() -> None:
    (vendor,) = SERVER
    hidden = vendor.replace("/usr/lib", "/etc")
    assert ignores({**SERVER, hidden: ""}) is False
    assert ignores({vendor: "[.config]\nenable=false\n[main]\nignore-carrier=*\n"}) is False


def test_the_line_that_counts_is_named_and_so_are_those_that_do_not() -> None:
    local = "[device-x]\nmatch-device=interface-name:eth1\nignore-carrier=no\ncarrier-wait-timeout=1000\n"
    verdict = read(tree({**SERVER, LOCAL: local})).carrier(ETH1)
    assert verdict.claim is not None
    assert str(verdict.claim.entry.place) == f"{LOCAL}:3"
    assert [str(claim.entry.place).rpartition("/")[2] for claim in verdict.overruled] == ["00-server.conf:3"]
    assert verdict.wait_ms == 1000


def test_bonds_ignore_carrier_by_themselves() -> None:
    assert ignores({}, Interface("bond0", kind="bond")) is True
    assert ignores({LOCAL: "[device]\nignore-carrier=no\n"}, Interface("bond0", kind="bond")) is False


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([], False),
        (["*"], True),
        (["eth1"], True),
        (["interface-name:=eth*"], False),
        (["interface-name:eth?"], True),
        (["52:54:00:00:00:01"], True),
        (["mac:52:54:00:00:00:02"], False),
        (["type:ethernet"], True),
        (["driver:e1000*"], True),
        (["s390-subchannels:0.0.1000"], False),
        (["except:eth2"], True),
        (["except:eth1"], False),
        (["*", "except:eth1"], False),
        (["eth2", "except:eth3"], False),
    ],
)
def test_device_lists(terms: list[str], expected: bool) -> None:
    assert matches(terms, ETH1) is expected


def test_unmanaged_interfaces_are_left_alone() -> None:
    nm = read(tree({LOCAL: "[keyfile]\nunmanaged-devices=interface-name:eth1;interface-name:eth2\n"}))
    assert nm.is_unmanaged(ETH1)
    assert not nm.is_unmanaged(Interface("eth0"))
    assert read(tree({LOCAL: "[device-x]\nmatch-device=eth1\nmanaged=0\n"})).is_unmanaged(ETH1)


def test_profiles_are_read_unless_others_may_read_them() -> None:
    path = "/etc/NetworkManager/system-connections/one.nmconnection"
    text = (
        "[connection]\nid=one\ninterface-name=eth1\n[ethernet]\nmtu=9000\n"
        "[ipv4]\nmethod=manual\naddress1=10.0.0.1/24,10.0.0.254\ndns=10.0.0.9\n"
    )
    (profile,) = read(tree({path: text})).profiles
    assert (profile.interface, profile.addresses, profile.mtu) == ("eth1", ("10.0.0.1/24",), 9000)
    assert isinstance(profile, Profile)
    found = read(tree({path: text}, mode=0o644))
    assert not found.profiles
    assert [file.path for file in found.refused] == [path]


def test_a_claim_knows_whether_it_speaks_for_all() -> None:
    def claim(text: str) -> Claim:
        found = read(tree({LOCAL: f"[main]\nignore-carrier={text}\n"})).carrier(ETH1).claim
        assert found is not None
        return found

    assert claim("*").is_global
    assert claim("except:eth2").is_global
    assert not claim("interface-name:eth1").is_global
