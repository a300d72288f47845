"""From training to tables: every column of a few whole blocks, recomputed in plain NumPy.

The three blocks are made so that no two things that could be mistaken for each other are equal:
replicates train on labels of their own, and begin at number 2; labels are noisy; test images are
other ones, and fewer; some networks err; one rho_top is negative.
"""

import json
import signal
from dataclasses import dataclass, replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plain
import pytest
import safetensors.torch

from squareloss import extract, landscape
from squareloss.data.split import Split, write_split
from squareloss.files import checksum
from squareloss.measure.metrics import data_subspace, layerwise
from squareloss.model import network as networks_module
from squareloss.spec import canonical_json
from squareloss.tables.history import HISTORY
from squareloss.tables.landscape import LANDSCAPE
from squareloss.tables.metrics import BOUNDS, COLLAPSE, LAYERS, MARGINS
from squareloss.tables.schema import IDENTITY
from squareloss.train import __main__ as train
from squareloss.train import engine

DELTA = 0.03
REPLICATES = (2, 3)
# Networks are float32 and compared with float64. What can vanish needs an absolute tolerance, too:
# angles and shares, and per unit of 1 / rho margins and what is made of them.
RELATIVE = 3e-4
OF_ORDER_ONE = (
    *("distance", "lemma5_change", "lemma5_alignment", "least_squares_cosine"),
    *("nc2_angle_means", "test_nc2_angle_means", "nc2_equinorm_means", "nc2_uniformity_means"),
)
OF_A_MARGIN = ("mu", "mean_margin", "min_margin", "max_margin")
# Columns that `plain` does not recompute, with the reason: none at present. A new column fails
# `test_every_column_is_recomputed` until it is recomputed or stands here.
NOT_RECOMPUTED: dict[str, dict[str, str]] = {}


@dataclass(frozen=True)
class Case:
    """What a block is trained on and how, and its network as `plain` takes it."""

    classes: int
    side: int
    convolutions: tuple[tuple[int, int], ...]  # (stride, pool)
    units: tuple[int, ...]
    spec: dict
    noise: float = 0.3


CASES = {
    "weight norm and one-hot targets, noisy labels": Case(
        classes=2,
        side=18,
        convolutions=((3, 1), (3, 1)),
        units=(4, 8, 2),
        spec={
            "network": "cnn3",
            "width": 0.125,
            "normalization": "wn",
            "images": "unit_norm",
            "targets": "one_hot",
            "epochs": 30,
            "rho_top": 3.0,
            "init_scale": 1.5,
            "schedule": {"name": "step", "milestones": (0.5,), "factor": 0.5},
        },
    ),
    "free weights that decay, full batches, fewer features than samples": Case(
        classes=3,
        side=9,
        convolutions=((3, 1), (3, 1)),
        units=(5, 10, 3),
        spec={
            "network": "cnn3",
            "width": 0.16,
            "normalization": "none",
            "weight_decay_on": "weights",
            "optimizer": "gd",
            "images": "standardized",
            "init": "const_norm",
            "init_scale": 2.0,
            "epochs": 20,
            "snapshots": 4,
        },
    ),
    "dense with a multiplier and the cross-entropy, fitted": Case(
        classes=2,
        side=9,
        convolutions=(),
        units=(*[20] * 10, 2),
        noise=0.1,
        spec={
            "network": "mlp",
            "width": 0.2,
            "normalization": "lm",
            "images": "standardized_unit_norm",
            "loss": "cross_entropy",
            "init_scale": 2.4,
            "epochs": 60,
            "snapshots": 4,
            "evaluate_every": 20,
        },
    ),
    "batch norm and pooling, three classes": Case(
        classes=3,
        side=16,
        convolutions=((1, 1), (1, 2), (1, 1), (1, 2)),
        units=(2, 3, 6, 6, 51, 3),
        spec={
            "network": "cnn6",
            "width": 0.05,
            "downsample": "maxpool",
            "normalization": "bn",
            "images": "standardized",
            "schedule": {"name": "cosine_per_step"},
            "epochs": 6,
            "snapshots": 4,
            "evaluate_every": 2,
        },
    ),
}


def split_of(case: Case, n: int = 40, n_test: int = 25) -> Split:
    """Images that two channels hint at the class of, and labels that differ by replicate."""
    rng = np.random.default_rng(5)

    def images(labels):
        noise = rng.integers(0, 160, (len(labels), 2, case.side, case.side))
        noise[:, 0, : case.side // 2] += (labels * 40)[:, None, None]
        noise[:, 1, :, : case.side // 3] += (labels % 2 * 40)[:, None, None]
        return noise.astype(np.uint8)

    true, test = rng.permutation(n) % case.classes, rng.permutation(n_test) % case.classes
    noisy = np.stack([true] * len(REPLICATES))
    for row in noisy:
        flipped = rng.permutation(n)[: round(case.noise * n)]
        row[flipped] = (row[flipped] + 1) % case.classes
    x = images(true)
    return Split(
        train_images=x,
        train_indices=np.arange(n),
        train_labels=true,
        noisy_labels=noisy,
        test_images=images(test),
        test_indices=np.arange(n_test),
        test_labels=test,
        mean=(x / 255).mean((0, 2, 3)).astype(np.float32),
        std=(x / 255).std((0, 2, 3)).astype(np.float32),
    )


def images_of(split: Split, kind: str) -> tuple[np.ndarray, np.ndarray]:
    if kind == "unit_norm":
        return plain.of_norm_one(split.train_images), plain.of_norm_one(split.test_images)
    train_x, test_x = plain.standardized(split)
    if kind == "standardized":
        return train_x, test_x
    return plain.of_norm_one(train_x), plain.of_norm_one(test_x)


def seen_from_outside(monkeypatch, convolutions) -> tuple[dict, dict]:
    """Networks after every step and rates of every step, by replicate, while training goes on."""
    update, networks, rates = engine.Replicate.update, {}, {}

    def watched(self, gradients):
        rates.setdefault(self.replicate, []).append(self.optimizer.param_groups[0]["lr"])
        update(self, gradients)
        weights = [w.double().numpy().copy() for w in self.model.full_weights()]
        running = [tuple(t.double().numpy().copy() for t in pair) for pair in self.model.running]
        network = plain.Network(convolutions, weights, self.model.rho_top.item(), running)
        networks.setdefault(self.replicate, []).append(network)

    monkeypatch.setattr(engine.Replicate, "update", watched)
    return networks, rates


def call(monkeypatch, stage, **options):
    """The command line of a stage, in this process."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    monkeypatch.setattr("sys.argv", ["stage", *words])
    stage.main()


@pytest.fixture(scope="module", params=CASES)
def block(request, tmp_path_factory, make_spec):
    """A trained and extracted block: its spec, data, tables, and what was seen of its training."""
    case, folder = CASES[request.param], tmp_path_factory.mktemp("block")
    split = split_of(case)
    spec = make_spec(
        replicates=REPLICATES, batch_size=16, learning_rate=0.07, weight_decay=2e-3, **case.spec
    )
    files = {"run": "run.json", "snapshots": "s.safetensors", "data": "split.safetensors"}
    files = {option: folder / name for option, name in files.items()}
    write_split(files["data"], split)
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
    with pytest.MonkeyPatch.context() as monkeypatch:
        networks, rates = seen_from_outside(monkeypatch, case.convolutions)
        for module in (networks_module, layerwise, data_subspace):
            monkeypatch.setattr(module, "BATCH", 7)  # images are passed through in parts
        call(
            monkeypatch,
            train,
            spec=canonical_json(spec),
            checkpoint=folder / "c.safetensors",
            history=folder / "history.parquet",
            **files,
        )
        for number, handler in handlers.items():
            signal.signal(number, handler)
        kept = safetensors.torch.load_file(files["snapshots"])
        # Training can leave a negative top scalar; here the last network of the last replicate's.
        kept[f"3/{spec.recipe.epochs}/rho_top"] *= -1
        safetensors.torch.save_file(kept, files["snapshots"])
        record = json.loads(files["run"].read_text(encoding="utf-8"))
        record["sha256"]["snapshots"] = checksum(files["snapshots"])
        files["run"].write_text(json.dumps(record), encoding="utf-8")
        tables = {table.name: folder / f"{table.name}.parquet" for table in extract.METRICS}
        call(monkeypatch, extract, delta=DELTA, **files, **tables)
        if spec.recipe.normalization != "bn":
            tables["landscape"] = folder / "landscape.parquet"
            call(monkeypatch, landscape, output=tables["landscape"], **files)
    tables["history"] = folder / "history.parquet"
    return SimpleNamespace(
        case=case,
        spec=spec,
        split=split,
        images=images_of(split, spec.recipe.images),
        kept=kept,
        networks=networks,
        rates=rates,
        tables={name: pd.read_parquet(path) for name, path in tables.items()},
    )


def network(block, replicate: int, epoch: int) -> plain.Network:
    """The network that was kept at an epoch."""
    tensors = {k: t.double().numpy() for k, t in block.kept.items()}
    at, depth = f"{replicate}/{epoch}/", len(block.case.units)
    hidden = range(1, depth) if block.spec.recipe.normalization == "bn" else ()
    return plain.Network(
        block.case.convolutions,
        [tensors[f"{at}weight{k}"] for k in range(1, depth + 1)],
        tensors[f"{at}rho_top"].item(),
        [(tensors[f"{at}running_mean{k}"], tensors[f"{at}running_var{k}"]) for k in hidden],
    )


def steps_per_epoch(spec) -> int:
    full_batch = spec.recipe.optimizer == "gd"
    return 1 if full_batch else -(-spec.point.n_train // spec.point.batch_size)


def course(block, replicate: int) -> list[plain.Network]:
    """The network at the start and after every epoch, as seen from outside."""
    steps = steps_per_epoch(block.spec)
    after = block.networks[replicate][steps - 1 :: steps]
    assert len(after) == block.spec.recipe.epochs
    return [network(block, replicate, 0), *after]


def labels_of(block, replicate: int) -> np.ndarray:
    return block.split.noisy_labels[REPLICATES.index(replicate)]


def snapshots_of(block):
    """Replicate, epoch and network of every snapshot."""
    for replicate in REPLICATES:
        for epoch in block.spec.recipe.snapshot_epochs():
            yield replicate, epoch, network(block, replicate, epoch)


def rows_of(block, table: str, replicate: int, epoch: int) -> list[dict]:
    found = block.tables[table]
    at = (found["replicate"] == replicate) & (found["epoch"] == epoch)
    own = {column.name for column in IDENTITY}
    return found[at].drop(columns=[c for c in found if c in own]).to_dict("records")


def same(row: dict, expected: dict, rho: float = 1.0, **relative: float) -> None:
    """Each column of `row` is as expected, and no column is left over.

    `rho` is the network's, `relative` are tolerances of single columns.
    """
    assert row.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, str):
            assert row[name] == value, name
            continue
        absolute = 1e-5 * (name in OF_ORDER_ONE) + 1e-5 / rho * (name in OF_A_MARGIN)
        np.testing.assert_allclose(
            float(row[name]),
            float(value),
            rtol=relative.get(name, RELATIVE),
            atol=absolute,
            err_msg=name,
        )


def test_the_fixture_is_not_degenerate(block):
    history, split = block.tables["history"], block.split
    assert not np.array_equal(*split.noisy_labels)
    assert not any(np.array_equal(row, split.train_labels) for row in split.noisy_labels)
    assert [w.shape[0] for w in network(block, 2, 0).weights] == list(block.case.units)
    last = history[history["epoch"] == block.spec.recipe.epochs]
    assert (last["test_error"] > 0).all()
    if block.case.noise > 0.1:
        assert (last["train_error"] > 0).all()
    else:
        assert (last["train_error"] == 0).any()
    assert (history["train_error"] != history["test_error"]).any()
    assert (block.tables["margins"]["margin"] < 0).any()
    assert block.tables["bounds"]["applies"].any() == (block.case.noise == 0.1)


def test_every_column_is_recomputed(block):
    """The comparisons below compare whole rows, so what they leave out is what is named here."""
    recomputed = {
        "history": {"current_lr", *recomputed_history(block, 2, 0)},
        "margins": {"sample", "margin", "label", "true_label"},
        "collapse": {*plain.collapse(network(block, 2, 0), block.images[0], labels_of(block, 2))},
        "layers": {*recomputed_layers(block, 2, 0)[0]},
        "bounds": {"bound", *recomputed_bounds(block, 2, 0)["eq19"]},
    }
    for table in (HISTORY, MARGINS, COLLAPSE, LAYERS, BOUNDS):
        names = {column.name for column in table.columns}
        assert names - recomputed[table.name] == {*NOT_RECOMPUTED.get(table.name, {})}


def test_rows_say_what_they_are_of(block):
    spec = block.spec
    expected = spec.point.model_dump()
    depth = len(block.case.units)
    a_snapshot = {"margins": spec.point.n_train, "collapse": 1, "layers": depth, "bounds": 12}
    for name, table in block.tables.items():
        assert {column: {*table[column]} for column in expected} == {
            column: {value} for column, value in expected.items()
        }, name
        if name in a_snapshot:
            wanted = [(r, e) for r in REPLICATES for e in spec.recipe.snapshot_epochs()]
            counts = table.groupby(["replicate", "epoch"]).size().to_dict()
            assert counts == dict.fromkeys(wanted, a_snapshot[name])
    history = block.tables["history"]
    assert list(zip(history["replicate"], history["epoch"], strict=True)) == [
        (r, e) for r in REPLICATES for e in spec.recipe.evaluation_epochs()
    ]


def test_snapshots_are_the_networks_after_their_epochs(block):
    for replicate, epoch, kept in snapshots_of(block):
        seen = course(block, replicate)[epoch]
        for a, b in zip(kept.weights, seen.weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
        assert abs(kept.rho_top) == pytest.approx(abs(seen.rho_top))
        for a, b in zip(kept.running, seen.running, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


def recomputed_history(block, replicate: int, epoch: int) -> dict:
    recipe = block.spec.recipe
    return plain.history(
        course(block, replicate)[epoch],
        (block.images[0], labels_of(block, replicate)),
        (block.images[1], block.split.test_labels),
        recipe.loss,
        recipe.targets,
        block.spec.point.weight_decay,
    )


def test_history(block):
    steps = steps_per_epoch(block.spec)
    for replicate in REPLICATES:
        rates = [
            block.spec.point.learning_rate,
            *block.rates[replicate][steps - 1 :: steps],
        ]
        for epoch in block.spec.recipe.evaluation_epochs():
            [row] = rows_of(block, "history", replicate, epoch)
            expected = recomputed_history(block, replicate, epoch)
            expected |= {"current_lr": rates[epoch]}
            loose = dict.fromkeys(("margin_skewness", "margin_kurtosis"), 1e-2)
            # A small cross-entropy is the difference of a sum of exponentials from 1.
            loose |= dict.fromkeys(("train_loss", "test_loss"), 2e-3)
            same(row, expected, expected["rho"], **loose)


def test_margins(block):
    for replicate, epoch, net in snapshots_of(block):
        rows = pd.DataFrame(rows_of(block, "margins", replicate, epoch))
        labels = labels_of(block, replicate)
        expected = plain.margin(net.outputs(block.images[0]) / net.rho, labels)
        np.testing.assert_allclose(rows["margin"], expected, rtol=1e-3, atol=1e-5 / net.rho)
        np.testing.assert_array_equal(rows["sample"], np.arange(block.spec.point.n_train))
        np.testing.assert_array_equal(rows["label"], labels)
        np.testing.assert_array_equal(rows["true_label"], block.split.train_labels)


def test_collapse(block):
    for replicate, epoch, net in snapshots_of(block):
        [row] = rows_of(block, "collapse", replicate, epoch)
        same(row, plain.collapse(net, block.images[0], labels_of(block, replicate)))


def recomputed_layers(block, replicate: int, epoch: int) -> list[dict]:
    """Rows of `layers`; how far a layer came follows from what was seen of training."""
    rows = plain.layers(
        network(block, replicate, epoch),
        network(block, replicate, 0),
        (block.images[0], labels_of(block, replicate)),
        (block.images[1], block.split.test_labels),
    )
    steps = steps_per_epoch(block.spec)
    seen = [network(block, replicate, 0), *block.networks[replicate]]
    for k, row in enumerate(rows):
        v = [plain.direction(net.weights[k]) for net in seen[(epoch - 1) * steps :][: steps + 1]]
        ways = [plain.norm(b - a) for a, b in pairwise(v)]
        row["update_norm"] = plain.norm(v[-1] - v[0]) if epoch else np.nan
        row["step_norm"] = np.mean(ways) if epoch else np.nan
    return rows


def test_layers(block):
    for replicate, epoch, _ in snapshots_of(block):
        rows = rows_of(block, "layers", replicate, epoch)
        for row, expected in zip(rows, recomputed_layers(block, replicate, epoch), strict=True):
            # Steps are differences of float32 numbers that are nearly equal.
            same(row, expected, update_norm=5e-3, step_norm=5e-3)


def recomputed_bounds(block, replicate: int, epoch: int) -> dict[str, dict]:
    net = network(block, replicate, epoch)
    return plain.bounds(net, block.images[0], labels_of(block, replicate), DELTA)


def test_bounds(block):
    for replicate, epoch, _ in snapshots_of(block):
        rows = rows_of(block, "bounds", replicate, epoch)
        expected = recomputed_bounds(block, replicate, epoch)
        assert [row["bound"] for row in rows] == list(expected)
        for row in rows:
            same(row, expected[row["bound"]] | {"bound": row["bound"]})


def test_landscape(block):
    """The arc from the first replicate's directions to the second's, on the first's labels."""
    if "landscape" not in block.tables:
        pytest.skip("no study may ask for the landscape of networks with batch norm")
    rows = block.tables["landscape"]
    assert [*rows["replicate"].unique(), *rows["other"].unique()] == [*REPLICATES]
    assert [*rows["epoch"].unique()] == [block.spec.recipe.epochs]
    ends = [network(block, r, block.spec.recipe.epochs) for r in REPLICATES]
    assert [end.rho_top > 0 for end in ends] == [True, False]
    sides = [
        [
            *map(plain.direction, end.weights[:-1]),
            np.sign(end.rho_top) * plain.direction(end.weights[-1]),
        ]
        for end in ends
    ]
    angles = [np.arccos(np.sum(a * b)) for a, b in zip(*sides, strict=True)]
    labels, x = labels_of(block, REPLICATES[0]), block.images[0]
    decay = np.mean([block.spec.point.weight_decay / end.counted_norm**2 for end in ends])
    for i, row in rows.iterrows():
        t = i / (len(rows) - 1)
        v = [
            (np.sin((1 - t) * theta) * a + np.sin(t * theta) * b) / np.sin(theta)
            for a, b, theta in zip(*sides, angles, strict=True)
        ]
        f_v = replace(ends[0], weights=v, rho_top=1.0).outputs(x)
        cosine = np.mean([np.sum(a * b) for a, b in zip(sides[0], v, strict=True)])
        expected = {
            "other": REPLICATES[1],
            "angle": np.degrees(np.arccos(min(1, cosine))),
            "mu": np.mean(f_v * plain.centred_targets(labels, block.case.classes)),
            "M": np.mean(f_v**2),
            "rho_trained": {0: ends[0].rho, len(rows) - 1: ends[1].rho}.get(i, np.nan),
            "lambda_eff": decay,
        }
        assert expected.keys() == {column.name for column in LANDSCAPE.columns}
        same(row[list(expected)].to_dict(), expected, ends[0].rho)
