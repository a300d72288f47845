"""docs/equations.md: which code computes what the paper prints.

    python -m squareloss.source.equations > docs/equations.md

A docstring cites the paper as "Eq. 6", "Theorem 4" or "Section 3.5". Results of other papers carry
their authors, "Golowich et al. 2018, Theorem 1", and are left out. Nothing is imported.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from squareloss.source.code import SOURCE

# Rooms that compute. The others draw, judge or describe what these return.
ROOMS = ("theory", "model", "measure", "train", "small")
HEADINGS = {
    "Equations": ["Eq."],
    "Statements": ["Theorem", "Lemma", "Property", "Conjecture"],
    "Sections": ["Section"],
}
CITATION = re.compile(
    r"(?<!\d{4}, )\b(?P<kind>Eq\.|Theorem|Lemma|Property|Conjecture|Section)s?\s+"
    r"(?P<numbers>\d+(?:\.\d+)*(?:(?:, | and |-| to )\d+(?:\.\d+)*)*)(?! of [A-Z]\w+ et al)"
)
RANGE = re.compile(r"(\d+)(?:-| to )(\d+)")
HEADING = """# Where each equation is computed

Each row is code whose docstring cites the paper. [Errata](errata.md) says what we read otherwise
than printed. `make docs` renews this page.
"""


@dataclass(frozen=True)
class Citation:
    """One place of the paper, cited by one docstring."""

    kind: str  # "Eq."
    number: str  # "6", "3.5"
    path: Path  # of the module
    name: str  # in the module; "" for the module itself
    summary: str  # first line of the docstring

    @property
    def code(self) -> str:
        """Name below the package, "theory.equilibrium.rho_dot"."""
        module = self.path.relative_to(SOURCE / "squareloss").with_suffix("").parts
        return ".".join([*module, *([self.name] if self.name else [])])


def cited(text: str) -> list[tuple[str, str]]:
    """Kind and number of each place of the paper that `text` cites, in its order."""
    found = []
    for citation in CITATION.finditer(" ".join(text.split())):
        numbers = RANGE.sub(
            lambda ends: ", ".join(map(str, range(int(ends[1]), int(ends[2]) + 1))),
            citation["numbers"],
        )
        found += [(citation["kind"], number) for number in re.split(r", | and ", numbers)]
    return list(dict.fromkeys(found))


def definitions(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, str]]:
    """Name and docstring of each public function and class, and of each method in a class."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield f"{within}{node.name}", ast.get_docstring(node) or ""
            if isinstance(node, ast.ClassDef):
                yield from definitions(node.body, f"{node.name}.")


def citations(path: Path) -> list[Citation]:
    """What a module's docstrings cite, of its own docstring the first line.

    The module is named only where nothing in it cites the same place.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [
        Citation(*place, path, name, text.partition("\n")[0])
        for name, text in definitions(tree.body)
        for place in cited(text)
    ]
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    known = {(citation.kind, citation.number) for citation in found}
    of_module = [Citation(*place, path, "", summary) for place in cited(summary)]
    return found + [one for one in of_module if (one.kind, one.number) not in known]


def row(citation: Citation) -> str:
    """A row of a Markdown table."""
    path = citation.path.relative_to(SOURCE.parent)
    place = f"#{citation.name}" if citation.name else ""
    summary = citation.summary.replace("|", "\\|").replace("<", "\\<")
    link = f"[`{citation.code}`](../{path.as_posix()}{place})"
    return f"| {citation.kind} {citation.number} | {link} | {summary} |\n"


def document() -> str:
    """The whole page."""
    paths = [
        path for room in ROOMS for path in sorted((SOURCE / "squareloss" / room).rglob("*.py"))
    ]
    found = [citation for path in paths for citation in citations(path)]
    text = HEADING
    for heading, kinds in HEADINGS.items():
        mine = [citation for citation in found if citation.kind in kinds]
        mine.sort(key=lambda c: (kinds.index(c.kind), [int(n) for n in c.number.split(".")]))
        text += f"\n## {heading}\n\n| the paper | code | what it is |\n|---|---|---|\n"
        text += "".join(map(row, mine))
    return text


if __name__ == "__main__":
    print(document(), end="")
