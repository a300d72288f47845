"""The numbers of the estimate against what a library counts and what is written to disk."""

import pytest
import torch
from safetensors.torch import save_file
from test_config import ROOT, raw
from torch.utils.flop_counter import FlopCounterMode

from squareloss.model.architecture import (
    Conv,
    Linear,
    build,
    flops_per_sample,
    scaled,
    weight_shapes,
)
from squareloss.model.layers import forward
from squareloss.spec import Point
from squareloss.study import cost, sweep
from squareloss.study.load import load

NETWORKS = [("cnn6", "stride"), ("cnn6", "maxpool"), ("cnn3", "stride"), ("mlp", "stride")]
EPOCHS, SNAPSHOTS, EVERY = 25, 3, 10
KEPT, EVALUATED = 3, 14  # epochs 0, 12, 25; and 0 to 10, 12, 20, 25
N, N_TEST, BATCH, REPLICATES = 90, 30, 20, 2


@pytest.fixture
def study():
    """One small run of 90 + 30 digits, in one block of two replicates."""
    text = raw("config/demo.yaml", "tests/tiny.yaml")
    text["recipes"]["cnn6"] |= {"epochs": EPOCHS, "snapshots": SNAPSHOTS, "evaluate_every": EVERY}
    text["datasets"]["mnist-parity"]["n_test"] = N_TEST
    text["baseline"] |= {"n_train": N, "batch_size": BATCH}
    return load(text | {"training_rate": 1e6, "threads": 2, "figures": ["figure3"]})


@pytest.fixture
def point(study) -> Point:
    return sweep.runs_table(study)["point"][0]


@pytest.fixture
def layers(study, point):
    recipe = study.recipes[point.recipe_name]
    return build(recipe.network, 2, recipe.width, recipe.downsample)


def passed_on():
    """How many numbers the layers of cnn6 at a tenth of the width make of one image."""
    units = (3, 6, 13, 13)
    return sum(n * side**2 for n, side in zip(units, (30, 14, 12, 5), strict=True)) + 102 + 2


def weights_of(layers, channels):
    return [torch.randn(shape) for shape in weight_shapes(layers, channels, 32)]


@pytest.mark.parametrize(("network", "downsample"), NETWORKS)
def test_a_steps_operations_are_those_that_torch_counts(network, downsample):
    layers = build(network, 2, 0.25, downsample)
    weights = [w.requires_grad_() for w in weights_of(layers, 3)]
    with FlopCounterMode(display=False) as counter:
        forward(layers, weights, torch.randn(1, 3, 32, 32))[0].sum().backward()
    assert flops_per_sample(layers, 3, 32) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("downsample", "expected"),
    [
        ("stride", 30**2 * 32 + 14**2 * 64 + 12**2 * 128 + 5**2 * 128 + 1024 + 2),
        ("maxpool", 30**2 * 32 + 28**2 * 64 + 12**2 * 128 + 10**2 * 128 + 1024 + 2),
    ],
)
def test_what_the_layers_make_of_an_image_is_counted_before_pooling(downsample, expected):
    assert cost.passed_on(build("cnn6", 2, 1, downsample)) == expected


def test_the_widest_dense_layer_has_the_most_inputs():
    assert cost.widest_dense((Conv(4, kernel=2, stride=2), Linear(5000), Linear(2)), 3) == 5000
    assert cost.widest_dense((Linear(10), Linear(2)), 3) == 3 * 32 * 32


@pytest.mark.parametrize(
    ("units", "width", "expected"), [(100, 0.29, 29), (32, 0.8, 26), (64, 0.3, 19), (1, 0.1, 1)]
)
def test_a_width_is_rounded_to_whole_units(units, width, expected):
    """100 * 0.29 is a little less than 29, and 32 * 0.8 is 25.6."""
    assert scaled(units, width) == expected


def test_the_disk_is_what_the_weights_take_in_a_file(study, point, layers, tmp_path):
    weights = {
        f"{replicate}/{epoch}/weight{k}": weight
        for replicate in range(REPLICATES)
        for epoch in (0, 12, 25)
        for k, weight in enumerate(weights_of(layers, 1))
    }
    save_file(weights, tmp_path / "snapshots.safetensors")
    written = (tmp_path / "snapshots.safetensors").stat().st_size
    disk = cost.training_job(study, point).disk
    header = 8 + int.from_bytes((tmp_path / "snapshots.safetensors").read_bytes()[:8], "little")
    assert disk == written - header


def test_the_time_of_training_by_hand(study, point, layers):
    flops = flops_per_sample(layers, 1, 32)
    steps = REPLICATES * EPOCHS * 5  # of 20, the last of 10
    passes = REPLICATES * EVALUATED * (N + N_TEST) / 3
    work = (REPLICATES * EPOCHS * N + passes) * flops / 1e6
    job = cost.training_job(study, point)
    assert job.samples == REPLICATES * EPOCHS * N
    assert job.seconds == pytest.approx(cost.START_SECONDS + work)
    assert work > 10 * steps * cost.STEP_SECONDS
    # On a machine without limit a step still takes its least time.
    fast = cost.training_job(study.model_copy(update={"training_rate": 1e30}), point)
    assert fast.seconds == pytest.approx(cost.START_SECONDS + steps * cost.STEP_SECONDS)


def test_the_memory_of_training_by_hand(study, point, layers):
    weights = REPLICATES * sum(w.numel() * w.element_size() for w in weights_of(layers, 1))
    snapshots = KEPT * weights
    images = (N + N_TEST) * 32 * 32 * (1 + 4 + 4 + 1)  # bytes, twice floats, and one to spare
    on_cpu = cost.training_job(study, point).memory
    of_run = 2 * snapshots + 4 * weights + images
    passed = 2 * 4 * 500 * passed_on()  # floats of 500 images, twice
    assert on_cpu == pytest.approx(cost.TRAINING_BYTES + passed + of_run)
    on_gpu = cost.training_job(study.model_copy(update={"device": "cuda"}), point).memory
    assert on_gpu == pytest.approx(cost.CUDA_TRAINING_BYTES + of_run)


def test_images_in_colour_are_three_numbers_a_pixel(study, point, layers):
    colour = next(name for name, data in study.datasets.items() if data.source == "cifar10")
    recipe = study.recipes[point.recipe_name].model_copy(update={"dataset": colour})
    study = study.model_copy(update={"recipes": study.recipes | {point.recipe_name: recipe}})
    images = (N + study.datasets[colour].n_test) * 32 * 32 * 3 * (1 + 4 + 4 + 1)
    weights = REPLICATES * sum(w.numel() * w.element_size() for w in weights_of(layers, 3))
    memory = cost.training_job(study, point).memory
    passed = 2 * 4 * 500 * passed_on()
    assert memory == pytest.approx(cost.TRAINING_BYTES + passed + (2 * KEPT + 4) * weights + images)


def test_reading_by_hand(study, point, layers):
    job = cost.reading_job(study, point)
    passes = (4 * N + 2 * N_TEST) * KEPT * REPLICATES
    work = passes * flops_per_sample(layers, 1, 32) / 3
    assert job.seconds == pytest.approx(cost.START_SECONDS + work / (2 * cost.CORE_RATE))
    held = 16 * (N + N_TEST) * 32 * 32
    features = 2 * (4 + 8 + 8) * 500 * passed_on()  # floats and doubles of 500 images, twice
    assert job.memory == pytest.approx(cost.READING_BYTES + held + features)
    assert (job.samples, job.disk) == (0, 0)


def test_reading_a_dense_network_holds_a_square_matrix(study, point):
    mlp = study.recipes[point.recipe_name].model_copy(update={"network": "mlp", "width": 1.0})
    job = cost.reading_job(study.model_copy(update={"recipes": {point.recipe_name: mlp}}), point)
    held = 16 * (N + N_TEST) * 32 * 32
    assert job.memory == pytest.approx(cost.READING_BYTES + held + 4 * 8 * 1024**2)


def test_limits_by_hand():
    job = cost.Job(samples=0, seconds=600.0, disk=0, memory=2e9)
    assert [cost.runtime_minutes(job, attempt) for attempt in (1, 2)] == [40, 80]
    assert [cost.memory_mb(job, attempt) for attempt in (1, 2, 3)] == [2000, 3000, 4000]


def test_a_measured_rate_is_samples_times_their_operations(monkeypatch, capsys):
    files = [str(ROOT / name) for name in ("config.yaml", "config/demo.yaml", "tests/tiny.yaml")]
    monkeypatch.setattr("sys.argv", ["cost", *files, "--samples-per-second", "700000"])
    cost.main()
    rate = 7e5 * flops_per_sample(build("cnn6", 2, 1, "stride"), 3, 32)
    assert f"train, at {rate:.2g} FLOP/s (from 700,000 samples" in capsys.readouterr().out


def test_the_table_is_the_jobs_sum(study):
    more = study.model_copy(update={"replicates": 600})  # in 300 blocks
    points = list(sweep.runs_table(more)["point"])
    jobs = [cost.training_job(more, point) for point in points]
    total = cost.estimate(more).loc["in all"]
    assert (total["runs"], total["jobs"]) == (len(points), 300 * len(points))
    assert float(total["samples"]) == pytest.approx(
        300 * sum(job.samples for job in jobs), rel=0.05
    )
    hours = 300 * sum(job.seconds for job in jobs) / 3600
    assert total["GPU hours"] == pytest.approx(hours, abs=0.01)
    wide = study.recipes["cnn6"].model_copy(update={"width": 1.0})
    large = more.model_copy(update={"recipes": more.recipes | {"cnn6": wide}})
    disk = 300 * sum(cost.training_job(large, point).disk for point in points) / 1e9
    assert disk > 20
    assert cost.estimate(large).loc["in all", "snapshots, GB"] == pytest.approx(disk, abs=0.05)
