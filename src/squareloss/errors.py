"""Mistakes that a user can mend, how a stage reports them, and lines in its log."""

import os
import sys
import traceback
from collections.abc import Callable

TRACEBACK = "SQUARELOSS_TRACEBACK"  # set in the environment, it has unforeseen errors say where
FILES = 6  # of a job, named in a message


class UserError(Exception):
    """A mistake in the config, the data or a file; the message is one line that says what to do."""


def run_stage(main: Callable[[], None]) -> None:
    """Run `main` of a command line stage; an error becomes one line and exit 1.

    What nobody foresaw is mostly a file of the job that is not what it should be, so the line names
    those files.
    """
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"squareloss: error: {printable(error)}")
    except Exception as error:
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        # `Path.exists` raises for a word that is too long for a name, as the JSON of a `--spec` is.
        given = [word for word in sys.argv[1:] if os.path.exists(word)]
        more = f" and {len(given) - FILES} more" if len(given) > FILES else ""
        line = (
            f"{type(error).__name__}: {first_line(error)}; is one of the job's files damaged? "
            f"{', '.join(given[:FILES]) or 'it has none'}{more}; {TRACEBACK}=1 in the environment "
            "shows where"
        )
        sys.exit(f"squareloss: error: {printable(line)}")


def printable(text: object, longest: int = 2000) -> str:
    """A text, part of which may come from elsewhere, as one line that a terminal shows as it is."""
    line = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(text))
    return line if len(line) <= longest else f"{line[:longest]}..."


def first_line(error: object) -> str:
    """The first line of a message, which says it; PyTorch's go on for pages."""
    return str(error).strip().partition("\n")[0]


def say(line: str) -> None:
    """A line in the job's log."""
    print(line, file=sys.stderr, flush=True)
