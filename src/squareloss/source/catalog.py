"""What the figures say of themselves, read from their modules without importing them.

A figure is a module of `squareloss.figures` whose name begins with `figure`. Its docstring is what
people read: the first line is its title, "Figure 5: ..." or "Section 6.1: ...", and the rest, in
reStructuredText, its caption in the report. The parameters of its function `draw` name the tables
it reads (`TABLES`), and a function `tabulate` means that a table is written beside the picture. The
workflow makes one rule of each figure from this. Importing the modules instead would import
matplotlib on every command.
"""

import ast
import inspect
from dataclasses import dataclass
from functools import cache

from squareloss.source.code import SOURCE

FOLDER = SOURCE / "squareloss" / "figures"


@dataclass(frozen=True)
class Reads:
    """What a parameter of `draw` is given, and where that lies."""

    meaning: str
    path: str = ""  # below results/<study>/, of the experiment {figure}
    parts: str = ""  # or the metric table, every part of which in the experiment's runs is read
    first_block: bool = False  # of the parts, those of each run's first block alone
    needs_runs: bool = True


# By the name of the parameter. The workflow, the job that draws and its tests read this list.
TABLES = {
    "table": Reads("the aggregated table of the figure's experiment", "aggregate/{figure}.parquet"),
    "margins": Reads("the margins of all samples in that experiment's runs", parts="margins"),
    "layers": Reads(
        "all rows of the table of layers in that experiment", "aggregate/layers/{figure}.parquet"
    ),
    "landscape": Reads(
        "the loss between two replicates of each of its runs", parts="landscape", first_block=True
    ),
    "ample": Reads(
        "the table of bounds with ample data", "aggregate/ample.parquet", needs_runs=False
    ),
    "gradientflow": Reads(
        "the table of gradient flow on small problems",
        "aggregate/gradientflow.parquet",
        needs_runs=False,
    ),
}


@dataclass(frozen=True)
class About:
    """One figure, as its module describes it."""

    name: str
    title: str  # one sentence
    caption: str  # reStructuredText
    reads: tuple[str, ...]  # keys of `TABLES`
    tabulates: bool  # whether it writes a table, too

    @property
    def place(self) -> str:
        """Where it is, or would be, in the paper: "Figure 5", "Section 6.1"."""
        return self.title.partition(":")[0]

    @property
    def shows(self) -> str:
        """What it shows, in a few words."""
        return self.title.partition(":")[2].strip().removesuffix(".")

    @property
    def category(self) -> str:
        """Heading in the report: the paper's own figures are apart from what it only states."""
        return "Figures" if self.place.startswith("Figure") else "Statements"

    @property
    def needs_runs(self) -> bool:
        """Whether it is drawn from trained runs, those of the experiment of its name."""
        return any(TABLES[name].needs_runs for name in self.reads)


def _function(module: str, name: str) -> ast.FunctionDef | None:
    """The function `name` of a module in the package, also if the module only imports it."""
    tree = ast.parse(SOURCE.joinpath(*module.split(".")).with_suffix(".py").read_bytes())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return _function(str(node.module), name)
    return None


def about(name: str) -> About:
    """Read one figure's module.

    Raises `ValueError` naming the module if it lacks what a figure needs.
    """
    module = f"squareloss.figures.{name}"
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_bytes()), clean=False) or ""
    title, _, caption = inspect.cleandoc(text).partition("\n")
    draw = _function(module, "draw")
    if draw is None or ":" not in title or not caption.strip():
        raise ValueError(
            f"{module}: a figure needs a function `draw` and a docstring: a title "
            '"Section 3.5: what it shows.", an empty line, a caption'
        )
    reads = tuple(argument.arg for argument in draw.args.args if argument.arg != "made_from")
    if unknown := set(reads) - set(TABLES):
        raise ValueError(f"{module}: draw cannot read {min(unknown)}; allowed: {', '.join(TABLES)}")
    if "margins" in reads and _function(module, "keep") is None:
        raise ValueError(
            f"{module}: a figure that reads `margins` needs a function `keep(part, table)`: the "
            "rows of a part to hold, since all margins of a study do not fit in memory"
        )
    return About(name, title, caption.strip(), reads, _function(module, "tabulate") is not None)


@cache
def figures() -> dict[str, About]:
    """Every figure by name: the paper's in their order, then the others."""
    names = [path.stem for path in FOLDER.glob("figure*.py")]
    return {name: about(name) for name in sorted(names, key=_in_order)}


def _in_order(name: str) -> tuple[bool, int, str]:
    number = name.removeprefix("figure")
    return not number.isdigit(), int(number) if number.isdigit() else 0, name
