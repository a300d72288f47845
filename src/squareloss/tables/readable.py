"""Numbers and tables as people read them."""

import math
import re
from collections.abc import Iterable, Sequence


def number(value: float) -> str:
    """Three significant digits, thousands in full: 1,750, 0.0025, 4e-08; n/a for NaN."""
    if math.isnan(value):
        return "n/a"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def in_markdown(text: str) -> str:
    """A user's text for Markdown, which shows it as it is: nothing in it is markup or HTML."""
    return re.sub(r"[\\`*_\[\]<>&|#~$]", r"\\\g<0>", text)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lines of a table in Markdown; bars in a cell, as in a norm, would end it and are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[text.replace("|", "\\|") for text in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
