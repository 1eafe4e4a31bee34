"""The doctor of all nodes, over real ssh: each machine has an sshd and keys of its own."""

import os
import shutil
import sys
import time
from collections.abc import Iterator

import pytest

from komainu.lab import lab, preflight, protocol
from komainu.lab.layout import Layout

SSHD = "/usr/sbin/sshd"

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="sshd runs as root only"),
    pytest.mark.skipif(not shutil.which(SSHD), reason="not installed: apt-get install openssh-server"),
    pytest.mark.skipif(bool(preflight.missing()), reason="; ".join(map(str, preflight.missing()))),
]

NODES = ("a", "b", "c", "d", "e")
"""Who asks; who answers; without komainu, and later one that hangs; that refuses the key; that is not reached."""

PATIENT_S = 30
"""A second is enough on a quiet computer."""

HURRIED_S = 1

ASK = """
import sys
from komainu.node.survey import others
others.ANSWER_TIMEOUT_S = float(sys.argv.pop(1))
others._PLACES = "/run/opt"
from komainu.cli.main import main
sys.exit(main())
"""

PREPARE = f"""
set -e
umask 077
printf '%s' "$HOSTS" > /etc/hosts
printf '%s' "$USER_KEY" > /etc/ssh/lab_authorized
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/lab_host
mkdir -p /run/sshd /run/opt /run/home
sed -i 's|^\\(root:.*\\):/root:|\\1:/run/home:|' /etc/passwd  # what this computer's root does at a login is not ours
if [ -n "$KOMAINU" ]; then printf '#!/bin/sh\n%s\n' "$KOMAINU" > /run/opt/komainu; chmod 755 /run/opt/komainu; fi
{SSHD} -f /dev/null -h /etc/ssh/lab_host -o AuthorizedKeysFile=/etc/ssh/lab_authorized -o StrictModes=no -o PidFile=none
cat /etc/ssh/lab_host.pub
"""
CLIENT = """
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/lab_user
cat > /etc/ssh/ssh_config <<END
IdentityFile /etc/ssh/lab_user
IdentitiesOnly yes
UserKnownHostsFile /etc/ssh/lab_known
END
cat /etc/ssh/lab_user.pub
"""
OTHER = """
set -e
ip link set eth1 mtu 1400
printf '10.77.0.99 c\n' > /etc/hosts
chmod u+w /etc/komainu/cluster.key
head -c 32 /dev/urandom | base64 > /etc/komainu/cluster.key
"""


def shell(one: lab.Lab, node: str, script: str, **variables: str) -> str:
    words = [f"{name}={text}" for name, text in variables.items()]
    done = one.run(node, ("env", *words, "sh", "-c", script))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def raised() -> Iterator[lab.Lab]:
    """Give five nodes; their daemons do not matter here."""
    layout = Layout(nodes=NODES)
    hosts = "".join(f"{layout.address(node, layout.cables[-1])} {node}\n" for node in NODES)
    komainu = f'exec {sys.executable} -m komainu.cli.main "$@"'
    one = lab.start(protocol.Blueprint(f"ssh{os.getpid()}", layout, ("sleep", "infinity"), ""))
    try:
        user_key = shell(one, "a", CLIENT)
        known = ""
        for node, command in {"b": komainu, "c": "", "d": komainu}.items():
            key = "" if node == "d" else user_key
            host_key = shell(one, node, PREPARE, HOSTS=hosts, USER_KEY=key, KOMAINU=command)
            known += f"{node} {host_key}"
        shell(one, "a", 'printf %s "$HOSTS" > /etc/hosts; printf %s "$KNOWN" > /etc/ssh/lab_known', HOSTS=hosts, KNOWN=known)  # fmt: skip
        shell(one, "a", "for to in 10.77.0.5 192.168.33.105; do ip route add unreachable $to; done")
        yield one
    finally:
        one.down()


def test_who_answers_is_compared_and_who_does_not_is_named(raised: lab.Lab) -> None:
    shell(raised, "b", OTHER)
    done = raised.run("a", (sys.executable, "-c", ASK, str(PATIENT_S), "doctor", "--all"))
    said = " ".join(done.stdout.split())
    assert done.returncode == 1, done.stderr
    assert "CLU012 /etc/komainu/cluster.key: b has another key" in said
    assert "NET011 eth1: b has another packet size seen: eth1 of a: 1500 eth1 of b: 1400" in said
    assert "CLU009 c: the node's name leads to different addresses" in said
    assert "SYS002 b: its clock" not in said, "they have one clock"
    assert "c could not be asked: sh: 1: exec: komainu: not found" in said
    assert "d could not be asked: root@d: Permission denied" in said
    assert (
        "e could not be asked: ssh: connect to host e port 22: No route to host; ssh: connect to host 192.168."
        in said
    )
    assert said.endswith("2 of 5 nodes checked")
    assert "install komainu on c" in done.stderr
    assert "ssh-copy-id d" in done.stderr


def test_one_that_hangs_holds_nothing_up(raised: lab.Lab) -> None:
    shell(raised, "c", "printf '#!/bin/sh\nexec sleep 60\n' > /run/opt/komainu; chmod 755 /run/opt/komainu")
    begun = time.monotonic()
    done = raised.run("a", (sys.executable, "-c", ASK, str(HURRIED_S), "doctor", "--all"))
    assert time.monotonic() - begun < HURRIED_S + 5
    assert f"c could not be asked: no answer within {HURRIED_S} s" in done.stdout
    assert not raised.run("a", ("pgrep", "-x", "ssh")).stdout, "what was asked in vain is still running"
