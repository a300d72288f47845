"""Figures asked whether they take a table, without drawing it."""

import importlib

from squareloss.errors import UserError
from squareloss.figures import style
from squareloss.source import catalog


class _AcceptedError(Exception):
    """Raised where a figure has accepted its table, before it is drawn."""


def refusal(monkeypatch, name, table):
    """Why the figure `name` refuses a table, in its words; "" if it takes it."""
    check = style.check_sweep

    def checked(table, *varied):
        check(table, *varied)
        raise _AcceptedError

    figure = importlib.import_module(f"squareloss.figures.{name}")
    with monkeypatch.context() as patched:
        patched.setattr(style, "check_sweep", checked)
        try:
            figure.draw(**dict.fromkeys(catalog.figures()[name].reads, table))
        except _AcceptedError:
            return ""
        except UserError as error:
            return str(error)
    raise AssertionError(f"{name} draws a table that it has not checked")
