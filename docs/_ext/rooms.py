"""The pages of the Python package, one for each room of it, from docstrings.

Docstrings of this project are Markdown of few means: paragraphs, lists, `names` in backticks and
indented formulas. Sphinx takes them for reStructuredText, in which `||x||` and `*` are commands.
"""

import ast
import re
from pathlib import Path
from textwrap import indent
from typing import Any

from sphinx.application import Sphinx

from squareloss.source.code import SOURCE

CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
COMMANDS = re.compile(r"([\\*|_])")
# A formula that is indented, or names and their meanings in columns.
AS_TYPED = re.compile(r"^ {4}|\S {2,}\S", re.MULTILINE)


def restructured(text: str) -> str:
    """Markdown of a docstring as reStructuredText."""
    return "\n\n".join(map(paragraph, text.split("\n\n")))


def paragraph(text: str) -> str:
    """The same of one paragraph."""
    if AS_TYPED.search(text):
        return "::\n\n" + indent(text, "    ")
    return "".join(
        # Of three pieces the second are backticks, and the third is what stands between them.
        [COMMANDS.sub(r"\\\1", piece), "", f"``{piece}``"][place % 3]
        for place, piece in enumerate(CODE.split(text))
    )


def on_docstring(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Replace the lines of a docstring before Sphinx parses them."""
    lines[:] = restructured("\n".join(lines)).split("\n")


def modules(package: Path) -> list[str]:
    """Names of the modules of a folder of code and of the folders in it, without `__main__`."""
    paths = sorted(package.rglob("*.py"))
    names = [path.relative_to(SOURCE).with_suffix("").parts for path in paths]
    return [".".join(name) for name in names if name[-1] not in ("__init__", "__main__")]


def page(title: str, text: str, names: list[str]) -> str:
    """A page of modules with all that is public in them."""
    parts = [f"{title}\n{'=' * len(title)}\n", f"{restructured(text)}\n"]
    for name in names:
        parts.append(f"{name}\n{'-' * len(name)}\n\n.. automodule:: {name}\n   :members:\n")
    return "\n".join(parts)


def write_pages(app: Sphinx) -> None:
    """Write docs/api/, where a page differs from what is there."""
    package = SOURCE / "squareloss"
    (app.srcdir / "api").mkdir(exist_ok=True)
    pages = {}
    for init in sorted(package.glob("*/__init__.py")):
        room = init.parent.name
        about = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
        pages[room] = page(f"squareloss.{room}", about, modules(init.parent))
    tops = [f"squareloss.{path.stem}" for path in sorted(package.glob("[a-z]*.py"))]
    pages["squareloss"] = page("squareloss", "What all rooms use, and commands.", tops)
    for name, text in pages.items():
        path = app.srcdir / "api" / f"{name}.rst"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", on_docstring)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
