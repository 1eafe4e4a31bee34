"""Make evidence in a line or two."""

from komainu.network.doctor.evidence import Evidence, File, Output


def tree(files: dict[str, str], *, mode: int = 0o600, **outputs: str) -> Evidence:
    """Make a file tree; with outputs it is a running machine."""
    found = {path: File(path, text, mode=mode) for path, text in files.items()}
    told = {name: Output(text) for name, text in outputs.items()}
    return Evidence(found, told, {} if outputs else None)
