"""How a process of the command line ends: in one message and an exit code, whatever happened."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from .errors import PrivityError
from .jobs.local import stop_on_signal
from .jobs.run import Interrupted

UNEXPECTED = 70
"""Exit code of a fault of Privity itself (EX_SOFTWARE of sysexits.h)."""


def ended(command: Callable[[], object]) -> NoReturn:
    """Run a command and end the process: every error in one message and an exit code, never in a traceback."""
    code: int | str | None = 0
    _open_standard_streams()
    try:
        stop_on_signal()
        try:
            command()
        except SystemExit as end:
            code = end.code
            if code == Interrupted.exit_code:  # what Typer makes of a Ctrl-C outside of a run
                _explain("interrupted", Interrupted.exit_code)
        sys.stdout.flush()  # a full disk behind a redirection shows here at the latest
    except PrivityError as error:
        code = _explain(str(error), error.exit_code)
    except BrokenPipeError:
        code = _close_output(1)
    except OSError as error:
        code = _close_output(_explain(f"{error.strerror or error}: {error.filename or 'standard output'}", 1))
    except KeyboardInterrupt:
        code = _explain("interrupted", Interrupted.exit_code)
    except Exception as error:
        code = _explain(unexpected(error), UNEXPECTED)
    sys.exit(code)


def unexpected(error: Exception) -> str:
    """One line about an error that nobody foresaw, with the place in the code for a report."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"unexpected {type(error).__name__} at {Path(at.filename).name}:{at.lineno}: {error}; "
        "this is a fault of Privity, please report it"
    )


def _open_standard_streams() -> None:
    """Where the caller closed one of the three, let it lead to nowhere: else a socket would take its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def _explain(message: str, code: int) -> int:
    with suppress(OSError):
        print(f"privity: {message}", file=sys.stderr, flush=True)
    return code


def _close_output(code: int) -> int:
    """Nothing more can be written to standard output: keep the interpreter from trying it again at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code
