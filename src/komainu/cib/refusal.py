"""Refuse a command with one report. Decides nothing; `apply` turns the refusal into data."""

from typing import NoReturn

from komainu.model.report import Refused, Report


def refuse(code: str, message: str, hint: str = "") -> NoReturn:
    """Refuse: the state stays as it was. Raises Refused, always."""
    raise Refused((Report(code, message, hint),))
