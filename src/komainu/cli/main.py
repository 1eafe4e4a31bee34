"""Begin here: the program `komainu`. Starts the daemon at once, and every other command by its name.

Decides only which of the two is meant. The daemon must not carry what only commands for people need, so
nothing is imported before that is known.
"""

import sys


def main() -> None:
    """Run the program with the process's own arguments, and exit."""
    arguments = sys.argv[1:]
    options = _daemon_options(arguments)
    if options is not None:
        from komainu.node.daemon import main as run_daemon

        sys.exit(run_daemon(**options))
    from komainu.cli.commands import run

    sys.exit(run(arguments))


def _daemon_options(arguments: list[str]) -> dict[str, str] | None:
    """Return the options of `komainu node` when they are complete and plain; else click has to look at them."""
    if arguments[:1] != ["node"]:
        return None
    options: dict[str, str] = {}
    rest = arguments[1:]
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in {"--config", "--name"}:
            return None
        if not equals:
            if not rest:
                return None
            value = rest.pop(0)
        options[name[2:]] = value
    return options


if __name__ == "__main__":
    main()
