"""Links that leave docs/ go to the page of the site that shows the file, where there is one.

`docs/config.md` includes `config/README.md`, for example. A link to `../config/README.md#recipes`
goes to the page `config` of the site, and on GitHub to the file. A folder is its README, or the one
above it. A link to code of the package, `../src/squareloss/theory/bounds.py#theorem3`, goes to the
page of its room. Other links stay, and MyST copies their files into the site.
"""

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from squareloss.source.code import SOURCE

# Files by their path in the repository, and the pages that show them.
PAGES = {
    "README.md": "index",
    "CONTRIBUTING.md": "develop",
    "config/README.md": "config",
    "results/reference/README.md": "reference",
}
CODE = SOURCE / "squareloss"
LINK = re.compile(r"\]\((?P<path>(?!\w+:)[^)#\s]+)(?P<rest>[^)]*)\)")


def shown_by(path: Path, root: Path) -> str | None:
    """The page that shows a file or folder of the repository at `root`, if there is one."""
    if not path.is_dir():
        return PAGES.get(str(path.relative_to(root)))
    readmes = [folder / "README.md" for folder in (path, *path.parents)]
    return next((shown_by(readme, root) for readme in readmes if readme.exists()), None)


def linked(text: str, source: Path, page: Path, docs: Path) -> str:
    """Markdown with links as the site needs them.

    `source` is the file of the text, relative to which its links are, and `page` the page that it
    is shown on, both in a repository with the folder `docs`.
    """

    def link(found: re.Match[str]) -> str:
        path = Path(os.path.normpath(source.parent / found["path"]))
        if not path.is_relative_to(docs.parent):
            return found[0]
        if path.is_relative_to(CODE) and path.suffix == ".py":
            module = ".".join(path.relative_to(CODE.parent).with_suffix("").parts)
            return f"](#{module}{found['rest'].replace('#', '.')})"
        if not path.is_relative_to(docs) and (shown := shown_by(path, docs.parent)):
            # The start page has words of its own, and other headings than README.
            place = "" if shown == "index" else found["rest"]
            return f"]({os.path.relpath(docs / shown, page.parent)}.md{place})"
        # MyST takes each `.md` for a page unless it is called a path.
        known = path.is_relative_to(docs) or path.suffix != ".md"
        target = os.path.relpath(path, page.parent)
        return f"]({'' if known else 'path:'}{target}{found['rest']})"

    return LINK.sub(link, text)


def on_source_read(app: Sphinx, name: str, text: list[str]) -> None:
    """Replace the links of a page before it is parsed."""
    page = Path(app.env.doc2path(name))
    text[0] = linked(text[0], page, page, app.srcdir)


def on_include_read(app: Sphinx, path: Path, name: str, text: list[str]) -> None:
    """The same of a file that a page includes."""
    page = Path(app.env.doc2path(name))
    text[0] = linked(text[0], app.srcdir / path, page, app.srcdir)


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this."""
    app.connect("source-read", on_source_read)
    app.connect("include-read", on_include_read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
