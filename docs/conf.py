"""The site, made from the pages of this folder: `make site`."""

import sys
from pathlib import Path

import squareloss

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_ext"))

project = "squareloss"
author = "The squareloss authors"
release = version = squareloss.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "pages", "rooms"]
exclude_patterns = ["_*"]

# Markdown as GitHub shows it: its names of headings, and its notes and warnings.
myst_enable_extensions = ["alert", "html_image"]
myst_heading_anchors = 6
highlight_language = "none"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
add_module_names = False
toc_object_entries = False

html_theme = "furo"
html_title = "squareloss"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
