"""The first line of the ``privity`` command: small enough to import that Ctrl-C is answered from the start."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Load the command line and run it. An interrupt while it loads ends in one line, like any other."""
    try:
        from .cli import main as run
    except KeyboardInterrupt:
        print("privity: interrupted", file=sys.stderr)
        sys.exit(130)
    run()
