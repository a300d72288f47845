"""Training's parts get what is theirs: labels, batches, rates, penalty; and its records say so."""

import dataclasses
import json
import math

import numpy as np
import plain
import pytest
import torch

from squareloss.spec import RunSpec
from squareloss.train import checkpoint, engine
from squareloss.train.checkpoint import Keeper
from squareloss.train.engine import Block
from squareloss.train.job import history_rows, prepare, record, train

CNN3 = ((3, 1), (3, 1))


@pytest.fixture(scope="module")
def noisy(split):
    """The shared split with three classes, and labels that differ by replicate."""
    rng = np.random.default_rng(3)
    true, test = np.arange(40) % 3, np.arange(20) % 3
    noisy = np.stack([(true + (rng.random(40) < 0.3)) % 3 for _ in range(2)])
    return dataclasses.replace(split, train_labels=true, noisy_labels=noisy, test_labels=test)


def as_plain(replicate):
    """A replicate's network, apart from PyTorch."""
    model = replicate.model
    running = [tuple(t.double().numpy().copy() for t in pair) for pair in model.running]
    weights = [w.double().numpy().copy() for w in model.full_weights()]
    return plain.Network(CNN3, weights, model.rho_top.item(), running)


# --- Gradients ---


@pytest.mark.parametrize("loss", ["square", "cross_entropy"])
@pytest.mark.parametrize("targets", ["centred", "one_hot"])
@pytest.mark.parametrize("decay_on", ["rho", "weights"])
def test_gradients_are_those_of_the_replicates_own_labels(
    noisy, make_spec, loss, targets, decay_on
):
    """Against central differences of the loss and its penalty in plain NumPy."""
    spec = make_spec(
        replicates=(2, 3),
        normalization="none",
        precision="float64",
        loss=loss,
        targets=targets,
        weight_decay=0.3,
        weight_decay_on=decay_on,
        rho_top=2.0,
    )
    x, batch = plain.standardized(noisy)[0], np.array([31, 4, 18, 7, 22])
    rng = np.random.default_rng(0)
    replicates = prepare(spec, noisy).replicates.values()
    for row, replicate in zip(noisy.noisy_labels, replicates, strict=True):
        net = as_plain(replicate)
        step = [1e-6 * rng.normal(size=w.shape) for w in [*net.weights, np.array(net.rho_top)]]

        def objective(sign, net=net, row=row, step=step):
            *weights, top = (
                w + sign * d for w, d in zip([*net.weights, net.rho_top], step, strict=True)
            )
            f = dataclasses.replace(net, weights=weights, rho_top=top).outputs(x[batch])
            penalty = 0.3 * top**2 if decay_on == "rho" else 0.0
            return plain.loss(f, row[batch], loss, targets) + penalty

        found = replicate.gradients(torch.from_numpy(batch), 0.25)
        along = sum(np.sum(g.numpy() * d) for g, d in zip(found, step, strict=True))
        assert along == pytest.approx(0.25 * (objective(1) - objective(-1)) / 2, rel=1e-5)


# --- Steps ---


@pytest.mark.parametrize("decay_on", ["rho", "weights"])
def test_steps_are_those_of_momentum_and_decay_by_hand(noisy, make_spec, monkeypatch, decay_on):
    """u <- 0.7 u + gradient + 2 lambda p, p <- p - rate u, for every parameter p."""
    gradients, seen = engine.Replicate.gradients, []

    def watched(self, batch, share=1.0):
        found = gradients(self, batch, share)
        seen.append([g.numpy().copy() for g in found])
        return found

    monkeypatch.setattr(engine.Replicate, "gradients", watched)
    spec = make_spec(
        replicates=(3,),
        normalization="none",
        precision="float64",
        weight_decay=0.2,
        weight_decay_on=decay_on,
        momentum=0.7,
        learning_rate=0.03,
    )
    [replicate] = prepare(spec, noisy).replicates.values()
    parameters = [p.detach().numpy().copy() for p in replicate.model.parameters()]
    replicate.train_epoch(1)
    ways = [np.zeros_like(p) for p in parameters]
    decay = 0.2 if decay_on == "weights" else 0.0
    for step in seen:
        for k, gradient in enumerate(step):
            ways[k] = 0.7 * ways[k] + gradient + 2 * decay * parameters[k]
            parameters[k] = parameters[k] - 0.03 * ways[k]
    assert len(seen) == 3
    for found, expected in zip(replicate.model.parameters(), parameters, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("normalization", ["wn", "lm"])
def test_training_leaves_the_norms_of_layers_where_they_began(noisy, make_spec, normalization):
    spec = make_spec(replicates=(2, 3), normalization=normalization, epochs=10, learning_rate=0.2)
    block = prepare(spec, noisy)
    train(block, 10)
    for r, replicate in block.replicates.items():
        first, last = (
            [replicate.snapshots[f"{r}/{epoch}/weight{k}"] for k in (1, 2, 3)] for epoch in (0, 10)
        )
        for a, b in zip(first, last, strict=True):
            assert plain.norm(b) == pytest.approx(plain.norm(a), rel=1e-5)
            assert plain.norm(b - a) > 0.01 * plain.norm(a)


@pytest.mark.parametrize(
    ("precision", "products", "measured"),
    [
        ("float64", torch.float64, torch.float64),
        ("float32", torch.float32, torch.float32),
        ("tf32", torch.float32, torch.float32),
        ("bfloat16", torch.bfloat16, torch.float32),
    ],
)
def test_only_the_products_of_a_step_have_another_precision(
    noisy, make_spec, precision, products, measured
):
    [replicate] = prepare(
        make_spec(replicates=(2,), precision=precision), noisy
    ).replicates.values()
    assert {w.dtype for w in replicate.model.weights} == {products}
    kept = (*replicate.model.full_weights(), replicate.model.rho_top, replicate.targets)
    assert {w.dtype for w in (*kept, replicate.data.train_x, replicate.data.test_x)} == {measured}


# --- Batches and rates ---


@pytest.fixture
def steps(monkeypatch):
    """The samples and the rate of every step that is taken from now on, by replicate."""
    seen, gradients = {}, engine.Replicate.gradients

    def watched(self, batch, share=1.0):
        rate = float(self.optimizer.param_groups[0]["lr"])
        seen.setdefault(self.replicate, []).append((batch.tolist(), share, rate))
        return gradients(self, batch, share)

    monkeypatch.setattr(engine.Replicate, "gradients", watched)
    return seen


@pytest.mark.parametrize("optimizer", ["sgd", "gd"])
def test_an_epoch_takes_every_sample_once_in_an_order_of_the_replicates_own(
    noisy, make_spec, steps, optimizer
):
    spec = make_spec(replicates=(2, 3), optimizer=optimizer)
    train(prepare(spec, noisy), 3)
    orders = []
    for taken in steps.values():
        for epoch in range(3):
            batches, shares, _ = zip(*taken[3 * epoch :][:3], strict=True)
            assert [len(batch) for batch in batches] == [16, 16, 8]
            assert shares == ((1, 1, 1) if optimizer == "sgd" else (0.4, 0.4, 0.2))
            orders.append(tuple(n for batch in batches for n in batch))
            assert sorted(orders[-1]) == list(range(40))
    assert len({*orders}) == 6


@pytest.mark.parametrize("optimizer", ["sgd", "gd"])
def test_every_step_has_the_rate_of_its_place(noisy, make_spec, steps, optimizer):
    schedule = {"name": "cosine_per_step"}
    spec = make_spec(replicates=(2, 3), schedule=schedule, epochs=4, optimizer=optimizer)
    block = prepare(spec, noisy)
    train(block, 4)
    if optimizer == "sgd":
        rates = [0.05 * (1 + math.cos(math.pi * t / 12)) / 2 for t in range(12)]
        ends = [0.05, *rates[2::3]]
    else:  # one step an epoch, of three parts
        by_epoch = [0.05 * (1 + math.cos(math.pi * t / 4)) / 2 for t in range(4)]
        rates, ends = np.repeat(by_epoch, 3), [0.05, *by_epoch]
    for r, replicate in block.replicates.items():
        assert [rate for *_, rate in steps[r]] == pytest.approx(rates)
        assert [row["current_lr"] for row in replicate.rows] == pytest.approx(ends)


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_products_round_to_ten_bits_in_a_step_of_tf32_and_nowhere_else(
    noisy, make_spec, monkeypatch, precision
):
    seen = []
    for name in ("update", "_row"):
        original = getattr(engine.Replicate, name)

        def watched(*arguments, original=original, name=name):
            found = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
            seen.append((name, *found))
            return original(*arguments)

        monkeypatch.setattr(engine.Replicate, name, watched)
    train(prepare(make_spec(replicates=(2,), precision=precision), noisy), 1)
    steps = [("update", precision == "tf32", precision == "tf32")] * 3
    assert seen == [("_row", False, False), *steps, ("_row", False, False)]


def test_a_milestone_lowers_the_rate_of_the_epochs_after_it(noisy, make_spec, steps):
    schedule = {"name": "step", "milestones": (0.5,), "factor": 0.1}
    train(prepare(make_spec(replicates=(2, 3), schedule=schedule, epochs=4), noisy), 4)
    for taken in steps.values():
        assert [rate for *_, rate in taken] == pytest.approx([0.05] * 6 + [0.005] * 6)


# --- What is measured ---


@pytest.mark.parametrize("normalization", ["wn", "bn"])
@pytest.mark.parametrize("targets", ["centred", "one_hot"])
def test_history_of_a_negative_top_scalar(noisy, make_spec, normalization, targets):
    """Its rho is positive; here every mean margin is negative."""
    spec = make_spec(
        replicates=(2, 3), epochs=15, targets=targets, normalization=normalization, rho_top=2.0
    )
    block = prepare(spec, noisy)
    train(block, 15)
    x, x_test = plain.standardized(noisy)
    for row, replicate in zip(noisy.noisy_labels, block.replicates.values(), strict=True):
        with torch.no_grad():
            replicate.model.rho_top.neg_()
        found = replicate._row(15)
        test = (x_test, noisy.test_labels)
        expected = plain.history(as_plain(replicate), (x, row), test, "square", targets, 1e-3)
        assert expected["rho_top"] < 0 < expected["rho"]
        assert expected["mean_margin"] < 0
        assert 0 < expected["test_error"] != expected["train_error"] > 0
        expected |= {"replicate": replicate.replicate, "epoch": 15, "current_lr": 0.05}
        assert found == pytest.approx(expected, rel=2e-3, abs=1e-6)


@pytest.mark.parametrize("rho_top", [1e30, math.inf])
def test_a_loss_that_is_infinite_is_divergence_whatever_rho_is(noisy, make_spec, rho_top):
    [replicate] = prepare(make_spec(replicates=(3,)), noisy).replicates.values()
    with torch.no_grad():
        replicate.model.rho_top.fill_(rho_top)
    replicate.measure(0)
    assert (replicate.diverged_at, replicate.rows, replicate.snapshots) == (0, [], {})


def test_epochs_without_a_row_are_trained_and_leave_nothing(noisy, make_spec):
    spec = make_spec(replicates=(2,), epochs=10, evaluate_every=4, snapshots=3)
    [replicate] = (block := prepare(spec, noisy)).replicates.values()
    train(block, 10)
    assert [row["epoch"] for row in replicate.rows] == [0, 1, 2, 3, 4, 5, 8, 10]
    assert {int(key.split("/")[1]) for key in replicate.snapshots} == {0, 5, 10}
    assert {key.split("/")[0] for key in replicate.snapshots} == {"2"}


# --- Records ---


def diverging(make_spec, **changes):
    return make_spec(
        learning_rate=1e6, normalization="none", init_scale=2.0, replicates=(2, 3), **changes
    )


def test_a_replicate_that_diverged_is_not_trained_further(noisy, make_spec):
    spec = diverging(make_spec, epochs=9)
    block = prepare(spec, noisy)
    train(block, 9)
    ends = {r: x.diverged_at for r, x in block.replicates.items()}
    assert all(0 < end < 9 for end in ends.values())
    assert block.samples == 40 * sum(ends.values())
    for r, replicate in block.replicates.items():
        rows = history_rows(replicate)
        assert [row["epoch"] for row in rows] == list(range(10))
        assert {row["replicate"] for row in rows} == {r}
        assert {row["classes"] for row in rows} == {3}
        finite = [math.isfinite(row["train_loss"]) for row in rows]
        assert finite == [epoch < ends[r] for epoch in range(10)]


def test_a_checkpoint_knows_who_diverged_and_what_was_trained(tmp_path, noisy, make_spec):
    spec = diverging(make_spec)
    block = prepare(spec, noisy)
    train(block, 3)
    # Of two replicates one diverged, and they stand at epochs of their own.
    block.replicates[3].diverged_at = None
    block.seconds = 12.5
    checkpoint.save(tmp_path / "c", {}, block)
    back = prepare(spec, noisy)
    assert checkpoint.resume(tmp_path / "c", {}, back) is None
    assert back.replicates[2].diverged_at == block.replicates[2].diverged_at is not None
    assert back.replicates[3].diverged_at is None
    assert (back.seconds, back.samples) == (12.5, block.samples)
    for r, replicate in back.replicates.items():
        assert replicate.epoch == block.replicates[r].epoch
        assert replicate.rows == block.replicates[r].rows
        assert replicate.snapshots.keys() == block.replicates[r].snapshots.keys()


def test_the_record_says_how_each_replicate_went(noisy, make_spec):
    block = prepare(make_spec(replicates=(2, 3)), noisy)
    spec = make_spec(replicates=(2, 3), threads=2)
    block.replicates[3].diverged_at = 7
    said = record(spec, Block(block.replicates, seconds=4.0, samples=1000), 9.87654)
    assert RunSpec.model_validate(json.loads(json.dumps(said["spec"]))) == spec
    assert (said["diverged_at"], said["diverged"]) == ({"2": None, "3": 7}, True)
    assert (said["samples_per_second"], said["wall_seconds"]) == (250.0, 9.877)
    assert (said["device"], said["threads"]) == ("cpu", 2)
    block.replicates[3].diverged_at = None
    assert record(spec, block, 1.0)["diverged"] is False


def test_samples_are_counted_of_every_replicate_and_epoch(noisy, make_spec):
    block = prepare(make_spec(replicates=(2, 3)), noisy)
    train(block, 3)
    assert block.samples == 40 * 3 * 2
    before = block.seconds
    assert before > 0
    train(block, 3)  # there is nothing left to do
    assert (block.samples, block.seconds) == (240, before)


def test_the_log_says_each_number_of_the_last_row(noisy, make_spec, capsys):
    block = prepare(make_spec(replicates=(2, 3)), noisy)
    train(block, 3)
    lines = capsys.readouterr().err.splitlines()
    for r, replicate in block.replicates.items():
        own = [line for line in lines if line.startswith(f"replicate {r} ")]
        for line, row in zip(own, replicate.rows, strict=True):
            assert line == (
                f"replicate {r} epoch {row['epoch']}: loss {row['train_loss']:.3g} "
                f"rho {row['rho']:.4g} train error {row['train_error']:.3f} "
                f"test error {row['test_error']:.3f}"
            )
        assert replicate.rows[-1]["train_error"] != replicate.rows[-1]["test_error"]


def test_a_checkpoint_is_due_after_so_many_minutes(monkeypatch):
    now, saved = [1000.0], []
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    keeper = Keeper(lambda: saved.append(now[0]), minutes=2.0, saved_at=now[0])
    for now[0] in (1000.0, 1003.0, 1119.0, 1120.0, 1121.0, 1239.0, 1241.0, 1300.0):
        keeper()
    assert saved == [1120.0, 1241.0]
