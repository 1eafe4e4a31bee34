"""A peer gets its own defaults and the cables of the layout; komainu's ring follows the same cables."""

from pathlib import Path

from komainu.lab import files, stacks
from komainu.lab.layout import Layout
from komainu.lab.stacks import Stack


def test_komainu_needs_no_files_of_a_peer() -> None:
    assert not stacks.files(Layout(), Stack.KOMAINU, "lab")


def test_corosync_has_a_link_for_every_ring_cable() -> None:
    (conf,) = stacks.files(Layout(), Stack.COROSYNC3, "lab")
    assert "transport: knet" in conf.text
    assert "ring0_addr: 192.168.33.101" in conf.text
    assert "ring1_addr: 10.77.0.2" in conf.text
    assert "two_node: 1" in conf.text


def test_udpu_has_one_link_whatever_the_cabling() -> None:
    (conf,) = stacks.files(Layout(), Stack.COROSYNC3_UDPU, "lab")
    assert "transport: udpu" in conf.text
    assert "ring1_addr" not in conf.text


def test_three_nodes_are_no_two_node_cluster() -> None:
    assert "two_node" not in stacks.corosync_conf(Layout(("a", "b", "c")), "lab", is_udpu=False)


def test_without_the_lan_the_ring_is_on_the_interconnect_only() -> None:
    alone = Layout(ring_on_lan=False)
    assert "10.77" not in stacks.corosync_conf(alone, "lab", is_udpu=False)
    assert "10.77" not in files.settings_text(alone, "lab")
    assert 'links = ["192.168.33.101", "10.77.0.1"]' in files.settings_text(Layout(), "lab")
    assert Layout(interconnects=0, ring_on_lan=False).problems()


def test_with_corosync_the_witness_is_a_qnetd() -> None:
    layout = Layout(has_witness=True)
    text = stacks.corosync_conf(layout, "lab", is_udpu=False)
    assert "two_node" not in text
    assert "  device {\n    model: net\n    votes: 1\n    net {\n      host: 10.77.0.8\n" in text
    assert stacks.QNETD in stacks.programs(layout, Stack.PACEMAKER)
    assert stacks.QNETD not in stacks.programs(layout, Stack.KOMAINU)
    assert stacks.QNETD not in stacks.programs(Layout(), Stack.PACEMAKER)
    assert "10.77.0.8" in stacks.qnetd_command(Path("/run/x"), layout)
    assert 'tls = "off"' in files.settings_text(layout, "lab", "corosync")
    assert "tls" not in files.settings_text(layout, "lab")


def test_a_qnetd_with_certificates_takes_nobody_without_one() -> None:
    layout = Layout(("a", "b", "c"), has_witness=True, witness_has_tls=True, witness_algorithm="lms")
    text = stacks.corosync_conf(layout, "lab", is_udpu=False)
    assert "    votes: 2\n" in text
    assert "      algorithm: lms\n      tls: required\n" in text
    assert 'algorithm = "lms"\ntls = "required"' in files.settings_text(layout, "lab", "corosync")
    command = stacks.qnetd_command(Path("/run/x"), layout)
    assert command[command.index("-s") + 1] == "req"
    assert "nss_db_dir=/run/x/certificates/qnetd/nssdb" in command[-1]
    assert stacks.certify_command(Path("/run/x"), "lab")[-2:] == ("/run/x/certificates", "lab")


def test_sbd_runs_on_a_peer_that_has_a_shared_disk_or_is_told_to() -> None:
    def settings(layout: Layout) -> str:
        _, _, sbd = stacks.files(layout, Stack.PACEMAKER, "lab")
        assert sbd.path == stacks.SBD_SETTINGS
        return sbd.text

    disks = Layout(shared_disks=3)
    disk = "/run/komainu-lab/disk"
    assert f'SBD_DEVICE="{disk}1;{disk}2;{disk}3"\n' in settings(disks)
    assert f"SBD_WATCHDOG_DEV={files.WATCHDOG_FILE}\n" in settings(disks)
    assert "SBD_DEVICE" not in settings(Layout(has_sbd=True))
    assert "SBD_WATCHDOG_DEV" in settings(Layout(has_sbd=True))
    assert settings(Layout()) == ""
    assert stacks.SBD in stacks.programs(disks, Stack.PACEMAKER)
    assert stacks.SBD not in stacks.programs(disks, Stack.KOMAINU)
    assert stacks.SBD not in stacks.programs(Layout(), Stack.PACEMAKER)
