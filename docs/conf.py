"""The site, made from the pages of this folder: `make site`."""

import sys
from pathlib import Path

from pygments.lexers.python import PythonLexer
from sphinx.application import Sphinx

import squareloss

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_ext"))

project = "squareloss"
author = "The squareloss authors"
release = version = squareloss.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "pages",
    "pictures",
    "rooms",
]
exclude_patterns = ["_*"]

# Markdown as GitHub shows it: its names of headings, its notes, and <img> with a width.
myst_enable_extensions = ["alert", "html_image"]
myst_heading_anchors = 6
highlight_language = "none"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
add_module_names = False
toc_object_entries = False
viewcode_follow_imported_members = False

html_theme = "furo"
html_title = "squareloss"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_use_index = html_domain_indices = False
html_show_sphinx = html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.add_lexer("snakemake", PythonLexer)
