"""docs/equations.md: what docstrings cite, against the objects that Python imports."""

import inspect
from importlib import import_module

import pytest
from workflow_copy import ROOT

from squareloss.source.equations import ROOMS, citations, cited, document


def test_the_page_is_up_to_date():
    page = ROOT / "docs" / "equations.md"
    assert page.read_text() == document(), "run make docs"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("mu and M of Eq. 6.", ["Eq. 6"]),
        ("for given V_k: Eq. 6, 7, 11 and Lemma 4.", ["Eq. 6", "Eq. 7", "Eq. 11", "Lemma 4"]),
        ("(Eq. 26-27 and Section 5), and Lemma 5.", ["Eq. 26", "Eq. 27", "Section 5", "Lemma 5"]),
        ("The multiplier of Eq. 2 to 4: W_k", ["Eq. 2", "Eq. 3", "Eq. 4"]),
        (
            "Sections 3.5, 4, 5.1 and 6.2",
            ["Section 3.5", "Section 4", "Section 5.1", "Section 6.2"],
        ),
        ("proofs of Theorems 5 and\n6 use", ["Theorem 5", "Theorem 6"]),
        ("Eq. 6, and again Eq. 6", ["Eq. 6"]),
        ("Conjecture 1, Eq. 24, for overlapping", ["Conjecture 1", "Eq. 24"]),
        # Of other papers, and of no paper.
        ("Theorem 1 of Golowich et al., reference [51]", []),
        ("Golowich et al. 2018, Theorem 1, taken as dense", []),
        ("Bartlett et al. 2017, Eq. (1.2), with matrices 0", []),
        ("equation 6 and section 5", []),
    ],
)
def test_citations_of_a_docstring(text, places):
    assert [" ".join(place) for place in cited(text)] == places


def test_every_name_on_the_page_cites_its_place():
    page = document()
    for room in ROOMS:
        for path in (ROOT / "src" / "squareloss" / room).rglob("*.py"):
            for citation in citations(path):
                module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
                thing = import_module(module)
                for name in citation.name.split(".") if citation.name else []:
                    thing = getattr(thing, name)
                text = inspect.getdoc(thing)
                assert text.startswith(citation.summary)
                assert citation.kind.removesuffix(".") in text
                assert f"`{citation.code}`" in page


def test_the_map_names_where_known_equations_are():
    page = document()
    for place, code in {
        "Eq. 7": "theory.equilibrium.rho_equilibrium",
        "Eq. 27": "measure.metrics.collapse.whitening",
        "Eq. 5": "small.gradient_flow.Problem.gradient",
        "Theorem 7": "theory.bounds.bound_theorem7",
    }.items():
        assert f"| {place} | [`{code}`]" in page
