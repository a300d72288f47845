"""Training: reproducible, independent of company, honest about divergence, and its tables right."""

import dataclasses
import json
import math
import subprocess
import sys
from itertools import pairwise

import forked
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from squareloss.data.split import inputs, write_split
from squareloss.errors import UserError
from squareloss.measure.arc import POSITIONS, arc_rows
from squareloss.measure.extraction import Block, extract_block
from squareloss.model.architecture import build
from squareloss.model.layers import forward
from squareloss.model.network import Network
from squareloss.spec import Schedule, canonical_json
from squareloss.tables.history import HISTORY
from squareloss.train import record
from squareloss.train.evaluate import square_loss, targets
from squareloss.train.job import history_rows, prepare, train
from squareloss.train.snapshots import Snapshot, open_snapshots


def trained(spec, split):
    """The replicates after the last epoch."""
    block = prepare(spec, split)
    train(block, spec.recipe.epochs)
    return block.replicates


def courses(spec, split):
    """Rows of `history` and snapshots of every replicate."""
    return {r: (history_rows(x), x.snapshots) for r, x in trained(spec, split).items()}


def same(a, b):
    (rows_a, kept_a), (rows_b, kept_b) = a, b
    assert kept_a.keys() == kept_b.keys()
    for key in kept_a:
        assert torch.equal(kept_a[key].nan_to_num(9.0), kept_b[key].nan_to_num(9.0)), key
    pd.testing.assert_frame_equal(pd.DataFrame(rows_a), pd.DataFrame(rows_b), check_exact=True)


def test_a_replicate_takes_the_same_course_alone_in_company_and_in_any_order(split, make_spec):
    together = courses(make_spec(), split)
    reversed_ = courses(make_spec(replicates=(3, 2, 1, 0)), split)
    for replicate in range(4):
        alone = courses(make_spec(replicates=(replicate,)), split)[replicate]
        same(alone, together[replicate])
        same(alone, reversed_[replicate])


def test_replicates_runs_and_study_seeds_differ(split, make_spec):
    def last_rho(**changes):
        return courses(make_spec(replicates=(0,), **changes), split)[0][0][-1]["rho"]

    rhos = [last_rho(), last_rho(seed=8), last_rho(weight_decay=2e-3)]
    rhos.append(courses(make_spec(replicates=(1,)), split)[1][0][-1]["rho"])
    assert len(set(rhos)) == 4


def test_it_learns(split, make_spec):
    rows = courses(make_spec(epochs=40, replicates=(0,)), split)[0][0]
    assert rows[0]["train_loss"] > 0.5
    assert rows[-1]["train_error"] == 0
    assert rows[-1]["test_error"] == 0
    assert rows[-1]["margin_sd"] / rows[-1]["mean_margin"] < 0.5


@pytest.mark.parametrize("normalization", ["wn", "lm", "bn", "none"])
def test_history_obeys_equation_11(split, make_spec, normalization):
    rows = courses(make_spec(normalization=normalization, replicates=(0,)), split)[0][0]
    for row in rows:
        rho, mu, m = row["rho"], row["mu"], row["M"]
        assert row["train_loss"] == pytest.approx(1 - 2 * rho * mu + rho**2 * m, rel=1e-4, abs=1e-5)
        assert row["mean_margin"] == pytest.approx(mu, rel=1e-4, abs=1e-9)
        penalty = row["lambda_eff"] * rho**2
        assert penalty == pytest.approx(1e-3 * row["rho_top"] ** 2, rel=1e-6)


def test_history_is_what_the_snapshot_gives(split, make_spec):
    spec = make_spec(replicates=(1,))
    results = trained(spec, split)
    last = results[1].rows[-1]
    kept = {k.split("/")[2]: t for k, t in results[1].snapshots.items() if k.startswith("1/3/")}
    weights = [kept[f"weight{k}"] for k in (1, 2, 3)]
    x = torch.from_numpy((split.train_images / 255 - split.mean) / split.std).float()
    f = kept["rho_top"] * forward(build("cnn3", 2, 0.125, "stride"), weights, x)[0]
    labels = torch.from_numpy(split.train_labels)
    loss = square_loss(f, targets(labels, 2)).item()
    assert last["train_loss"] == pytest.approx(loss, rel=1e-4)
    assert last["train_error"] == (f.argmax(1) != labels).float().mean().item()
    rho = abs(kept["rho_top"].item()) * math.prod(w.norm().item() for w in weights)
    assert last["rho"] == pytest.approx(rho, rel=1e-5)


def test_a_full_batch_step_does_not_depend_on_how_the_batch_is_cut(split, make_spec):
    spec = make_spec(optimizer="gd", replicates=(0,), batch_size=40)
    whole, cut = (prepare(spec, split).replicates[0] for _ in range(2))
    # Changed afterwards, since the batch size is part of the name of the stream of batches.
    point = spec.point.model_copy(update={"batch_size": 7})
    cut.spec = spec.model_copy(update={"point": point})
    for epoch in (1, 2, 3):
        whole.train_epoch(epoch)
        cut.train_epoch(epoch)
    for a, b in zip(whole.model.weights, cut.model.weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_learning_rate_in_history_follows_the_schedule(split, make_spec):
    schedule = Schedule(name="step", milestones=(0.5,), factor=0.1)
    rows = courses(make_spec(schedule=schedule, epochs=4, replicates=(0,)), split)[0][0]
    rates = {row["epoch"]: row["current_lr"] for row in rows}
    assert rates == pytest.approx({0: 0.05, 1: 0.05, 2: 0.05, 3: 0.005, 4: 0.005})


@pytest.mark.parametrize("changes", [{}, {"optimizer": "gd"}, {"normalization": "lm"}])
def test_step_norm_is_the_mean_way_of_one_step(split, make_spec, changes):
    """Against the directions before and after every step of the last epoch, seen from outside."""
    spec = make_spec(epochs=2, snapshots=4, replicates=(0,), **changes)
    kept = trained(spec, split)[0].snapshots
    assert kept["0/0/step_norm"].isnan().all()
    replicate = prepare(spec, split).replicates[0]
    replicate.train_epoch(1)
    update, ways = replicate.update, []

    def seen(gradients):
        before = [w / w.norm() for w in replicate.model.full_weights()]
        update(gradients)
        after = [w / w.norm() for w in replicate.model.full_weights()]
        ways.append([(b - a).norm().item() for b, a in zip(before, after, strict=True)])

    replicate.update = seen
    replicate.train_epoch(2)
    assert len(ways) == (1 if "optimizer" in changes else -(-spec.point.n_train // 16))
    np.testing.assert_allclose(kept["0/2/step_norm"], np.mean(ways, axis=0), rtol=1e-4)


def test_update_norm_is_the_way_of_one_epoch(split, make_spec):
    results = trained(make_spec(epochs=2, snapshots=4, replicates=(0,)), split)
    kept = results[0].snapshots
    assert kept["0/0/update_norm"].isnan().all()
    for k in (1, 2, 3):
        one, two = (kept[f"0/{epoch}/weight{k}"] for epoch in (1, 2))
        way = (two / two.norm() - one / one.norm()).norm().item()
        assert kept["0/2/update_norm"][k - 1].item() == pytest.approx(way, rel=1e-4)
        assert way > 0


def test_snapshots_are_copies(split, make_spec):
    for normalization in ("wn", "lm", "bn", "none"):
        results = trained(make_spec(normalization=normalization, replicates=(0,)), split)
        kept = results[0].snapshots
        for name in ("weight1", "weight3", "rho_top"):
            values = [kept[f"0/{epoch}/{name}"] for epoch in (0, 3)]
            assert not torch.equal(*values), (normalization, name)


@pytest.mark.parametrize("layer_norms", ["initial", "unit"])
def test_the_scale_enters_the_initial_rho(split, make_spec, layer_norms):
    def initial(scale):
        spec = make_spec(init_scale=scale, layer_norms=layer_norms, rho_top=5, replicates=(0,))
        return courses(spec, split)[0][0][0]

    small, large = initial(0.5), initial(2.0)
    if layer_norms == "unit":
        assert (small["rho"], large["rho"]) == (pytest.approx(2.5), pytest.approx(10))
        assert large["lambda_eff"] == pytest.approx(1e-3)
    else:
        # Three layers, each four times as large, of the same draw.
        assert large["rho"] / small["rho"] == pytest.approx(4**3)


def test_the_scale_may_multiply_the_top_scalar_alone(split, make_spec):
    def initial(scale):
        spec = make_spec(init_scale=scale, init_scale_on="rho_top", rho_top=3, replicates=(0,))
        return prepare(spec, split).replicates[0].model

    one, two = initial(1.0), initial(2.0)
    assert (one.rho_top.item(), two.rho_top.item()) == (3, 6)
    assert all(torch.equal(a, b) for a, b in zip(one.masters, two.masters, strict=True))


def test_runs_that_are_compared_start_from_the_same_draw(split, make_spec):
    """Whatever else differs, a replicate has the same initial directions and the same batches."""
    reference = prepare(make_spec(), split).replicates

    def directions(replicate):
        return torch.cat([(w / w.norm()).flatten() for w in replicate.model.full_weights()])

    for changes in (
        {"weight_decay": 0.0},
        {"init_scale": 3.0},
        {"learning_rate": 0.5},
        {"normalization": "lm"},
        {"normalization": "bn"},
        {"normalization": "none"},
        {"loss": "cross_entropy"},
        {"layer_norms": "unit"},
        {"label_noise": 0.5},
        {"recipe_name": "other"},
    ):
        for r, replicate in prepare(make_spec(**changes), split).replicates.items():
            torch.testing.assert_close(directions(replicate), directions(reference[r]))
            assert torch.equal(replicate.order.get_state(), reference[r].order.get_state())
    first = directions(reference[0])
    for other in (reference[1], prepare(make_spec(seed=8), split).replicates[0]):
        assert abs(torch.nn.functional.cosine_similarity(first, directions(other), dim=0)) < 0.5
        assert not torch.equal(other.order.get_state(), reference[0].order.get_state())
    smaller = prepare(make_spec(batch_size=8), split).replicates[0]
    assert not torch.equal(smaller.order.get_state(), reference[0].order.get_state())


def test_one_hot_targets_are_what_the_loss_compares_with(split, make_spec):
    spec = make_spec(replicates=(0,), targets="one_hot")
    row = courses(spec, split)[0][0][0]
    # mean (rho f - t)^2 over samples and outputs, with t = (e~ + 1) / 2 for two classes.
    replicate = prepare(spec, split).replicates[0]
    x = torch.from_numpy((split.train_images / 255 - split.mean) / split.std).float()
    f = replicate.model.outputs(x)
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(split.train_labels), 2)
    assert row["train_loss"] == pytest.approx((f - one_hot).square().mean().item(), rel=1e-5)
    centred = courses(make_spec(replicates=(0,)), split)[0][0][0]
    assert (row["mu"], row["M"]) == (centred["mu"], centred["M"])


def command(tmp_path, spec):
    """The training job that keeps everything in `tmp_path`, without the name of Python."""
    words = ["-m", "squareloss.train", "--spec", canonical_json(spec)]
    for option, name in [
        ("data", "split.safetensors"),
        ("checkpoint", "checkpoint.safetensors"),
        ("run", "run.json"),
        ("snapshots", "snapshots.safetensors"),
        ("history", "history.parquet"),
    ]:
        words += [f"--{option}", str(tmp_path / name)]
    return words


def run_cli(tmp_path, spec, split):
    write_split(tmp_path / "split.safetensors", split)
    return forked.run(command(tmp_path, spec))


def test_a_diverged_run_is_recorded_and_its_metrics_are_missing(tmp_path, split, make_spec):
    spec = make_spec(learning_rate=1e6, normalization="none", init_scale=2.0, replicates=(0, 1))
    done = run_cli(tmp_path, spec, split)
    assert done.returncode == 0, done.stderr
    assert "diverged at epoch" in done.stderr
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["diverged"] is True
    assert run["diverged_at"]["0"] >= 1
    history = pd.read_parquet(tmp_path / "history.parquet")
    assert history.groupby("replicate")["epoch"].apply(list).tolist() == [[0, 1, 2, 3]] * 2
    last = history[history["epoch"] == 3]
    assert last[["train_loss", "rho", "test_error"]].isna().all(axis=None)
    assert history[history["epoch"] == 0].notna().all(axis=None)
    rows = extract_block(spec, str(tmp_path / "snapshots.safetensors"), split, delta=0.05)
    for name, measured in [("margins", "margin"), ("collapse", "nc1"), ("layers", "stable_rank")]:
        by_epoch = {
            epoch: [np.isnan(r[measured]).all() for r in rows[name] if r["epoch"] == epoch]
            for epoch in spec.recipe.snapshot_epochs()
        }
        assert not any(by_epoch[0]), name
        assert all(by_epoch[3]), name
    ends = [r for r in rows["bounds"] if r["epoch"] == 3]
    assert all(math.isnan(r["value"]) and math.isnan(r["train_error"]) for r in ends)
    assert not any(r["applies"] for r in ends)


def test_the_same_spec_gives_the_same_files_and_a_log(tmp_path, split, make_spec):
    spec = make_spec(replicates=(0, 1))
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_split(tmp_path / name / "split.safetensors", split)
        # Two Pythons, since each orders its sets in a way of its own.
        words = [sys.executable, *command(tmp_path / name, spec)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        files.append(
            [
                (tmp_path / name / f).read_bytes()
                for f in ("snapshots.safetensors", "history.parquet")
            ]
        )
    assert files[0] == files[1]
    lines = [line for line in done.stderr.splitlines() if line.startswith("replicate 1 epoch")]
    assert len(lines) == 4
    assert all(word in lines[-1] for word in ("loss", "rho", "train error", "test error"))
    run = json.loads((tmp_path / "a" / "run.json").read_text())
    assert run["spec"] == json.loads(canonical_json(spec))
    assert run["diverged"] is False
    assert run["samples_per_second"] > 0
    assert run["torch"] == torch.__version__


def test_a_run_that_is_infinite_from_the_start_is_recorded_too(tmp_path, split, make_spec):
    done = run_cli(tmp_path, make_spec(init_scale=1e30, normalization="none"), split)
    assert done.returncode == 0, done.stderr
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["diverged_at"] == dict.fromkeys("0123", 0)
    assert run["samples_per_second"] is None
    assert pd.read_parquet(tmp_path / "history.parquet")["rho"].isna().all()


def test_a_run_that_is_infinite_from_the_start_is_extracted_too(tmp_path, split, make_spec):
    spec = make_spec(init_scale=1e30, normalization="none")
    run_cli(tmp_path, spec, split)
    rows = extract_block(spec, str(tmp_path / "snapshots.safetensors"), split, delta=0.05)
    assert len(rows["layers"]) == 4 * 3 * len(spec.recipe.snapshot_epochs())
    assert all(math.isnan(row["nc1"]) for row in rows["collapse"])
    assert all(math.isnan(row["distance"]) for row in rows["layers"])


def test_what_is_used_of_a_dense_first_layer_is_what_the_training_images_use(
    tmp_path, split, make_spec
):
    spec = make_spec(network="mlp", replicates=(0,))
    run_cli(tmp_path, spec, split)
    rows = extract_block(spec, str(tmp_path / "snapshots.safetensors"), split, delta=0.05)
    x = inputs(split, spec.recipe.images)[0].reshape(len(split.train_labels), -1)
    _, s, directions = np.linalg.svd(x.astype(np.float64))
    kept = directions[: len(s)][s > 1e-2 * s.max()]
    layers = spec.recipe.layers(2)
    with open_snapshots(str(tmp_path / "snapshots.safetensors"), layers) as snapshots:
        w = snapshots.get(0, 3).network.weights[0].double().numpy()
    [share] = [r["used_share"] for r in rows["layers"] if (r["layer"], r["epoch"]) == (1, 3)]
    assert share == pytest.approx(((w @ kept.T) ** 2).sum() / (w**2).sum())
    assert 0 < share < 0.9


def test_extraction_with_the_data_of_another_run_is_one_line(tmp_path, split, make_spec):
    spec = make_spec(replicates=(0,))
    run_cli(tmp_path, spec, split)
    shorter = dataclasses.replace(split, train_labels=split.train_labels[:-2])
    more_classes = dataclasses.replace(split, train_labels=split.train_labels + 1)
    for other in (shorter, more_classes):
        with pytest.raises(UserError, match="not what this run was trained on"):
            extract_block(spec, str(tmp_path / "snapshots.safetensors"), other, delta=0.05)


def test_a_class_that_label_noise_empties_costs_its_own_measures_only(tmp_path, split, make_spec):
    emptied = dataclasses.replace(split, noisy_labels=np.zeros_like(split.noisy_labels))
    spec = make_spec(replicates=(0,))
    run_cli(tmp_path, spec, emptied)
    rows = extract_block(spec, str(tmp_path / "snapshots.safetensors"), emptied, delta=0.05)
    assert all(math.isnan(row["nc1"]) and math.isnan(row["nc3"]) for row in rows["collapse"])
    assert all(math.isfinite(row["nc2_equinorm_weights"]) for row in rows["collapse"])
    assert all(math.isfinite(row["stable_rank"]) for row in rows["layers"])
    assert all(np.isfinite(row["margin"]).all() for row in rows["margins"])


def test_an_arc_without_its_ends_is_missing_and_figure2_says_so(tmp_path, split, make_spec):
    spec = make_spec(learning_rate=1e6, normalization="none", init_scale=2.0, replicates=(0, 1))
    run_cli(tmp_path, spec, split)
    files = {"run": "run.json", "snapshots": "snapshots.safetensors", "data": "split.safetensors"}
    files["output"] = "landscape.parquet"
    options = [word for name in files for word in (f"--{name}", str(tmp_path / files[name]))]
    draw = ["figure2", "--results", tmp_path, "--landscape", tmp_path / "landscape.parquet"]
    for words in (["squareloss.landscape", *options], ["squareloss.figures", *draw]):
        done = forked.run(["-m", *words])
        assert done.returncode == 0, done.stderr
    assert pd.read_parquet(tmp_path / "landscape.parquet")["mu"].isna().all()
    assert (tmp_path / "figures" / "figure2.png").exists()


def test_a_damaged_record_is_one_line(tmp_path):
    (tmp_path / "run.json").write_text('{"spec": ')
    with pytest.raises(UserError, match=r"run\.json: not the record of a run"):
        record.read(tmp_path / "run.json")


def test_a_missing_split_is_one_line(tmp_path, make_spec):
    (tmp_path / "split.safetensors").write_bytes(b"")
    (tmp_path / "run.json").write_bytes(b"an earlier result")
    before = sorted(tmp_path.iterdir())
    done = forked.run(command(tmp_path, make_spec()))
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "split.safetensors" in done.stderr
    lock = tmp_path / "checkpoint.safetensors.lock"
    assert sorted(tmp_path.iterdir()) == sorted([*before, lock])
    assert (tmp_path / "run.json").read_bytes() == b"an earlier result"


def test_landscape_ends_are_the_trained_networks(tmp_path, split, make_spec):
    spec = make_spec(replicates=(0, 1), epochs=20)
    results = trained(spec, split)
    tensors = {k: t for result in results.values() for k, t in result.snapshots.items()}
    safetensors.torch.save_file(tensors, tmp_path / "s.safetensors")
    x = torch.from_numpy((split.train_images / 255 - split.mean) / split.std).float()
    with open_snapshots(str(tmp_path / "s.safetensors"), spec.recipe.layers(2)) as snapshots:
        ends = [snapshots.get(r, 20).network for r in (0, 1)]
        labels = torch.from_numpy(split.train_labels)
        rows = arc_rows(spec.point.weight_decay, *ends, labels, x)
    assert len(rows) == POSITIONS
    for row, result in zip((rows[0], rows[-1]), results.values(), strict=True):
        assert row["mu"] == pytest.approx(result.rows[-1]["mu"], rel=1e-4)
        assert row["M"] == pytest.approx(result.rows[-1]["M"], rel=1e-4)
        assert row["rho_trained"] == pytest.approx(result.rows[-1]["rho"], rel=1e-5)
    angles = [row["angle"] for row in rows]
    assert angles[0] == pytest.approx(0, abs=1e-6)
    assert all(a < b for a, b in pairwise(angles))
    stacked = [torch.cat([(w / w.norm()).flatten() for w in end.weights]) for end in ends]
    signs = [math.copysign(1, end.rho_top) for end in ends]
    assert signs == [1, 1]
    cosine = (stacked[0] @ stacked[1]).item() / 3
    assert angles[-1] == pytest.approx(math.degrees(math.acos(cosine)), rel=1e-3)


def test_a_negative_top_scalar_is_the_same_network_with_its_last_layer_negated(split, make_spec):
    spec = make_spec(replicates=(0,))
    results = trained(spec, split)
    kept = {k.split("/")[2]: t for k, t in results[0].snapshots.items() if k.startswith("0/3/")}
    weights = [kept[f"weight{k}"] for k in (1, 2, 3)]
    updates = kept["update_norm"].tolist()
    layers, block = spec.recipe.layers(2), Block.of(spec, split, delta=0.05)
    plus = Snapshot(Network(layers, weights, 2.0), updates, updates)
    negated = [*weights[:-1], -weights[-1]]
    minus = Snapshot(Network(layers, negated, -2.0), updates, updates)
    rows = [block.rows(s, s, replicate=0) for s in (plus, minus)]
    for table in ("margins", "collapse", "layers", "bounds"):
        for a, b in zip(rows[0][table], rows[1][table], strict=True):
            for name in a:
                np.testing.assert_array_equal(a[name], b[name], err_msg=f"{table} {name}")
    assert rows[0]["collapse"][0]["nc3"] < 2**0.5  # aligned rather than opposed


def test_every_column_of_history_is_written(split, make_spec):
    results = trained(make_spec(replicates=(0,)), split)
    names = {column.name for column in HISTORY.columns} | {"replicate", "epoch"}
    assert all(row.keys() == names for row in results[0].rows)
