"""Numbers and tables as people read them: they read back."""

import html
import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from squareloss.tables.readable import in_markdown, markdown_table, number

WORDS = st.text(st.characters(categories=["L", "Nd"], include_characters="|"), min_size=1)


@given(st.floats(-1e300, 1e300))
def test_a_number_reads_back_to_three_digits(value):
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1750.4, "1,750"), (-1e4, "-10,000"), (0.0025, "0.0025"), (1e9, "1e+09"), (math.nan, "n/a")],
)
def test_numbers_are_those_that_people_write(value, shown):
    assert number(value) == shown


@given(st.text(r"""ab<>&"'\`*_[]()|~$#!/:=""", min_size=1))
@example("<script>ran()</script> [a](javascript:ran()) ![i](//x/y) `b` *c* | d_e_ &lt; # f")
def test_a_users_text_is_shown_as_it_is(text):
    shown = MarkdownIt("gfm-like", {"linkify": False}).render(in_markdown(f"of {text}!"))
    assert html.unescape(shown) == f"<p>of {text}!</p>\n"
    assert shown.count("<") == shown.count(">") == 2


@given(st.lists(st.lists(WORDS, min_size=2, max_size=2), min_size=1, max_size=4))
def test_every_line_of_a_table_has_its_cells(rows):
    lines = markdown_table(["a", "b"], rows).splitlines()
    bars = re.compile(r" ?(?<!\\)\| ?")  # those that are not escaped end a cell
    cells = [[cell.replace("\\|", "|") for cell in bars.split(line)[1:-1]] for line in lines]
    assert cells == [["a", "b"], ["---", "---"], *rows]
