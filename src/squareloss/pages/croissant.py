"""The tables of a study as a Croissant description, which search engines of data sets read.

`results/<study>/croissant.json` names the parts of each table and every column with its meaning;
mlcroissant loads the tables from it. The format is version 1.0 of the MLCommons Croissant
specification.
"""

from datetime import date
from typing import Any

import squareloss
from squareloss.tables.history import HISTORY
from squareloss.tables.metrics import METRICS
from squareloss.tables.schema import IDENTITY, Column, Table

# The terms of the specification, as it prescribes them.
TERMS = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty"),
    *("fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField"),
    *("path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
    *("separator", "source", "subField", "transform"),
)
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in TERMS},
}
TYPES = {
    "string": "sc:Text",
    "bool": "sc:Boolean",
    "int8": "cr:Int8",
    "int32": "cr:Int32",
    "int64": "cr:Int64",
    "float32": "cr:Float32",
    "float64": "cr:Float64",
}
LICENSE = "https://spdx.org/licenses/MIT.html"  # that of the code
CITED = (
    "Mengjia Xu, Akshay Rangamani, Qianli Liao, Tomer Galanti, Tomaso Poggio: Dynamics in Deep"
    " Classifiers trained with the Square Loss: normalization, low rank, neural collapse and"
    " generalization bounds. Research 6, 0024 (2023)."
)


def described(study: str, made_from: str) -> dict[str, Any]:
    """The description of the tables that every run of a study has, as JSON-LD.

    `made_from`: a sentence on what was trained. Who publishes the tables may put another license
    and date in the place of ours, which are the code's license and the day of this description.
    """
    tables = (HISTORY, *METRICS)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"squareloss-{study}",
        "description": f"Deep classifiers trained with the square loss, as measured. {made_from}",
        "version": squareloss.__version__,
        "license": LICENSE,
        "datePublished": date.today().isoformat(),
        "citeAs": CITED,
        "distribution": [parts(table) for table in tables],
        "recordSet": [records(table) for table in tables],
    }


def parts(table: Table) -> dict[str, Any]:
    """The files of a table, as paths from the folder of the study."""
    return {
        "@type": "cr:FileSet",
        "@id": f"{table.name}-parts",
        "encodingFormat": "application/x-parquet",
        "includes": f"metrics/{table.name}/**/*.parquet",
    }


def records(table: Table) -> dict[str, Any]:
    """What a row is, and its columns."""
    columns = (*IDENTITY, *table.columns)
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "description": table.row,
        "field": [field(table.name, column) for column in columns],
    }


def field(table: str, column: Column) -> dict[str, Any]:
    """One column: its type, its meaning with unit and equation, and where it is read from."""
    unit = "" if column.unit == "1" else f" [{column.unit}]"
    equation = f" ({column.equation})" if column.equation else ""
    return {
        "@type": "cr:Field",
        "@id": f"{table}/{column.name}",
        "description": f"{column.meaning}{unit}{equation}",
        "dataType": TYPES[column.type],
        "source": {
            "fileSet": {"@id": f"{table}-parts"},
            "extract": {"column": column.name},
        },
    }
