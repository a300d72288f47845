"""The figures' modules, read without importing them."""

import importlib
import inspect
import subprocess
import sys

import pytest
from docutils.core import publish_string
from docutils.utils import Reporter

from squareloss.source import catalog

MODULE = '''"""Section 9: something.

A caption.
"""
from squareloss.figures.{origin} import draw
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of figures, in a package that is read instead of ours."""
    figures = tmp_path / "squareloss" / "figures"
    figures.mkdir(parents=True)
    monkeypatch.setattr(catalog, "SOURCE", tmp_path)
    monkeypatch.setattr(catalog, "FOLDER", figures)
    return figures


@pytest.mark.parametrize("name", catalog.figures())
def test_what_is_read_is_what_the_module_has(name):
    """Against Python itself, which imports the module."""
    about = catalog.figures()[name]
    module = importlib.import_module(f"squareloss.figures.{name}")
    parameters = [p for p in inspect.signature(module.draw).parameters if p != "made_from"]
    assert list(about.reads) == parameters
    assert about.tabulates == hasattr(module, "tabulate")
    assert inspect.getdoc(module) == f"{about.title}\n\n{about.caption}"
    assert hasattr(module, "keep") == ("margins" in about.reads)


@pytest.mark.parametrize("name", catalog.figures())
def test_titles_are_sentences_and_captions_are_valid(name):
    about = catalog.figures()[name]
    assert about.title in {f"{about.place}: {about.shows}{end}" for end in (".", "")}
    assert about.title[-1] in ".?"
    strict = {"halt_level": Reporter.WARNING_LEVEL, "report_level": Reporter.SEVERE_LEVEL}
    publish_string(f"**{about.title}**\n\n{about.caption}", settings_overrides=strict)


def test_the_papers_figures_come_first_in_their_order():
    names = list(catalog.figures())
    assert names[:10] == [f"figure{n}" for n in range(1, 11)]
    assert {about.category for about in catalog.figures().values()} == {"Figures", "Statements"}
    assert not catalog.figures()["figure1"].needs_runs


def test_a_function_is_found_where_it_is_imported_from(folder):
    (folder / "figure_a.py").write_text(MODULE.format(origin="figure_b"))
    (folder / "figure_b.py").write_text(MODULE.format(origin="shared"))
    (folder / "shared.py").write_text("def draw(table, layers, made_from=''):\n    pass\n")
    about = catalog.about("figure_a")
    assert about.reads == ("table", "layers")
    assert (about.place, about.shows, about.caption) == ("Section 9", "something", "A caption.")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "needs a function `draw`"),
        ('"""Section 9: no caption."""\ndef draw(table): pass\n', "an empty line, a caption"),
        ('"""No place.\n\nA caption."""\ndef draw(table): pass\n', "a title"),
        ('"""A: b.\n\nCaption."""\ndef draw(tabel): pass\n', "cannot read tabel; allowed: table"),
        ('"""A: b.\n\nCaption."""\ndef draw(table, margins): pass\n', r"needs a function `keep\("),
    ],
)
def test_a_module_that_lacks_something_is_named(folder, text, wanted):
    (folder / "figure_x.py").write_text(text)
    with pytest.raises(ValueError, match=rf"squareloss\.figures\.figure_x: .*{wanted}"):
        catalog.about("figure_x")


def test_reading_imports_no_matplotlib():
    script = "import sys; from squareloss.source import catalog; catalog.figures(); "
    script += "sys.exit('matplotlib' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
