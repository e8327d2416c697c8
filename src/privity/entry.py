"""The first line of the ``privity`` command: small enough to import that Ctrl-C is answered from the start."""

import sys
from collections.abc import Callable
from typing import NoReturn


def main() -> NoReturn:
    """Load the command and run it. An interrupt while it loads ends in one line, like any other."""
    try:
        run = _command(sys.argv[1:])
    except KeyboardInterrupt:
        print("privity: interrupted", file=sys.stderr)
        sys.exit(130)
    run()


def _command(words: list[str]) -> Callable[[], NoReturn]:
    """What people type is read by Typer; a party under a parent starts in half the time without it."""
    if words[:1] == ["party"]:
        from .party_process import main as party

        return lambda: party(words[1:])
    from .cli import main as command

    return command
