"""One module a figure: read tables, draw, save."""
