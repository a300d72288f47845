"""The aggregation job: all measurements of an experiment in two tables.

    python -m squareloss.aggregate --recipes JSON --history P ... --collapse P ... --layers P ... \
        --bounds P ... --output P --output-layers P
"""

from squareloss import arguments
from squareloss.errors import run_stage
from squareloss.measure.join import KEYS, aggregate, write
from squareloss.tables.aggregate import AGGREGATE
from squareloss.tables.bounds import BOUNDS
from squareloss.tables.collapse import COLLAPSE
from squareloss.tables.history import HISTORY
from squareloss.tables.layers import LAYERS
from squareloss.tables.parts import read
from squareloss.tables.runs import RUN


def main() -> None:
    """Command line of the aggregation job."""
    parser = arguments.parser(__doc__)
    parser.add_argument(
        "--recipes", type=arguments.json_object, required=True, help="settings by name"
    )
    inputs = (HISTORY, COLLAPSE, LAYERS, BOUNDS)
    for kind in inputs:
        parser.add_argument(f"--{kind.name}", nargs="+", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--output-layers", required=True)
    args = parser.parse_args()
    read_from = [path for kind in inputs for path in getattr(args, kind.name)]
    arguments.refuse_overwriting(read_from, [args.output, args.output_layers])
    parts = {kind.name: read(getattr(args, kind.name), kind) for kind in inputs}
    table = aggregate(args.recipes, **parts)
    write(args.output, table, AGGREGATE)
    write(args.output_layers, parts["layers"].sort_values([*KEYS, "layer"]), LAYERS)
    print(f"{len(table)} rows of {table.groupby(RUN).ngroups} runs")


if __name__ == "__main__":
    run_stage(main)
