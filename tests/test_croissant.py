"""The description of a study's tables for programs that read Croissant."""

import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ARROW = {
    "sc:Text": pa.string(),
    "sc:Boolean": pa.bool_(),
    "cr:Int8": pa.int8(),
    "cr:Int32": pa.int32(),
    "cr:Int64": pa.int64(),
    "cr:Float32": pa.float32(),
    "cr:Float64": pa.float64(),
}


@pytest.mark.workflow
def test_it_names_every_column_of_the_tables_that_every_run_has(finished):
    results = finished / "results" / "tiny"
    text = (results / "croissant.json").read_text(encoding="utf-8")
    description = json.loads(text)
    assert description["license"] == "https://spdx.org/licenses/MIT.html"
    made = datetime.fromtimestamp((results / "croissant.json").stat().st_mtime)
    assert description["datePublished"] == made.date().isoformat()
    files = {parts["@id"]: parts["includes"] for parts in description["distribution"]}
    described = {}
    for records in description["recordSet"]:
        sources = {field["source"]["fileSet"]["@id"] for field in records["field"]}
        [pattern] = [files[source] for source in sources]
        found = list(results.glob(pattern))
        assert found
        described |= dict.fromkeys(found, records["@id"])
        columns = {
            field["source"]["extract"]["column"]: ARROW[field["dataType"]]
            for field in records["field"]
        }
        for path in found:
            schema = pq.read_schema(path)
            assert columns == dict(zip(schema.names, schema.types, strict=True))
    there = {*(results / "metrics").rglob("*.parquet")}
    assert {*described} == there - {*(results / "metrics" / "landscape").rglob("*")}
    assert all(f"metrics/{name}/" in path.as_posix() for path, name in described.items())
