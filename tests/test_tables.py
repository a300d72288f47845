"""The Parquet tables: what is written comes back, with types and metadata, and is documented."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from squareloss.measure.join import aggregate, averages, write
from squareloss.spec import Point, Recipe
from squareloss.tables.aggregate import AGGREGATE, AVERAGED
from squareloss.tables.claims import CLAIMS
from squareloss.tables.document import TABLES, document
from squareloss.tables.history import HISTORY
from squareloss.tables.metrics import BOUNDS, COLLAPSE, LAYERS, MARGINS, METRICS
from squareloss.tables.parts import read
from squareloss.tables.schema import IDENTITY
from squareloss.tables.small import AMPLE, FLOW, MINIBATCH, SETTLED, TREE
from squareloss.theory.bounds import BOUNDS as BOUND_FORMULAS

POINT = Point(
    recipe_name="cnn6",
    weight_decay=1e-3,
    init_scale=0.9,
    label_noise=0.2,
    n_train=100,
    batch_size=32,
    learning_rate=0.03,
)
RECIPE = Recipe(dataset="d", network="cnn6", width=0.5, normalization="lm", epochs=2)
RECIPES = {"cnn6": RECIPE.model_dump()}
# Values that a narrower or wider type would change.
SAMPLES = {
    "float64": [0.1, 1e300, float("nan")],
    "float32": [0.5, -3.25, float("nan")],
    "int64": [0, 2**40, -1],
    "int32": [0, 2**20, -1],
    "int8": [0, 9, -1],
    "bool": [True, False, True],
    "string": ["eq16", "", "é"],
}
ROWS = range(3)


def sample_rows(table):
    return [
        {column.name: SAMPLES[column.type][row] for column in table.columns}
        | {"replicate": row, "epoch": 10 * row}
        for row in ROWS
    ]


@pytest.fixture(params=TABLES, ids=lambda table: table.name)
def table(request):
    return request.param


def test_documentation_is_that_of_the_schemas():
    path = Path(__file__).parents[1] / "docs" / "tables.md"
    assert path.read_text() == document(), "run python -m squareloss.tables.document"


def test_documentation_names_every_column(table):
    section = document().split(f"## `{table.name}`")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == [column.name for column in table.columns]
    cells = {line.replace("\\|", "").count("|") for line in lines}
    assert cells == {6}, "a | in a text ends the cell"


def test_round_trip(table, tmp_path):
    path = tmp_path / "new" / "part.parquet"
    rows = sample_rows(table)
    table.write(path, POINT, rows)
    frame = pd.read_parquet(path)
    columns = [*IDENTITY, *table.columns]
    assert list(frame.columns) == [column.name for column in columns]
    for column in columns:
        if column.type == "string":
            assert pd.api.types.is_string_dtype(frame[column.name])
        else:
            assert frame[column.name].dtype == np.dtype(column.type)
    for name, value in POINT.model_dump().items():
        assert (frame[name] == value).all()
    for name in rows[0]:
        expected = pd.Series([row[name] for row in rows])
        assert frame[name].equals(expected.astype(frame[name].dtype)), name
    assert len(read([path, path], table)) == 2 * len(ROWS)


def test_a_row_of_arrays_stands_for_many_rows(table, tmp_path):
    rows = sample_rows(table)
    arrays = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    table.write(tmp_path / "many.parquet", POINT, rows)
    table.write(tmp_path / "one.parquet", POINT, [arrays | {"replicate": 7}])
    many, one = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("many", "one"))
    pd.testing.assert_frame_equal(one, many.assign(replicate=7))


def test_metadata_holds_unit_meaning_and_equation(table, tmp_path):
    path = tmp_path / "part.parquet"
    table.write(path, POINT, sample_rows(table))
    schema = pq.read_schema(path)
    for column in (*IDENTITY, *table.columns):
        metadata = schema.field(column.name).metadata
        assert metadata[b"unit"].decode() == column.unit != ""
        assert metadata[b"meaning"].decode() == column.meaning != ""
        assert metadata[b"equation"].decode() == column.equation


def test_equal_rows_are_equal_bytes(table, tmp_path):
    for name in ("a.parquet", "b.parquet"):
        table.write(tmp_path / name, POINT, sample_rows(table))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_missing_column_is_refused(table, tmp_path):
    rows = sample_rows(table)
    missing = table.columns[-1].name
    del rows[1][missing]
    with pytest.raises(KeyError, match=missing):
        table.write(tmp_path / "part.parquet", POINT, rows)
    assert not list(tmp_path.iterdir())


def test_extra_column_is_refused(table, tmp_path):
    rows = sample_rows(table)
    rows[2]["surprise"] = 1.0
    with pytest.raises(KeyError, match="surprise"):
        table.write(tmp_path / "part.parquet", POINT, rows)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def to_join(tmp_path):
    """History of 2 replicates over 3 epochs, the other tables of all but the middle epoch."""
    made = {HISTORY: range(3), COLLAPSE: (0, 2), LAYERS: (0, 2), BOUNDS: (0, 2)}
    frames = []
    for table, epochs in made.items():
        rows = []
        for replicate, epoch in [(r, e) for r in (1, 0) for e in epochs]:
            row = {c.name: 2 if c.type == "int64" else 10.0 * epoch for c in table.columns}
            row |= {"replicate": replicate, "epoch": epoch}
            if table is BOUNDS:
                row |= {"applies": True, "max_norm": 5.0, "ramp_loss": 0.1, "delta": 0.02}
                values = {name: k + 1.5 + epoch for k, name in enumerate(BOUND_FORMULAS)}
                rows += [row | {"bound": name, "value": value} for name, value in values.items()]
            elif table is LAYERS:  # ranks 2, 3 and 4 from the input on; the last does not count
                rows += [row | {"layer": k, "rank_1e-3": k + 1} for k in (1, 2, 3)]
            else:
                rows.append(row)
        table.write(tmp_path / f"{table.name}.parquet", POINT, rows)
        frames.append(read([tmp_path / f"{table.name}.parquet"], table))
    return frames


def test_aggregate_has_the_columns_types_and_metadata_of_its_schema(to_join, tmp_path):
    path = tmp_path / "aggregate.parquet"
    write(path, aggregate(RECIPES, *to_join), AGGREGATE)
    assert pq.read_schema(path).equals(AGGREGATE.schema(), check_metadata=True)
    assert pq.read_schema(path).field("delta").metadata[b"meaning"] == b"failure probability"
    frame = pd.read_parquet(path)
    assert frame["classes"].dtype == np.int64
    assert frame[["replicate", "epoch"]].to_numpy().tolist() == [
        [replicate, epoch] for replicate in (0, 1) for epoch in range(3)
    ]


def test_aggregate_is_nan_where_there_is_no_snapshot(to_join, tmp_path):
    path = tmp_path / "aggregate.parquet"
    write(path, aggregate(RECIPES, *to_join), AGGREGATE)
    stored = pq.read_table(path)
    assert all(column.null_count == 0 for column in stored.columns)
    one = stored.to_pandas().query("replicate == 0")
    nan = float("nan")
    expected = {
        "rho": [0.0, 10.0, 20.0],
        "nc1": [0.0, nan, 20.0],
        "eq16_printed": [1.5, nan, 3.5],
        "eq16_eq12": [2.5, nan, 4.5],
        "rank_1e-3": [2.5, nan, 2.5],
        "max_norm": [5.0, nan, 5.0],
        "ramp_loss": [0.1, nan, 0.1],
        "delta": [0.02, nan, 0.02],
        "margin_spread": [nan, 1.0, 1.0],
        "width": [0.5] * 3,
        "network": ["cnn6"] * 3,
        "normalization": ["lm"] * 3,
        "loss": ["square"] * 3,
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(one[name], values, err_msg=name)


def test_a_network_that_diverged_has_no_mean_rank(to_join):
    history, collapse, layers, bounds = to_join
    gone = layers["replicate"] == 1
    layers.loc[gone, "effective_rank"], layers.loc[gone, "rank_1e-3"] = np.nan, 0
    table = aggregate(RECIPES, history, collapse, layers, bounds)
    means = table[table["epoch"] == 2].set_index("replicate")["rank_1e-3"]
    np.testing.assert_array_equal(means.loc[[0, 1]], [2.5, np.nan])


def test_the_last_layer_is_that_of_each_run():
    """A network of two layers and one of four in one table: layers 1, and 1 to 3, are averaged."""
    rows = [
        {name: 0.0 for name in AVERAGED}
        | POINT.model_dump()
        | {"replicate": 0, "epoch": 0, "layer": layer, "n_train": n, "stable_rank": 10.0**layer}
        for n, depth in ((100, 2), (200, 4))
        for layer in range(1, depth + 1)
    ]
    means = averages(pd.DataFrame(rows)).set_index("n_train")["stable_rank"]
    assert means.to_dict() == {100: 10.0, 200: 370.0}


def test_the_job_writes_both_tables(to_join, tmp_path):
    parts = [
        w
        for t in METRICS
        if t is not MARGINS
        for w in (f"--{t.name}", tmp_path / f"{t.name}.parquet")
    ]
    command = [
        sys.executable,
        "-m",
        "squareloss.aggregate",
        "--recipes",
        json.dumps(RECIPES),
    ]
    command += ["--history", tmp_path / "history.parquet", *parts]
    command += ["--output", tmp_path / "a.parquet", "--output-layers", tmp_path / "b.parquet"]
    subprocess.run([str(word) for word in command], check=True)
    expected = aggregate(RECIPES, *to_join)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "a.parquet"), expected, check_dtype=False
    )
    layers = pd.read_parquet(tmp_path / "b.parquet")
    keys = ["replicate", "epoch", "layer"]
    assert len(layers) == len(to_join[2])
    assert layers[keys].to_numpy().tolist() == sorted(to_join[2][keys].to_numpy().tolist())


def test_aggregate_refuses_a_bound_without_a_column(to_join):
    history, collapse, layers, bounds = to_join
    renamed = bounds.replace({"bound": {"eq16_printed": "surprise"}})
    with pytest.raises(KeyError, match=r"eq16_printed.*surprise"):
        aggregate(RECIPES, history, collapse, layers, renamed)


@pytest.mark.parametrize(
    "table", [FLOW, MINIBATCH, TREE, AMPLE, SETTLED, CLAIMS], ids=lambda table: table.name
)
def test_tables_that_are_not_of_runs(table, tmp_path):
    section = document().split(f"## `{table.name}`")[1].split("\n## ")[0]
    assert all(f"| `{column.name}` |" in section for column in table.columns)
    values = {"int64": [1, 2], "float64": [0.5, np.nan], "string": ["a", "b"]}
    values["bool"] = [True, False]
    frame = pd.DataFrame({c.name: values[c.type] for c in reversed(table.columns)})
    table.write(tmp_path / "t.parquet", frame)
    back = pq.read_table(tmp_path / "t.parquet")
    assert back.schema.names == [column.name for column in table.columns]
    assert back.schema.field(0).metadata[b"meaning"].decode() == table.columns[0].meaning
    pd.testing.assert_frame_equal(back.to_pandas()[frame.columns], frame, check_dtype=False)
    with pytest.raises(KeyError, match="strange"):
        table.write(tmp_path / "t.parquet", frame.assign(strange=1))
