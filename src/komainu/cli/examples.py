"""Write the examples at the end of a command's help."""


def examples(*commands: str) -> str:
    """Return an epilog for click; its paragraph mark keeps the lines as they stand."""
    return (
        "\b\nExample" + ("s" if len(commands) > 1 else "") + ":\n" + "\n".join(f"  {one}" for one in commands)
    )
