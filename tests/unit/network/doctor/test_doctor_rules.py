"""A machine on which nothing is wrong, and each rule with the one change that makes it speak."""

from dataclasses import replace

import pytest

from komainu.network.doctor.checkup import check_up
from komainu.network.doctor.cluster import KOMAINU_FILE, PROFILES, Recommended
from komainu.network.doctor.evidence import RELOADED, Evidence, File, Output
from komainu.network.doctor.finding import Finding, Gravity, Sureness
from komainu.network.doctor.machine import build
from komainu.network.doctor.rules.table import RULES
from komainu.node import profile as profiles

COROSYNC = "/etc/corosync/corosync.conf"
KEYFILE = "/etc/NetworkManager/system-connections/{}.nmconnection"
DEVICES = "/etc/NetworkManager/conf.d/90-komainu.conf"
CIB = """
<cib><configuration>
  <crm_config><cluster_property_set id="s"><nvpair id="n" name="stonith-enabled" value="true"/>
    <nvpair id="q" name="no-quorum-policy" value="stop"/></cluster_property_set></crm_config>
  <resources>
    <primitive id="off" class="stonith" type="fence_ipmilan"/>
    <primitive id="web" class="systemd" type="nginx">
      <operations><op id="m" name="monitor" interval="10s"/></operations></primitive>
  </resources>
  <rsc_defaults><meta_attributes id="d"><nvpair id="k" name="resource-stickiness" value="100"/>
  </meta_attributes></rsc_defaults>
</configuration></cib>"""
ADDRESSES = """[{"ifname":"eth0","addr_info":[{"local":"10.77.0.1","prefixlen":24}]},
{"ifname":"eth1","addr_info":[{"local":"192.168.33.101","prefixlen":24}]}]"""
STARTED = 1_000


def profile(name: str, address: str) -> str:
    return f"[connection]\ninterface-name={name}\ntype=ethernet\n[ipv4]\nmethod=manual\naddress1={address}\n"


def device(name: str) -> str:
    return f"[device-{name}]\nmatch-device=interface-name:{name}\nignore-carrier=yes\n"


FILES = {
    "/etc/os-release": 'ID=almalinux\nID_LIKE="rhel"\nVERSION_ID="9.5"\n',
    "/proc/sys/kernel/hostname": "ha1\n",
    "/etc/hosts": "192.168.33.101 ha1\n192.168.33.102 ha2\n",
    DEVICES: device("eth0") + device("eth1"),
    KEYFILE.format("eth0"): profile("eth0", "10.77.0.1/24"),
    KEYFILE.format("eth1"): profile("eth1", "192.168.33.101/24"),
    COROSYNC: """totem {
    transport: knet
    crypto_cipher: aes256
}
nodelist {
    node {
        name: ha1
        ring0_addr: 192.168.33.101
        ring1_addr: 10.77.0.1
    }
    node {
        name: ha2
        ring0_addr: 192.168.33.102
        ring1_addr: 10.77.0.2
    }
}
quorum {
    two_node: 1
}
""",
    "/sys/class/net/eth0": "../../devices/pci0000:00/0000:03:00.0/net/eth0",
    "/sys/class/net/eth1": "../../devices/pci0000:00/0000:04:00.0/net/eth1",
    "/sys/class/net/eth0/mtu": "1500\n",
    "/sys/class/net/eth1/mtu": "1500\n",
    "/sys/class/watchdog/watchdog0": "../../devices/pci/watchdog0",
    "/sys/class/watchdog/watchdog0/identity": "iTCO_wdt\n",
    "/etc/corosync/authkey": "",
}
OUTPUTS = {
    "addresses": ADDRESSES,
    "devices": "eth0:connected\neth1:connected\n",
    "corosync": "Corosync Cluster Engine, version '3.1.7'\n",
    "iptables": "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n",
    "cib": CIB,
}


def machine(files: dict[str, str | None] | None = None, **outputs: str) -> Evidence:
    """Make the good machine with some files or answers changed; a file that is None is absent."""
    texts = {**FILES, **(files or {})}
    found = {
        path: File(path, "", mode=0o600, target=text)
        if path.rpartition("/")[0] in {"/sys/class/net", "/sys/class/watchdog"}
        else File(path, text, mode=0o600)
        for path, text in texts.items()
        if text is not None
    }
    told = {name: Output(text) for name, text in {**OUTPUTS, **outputs}.items()}
    running = dict.fromkeys(("NetworkManager", "corosync", "pacemakerd", "chronyd"), STARTED)
    return Evidence(found, told, running, is_clock_synchronised=True)


def changed(path: str, old: str, new: str) -> Evidence:
    assert old in FILES[path]
    return machine({path: FILES[path].replace(old, new)})


def cib(old: str, new: str) -> Evidence:
    assert old in CIB
    return machine(cib=CIB.replace(old, new))


def findings(evidence: Evidence) -> list[Finding]:
    return [one for one in check_up(evidence).findings if one.rule != "NET009"]


def test_nothing_is_found_on_a_good_machine() -> None:
    assert findings(machine()) == []
    assert check_up(machine()).exit_code == 0


ONE_LINK = (
    FILES[COROSYNC]
    .replace("        ring1_addr: 10.77.0.1\n", "")
    .replace("        ring1_addr: 10.77.0.2\n", "")
)
SBD: dict[str, str | None] = {
    "/etc/sysconfig/sbd": "SBD_WATCHDOG_TIMEOUT=10\n",
    "/etc/systemd/system/corosync.service.wants/sbd.service": "",
}
NO_DEVICE = '<primitive id="off" class="stonith" type="fence_ipmilan"/>'
MORE_OPTIONS = '<nvpair id="w" name="stonith-watchdog-timeout" value="{}"/></cluster_property_set>'

PAIR = """[cluster]
name = "x"
{}
[[node]]
name = "ha1"
links = ["192.168.33.101", "10.77.0.1"]
[[node]]
name = "ha2"
links = ["192.168.33.102", "10.77.0.2"]
"""
CONF_D = "/etc/NetworkManager/conf.d"
DROP_IN = "/etc/systemd/network/10-eth1.network.d/90-komainu.conf"
NETIF = "/run/systemd/netif/links/3"


def at(evidence: Evidence, times: dict[str, float]) -> Evidence:
    """Give paths a time; one that is no file yet becomes a folder's mark."""
    files = {**{path: File(path) for path in times}, **evidence.files}
    return replace(
        evidence, files={path: replace(file, changed_s=times.get(path, 0)) for path, file in files.items()}
    )


NETWORKD = replace(
    machine(
        {
            KEYFILE.format("eth1"): None,
            "/sys/class/net/eth1/uevent": "INTERFACE=eth1\nIFINDEX=3\n",
            "/etc/systemd/network/10-eth1.network": "[Match]\nName=eth1\n[Network]\nAddress=192.168.33.101/24\n",
            DROP_IN: "[Network]\nConfigureWithoutCarrier=yes\n",
        }
    ),
    processes={"systemd-network": STARTED},
)

WRONG: list[tuple[str, str, Evidence]] = [
    ("NET001", "lost without carrier", machine({DEVICES: device("eth0")})),
    ("NET002", "global", machine({DEVICES: "[main]\nignore-carrier=*\n"})),
    ("NET003", "overruled", machine({DEVICES.replace("90", "99"): "[device-a]\nmatch-device=eth1\nignore-carrier=0\n"})),
    ("NET004", "DHCP", changed(KEYFILE.format("eth1"), "manual\naddress1=192.168.33.101/24", "auto")),
    ("NET004", "DHCP, too", changed(KEYFILE.format("eth1"), "manual", "auto")),
    ("NET006", "one link", machine({COROSYNC: ONE_LINK})),
    ("NET007", "one card", machine({"/sys/class/net/eth1": "../../devices/pci0000:00/0000:03:00.1/net/eth1"})),
    ("NET008", "one network", machine(
        {COROSYNC: FILES[COROSYNC].replace("10.77.0.", "192.168.33.20"),
         KEYFILE.format("eth0"): profile("eth0", "192.168.33.201/24")},
        addresses=ADDRESSES.replace("10.77.0.1", "192.168.33.201"))),
    ("NET010", "only SBD", replace(machine(SBD, cib=CIB.replace(NO_DEVICE, "")), processes=dict.fromkeys(("NetworkManager", "sbd"), 1))),
    ("NET011", "another profile", changed(KEYFILE.format("eth1"), "[ipv4]", "[ethernet]\nmtu=9000\n[ipv4]")),
    ("NET011", "netmtu", changed(COROSYNC, "totem {", "totem {\n    netmtu: 9000")),
    ("NET011", "unusual", machine({"/sys/class/net/eth1/mtu": "9000"})),
    ("NET012", "two nodes", changed(COROSYNC, "192.168.33.102", "192.168.33.101")),
    ("NET013", "missing", machine(addresses='[{"ifname":"eth0","addr_info":[{"local":"10.77.0.1","prefixlen":24}]},{"ifname":"eth1","addr_info":[]}]')),
    ("NET014", "blocked", machine(iptables="*filter\n:INPUT DROP [0:0]\nCOMMIT\n")),
    ("NET015", "unmanaged", machine(devices="eth0:connected\neth1:unmanaged\n")),
    ("NET017", "younger than NetworkManager", at(machine(), {DEVICES: STARTED + 1})),
    ("NET017", "a file was taken away", at(machine(), {CONF_D: STARTED + 1})),
    ("NET017", "read before", at(machine(journal=f"<info>  [{STARTED + 1}.5] config: signal: CONF\n"), {DEVICES: STARTED + 2})),
    ("NET017", "younger than networkd's state", at(NETWORKD, {DROP_IN: STARTED + 9, NETIF: STARTED + 8})),
    ("NET018", "networkd, too", replace(
        machine({"/etc/systemd/network/10-eth1.network": "[Match]\nName=eth1\n[Network]\nAddress=192.168.33.101/24\n"}),
        processes={"NetworkManager": STARTED, "systemd-network": STARTED})),
    ("CLU001", "crashes", machine({COROSYNC: FILES[COROSYNC].replace("knet", "udpu")}, corosync="version '2.4.4'")),
    ("CLU002", "impatient", machine({COROSYNC: ONE_LINK.replace("totem {", "totem {\n    token: 1000")})),
    ("CLU002", "slow", changed(COROSYNC, "totem {", "totem {\n    token: 30000")),
    ("CLU003", "impatient watchdog", replace(
        machine({**SBD, "/etc/sysconfig/sbd": "SBD_WATCHDOG_TIMEOUT=2"}), processes={"sbd": 1, "NetworkManager": 1})),
    ("CLU003", "too early", replace(
        machine(SBD, cib=CIB.replace("</cluster_property_set>", MORE_OPTIONS.format("12s"))), processes={"sbd": 1, "NetworkManager": 1})),
    ("CLU003", "back too soon", replace(
        machine({**SBD, "/etc/sysconfig/sbd": "SBD_DEVICE=/dev/sdx\nSBD_DELAY_START=no"}), processes={"sbd": 1, "NetworkManager": 1})),
    ("CLU004", "off", cib('stonith-enabled" value="true"', 'stonith-enabled" value="false"')),
    ("CLU004", "no device", cib(NO_DEVICE, "")),
    ("CLU005", "no wait", changed(COROSYNC, "two_node: 1", "two_node: 1\n    wait_for_all: 0")),
    ("CLU005", "no two_node", changed(COROSYNC, "two_node: 1", "")),
    ("CLU006", "ignored", cib('value="stop"', 'value="ignore"')),
    ("CLU007", "no monitor", cib('name="monitor"', 'name="start"')),
    ("CLU007", "switched off", cib('interval="10s"', 'interval="10s" enabled="false"')),
    ("CLU008", "not sticky", cib('value="100"', 'value="0"')),
    ("CLU009", "loopback", changed("/etc/hosts", "192.168.33.101 ha1", "127.0.1.1 ha1")),
    ("CLU009", "unlisted", changed(COROSYNC, "ring0_addr: 192.168.33.102", "ring0_addr: ha3")),
    ("CLU013", "not sticky for ever", machine({KOMAINU_FILE: PAIR.format('profile = "linux-ha-japan"')})),
    ("CLU003", "komainu's watchdog", machine(
        {KOMAINU_FILE: PAIR.format("") + "[watchdog]\ndevice = '/dev/watchdog'\n", COROSYNC: None},
        cib=CIB.replace("</cluster_property_set>", MORE_OPTIONS.format("9s")))),
    ("CLU010", "another host name", machine({"/proc/sys/kernel/hostname": "db1"})),
    ("SYS001", "software", machine({"/sys/class/watchdog/watchdog0/identity": "Software Watchdog"})),
    ("SYS001", "none", machine({"/sys/class/watchdog/watchdog0": None})),
    ("SYS002", "drifts", replace(machine(), is_clock_synchronised=False)),
    ("SYS003", "SELinux", machine({"/sys/fs/selinux/enforce": "1"})),
    ("SYS003", "AppArmor", machine({"/etc/apparmor.d/usr.sbin.corosync": ""})),
    ("SYS004", "key", replace(machine(), files={
        path: replace(file, mode=0o644 if path.endswith("authkey") else 0o600) for path, file in machine().files.items()})),
    ("DOC001", "no answer", replace(machine(), outputs={**machine().outputs, "iptables": Output(problem="no rights")})),
    ("DOC001", "half a line", changed(COROSYNC, "two_node: 1", "two_node")),
    ("DOC002", "no cluster", machine({COROSYNC: None})),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "evidence"), [(rule, evidence) for rule, _, evidence in WRONG],
                         ids=[f"{rule} {name}" for rule, name, _ in WRONG])  # fmt: skip
def test_each_rule_speaks_when_its_thing_is_wrong(rule: str, evidence: Evidence) -> None:
    found = [finding for finding in findings(evidence) if finding.rule == rule]
    assert found
    for finding in found:
        assert finding.seen
        assert finding.effect.endswith(".")
        assert finding.fix is not None
        assert bool(finding.because) == (finding.sureness.value != "certain") or finding.rule == "DOC001"


def test_a_manager_that_leaves_an_interface_alone_is_no_second_one() -> None:
    both = {"NetworkManager": STARTED, "systemd-network": STARTED}
    for extra in (
        {"/etc/systemd/network/10-eth1.network": "[Match]\nName=eth1\n[Link]\nUnmanaged=yes\n"},
        {"/etc/systemd/network/10-eth7.network": "[Match]\nName=eth7\n[Network]\nDHCP=yes\n"},
    ):
        found = findings(replace(machine(dict(extra)), processes=both))
        assert "NET018" not in {finding.rule for finding in found}


def test_without_fencing_one_cable_is_said_to_be_enough() -> None:
    off = CIB.replace('stonith-enabled" value="true"', 'stonith-enabled" value="false"')
    for files, is_enough in (({COROSYNC: ONE_LINK}, True), ({}, False)):
        (found,) = (one for one in findings(machine(dict(files), cib=off)) if one.rule == "CLU004")
        assert ("both halves go on, and both serve" in found.effect) is is_enough


def test_every_rule_is_tried() -> None:
    elsewhere = {
        "NET005",
        "NET009",
        "NET016",
        "DOC003",
        "DOC004",
    }  # the last ones stand below, or in the cases
    assert {rule for rule, _, _ in WRONG} | elsewhere == set(RULES)


@pytest.mark.parametrize("name", ["et,h", "a b", "ünï"])
def test_odd_names_are_told(name: str) -> None:
    told = ADDRESSES.replace('"eth1"', f'"{name}"')
    assert "NET016" in {finding.rule for finding in findings(machine(addresses=told))}


def test_a_stranger_is_told_that_nothing_was_checked() -> None:
    files = {
        COROSYNC: FILES[COROSYNC]
        .replace("192.168.33.101", "10.9.9.9")
        .replace("10.77.0.1", "10.9.8.9")
        .replace("ha1", "x")
    }
    found = {finding.rule: finding for finding in findings(machine(dict(files)))}
    assert found["DOC003"].gravity is Gravity.WARNING


@pytest.mark.parametrize(
    ("settings", "expected"), [("auto_tie_breaker: 1", 0), ("device {\n model: net\n}", 0), ("", 1)]
)
def test_a_third_vote_settles_two_nodes(settings: str, expected: int) -> None:
    evidence = changed(COROSYNC, "two_node: 1", settings)
    assert [finding.rule for finding in findings(evidence)].count("CLU005") == expected


def test_a_template_s_monitor_counts() -> None:
    web = '<primitive id="web" class="systemd" type="nginx">'
    text = CIB.replace(web, '<template id="web-t" class="systemd" type="nginx">').replace(
        "</operations></primitive>", '</operations></template><primitive id="web" template="web-t"/>'
    )
    assert findings(machine(cib=text)) == []


def test_the_package_s_example_of_corosync_is_no_cluster() -> None:
    text = "totem {\n}\nnodelist {\n node {\n name: node1\n ring0_addr: 127.0.0.1\n }\n}\n"
    assert {finding.rule for finding in findings(machine({COROSYNC: text}))} == {"DOC002"}


def test_udp_finds_its_interface_by_the_network_that_it_binds() -> None:
    text = "totem {\n transport: udp\n interface {\n bindnetaddr: 192.168.33.0\n mcastport: 5555\n }\n}\n"
    checkup = check_up(machine({COROSYNC: text}))
    assert [(end.address, end.name, end.cluster.ports) for end in checkup.machine.ends] == [
        ("192.168.33.101", "eth1", (5555,))
    ]


def test_two_links_over_one_bond_are_one() -> None:
    files: dict[str, str | None] = {
        "/sys/class/net/bond0": "../../devices/virtual/net/bond0",
        "/sys/class/net/bond0/uevent": "DEVTYPE=bond",
        "/sys/class/net/bond0/lower_eth0": "",
        "/sys/class/net/v1": "../../devices/virtual/net/v1",
        "/sys/class/net/v1/lower_bond0": "",
        "/sys/class/net/v2": "../../devices/virtual/net/v2",
        "/sys/class/net/v2/lower_bond0": "",
        KEYFILE.format("eth0"): None,
        KEYFILE.format("eth1"): None,
    }
    told = ADDRESSES.replace("eth0", "v1").replace("eth1", "v2")
    (found,) = [one for one in findings(machine(files, addresses=told)) if one.rule == "NET007"]
    assert found.title == "both hang on the interface eth0"
    assert found.gravity is Gravity.WARNING


READ = f"<info>  [{STARTED + 5}.25] config: signal: CONF,config-files,values (/etc/NetworkManager/NetworkManager.conf)\n"


@pytest.mark.parametrize(
    ("evidence", "gravity", "sureness"),
    [
        (at(machine(), {DEVICES: STARTED + 1}), Gravity.WARNING, Sureness.UNKNOWN),
        (at(machine(journal="<info>  [1.5] startup complete\n"), {DEVICES: STARTED + 1}), Gravity.WARNING, Sureness.UNKNOWN),
        (at(machine(journal=READ), {DEVICES: STARTED + 6}), Gravity.WARNING, Sureness.LIKELY),
        (at(machine(journal=READ), {CONF_D: STARTED + 6}), Gravity.NOTE, Sureness.LIKELY),
        (at(NETWORKD, {DROP_IN: STARTED + 9, NETIF: STARTED + 8}), Gravity.WARNING, Sureness.LIKELY),
    ],
)  # fmt: skip
def test_how_sure_it_is_that_a_setting_was_not_read(
    evidence: Evidence, gravity: Gravity, sureness: Sureness
) -> None:
    (finding,) = (one for one in findings(evidence) if (one.rule, one.subject) == ("NET017", "eth1"))
    assert (finding.gravity, finding.sureness) == (gravity, sureness)


@pytest.mark.parametrize(
    "evidence",
    [
        at(machine(journal=READ), {DEVICES: STARTED + 5.2, CONF_D: STARTED + 5}),
        at(machine(), {DEVICES: STARTED + 1, RELOADED: STARTED + 1.5}),
        at(machine(), {DEVICES: STARTED - 0.01}),
        at(NETWORKD, {DROP_IN: STARTED + 8, NETIF: STARTED + 8}),
        at(NETWORKD, {DROP_IN: STARTED + 8}),
    ],
)
def test_a_setting_that_was_read_is_no_finding(evidence: Evidence) -> None:
    assert "NET017" not in {one.rule for one in findings(evidence)}


def only_watchdog(files: dict[str, str | None], *, is_armed: bool = True) -> str:
    """Judge a pair of komainu without a fence device, which counts on watchdogs; return what NET010 says."""
    gone: dict[str, str | None] = {} if is_armed else {"/sys/class/watchdog/watchdog0": None}
    text = CIB.replace(NO_DEVICE, "").replace("</cluster_property_set>", MORE_OPTIONS.format("12s"))
    found = [
        one for one in findings(machine({COROSYNC: None, **gone, **files}, cib=text)) if one.rule == "NET010"
    ]
    return " ".join(f"{one.title}: {one.seen[0]}. {one.effect}" for one in found)


def test_a_pair_that_counts_on_watchdogs_is_told_what_it_counts_on() -> None:
    pair = PAIR.format("")
    said = only_watchdog({KOMAINU_FILE: pair})
    assert said.startswith(
        "two nodes have nothing but a watchdog to fence each other: the running cluster: no fence "
    )
    assert "stonith-watchdog-timeout=12 s" in said
    assert "not taken over until somebody confirms" in said
    missing = only_watchdog({KOMAINU_FILE: pair}, is_armed=False)
    assert "they count on a watchdog that is not there" in missing


@pytest.mark.parametrize(
    "more", ["[cluster.quorum.witness]\naddress = '10.0.0.8'\n", "[watchdog]\ndevice='/dev/watchdog'\n[sbd]\ndevices=['/dev/x']\n"]
)  # fmt: skip
def test_a_witness_or_disks_of_komainu_are_seen(more: str) -> None:
    assert only_watchdog({KOMAINU_FILE: PAIR.format("") + more}) == ""


def test_where_nobody_counts_on_a_watchdog_none_is_spoken_of() -> None:
    pair = PAIR.format("") + "[watchdog]\ndevice = '/dev/watchdog'\n"
    rules = [
        one.rule
        for one in findings(machine({KOMAINU_FILE: pair, COROSYNC: None}, cib=CIB.replace(NO_DEVICE, "")))
    ]
    assert "NET010" not in rules
    assert "CLU004" in rules


def test_a_watchdog_that_is_elsewhere_is_not_missed() -> None:
    pair = PAIR.format("") + "[watchdog]\nsocket = '/run/watchdog.sock'\n"
    evidence = machine({KOMAINU_FILE: pair, COROSYNC: None, "/sys/class/watchdog/watchdog0": None})
    assert "SYS001" not in [one.rule for one in findings(evidence)]


def test_the_doctor_and_the_daemon_know_the_same_profiles() -> None:
    assert {
        name: Recommended(one.watchdog_device, one.watchdog_timeout_ms, tuple((each.name, each.value) for each in one.defaults))
        for name, one in profiles.PROFILES.items()
    } == PROFILES  # fmt: skip


def test_a_profile_brings_its_watchdog() -> None:
    (cluster,) = build(
        machine({KOMAINU_FILE: PAIR.format('profile = "linux-ha-japan"'), COROSYNC: None})
    ).clusters
    assert (cluster.has_watchdog, cluster.watchdog_ms, cluster.watchdog_device) == (
        True,
        6000,
        "/dev/watchdog",
    )
