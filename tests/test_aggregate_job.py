"""The aggregation job: both of its tables are in the order of their runs, whatever the files'."""

import json

import pandas as pd
from test_joins import KEYS, SETTINGS, Tables

from squareloss import aggregate
from squareloss.measure.join import write
from squareloss.tables.bounds import BOUNDS
from squareloss.tables.collapse import COLLAPSE
from squareloss.tables.history import HISTORY
from squareloss.tables.layers import LAYERS


def test_rows_of_shuffled_files_come_in_order(tmp_path, monkeypatch):
    tables, words = Tables(), ["--recipes", json.dumps(SETTINGS)]
    for kind in (HISTORY, COLLAPSE, LAYERS, BOUNDS):
        frame, paths = getattr(tables, kind.name), []
        for field in kind.schema():  # as the files have them: ranks and classes are whole numbers
            if field.type == "int64" and frame[field.name].dtype == float:
                frame[field.name] = (1e6 * frame[field.name]).astype(int)
        for i in range(2):  # in two files that belong together row by row
            paths.append(str(tmp_path / f"{kind.name}{i}.parquet"))
            write(paths[-1], frame.iloc[i::2], kind)
        words += [f"--{kind.name}", *paths]
    outputs = [str(tmp_path / f"{name}.parquet") for name in ("aggregate", "layers")]
    words += ["--output", outputs[0], "--output-layers", outputs[1]]
    monkeypatch.setattr("sys.argv", ["aggregate", *words])
    aggregate.main()
    expected = tables.joined(), tables.layers.sort_values([*KEYS, "layer"], ignore_index=True)
    for output, wanted in zip(outputs, expected, strict=True):
        found = pd.read_parquet(output)
        pd.testing.assert_frame_equal(found[wanted.columns], wanted, check_dtype=False)
    assert not tables.layers.index.is_monotonic_increasing
