"""Of each claim: made-up tables that support it, and some that contradict it.

A module here has a dictionary `CASES` from a claim's name to the two; all of them are found.
"""

import importlib
import pkgutil

CASES = {}
for _module in pkgutil.iter_modules(__path__):
    for _name, _tables in importlib.import_module(f"cases.{_module.name}").CASES.items():
        assert _name not in CASES, _name
        CASES[_name] = _tables
