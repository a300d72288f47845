"""The benchmark counts operations as PyTorch does, and its ratios are what they say."""

import subprocess
import sys
import weakref

import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from squareloss.machine import benchmark
from squareloss.machine.benchmark import EPOCH, Case, spec_of, summary
from squareloss.model.architecture import build, flops_per_sample, weight_shapes
from squareloss.model.layers import forward


@pytest.mark.parametrize("network", ["cnn6", "cnn3", "mlp"])
def test_operations_are_those_pytorch_counts(network):
    layers = build(network, 2, 0.5, "stride")
    weights = [torch.randn(s, requires_grad=True) for s in weight_shapes(layers, 3, 32)]
    x = torch.randn(4, 3, 32, 32)
    with FlopCounterMode(display=False) as counter:
        f, _ = forward(layers, weights, x)
        f.sum().backward()
    assert flops_per_sample(layers, 3, 32) == counter.get_total_flops() / 4


def test_the_papers_network_takes_130_million_operations_a_sample():
    assert flops_per_sample(build("cnn6", 2, 1, "stride"), 3, 32) == 130_278_912


def test_the_summary_has_medians_of_ratios_taken_repetition_by_repetition():
    rates = {"by hand": [10, 20, 40], "engine": [30, 40, 200], "product": [60, 160, 250]}
    rows = [
        {"case": "a", "repeat": i, "what": what, "samples_per_second": float(rate)}
        for what, values in rates.items()
        for i, rate in enumerate(values)
    ]
    row = summary(pd.DataFrame(rows)).loc["a"]
    assert (row["by hand"], row["engine"]) == (20, 40)
    assert row["engine / by hand"] == 3  # of 3, 2 and 5
    assert row["engine / product"] == 0.5  # of 0.5, 0.25 and 0.8
    assert row["spread of the ratio"] == "2.00 to 5.00"


def test_it_runs_and_leaves_a_table_and_a_picture(tmp_path):
    output = tmp_path / "benchmark"
    words = ["--output", str(output), "--repeats", "2", "--only", "cnn3, 1 "]
    done = subprocess.run(
        [sys.executable, "-m", "squareloss.machine.benchmark", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "engine / by hand" in done.stdout
    table = pd.read_parquet(output.with_suffix(".parquet"))
    assert sorted(zip(table["what"], table["repeat"], strict=True)) == [
        (what, repeat) for what in ("by hand", "engine", "product") for repeat in (0, 1)
    ]
    assert (table["samples_per_second"] > 0).all()
    assert output.with_suffix(".png").stat().st_size > 0


def test_the_epoch_that_is_timed_leaves_no_snapshot():
    """One that does measures how far each step goes."""
    recipe = spec_of(Case("cnn6"), torch.device("cpu")).recipe
    assert recipe.epochs >= EPOCH
    assert EPOCH not in recipe.snapshot_epochs()


def test_nothing_of_a_case_is_left_when_the_next_forks_its_workers(monkeypatch):
    prepare, by_hand = benchmark.prepare, benchmark.by_hand
    replicates, left = [], []

    def prepared(*arguments):
        block = prepare(*arguments)
        replicates.append(weakref.ref(block.replicates[0]))
        return block

    def forking(*arguments):
        epoch = by_hand(*arguments)

        def watched():
            left.append(sum(replicate() is not None for replicate in replicates[:-1]))
            return epoch()

        return watched

    monkeypatch.setattr(benchmark, "prepare", prepared)
    monkeypatch.setattr(benchmark, "by_hand", forking)
    for width in (0.25, 0.5):
        case = Case("cnn3", width=width, n_train=64, batch_size=32)
        assert len(list(benchmark.measured(case, torch.device("cpu"), 1, None))) == 3
    assert left == [0, 0, 0, 0]  # the warm-up, in which workers start, and the one repetition
