"""The job of the statements that are measured on small problems: see `squareloss.small.problems`.

    python -m squareloss.small --seed 2022 --replicates 3 --flow P --minibatch P --tree P \
        --ample P --settled P
"""

import pandas as pd
import torch
from tqdm import tqdm

from squareloss import arguments
from squareloss.errors import run_stage
from squareloss.small.problems import ample_rows, flow_rows, minibatch_rows, settled_rows, tree_rows
from squareloss.tables.small import AMPLE, FLOW, MINIBATCH, SETTLED, TREE


def main() -> None:
    """Command line of the job."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--seed", type=int, required=True, help="of the study")
    parser.add_argument("--replicates", type=arguments.count, required=True)
    tables = {
        "flow": (FLOW, flow_rows),
        "minibatch": (MINIBATCH, minibatch_rows),
        "tree": (TREE, tree_rows),
        "ample": (AMPLE, ample_rows),
        "settled": (SETTLED, settled_rows),
    }
    for name in tables:
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    arguments.refuse_overwriting([], [getattr(args, name) for name in tables])
    torch.set_num_threads(1)
    for name, (table, rows_of) in tables.items():
        rows = [
            row for r in tqdm(range(args.replicates), desc=name) for row in rows_of(args.seed, r)
        ]
        table.write(getattr(args, name), pd.DataFrame(rows))


if __name__ == "__main__":
    run_stage(main)
