"""What belongs to one replicate of a block, whatever its number; and when it has diverged."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from squareloss.data.split import write_split
from squareloss.measure.extraction import Block
from squareloss.tables.metrics import MARGINS
from squareloss.train import checkpoint
from squareloss.train.job import prepare
from squareloss.train.snapshots import Snapshot
from squareloss.train.training_data import load_data

# No number is a replicate's place in the block, nor is when it is counted round.
REPLICATES = (5, 3, 1)


@pytest.fixture
def noisy(split):
    """The shared split with labels that differ by replicate."""
    rows = np.random.default_rng(1).integers(0, 2, (len(REPLICATES), 40))
    return dataclasses.replace(split, noisy_labels=rows)


def test_a_replicate_has_the_labels_of_its_place_in_the_block(noisy, make_spec):
    spec = make_spec(replicates=REPLICATES)
    assert all(r % 3 != i for i, r in enumerate(REPLICATES))
    data = load_data(spec, noisy, torch.device("cpu"))
    block, trained = Block.of(spec, noisy, 0.05), prepare(spec, noisy).replicates
    for place, r in enumerate(REPLICATES):
        row = noisy.noisy_labels[place].tolist()
        assert data.labels[r].tolist() == row
        assert trained[r].labels.tolist() == row
        snapshot = Snapshot(trained[r].model.network(), [math.nan] * 3, [math.nan] * 3)
        [margins] = block.rows(snapshot, snapshot, r)[MARGINS.name]
        assert margins["label"].tolist() == row


def test_an_infinite_rho_is_divergence_whatever_the_loss_is(noisy, make_spec):
    """A first layer so large and negative that no unit is active: outputs and loss are finite."""
    spec = make_spec(replicates=REPLICATES, normalization="none", images="unit_norm")
    replicate = prepare(spec, noisy).replicates[3]
    with torch.no_grad():
        replicate.model.masters[0].fill_(-1e30)
    replicate.model.parameters_to_weights()
    network = replicate.model.network()
    assert network.rho == math.inf
    assert not network.outputs(replicate.data.train_x.permute(0, 3, 1, 2)).any()
    replicate.measure(0)
    assert (replicate.diverged_at, replicate.rows, replicate.snapshots) == (0, [], {})


def test_a_checkpoint_belongs_to_its_data_and_spec(tmp_path, noisy, make_spec):
    def identity(data, **changes):
        write_split(tmp_path / "split.safetensors", data)
        spec = make_spec(replicates=REPLICATES, **changes)
        return checkpoint.identity(spec, str(tmp_path / "split.safetensors"))

    def differing(other):
        return {key for key, value in own.items() if other[key] != value}

    own, one = identity(noisy), noisy.noisy_labels.copy()
    one[2, 7] = 1 - one[2, 7]
    assert differing(identity(noisy)) == set()
    assert differing(identity(dataclasses.replace(noisy, noisy_labels=one))) == {"data"}
    assert differing(identity(noisy, weight_decay=2e-3)) == {"spec"}
    assert differing(identity(noisy, network="mlp")) == {"spec", "code version"}


def test_every_number_of_a_replicate_that_diverged_is_missing(noisy, make_spec):
    spec = make_spec(replicates=REPLICATES)
    block = Block.of(spec, noisy, 0.05)
    missing = Snapshot.missing(spec.recipe.layers(2), *block.train_x.shape[1:3])
    for name, rows in block.rows(missing, missing, 5).items():
        for row in rows:
            values = {key: np.asarray(value) for key, value in row.items()}
            of_network = {k: v for k, v in values.items() if k not in ("max_norm", "delta")}
            numbers = {k: v for k, v in of_network.items() if v.dtype.kind == "f"}
            assert numbers, name
            assert not [k for k, v in numbers.items() if not np.isnan(v).all()], (name, row)
