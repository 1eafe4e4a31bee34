"""Units of a real systemd, which is booted in namespaces of its own and ends with them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from komainu.node.agents import OWN_AGENTS

SYSTEMD = Path("/lib/systemd/systemd")
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not SYSTEMD.exists(), reason="there is no systemd: apt-get install systemd"),
    pytest.mark.skipif(os.geteuid() != 0, reason="systemd wants a control group of its own: run as root"),
]

UNITS = {
    "basic.target": "[Unit]\nDescription=all that has to be there\n",
    "web.service": "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sleep infinity\nRestart=always\n"
    "RestartSec=50ms\n",
    "slow.service": "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
    "ExecStart=/bin/sleep 1\n",
    "sick.service": "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/false\n",
}

BOOT = """
mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system
mount -t tmpfs tmpfs /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 77
export container=lxc SYSTEMD_UNIT_PATH=/run/systemd/system:$1
"$2" "$3" "$1" &
exec /lib/systemd/systemd --system --unit=basic.target --log-target=null --show-status=no
"""

STEPS = (
    "web monitor",
    "web start",
    "web monitor",
    "kill web",
    "web monitor",
    "web start",
    "web stop",
    "web monitor",
    "slow start",
    "slow monitor",
    "sick start",
    "sick monitor",
    "nothing start",
    "nothing stop",
)

PLAYER = f"""
import json, subprocess, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
end = time.monotonic() + 20
while time.monotonic() < end and subprocess.run(["systemctl", "is-system-running", "-q"]).returncode:
    time.sleep(0.05)
answers = []
for step in {STEPS!r}:
    unit, action = step.split()
    if unit == "kill":
        subprocess.run(["systemctl", "kill", "-s", "KILL", action], check=True)
        time.sleep(0.5)  # systemd would have started it anew ten times
        continue
    done = subprocess.run([sys.executable, "-I", "-S", {str(OWN_AGENTS / "service/run")!r}, "systemd", unit, action],
                          capture_output=True, text=True)
    answers.append([step, done.returncode, done.stderr.strip()])
left = [str(path) for path in Path("/run/systemd/system").rglob("*.conf")]
(folder / "answers.tmp").write_text(json.dumps([answers, left]))
(folder / "answers.tmp").rename(folder / "answers")
subprocess.run(["systemctl", "exit", "0", "--force", "--force"])
"""


def test_units_are_the_clusters_while_it_has_them_started(tmp_path: Path) -> None:
    for name, text in UNITS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "player.py").write_text(PLAYER)
    arguments = [str(tmp_path), sys.executable, str(tmp_path / "player.py")]
    spaces = ["--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child"]
    machine = subprocess.Popen(
        ["unshare", *spaces, "--", "sh", "-c", BOOT, "sh", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        code = machine.wait(60)
    finally:
        machine.kill()
        machine.wait()
    if code == 77:
        pytest.skip("this machine has no control groups of version 2")
    answers, left = json.loads((tmp_path / "answers").read_text())
    sick = "ocf-exit-reason:systemctl start sick.service: Job for sick.service failed"
    assert [(step, code) for step, code, _ in answers] == [
        ("web monitor", 7),
        ("web start", 0),
        ("web monitor", 0),
        ("web monitor", 7),  # killed, and systemd left it to the cluster
        ("web start", 0),
        ("web stop", 0),
        ("web monitor", 7),
        ("slow start", 0),
        ("slow monitor", 0),
        ("sick start", 1),
        ("sick monitor", 7),
        ("nothing start", 5),
        ("nothing stop", 0),
    ]
    reasons = {step: reason for step, _, reason in answers if reason}
    assert reasons.pop("nothing start") == "ocf-exit-reason:systemd cannot load nothing.service: not-found"
    assert reasons.pop("sick start").startswith(sick)
    assert not reasons
    assert {Path(path).parent.name for path in left} == {"slow.service.d", "sick.service.d"}, (
        "web was given back"
    )
