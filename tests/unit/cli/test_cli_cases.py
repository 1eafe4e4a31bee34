"""Golden cases of the command line: what is typed, what the daemon is asked, what is printed.

A case is a text file in tests/cases/cli. A line `$ komainu …` is typed; the lines `< NAME` below it name the
answers of the daemon, in order, by their files in replies/. What follows is what came of it: the questions
(`> …`), standard output, standard error (`! …`), and the exit code where it is not 0.
"""

import shlex
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from komainu.cli.commands import run

CASES = Path(__file__).parents[2] / "cases" / "cli"


class FakeDaemon:
    """A socket that gives the answers it was told to give, and remembers the questions."""

    def __init__(self, path: str, replies: list[bytes]) -> None:
        self.questions: list[str] = []
        self._replies = replies
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for reply in self._replies:
            connection, _ = self._server.accept()
            with connection:
                head = connection.recv(4, socket.MSG_WAITALL)
                if not head:  # nobody asked any more
                    return
                body = connection.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL)
                self.questions.append(body.decode())
                connection.sendall(struct.pack(">I", len(reply)) + reply)

    def end(self, path: str) -> int:
        """Return how many answers were not asked for."""
        left = len(self._replies) - len(self.questions)
        if left:
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(path)
        self._thread.join(5)
        self._server.close()
        return left


def play(command: str, replies: list[str], capsys: pytest.CaptureFixture[str], folder: Path) -> list[str]:
    """Type one command; return what came of it."""
    path = str(folder / "d.sock")
    Path(path).unlink(missing_ok=True)
    daemon = FakeDaemon(path, [(CASES / "replies" / f"{name}.json").read_bytes() for name in replies])
    program, *arguments = shlex.split(command)
    assert program == "komainu"
    code = run(["--socket", path, *arguments] if replies else ["--socket", "/nowhere/d.sock", *arguments])
    unasked = daemon.end(path)
    shown = capsys.readouterr()
    return [
        *(f"> {question}" for question in daemon.questions),
        *shown.out.splitlines(),
        *(f"! {line}".rstrip() for line in shown.err.splitlines()),
        *([f"exit {code}"] if code else []),
        *([f"{unasked} answers were not asked for"] if unasked else []),
    ]


@pytest.mark.parametrize("case", sorted(CASES.glob("*.txt")), ids=lambda path: path.stem)
def test_case(
    case: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(time, "time_ns", lambda: 1_772_366_551_000_000_000)  # 2026-03-01 12:02:31
    time.tzset()
    monkeypatch.chdir(CASES)
    text = case.read_text()
    head, *blocks = text.split("\n$ ")
    written = [head]
    for block in blocks:
        command, *rest = block.splitlines()
        replies = [line[2:] for line in rest if line.startswith("< ")]
        outcome = play(command, replies, capsys, tmp_path)
        written.append("\n".join([command, *(f"< {name}" for name in replies), *outcome]) + "\n")
    found = "\n$ ".join(written)
    if request.config.getoption("--rewrite"):
        case.write_text(found)
        return
    assert found == text
