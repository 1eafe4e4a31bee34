"""Options that the tests of every room share."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let golden cases be rewritten; commit only a difference that can be explained line by line."""
    parser.addoption("--rewrite", action="store_true", help="write golden cases anew from what happens")
