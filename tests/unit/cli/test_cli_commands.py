"""Every command explains itself, stands in the reference, and the daemon starts without what they need."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from komainu.cli.commands import COMMANDS, root, run
from komainu.cli.main import _daemon_options

OWN = ["config", "fence", "key", "node", "resource", "status", "version", "why"]
"""The other commands are documented by guides of their own."""
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def commands(names: list[str]) -> Iterator[tuple[str, click.Command]]:
    """Give every command with its full name."""
    context = click.Context(root)
    for name in names:
        command = root.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", below) for sub, below in command.commands.items())


@pytest.mark.parametrize(("name", "command"), list(commands(OWN)))
def test_each_command_has_help_with_an_example_and_a_section(name: str, command: click.Command) -> None:
    assert command.help
    assert command.epilog is not None
    assert f"  komainu {name}" in command.epilog
    if not isinstance(command, click.Group) or command.invoke_without_command:
        headings = [line for line in REFERENCE.read_text().splitlines() if line.startswith("## ")]
        assert any(f"komainu {name}" in heading for heading in headings)


def test_the_list_of_commands_is_shown_without_importing_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)
    assert max(len(line) for line in shown.splitlines()) <= 80


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["node"], {}),
        (["node", "--config", "f", "--name=a"], {"config": "f", "name": "a"}),
        (["node", "standby", "a"], None),
        (["node", "--help"], None),
        (["node", "--config"], None),
        (["status"], None),
        ([], None),
    ],
)
def test_the_daemon_is_recognised(arguments: list[str], options: dict[str, str] | None) -> None:
    assert _daemon_options(arguments) == options


def test_the_daemon_carries_nothing_that_only_commands_need(tmp_path: Path) -> None:
    program = "import sys, komainu.node.daemon; print(*sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not {"click", "rich"} & set(ran.stdout.split())


def test_a_profile_is_explained_without_a_daemon(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    socket = str(tmp_path / "none.sock")
    assert run(["--socket", socket, "config", "profile", "linux-ha-japan"]) == 0
    shown = capsys.readouterr()
    assert "default migration-threshold: 1 (it moves at its first failure)" in shown.out
    assert "not compared with the configuration: no komainu daemon answers" in shown.err
    assert run(["--socket", socket, "config", "profile", "office"]) == 1
    assert 'there is no profile "office"' in capsys.readouterr().err
