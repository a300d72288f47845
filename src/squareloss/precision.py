"""What the precision of the products does to a run: the same replicates in each, side by side.

    python -m squareloss.precision --data SPLIT --run run.json

Trains the replicates of a finished run again in float64, float32, tf32 and bfloat16, from the same
initial weights and in the same batch order, and prints what they end with as a table: the mean over
the replicates, and in brackets the largest change of a replicate against float64.
"""

import argparse
import sys

import pandas as pd
import torch

from squareloss.data.split import Split, inputs, read_split
from squareloss.engine import PRODUCTS
from squareloss.errors import run_stage
from squareloss.extract import snapshot_rows
from squareloss.snapshots import snapshot_of
from squareloss.spec import RunSpec, read_spec
from squareloss.train import prepare, train

MEASURED = ("rho", "mean_margin", "margin_sd", "train_error", "test_error")


def ends(spec: RunSpec, split: Split) -> pd.DataFrame:
    """Measurements after the last epoch, one row a replicate, in every precision."""
    x = torch.from_numpy(inputs(split, spec.recipe.images)[0])
    rows = []
    for precision in PRODUCTS:
        if precision == "tf32" and not torch.cuda.is_available():
            continue  # a CPU has no tf32
        print(precision, file=sys.stderr)
        recipe = spec.recipe.model_copy(update={"precision": precision})
        changed = spec.model_copy(update={"recipe": recipe})
        block = prepare(changed, split)
        train(block, recipe.epochs)
        for r, replicate in block.replicates.items():
            key = f"{r}/{recipe.epochs}/"
            kept = replicate.snapshots.items()
            last = snapshot_of({k.removeprefix(key): t for k, t in kept if k.startswith(key)})
            labels = replicate.labels.cpu()
            metrics = snapshot_rows(last, last, changed, split, labels, x, delta=0.05)
            row = {key: replicate.rows[-1][key] for key in MEASURED}
            row["nc1"] = metrics["collapse"][0]["nc1"]
            rows.append({"precision": precision, "replicate": r} | row)
    return pd.DataFrame(rows).set_index(["precision", "replicate"])


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over replicates, and the largest difference of one from its float64 course."""
    table = {}
    for precision, group in rows.groupby(level="precision", sort=False):
        change = (group.droplevel(0) - rows.loc["float64"]).abs().max()
        mean = group.mean()
        table[precision] = [f"{mean[k]:.4g} ({change[k]:.1g})" for k in group.columns]
    return pd.DataFrame(table, index=rows.columns)


def main() -> None:
    """Command line of the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="the prepared split of the run")
    parser.add_argument("--run", required=True, help="the run.json of the run")
    args = parser.parse_args()
    print(compared(ends(read_spec(args.run), read_split(args.data))).to_string())


if __name__ == "__main__":
    run_stage(main)
