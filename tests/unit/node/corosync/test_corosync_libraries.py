import pytest

from komainu.model.report import Refused
from komainu.node.corosync import libraries
from komainu.node.corosync.libraries import EngineFailed, Libraries, check
from komainu.node.corosync.session import device_of
from komainu.ring.corosync.interface import Device


def test_missing_libraries_are_refused_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(libraries.LIBRARIES, "cpg", "libcpg-of-nowhere.so.4")
    with pytest.raises(Refused, match="apt-get install corosync"):
        Libraries()


def test_an_answer_is_said_in_words() -> None:
    check(libraries.OK, "joining")
    with pytest.raises(EngineFailed, match="joining: Corosync allows only root"):
        check(11, "joining")
    with pytest.raises(EngineFailed, match="joining: error 77 of Corosync"):
        check(77, "joining")


@pytest.mark.parametrize(
    ("flags", "device"),
    [
        (1, Device.ABSENT),
        (64, Device.SILENT),
        (64 + 128, Device.WITHHOLDS),
        (64 + 128 + 256 + 2, Device.CASTS),
    ],
)
def test_how_the_quorum_device_stands_follows_from_the_flags(flags: int, device: Device) -> None:
    assert device_of(flags) is device
