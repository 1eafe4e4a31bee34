"""Options that the tests of every room share, and the figures that a run prints at its end."""

import os
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest

# An example that takes long on a busy machine says nothing about the code: no test fails by the clock.
hypothesis.settings.register_profile("no-deadline", deadline=None)
hypothesis.settings.load_profile("no-deadline")

_FIGURES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let golden cases be rewritten; commit only a difference that can be explained line by line."""
    parser.addoption("--rewrite", action="store_true", help="write golden cases anew from what happens")


def pytest_configure(config: pytest.Config) -> None:
    """Begin without figures, and let no output depend on the window in which the tests run."""
    os.environ["COLUMNS"] = "80"
    config.stash[_FIGURES] = []


@pytest.fixture
def print_at_end(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keep a figure that a test measured; it is printed below the results, where it is seen."""
    return request.config.stash[_FIGURES].append


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the figures of one of several processes (pytest-xdist) to the one that prints."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["figures"] = session.config.stash[_FIGURES]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the figures of a process that has ended."""
    node.config.stash[_FIGURES] += getattr(node, "workeroutput", {}).get("figures", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures."""
    for text in config.stash[_FIGURES]:
        terminalreporter.write_line(text)
