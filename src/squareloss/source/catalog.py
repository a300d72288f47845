"""What the figures say of themselves, read from their modules without importing them.

A figure is a module of `squareloss.figures` whose name begins with `figure`. Its docstring is what
people read: the first line is its title, "Figure 5: ..." or "Section 6.1: ...", and the rest, in
reStructuredText, its caption in the report. The parameters of its function `draw` name the tables
it reads (`TABLES`), and a function `tabulate` means that a table is written beside the picture. The
constant `VARIES`, beside `draw`, names the columns in which the runs of one picture may differ, and
`MOST_RUNS` says how many they may be; without them a figure takes any runs. The workflow makes one
rule of each figure from this. Importing the modules instead would import matplotlib on every
command.
"""

import ast
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

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
    "ample": Reads("the table of bounds with ample data", "small/ample.parquet", needs_runs=False),
    "gradientflow": Reads(
        "the table of gradient flow on small problems",
        "small/gradientflow.parquet",
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
    varies: tuple[str, ...] | None  # columns in which its runs may differ; None: in any
    most_runs: int | None  # None: any number

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


def misfit(
    points: Mapping[str, Sequence[object]],
    recipes: Mapping[str, Mapping[str, object]],
    varies: Sequence[str],
) -> tuple[str, Sequence[object]] | None:
    """In what runs differ though a figure compares only what `varies`: a column and its values.

    `points` has the values of each coordinate, `recipes` the settings by name. A recipe is a name
    for its settings, so several are taken where a setting varies, one for each value of it.
    """
    settings = next(iter(recipes.values()), {})
    found = {name: list(dict.fromkeys(r[name] for r in recipes.values())) for name in settings}
    for name, values in {**points, **found}.items():
        if name != "recipe_name" and name not in varies and len(values) > 1:
            return name, values
    alike: dict[tuple[object, ...], list[str]] = {}
    for name, recipe in recipes.items():
        alike.setdefault(tuple(recipe[key] for key in settings if key in varies), []).append(name)
    several = [names for names in alike.values() if len(names) > 1]
    return ("recipe_name", several[0]) if several and "recipe_name" not in varies else None


def _body(module: str) -> list[ast.stmt]:
    return ast.parse(SOURCE.joinpath(*module.split(".")).with_suffix(".py").read_bytes()).body


def _function(module: str, name: str) -> tuple[ast.FunctionDef | None, str]:
    """The function `name` of a module, and where it is: in it, or where it is imported from."""
    for node in _body(module):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node, module
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return _function(str(node.module), name)
    return None, module


def _constant(module: str, name: str) -> Any:
    """What a module assigns to `name` as a literal; None if it does not."""
    for node in _body(module):
        if isinstance(node, ast.Assign) and name in [getattr(t, "id", "") for t in node.targets]:
            return ast.literal_eval(node.value)
    return None


def about(name: str) -> About:
    """Read one figure's module.

    Raises `ValueError` naming the module if it lacks what a figure needs.
    """
    module = f"squareloss.figures.{name}"
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_bytes()), clean=False) or ""
    title, _, caption = inspect.cleandoc(text).partition("\n")
    draw, drawn_in = _function(module, "draw")
    if draw is None or ":" not in title or not caption.strip():
        raise ValueError(
            f"{module}: a figure needs a function `draw` and a docstring: a title "
            '"Section 3.5: what it shows.", an empty line, a caption'
        )
    reads = tuple(argument.arg for argument in draw.args.args if argument.arg != "made_from")
    if unknown := set(reads) - set(TABLES):
        raise ValueError(f"{module}: draw cannot read {min(unknown)}; allowed: {', '.join(TABLES)}")
    if "margins" in reads and _function(module, "keep")[0] is None:
        raise ValueError(
            f"{module}: a figure that reads `margins` needs a function `keep(part, table)`: the "
            "rows of a part to hold, since all margins of a study do not fit in memory"
        )
    return About(
        name,
        title,
        caption.strip(),
        reads,
        tabulates=_function(module, "tabulate")[0] is not None,
        varies=_constant(drawn_in, "VARIES"),
        most_runs=_constant(drawn_in, "MOST_RUNS"),
    )


@cache
def figures() -> dict[str, About]:
    """Every figure by name: the paper's in their order, then the others."""
    names = [path.stem for path in FOLDER.glob("figure*.py")]
    return {name: about(name) for name in sorted(names, key=_in_order)}


def _in_order(name: str) -> tuple[bool, int, str]:
    number = name.removeprefix("figure")
    return not number.isdigit(), int(number) if number.isdigit() else 0, name
