"""Check our agents as programs: meta-data, usage, and the fence agent against a switch made for the test."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from lxml import etree

from komainu.agents import web_server
from komainu.fencing.sbd import Header, Mail, Message, write_header
from komainu.model.ids import NodeName
from komainu.node.agents import OWN_AGENTS
from komainu.node.sbd import SbdDisk

RESOURCE_AGENTS = sorted(path for path in (OWN_AGENTS / "ocf/komainu").iterdir() if path.is_file())
FENCE_LAB = OWN_AGENTS / "fence/fence_lab"
FENCE_SBD = OWN_AGENTS / "fence/fence_sbd"


def run(
    program: Path, *arguments: str, given: str = "", environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-I", "-S", str(program), *arguments],
        input=given,
        env=environment or {},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize("agent", RESOURCE_AGENTS, ids=lambda path: path.name)
def test_meta_data_is_complete(agent: Path) -> None:
    result = run(agent, "meta-data")
    assert result.returncode == 0
    document = etree.fromstring(result.stdout.encode())
    assert document.get("name") == agent.name
    assert document.findtext("version") == "1.1"
    actions = {str(action.get("name")) for action in document.findall("actions/action")}
    assert actions >= {"start", "stop", "monitor", "meta-data", "validate-all"}
    assert all(action.get("timeout") for action in document.findall("actions/action"))
    for parameter in document.findall("parameters/parameter"):
        assert parameter.findtext("shortdesc")
        assert parameter.find("content") is not None


@pytest.mark.parametrize("agent", RESOURCE_AGENTS, ids=lambda path: path.name)
def test_an_unknown_action_is_unimplemented(agent: Path) -> None:
    result = run(agent, "dance")
    assert result.returncode == 3
    assert result.stderr.startswith(f"usage: {agent.name}")


def test_agents_can_be_executed_by_hand() -> None:
    assert all(os.access(path, os.X_OK) for path in [*RESOURCE_AGENTS, FENCE_LAB])


def test_the_dummy_does_as_it_is_told(tmp_path: Path) -> None:
    dummy = OWN_AGENTS / "ocf/komainu/dummy"
    told = {"OCF_RESKEY_state": str(tmp_path / "state")}
    assert run(dummy, "monitor", environment=told).returncode == 7
    assert run(dummy, "start", environment=told).returncode == 0
    assert run(dummy, "monitor", environment=told).returncode == 0
    failing = run(dummy, "monitor", environment={**told, "OCF_RESKEY_fail_on": "start monitor"})
    assert failing.returncode == 1
    assert failing.stderr == "ocf-exit-reason:monitor fails, as fail_on demands\n"
    assert run(dummy, "stop", environment=told).returncode == 0
    assert run(dummy, "stop", environment=told).returncode == 0
    assert run(dummy, "monitor", environment=told).returncode == 7
    slow = run(dummy, "start", environment={**told, "OCF_RESKEY_op_sleep": "long"})
    assert (slow.returncode, "whole number" in slow.stderr) == (6, True)


class Switch:
    """A power switch that gives one answer."""

    def __init__(self, folder: Path, answer: object) -> None:
        self.path = str(folder / "power.sock")
        self.asked: list[dict[str, str]] = []
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rwb") as stream:
            self.asked.append(json.loads(stream.readline()))
            stream.write(json.dumps(self._answer).encode() + b"\n")

    def close(self) -> None:
        self._thread.join(20)
        self._listener.close()


@pytest.mark.parametrize(
    ("action", "answer", "exit_code"),
    [
        ("off", {"ok": True, "power": "off"}, 0),
        ("off", {"ok": True, "power": "on"}, 1),
        ("off", {"ok": False, "error": "no machine b"}, 1),
        ("off", ["nonsense"], 1),
        ("reboot", {"ok": True, "power": "on"}, 0),
        ("on", {"ok": True, "power": "on"}, 0),
        ("status", {"ok": True, "power": "on"}, 0),
        ("status", {"ok": True, "power": "off"}, 2),
        ("status", {"ok": True}, 1),
    ],
)
def test_the_fence_agent_trusts_only_a_plain_yes(
    tmp_path: Path, action: str, answer: object, exit_code: int
) -> None:
    switch = Switch(tmp_path, answer)
    result = run(FENCE_LAB, given=f"# comment\nunknown=1\naction={action}\nport=b\nsocket={switch.path}\n")
    switch.close()
    assert result.returncode == exit_code
    assert switch.asked == [{"action": action, "node": "b"}]


def test_the_fence_agent_lists_the_machines(tmp_path: Path) -> None:
    switch = Switch(tmp_path, {"ok": True, "nodes": ["a", "b"]})
    result = run(FENCE_LAB, given=f"action=list\nsocket={switch.path}\n")
    switch.close()
    assert (result.returncode, result.stdout) == (0, "a,\nb,\n")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("action=off\nport=b\nsocket=/nowhere/s\n", "cannot be reached"),
        ("action=off\n", "no node was named"),
        ("action=dance\nport=b\n", "unrecognised action: dance"),
    ],
)
def test_the_fence_agent_says_what_is_wrong(given: str, words: str) -> None:
    result = run(FENCE_LAB, given=given)
    assert result.returncode == 1
    assert words in result.stderr


def test_the_fence_agent_describes_itself() -> None:
    result = run(FENCE_LAB, given="action=metadata\n")
    assert result.returncode == 0
    assert etree.fromstring(result.stdout.encode()).get("name") == "fence_lab"


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        ("GET / HTTP/1.1", "200 OK", "hello\n"),
        ("HEAD / HTTP/1.0", "200 OK", ""),
        ("GET /inside.txt HTTP/1.0", "200 OK", "inside"),
        ("GET /../outside.txt HTTP/1.0", "404 Not Found", "no such page\n"),
        ("GET /link.txt HTTP/1.0", "404 Not Found", "no such page\n"),
        ("POST / HTTP/1.0", "405 Method Not Allowed", "only GET and HEAD\n"),
        ("nonsense", "405 Method Not Allowed", "only GET and HEAD\n"),
    ],
)
def test_the_web_server_answers(tmp_path: Path, request_line: str, status: str, body: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "inside.txt").write_text("inside")
    (tmp_path / "outside.txt").write_text("outside")
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    answer = web_server._answer(f"{request_line}\r\n\r\n".encode(), b"hello\n", str(root), "a").decode()
    head, _, text = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.0 {status}\r\n")
    assert "\r\nX-Node: a\r\n" in head
    assert text == body


def test_who_was_fenced_first_leaves_no_pill(tmp_path: Path) -> None:
    """Of two that lose sight of each other the later one may still live: its watchdog has not fired yet."""
    path = tmp_path / "disk"
    header = Header(allocate_s=0, loop_s=0, watchdog_s=0, msgwait_s=0)
    path.write_bytes(write_header(header).ljust(1024 * 1024, b"\0"))
    disk = SbdDisk(str(path))
    me, peer = disk.allocate(NodeName(socket.gethostname())), disk.allocate(NodeName("peer"))
    order = f"action=reboot\nplug=peer\ndevices={path}\n"
    disk.send(me, Mail(Message.RESET, "peer"))
    result = run(FENCE_SBD, given=order)
    assert result.returncode == 1
    assert "was fenced first" in result.stderr
    assert disk.mail(peer) == Mail(Message.CLEAR, "")
    disk.clear(me, NodeName("me"))
    assert run(FENCE_SBD, given=order).returncode == 0
    assert disk.mail(peer) == Mail(Message.RESET, socket.gethostname())
    disk.close()
