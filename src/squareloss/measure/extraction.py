"""Every metric table of one block of replicates, from its snapshots."""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from squareloss.data.split import OTHER_DATA, Split, inputs
from squareloss.errors import UserError, first_line, say
from squareloss.measure.metrics.bound_inputs import measures
from squareloss.measure.metrics.collapse import collapse
from squareloss.measure.metrics.data_subspace import used_by_images, used_shares
from squareloss.measure.metrics.layerwise import layerwise
from squareloss.measure.metrics.multiclass_margin import lead
from squareloss.measure.metrics.rank import distance, layer_metrics
from squareloss.model.normalization import named
from squareloss.spec import RunSpec
from squareloss.tables.metrics import BOUNDS, COLLAPSE, LAYERS, MARGINS, METRICS
from squareloss.theory.bounds import evaluate_bounds
from squareloss.train.device import Settings, choose_device
from squareloss.train.evaluate import error, margins
from squareloss.train.snapshots import Snapshot, open_snapshots

CPU = torch.device("cpu")
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Block:
    """What the networks of a block are measured with, on the device that passes images through."""

    spec: RunSpec
    split: Split
    delta: float  # the probability with which a bound may fail
    train_x: Tensor  # (N, channels, side, side) float32
    test_x: Tensor  # (M, channels, side, side) float32
    used_by_images: Tensor | None  # (channels * side^2, k) float64, for a dense first layer

    @classmethod
    def of(cls, spec: RunSpec, split: Split, delta: float, device: torch.device = CPU) -> "Block":
        """Raises `UserError` if `split` cannot be what the block was trained on."""
        split.refuse_other(spec.point.n_train, len(spec.replicates))
        train_x, test_x = (
            torch.from_numpy(x).contiguous(memory_format=torch.channels_last).to(device)
            for x in inputs(split, spec.recipe.images)
        )
        layers = spec.recipe.layers(split.classes)
        return cls(spec, split, delta, train_x, test_x, used_by_images(layers, train_x))

    def rows(self, snapshot: Snapshot, start: Snapshot, replicate: int) -> Rows:
        """Rows of every metric table for one snapshot, without `replicate` and `epoch`.

        `start` is the replicate's snapshot of epoch 0. What passes images through the network is
        computed where these are; what looks at weights alone, on the CPU.
        """
        device = self.train_x.device
        labels, test_labels = (
            torch.from_numpy(values).to(device)
            for values in (
                self.split.noisy_labels[self.spec.replicates.index(replicate)],
                self.split.test_labels,
            )
        )
        network = snapshot.network.to(device)
        f, h = network.outputs_and_features(self.train_x)
        f_v = f / network.rho
        margin = margins(f_v, labels)
        spectra = [layer_metrics(weight) for weight in snapshot.network.weights]
        images = (self.train_x, labels), (self.test_x, test_labels)
        folded = network.folded()
        return {
            MARGINS.name: [
                {
                    "sample": np.arange(len(labels)),
                    "margin": margin.cpu().numpy(),
                    "label": labels.cpu().numpy(),
                    "true_label": self.split.train_labels,
                }
            ],
            COLLAPSE.name: [
                collapse(h, network.rho_top * network.weights[-1], labels, f_v.argmax(1))
            ],
            LAYERS.name: [
                moved | spectrum | collapsed | {"used_share": share}
                for moved, spectrum, collapsed, share in zip(
                    movements(snapshot, start),
                    spectra,
                    layerwise(folded, *images),
                    used_shares(folded, self.train_x, self.used_by_images),
                    strict=True,
                )
            ],
            BOUNDS.name: evaluate_bounds(
                measures(
                    snapshot.network,
                    self.train_x,
                    margin=margin,
                    least_lead=lead(f_v, labels).min().item(),
                    ranks=[spectrum["rank_1e-2"] for spectrum in spectra],
                    delta=self.delta,
                ),
                train_error=error(f_v, labels),
                covered=self.split.classes == 2
                and not named(self.spec.recipe.normalization).standardizes,
            ),
        }


def movements(snapshot: Snapshot, start: Snapshot) -> list[dict[str, Any]]:
    """How far each layer has come: since the epoch before, in a step, and since the start."""
    pairs = zip(snapshot.network.weights, start.network.weights, strict=True)
    return [
        {
            "layer": k,
            "update_norm": snapshot.update_norm[k - 1],
            "step_norm": snapshot.step_norm[k - 1],
            "distance": distance(weight, first),
        }
        for k, (weight, first) in enumerate(pairs, start=1)
    ]


def extract_block(
    spec: RunSpec, snapshots_path: str, split: Split, delta: float, device: torch.device = CPU
) -> Rows:
    """Rows of all tables for every replicate and snapshot epoch of a block.

    Raises `UserError` if `split` cannot be what the block was trained on.
    """
    block = Block.of(spec, split, delta, device)
    layers = spec.recipe.layers(split.classes)
    missing = Snapshot.missing(layers, *block.train_x.shape[1:3])
    rows: Rows = {table.name: [] for table in METRICS}
    wanted = [(r, e) for r in spec.replicates for e in spec.recipe.snapshot_epochs()]
    with open_snapshots(snapshots_path, layers) as snapshots:
        for replicate, epoch in tqdm(wanted, unit="snapshot", disable=not sys.stderr.isatty()):
            if (replicate, epoch) not in snapshots:
                print(f"replicate {replicate} has no epoch {epoch}: diverged", file=sys.stderr)
            start, snapshot = (
                snapshots.get(replicate, e) if (replicate, e) in snapshots else missing
                for e in (0, epoch)
            )
            if len(snapshot.network.weights[-1]) != split.classes:
                raise UserError(OTHER_DATA)
            snapshot.refuse_other(snapshots_path, *block.train_x.shape[1:3])
            for name, table in block.rows(snapshot, start, replicate).items():
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
