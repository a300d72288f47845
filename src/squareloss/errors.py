"""Mistakes that a user can mend, how a stage reports them, and lines in its log."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake in the config, the data or a file; the message is one line that says what to do."""


def run_stage(main: Callable[[], None]) -> None:
    """Run `main` of a command line stage; a `UserError` or OS error becomes one line and exit 1."""
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"squareloss: error: {error}")


def first_line(error: object) -> str:
    """The first line of a message, which says it; PyTorch's go on for pages."""
    return str(error).strip().partition("\n")[0]


def say(line: str) -> None:
    """A line in the job's log."""
    print(line, file=sys.stderr, flush=True)
