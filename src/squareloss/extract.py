"""The extraction job: every metric table of one block, from its snapshots.

    python -m squareloss.extract --run run.json --snapshots snapshots.safetensors --data SPLIT \
        --delta 0.05 --margins P --collapse P --layers P --bounds P
"""

import math
import sys
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from squareloss import arguments
from squareloss.architecture import Layer, build, weight_shapes
from squareloss.data.split import Split, inputs, read_split
from squareloss.device import Settings, choose_device, first_line, say
from squareloss.errors import UserError, run_stage
from squareloss.evaluate import error, margins
from squareloss.metrics.collapse import collapse
from squareloss.metrics.layerwise import layerwise
from squareloss.metrics.lead import lead
from squareloss.metrics.measures import measures
from squareloss.metrics.rank import distance, layer_metrics
from squareloss.metrics.used import used_by_images, used_shares
from squareloss.snapshots import Snapshot, open_snapshots
from squareloss.spec import RunSpec, read_spec
from squareloss.tables.metrics import BOUNDS, COLLAPSE, LAYERS, MARGINS, METRICS
from squareloss.theory.bounds import evaluate_bounds

OTHER_DATA = "the prepared data is not what this run was trained on; give the run's own"
CPU = torch.device("cpu")
Rows = dict[str, list[dict[str, Any]]]


class Images(NamedTuple):
    """What a block is trained and tested on, and what `used_by_images` finds in the former."""

    train: Tensor  # (N, channels, side, side) float32
    test: Tensor  # (M, channels, side, side) float32
    used: Tensor | None  # (channels * side^2, k) float64, for a dense first layer


def layers_of(spec: RunSpec, classes: int) -> tuple[Layer, ...]:
    """The layers of a run's network."""
    recipe = spec.recipe
    return build(recipe.network, classes, recipe.width, recipe.downsample)


def snapshot_rows(
    snapshot: Snapshot,
    start: Snapshot,
    spec: RunSpec,
    split: Split,
    labels: Tensor,
    images: Images,
    delta: float,
) -> Rows:
    """Rows of every metric table for one snapshot, without `replicate` and `epoch`.

    `start` is the snapshot of epoch 0, `labels` those trained on. `delta` is the probability with
    which a bound may fail. What passes images through the network is computed where `labels`
    and `images` are; what looks at weights alone, on the CPU.
    """
    layers = layers_of(spec, split.classes)
    train_x, test_x, used_directions = images
    device = train_x.device
    network = snapshot.to(device)
    f_v, h = network.outputs(layers, train_x)
    margin = margins(f_v, labels)
    found = [layer_metrics(weight) for weight in snapshot.weights]
    test_labels = torch.from_numpy(split.test_labels).to(device)
    weights = [*network.weights[:-1], network.classifier]
    collapsed = layerwise(
        layers, weights, network.running, (train_x, labels), (test_x, test_labels)
    )
    used = used_shares(layers, weights, network.running, train_x, used_directions)
    return {
        MARGINS.name: [
            {
                "sample": np.arange(len(labels)),
                "margin": margin.cpu().numpy(),
                "label": labels.cpu().numpy(),
                "true_label": split.train_labels,
            }
        ],
        COLLAPSE.name: [collapse(h, network.rho_top * network.weights[-1], labels, f_v.argmax(1))],
        LAYERS.name: [
            {
                "layer": k,
                "update_norm": update,
                "step_norm": step,
                "distance": distance(weight, first),
            }
            | row
            | after
            | {"used_share": share}
            for k, (weight, first, update, step, row, after, share) in enumerate(
                zip(
                    snapshot.weights,
                    start.weights,
                    snapshot.update_norm,
                    snapshot.step_norm,
                    found,
                    collapsed,
                    used,
                    strict=True,
                ),
                start=1,
            )
        ],
        BOUNDS.name: evaluate_bounds(
            measures(
                snapshot,
                layers,
                train_x,
                margin=margin,
                least_lead=lead(f_v, labels).min().item(),
                ranks=[row["rank_1e-2"] for row in found],
                delta=delta,
            ),
            train_error=error(f_v, labels),
            covered=split.classes == 2 and spec.recipe.normalization != "bn",
        ),
    }


def missing_snapshot(spec: RunSpec, classes: int, train_x: Tensor) -> Snapshot:
    """A network whose weights are all NaN, for the epochs a diverged replicate did not reach: every
    measure of it is NaN by the same code.
    """
    shapes = weight_shapes(layers_of(spec, classes), *train_x.shape[1:3])
    weights = [torch.full(shape, math.nan) for shape in shapes]
    undefined = [math.nan] * len(weights)
    return Snapshot(weights, math.nan, undefined, undefined, running=[])


def extract_block(
    spec: RunSpec, snapshots_path: str, split: Split, delta: float, device: torch.device = CPU
) -> Rows:
    """Rows of all tables for every replicate and snapshot epoch of a block.

    Raises `UserError` if `split` cannot be what the block was trained on.
    """
    if len(split.train_labels) != spec.point.n_train:
        raise UserError(OTHER_DATA)
    train_x, test_x = (
        torch.from_numpy(x).contiguous(memory_format=torch.channels_last).to(device)
        for x in inputs(split, spec.recipe.images)
    )
    images = Images(train_x, test_x, used_by_images(layers_of(spec, split.classes), train_x))
    rows: Rows = {table.name: [] for table in METRICS}
    wanted = [(r, e) for r in spec.replicates for e in spec.recipe.snapshot_epochs()]
    with open_snapshots(snapshots_path) as snapshots:
        for replicate, epoch in tqdm(wanted, unit="snapshot", disable=not sys.stderr.isatty()):
            labels = torch.from_numpy(split.noisy_labels[spec.replicates.index(replicate)])
            labels = labels.to(device)
            if (replicate, epoch) not in snapshots:
                print(f"replicate {replicate} has no epoch {epoch}: diverged", file=sys.stderr)
            start, snapshot = (
                snapshots.get(replicate, e)
                if (replicate, e) in snapshots
                else missing_snapshot(spec, split.classes, train_x)
                for e in (0, epoch)
            )
            if len(snapshot.weights[-1]) != split.classes:
                raise UserError(OTHER_DATA)
            found = snapshot_rows(snapshot, start, spec, split, labels, images, delta)
            for name, table in found.items():
                rows[name] += [row | {"replicate": replicate, "epoch": epoch} for row in table]
    return rows


def extracted(spec: RunSpec, snapshots_path: str, split: Split, delta: float) -> Rows:
    """As `extract_block`, on a GPU if the study may use one and there is one with room."""
    device = choose_device("cpu" if spec.device == "cpu" else "auto")
    Settings.of(device).apply()
    try:
        return extract_block(spec, snapshots_path, split, delta, device)
    except torch.OutOfMemoryError as error:
        say(f"going on on the CPU ({first_line(error)})")
        return extract_block(spec, snapshots_path, split, delta)


def main() -> None:
    """Command line of the extraction job."""
    parser = arguments.parser(__doc__)
    for option in ("run", "snapshots", "data", *(table.name for table in METRICS)):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--delta", type=arguments.probability, required=True)
    args = parser.parse_args()
    outputs = [getattr(args, table.name) for table in METRICS]
    arguments.refuse_overwriting([args.run, args.snapshots, args.data], outputs)
    spec = read_spec(args.run)
    torch.set_num_threads(spec.threads)
    rows = extracted(spec, args.snapshots, read_split(args.data), args.delta)
    for table in METRICS:
        table.write(getattr(args, table.name), spec.point, rows[table.name])
        print(f"{table.name}: {len(rows[table.name])} rows", file=sys.stderr)


if __name__ == "__main__":
    run_stage(main)
