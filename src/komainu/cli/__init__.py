"""The front door: the komainu command."""
