"""A picture is a link to itself in full size, unless it is a link to something else."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri


def link_pictures(app: Sphinx, page: nodes.document, name: str) -> None:
    """Put a link around each picture of a page."""
    builder = app.builder
    for picture in list(page.findall(nodes.image)):
        copy = app.env.images.get(picture["uri"])
        if copy is None or isinstance(picture.parent, nodes.reference):
            continue
        target = relative_uri(builder.get_target_uri(name), f"_images/{copy[1]}")
        link = nodes.reference("", "", picture.deepcopy(), refuri=target, internal=True)
        picture.replace_self(link)


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this."""
    app.connect("doctree-resolved", link_pictures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
