"""Stage: choose the images of a split and draw its label noise.

    python -m squareloss.data.prepare --spec '<DataSpec as JSON>' --output <split>.safetensors

Every draw has a stream of its own, so splits of several sizes, noises and blocks agree wherever
they can: a smaller train set is the beginning of a larger one, the test images are always the same,
and a replicate's noise does not depend on its block.
"""

import importlib
import pkgutil
from typing import Any

import numpy as np

import squareloss.data.sources
from squareloss.arguments import parser, read_as, refuse_overwriting
from squareloss.data.images import Images
from squareloss.data.split import Split, statistics, write_split
from squareloss.errors import UserError, run_stage
from squareloss.spec import DataSpec, stream


def prepare(spec: DataSpec, images: Images) -> Split:
    """The split that `spec` asks for, out of all `images` of its source.

    Raises `UserError` for a class that does not exist or has too few images.
    """
    train, test = choose(spec, images)
    test_pool = images.train_images if images.test_images is None else images.test_images
    chosen = images.train_images[train]
    labels = classes_in_turn(len(spec.classes), spec.n_train)
    mean, std = statistics(chosen)
    return Split(
        train_images=chosen,
        train_indices=train,
        train_labels=labels,
        noisy_labels=np.stack([noisy(spec, labels, replicate) for replicate in spec.replicates]),
        test_images=test_pool[test],
        test_indices=test,
        test_labels=classes_in_turn(len(spec.classes), spec.n_test),
        mean=mean,
        std=std,
    )


def choose(spec: DataSpec, images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the train and of the test images in the source, int64 (N,) and (N_test,).

    Balanced, classes in turn: 0, 1, ... C-1, 0, 1, ... Every class is permuted once, and N takes
    the beginning of it, so for one seed the N = 1,000 images are the first of the N = 2,000. Where
    the source has no test set, the beginning is the test images, and the train images follow.
    """
    n_train, n_test = (_per_class(spec, name) for name in ("n_train", "n_test"))
    if images.test_labels is None:
        pool = _permuted(spec, images.train_labels, "train", n_train + n_test)
        test, train = pool[:, :n_test], pool[:, n_test:]
    else:
        train = _permuted(spec, images.train_labels, "train", n_train)
        test = _permuted(spec, images.test_labels, "test", n_test)
    return train.T.ravel(), test.T.ravel()


def classes_in_turn(classes: int, size: int) -> np.ndarray:
    """0, 1, ... classes-1, 0, 1, ...: int64 (size,)."""
    return np.arange(size, dtype=np.int64) % classes


def noisy(spec: DataSpec, labels: np.ndarray, replicate: int) -> np.ndarray:
    """`labels` with noise in round(label_noise * N) samples, int64 (N,), for one replicate.

    permute    the labels of those samples are permuted among themselves
    uniform    those samples get labels drawn uniformly over the classes

    The samples of a smaller share are among those of a larger one.
    """
    draw = _generator(spec, replicate, "label_noise", spec.noise_kind, str(len(labels)))
    chosen = draw.permutation(len(labels))[: round(spec.label_noise * len(labels))]
    result = labels.copy()
    if spec.noise_kind == "permute":
        result[chosen] = labels[draw.permutation(chosen)]
    else:
        result[chosen] = draw.integers(len(spec.classes), size=len(labels))[: len(chosen)]
    return result


def _per_class(spec: DataSpec, name: str) -> int:
    size, classes = getattr(spec, name), len(spec.classes)
    if size % classes:
        raise UserError(f"{name}: {size} is not a multiple of the {classes} classes")
    return size // classes


def _permuted(spec: DataSpec, labels: np.ndarray, part: str, count: int) -> np.ndarray:
    """The first `count` positions of every class, permuted: int64 (C, count)."""
    rows = []
    for group in spec.classes:
        for label in group:
            if label not in labels:
                raise UserError(
                    f"class {label} does not exist in {spec.source} ({part}); "
                    f"allowed: {labels.min()} to {labels.max()}"
                )
        positions = np.flatnonzero(np.isin(labels, group))
        if len(positions) < count:
            raise UserError(
                f"class {'+'.join(map(str, group))} has {len(positions)} images in {spec.source} "
                f"({part}); {count} are needed"
            )
        draw = _generator(spec, 0, "images", part, "+".join(map(str, sorted(group))))
        rows.append(draw.permutation(positions)[:count])
    return np.stack(rows).astype(np.int64)


def _generator(spec: DataSpec, replicate: int, purpose: str, *names: str) -> np.random.Generator:
    return np.random.default_rng(stream(spec.seed, replicate, purpose, spec.source, *names))


def _source(name: str) -> Any:
    """The module of a source."""
    names = sorted(module.name for module in pkgutil.iter_modules(squareloss.data.sources.__path__))
    if name not in names:
        raise UserError(f"source: {name!r} does not exist; allowed: {', '.join(names)}")
    return importlib.import_module(f"squareloss.data.sources.{name}")


def _log(spec: DataSpec, split: Split) -> None:
    size, channels = len(split.train_labels), split.train_images.shape[1]
    groups = " ".join("+".join(map(str, group)) for group in spec.classes)
    changed = (split.noisy_labels != split.train_labels).mean(axis=1)
    print(f"source {spec.source}: classes {groups}, {channels} channel(s)")
    print(f"images: {size:,} train, {len(split.test_labels):,} test")
    mean, std = (" ".join(f"{value:.4f}" for value in each) for each in (split.mean, split.std))
    print(f"pixels in [0, 1], by channel: mean {mean}, sd {std}")
    print(
        f"label noise {spec.label_noise:g} ({spec.noise_kind}): share of labels changed "
        + ", ".join(
            f"{share:.4f} (replicate {replicate})"
            for replicate, share in zip(spec.replicates, changed, strict=True)
        )
    )


def main() -> None:
    """Parse the command line, prepare the split, write it."""
    options = parser(__doc__)
    options.add_argument("--spec", required=True, help="DataSpec as JSON")
    options.add_argument("--output", required=True, help="safetensors file to write")
    arguments = options.parse_args()
    spec = read_as(DataSpec, arguments.spec)
    source = _source(spec.source)
    refuse_overwriting(source.files(spec.root), [arguments.output])
    split = prepare(spec, source.load(spec.root))
    write_split(arguments.output, split)
    _log(spec, split)
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    run_stage(main)
