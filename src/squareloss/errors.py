"""The one exception for mistakes a user can mend, and how a stage reports it."""

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
