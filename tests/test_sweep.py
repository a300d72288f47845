"""Paths, seeds and the static reading of imports."""

import ast
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_config import raw

from squareloss.claims import SECTIONS
from squareloss.source.code import SOURCE, files, skeleton
from squareloss.spec import Recipe, RunSpec, canonical_json, stream
from squareloss.study import sweep
from squareloss.study.load import load
from squareloss.tables import paths

FINITE = st.floats(min_value=0, allow_nan=False, allow_infinity=False)


@given(FINITE | st.integers(0, 10**9))
def test_a_number_in_a_path_reads_back_as_itself(value):
    text = paths.path_value(value)
    assert float(text) == value
    assert "/" not in text
    assert not text.endswith(".0")


@given(FINITE, FINITE)
def test_different_numbers_have_different_paths(a, b):
    assert (a == b) == (paths.path_value(a) == paths.path_value(b)) or a == b == 0


def test_runs_are_unique_and_know_their_experiments():
    study = load(raw("config/demo.yaml"))
    runs = sweep.runs_table(study)
    assert not runs[list(paths.POINT_KEYS)].duplicated().any()
    shared = runs.query("wd == '0.001' and init == '0.9' and n == '500' and batch == '8'")
    wanted = {f"figure{i}" for i in (2, 3, 5, 6, 8, 10)}
    wanted |= {"figure_bounds", "figure_layers", "figure_numbers"}
    by_recipe = shared.set_index("recipe")["experiments"]
    assert set(by_recipe["cnn6"]) == wanted
    assert set(by_recipe["cnn3"]) == {"figure7", "figure_bounds"}


def test_only_wanted_figures_are_run():
    base = raw("config/demo.yaml")
    base["figures"] = ["figure1", "figure9"]
    assert len(sweep.runs_table(load(base))) == 1


def test_the_foot_of_a_figure_says_how_many_replicates():
    base = raw("config/demo.yaml")
    for count, words in ((1, ", 1 replicate."), (4, ", 4 replicates.")):
        study = load(base | {"replicates": count, "block_size": 1, "figures": ["figure3"]})
        assert sweep.made_from(study, "figure3").endswith(words)


def test_more_replicates_leave_earlier_blocks_as_they_were():
    base = raw("config/demo.yaml")
    specs, data = [], []
    for replicates in (2, 4):
        study = load(base | {"replicates": replicates})
        point = sweep.runs_table(study)["point"][0]
        specs.append([canonical_json(sweep.run_spec(study, point, b)) for b in sweep.blocks(study)])
        data.append({path: canonical_json(s) for path, s in sweep.data_specs(study).items()})
    assert specs[1][:1] == specs[0]
    assert len(specs[1]) == 2
    assert data[0].items() <= data[1].items()
    assert RunSpec.model_validate_json(specs[1][1]).replicates == (2, 3)


def test_a_spec_survives_its_json():
    study = load(raw())
    for point in sweep.runs_table(study)["point"]:
        spec = sweep.run_spec(study, point, 0)
        text = canonical_json(spec)
        assert RunSpec.model_validate_json(text) == spec
        assert json.dumps(json.loads(text), sort_keys=True) == text


@given(st.integers(1, 3000), st.integers(3, 20), st.integers(1, 50))
def test_snapshot_and_evaluation_epochs(epochs, snapshots, every):
    recipe = Recipe(
        dataset="d", network="mlp", epochs=epochs, snapshots=snapshots, evaluate_every=every
    )
    kept, evaluated = recipe.snapshot_epochs(), recipe.evaluation_epochs()
    for numbers in (kept, evaluated):
        assert numbers == sorted(set(numbers))
        assert (numbers[0], numbers[-1]) == (0, epochs)
    assert set(kept) <= set(evaluated)
    assert len(kept) <= snapshots
    assert epochs // 2 in kept
    assert all(b - a <= every for a, b in pairwise(evaluated))


def test_the_paper_keeps_twelve_snapshots():
    kept = load(raw()).recipes["cnn6"].snapshot_epochs()
    assert len(kept) == 12
    assert kept[:3] == [0, 1, 2]


@given(st.integers(-(2**40), 2**40), st.integers(0, 1000), st.text(max_size=9))
def test_streams_are_seeds_and_differ(seed, replicate, name):
    value = stream(seed, replicate, name, "weights")
    assert 0 <= value < 2**63
    assert value == stream(seed, replicate, name, "weights")
    others = [
        stream(seed + 1, replicate, name, "weights"),
        stream(seed, replicate + 1, name, "weights"),
        stream(seed, replicate, name, "batches"),
    ]
    assert len({value, *others}) == 4


STAGES = [
    "train.__main__", "extract", "landscape", "aggregate", "data.prepare", "small.__main__",
    "claims.report", "figures.__main__",
]  # fmt: skip
FIGURES = sorted(path.stem for path in (SOURCE / "squareloss/figures").glob("figure*.py"))
# Imports one module after the other, each as if it were the first of ours.
IMPORTING = """
import importlib, json, sys
def ours():
    names = [name for name in sys.modules if name.split(".")[0] == "squareloss"]
    return {name: sys.modules[name].__file__ for name in names}
loaded = {}
for module in sys.argv[1:]:
    for name in ours():
        del sys.modules[name]
    importlib.import_module(f"squareloss.{module}")
    loaded[module] = list(ours().values())
print(json.dumps(loaded))
"""


def test_code_names_exactly_what_python_loads():
    """Against Python itself: import each module and list what of ours came with it."""
    modules = [*STAGES, *(f"figures.{name}" for name in FIGURES)]
    command = [sys.executable, "-c", IMPORTING, *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for module, loaded in json.loads(done.stdout).items():
        package = SOURCE / "squareloss" / "__init__.py"
        # The job that judges claims imports the sections by their names, as its rule does.
        named = files(module, *(SECTIONS if module == "claims.report" else ()))
        assert set(named) == {Path(file) for file in loaded} - {package}, module


CODE = """
import os

@decorated
def area(r, scale=0):
    return 3.14 * r**2 + scale

class Shape(Base):
    side: int = 1
"""
SAME = [
    ("import os", '"""A docstring of the module."""\nimport os  # a comment'),
    ("    return", '    """A docstring\n\n    of the function."""\n    # more\n    return'),
    ("    side", "    'A docstring of the class.'\n\n    side"),
    ("(r, scale=0)", "(\n    r,\n    scale=0,\n)"),
    ("3.14 * r**2 + scale", "(3.14 * (r ** 2)) + scale"),
]
OTHER = [
    ("import os", "import sys"),
    ("3.14", "3.15"),
    ("+ scale", "- scale"),
    ("scale=0", "scale=None"),
    ("scale=0", "scale=False"),
    ("scale=0", "scale=''"),
    ("scale=0", "scale"),
    ("@decorated", ""),
    ("@decorated", "@other"),
    ("(Base)", ""),
    ("side: int = 1", "side: float = 1"),
    ("side: int = 1", "side: int = 1\n    'A sentence that is no docstring.'"),
    ("r**2", "r*2"),
]


@pytest.mark.parametrize(("old", "new"), SAME)
def test_comments_docstrings_and_formatting_are_no_part_of_the_code(old, new):
    assert CODE.count(old) == 1
    assert skeleton(CODE.replace(old, new)) == skeleton(CODE)


@pytest.mark.parametrize(("old", "new"), OTHER)
def test_whatever_changes_the_meaning_is(old, new):
    assert CODE.count(old) == 1
    assert skeleton(CODE.replace(old, new)) != skeleton(CODE)


@pytest.mark.parametrize(
    "path", sorted((SOURCE / "squareloss").rglob("*.py")), ids=lambda p: p.stem
)
def test_two_sources_are_the_same_code_if_they_unparse_alike(path):
    """Against Python's own way back from the tree to a text without comments."""
    source = path.read_text("utf-8")
    assert skeleton(ast.unparse(ast.parse(source))) == skeleton(source)


def test_code_keeps_stages_apart():
    def names(*modules):
        return {file.name for file in files(*modules)}

    assert names("train") == names("train.__main__")
    assert "collapse.py" in names("extract")
    assert not {"collapse.py", "extract.py", "config.py", "metrics.py"} & names("train")
    assert "figure5.py" not in names("figures.figure3")
    assert "style.py" not in names("train")
    assert names("train", "model.networks.cnn3") - names("train") == {"cnn3.py"}
    with pytest.raises(FileNotFoundError, match="no module"):
        files("no.such.module")


def test_planning_imports_no_torch():
    script = (
        "import sys, yaml\n"
        "from squareloss.source import code; from squareloss.study import sweep\n"
        "from squareloss.study.load import load\n"
        "study = load(yaml.safe_load(open('config.yaml')))\n"
        "sweep.data_specs(study)\n"
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0
