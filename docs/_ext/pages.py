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
LINK = re.compile(r"\]\((?P<path>\.\./[^)#\s]*)(?P<rest>[^)]*)\)")


def shown_by(path: Path, root: Path) -> str | None:
    """The page that shows a file or folder of the repository at `root`, if there is one."""
    if not path.is_dir():
        return PAGES.get(str(path.relative_to(root)))
    readmes = [folder / "README.md" for folder in (path, *path.parents)]
    return next((shown_by(readme, root) for readme in readmes if readme.exists()), None)


def linked(text: str, page: str, docs: Path) -> str:
    """The text of a page of the folder `docs`, with links as the site needs them."""
    folder = (docs / page).parent

    def link(found: re.Match[str]) -> str:
        path = Path(os.path.normpath(folder / found["path"]))
        if path.is_relative_to(docs) or not path.is_relative_to(docs.parent):
            return found[0]
        if path.is_relative_to(CODE) and path.suffix == ".py":
            module = ".".join(path.relative_to(CODE.parent).with_suffix("").parts)
            return f"](#{module}{found['rest'].replace('#', '.')})"
        if shown := shown_by(path, docs.parent):
            # The start page has words of its own, and other headings than README.
            place = "" if shown == "index" else found["rest"]
            return f"]({os.path.relpath(docs / shown, folder)}.md{place})"
        # MyST takes each `.md` for a page unless it is called a path.
        return f"](path:{found['path']})" if path.suffix == ".md" else found[0]

    return LINK.sub(link, text)


def on_source_read(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace the links of a page before it is parsed."""
    source[0] = linked(source[0], page, app.srcdir)


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this."""
    app.connect("source-read", on_source_read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
