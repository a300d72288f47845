"""A damaged checkpoint is not used: training starts over and ends as if there had been none."""

import json
import subprocess
import sys

import pytest
import safetensors
import safetensors.torch
import torch
from test_train import courses, same

from squareloss.data.split import write_split
from squareloss.spec import canonical_json
from squareloss.train import checkpoint
from squareloss.train.job import history_rows, prepare, train

OWNER = {"spec": "x"}
ALTERED = "it is truncated or altered"


@pytest.fixture(scope="module")
def spec(make_spec):
    return make_spec(replicates=(0, 1))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, spec, split):
    """A checkpoint of a block that stands at epoch 2 of 3, as bytes."""
    path = tmp_path_factory.mktemp("stopped") / "c.safetensors"
    block = prepare(spec, split)
    with pytest.raises(StopIteration):
        train(block, 3, pause=lambda: halt(block))
    checkpoint.save(path, OWNER, block)
    return path.read_bytes()


def halt(block):
    if block.replicates[1].epoch == 2:
        raise StopIteration


def loaded(path):
    """Tensors and metadata of a checkpoint."""
    with safetensors.safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


def rewritten(edit):
    """The checkpoint written again with its old checksum, after `edit(tensors, saved)`."""

    def damage(path):
        tensors, metadata = loaded(path)
        saved = json.loads(metadata["squareloss"])
        saved = edit(tensors, saved) or saved
        metadata["squareloss"] = json.dumps(saved)
        safetensors.torch.save_file(tensors, path, metadata)

    return damage


def sealed(edit):
    """The same with a checksum that fits, as of a version that saved something else."""

    def damage(path):
        tensors, metadata = loaded(path)
        saved = json.loads(metadata["squareloss"])
        saved = edit(tensors, saved) or saved
        checkpoint.save_tensors(path, tensors, json.dumps(saved))

    return damage


def changed(name, value):
    def edit(tensors, _saved):
        tensors[name] = value(tensors[name])

    return edit


def without(name):
    def edit(tensors, _saved):
        del tensors[name]

    return edit


def lacking(*keys):
    def edit(_tensors, saved):
        for key in keys[:-1]:
            saved = saved[key]
        del saved[keys[-1]]

    return edit


EDITS = {
    "a number of a snapshot": changed("snapshot/0/0/1/weight1", lambda t: t + 1e-7),
    "a number of the state": changed("state/1/master1", lambda t: -t),
    "the order of the batches": changed("state/0/order", lambda t: t.roll(1)),
    "a row": changed("rows/0", lambda t: t * 2),
    "a snapshot away": without("snapshot/0/0/1/weight1"),
    "the state of a layer away": without("state/0/master1"),
    "rows away": without("rows/0"),
    "rows of a column less": changed("rows/0", lambda t: t[:, 1:].contiguous()),
    "rows in a vector": changed("rows/1", lambda t: t.flatten()),
    "a layer of another shape": changed("state/0/master1", lambda t: t[:1].contiguous()),
    "a layer of another type": changed("state/0/master1", lambda t: t.double()),
    "a replicate away": lacking("replicates", "1"),
    "an epoch away": lacking("replicates", "0", "epoch"),
    "columns of a type that is none": lambda _tensors, saved: saved["replicates"]["0"].update(
        columns={"epoch": "list"}
    ),
    "another epoch": lambda _tensors, saved: saved["replicates"]["0"].update(epoch=1),
    "no seconds": lacking("seconds"),
    "a list for the text": lambda _tensors, _saved: [1, 2],
    "a number for the owner": lambda _tensors, saved: saved.update(owner=1),
}
# What no checkpoint can be trained on from, whatever its checksum.
STRUCTURE = [
    "the state of a layer away",
    "rows away",
    "rows of a column less",
    "rows in a vector",
    "a layer of another shape",
    "a layer of another type",
    "a replicate away",
    "an epoch away",
    "columns of a type that is none",
    "no seconds",
    "a list for the text",
    "a number for the owner",
]


def state(block):
    """All that resuming may change, as values that compare."""
    return {
        r: (replicate.epoch, replicate.rows, replicate.snapshots, replicate.state())
        for r, replicate in block.replicates.items()
    }


def assert_starts_over(path, spec, split, reason=ALTERED):
    block = prepare(spec, split)
    before = state(block)
    refusal = checkpoint.resume(path, OWNER, block)
    assert refusal is not None
    assert reason in refusal
    for r, (epoch, rows, snapshots, tensors) in state(block).items():
        assert (epoch, rows, snapshots) == before[r][:3]
        assert all(torch.equal(tensors[name], before[r][3][name]) for name in tensors)
    assert (block.seconds, block.samples) == (0.0, 0)


@pytest.mark.parametrize("edit", EDITS)
def test_a_checkpoint_that_was_altered_is_not_used(tmp_path, stopped, spec, split, edit):
    path = tmp_path / "c.safetensors"
    path.write_bytes(stopped)
    rewritten(EDITS[edit])(path)
    assert_starts_over(path, spec, split)


@pytest.mark.parametrize("edit", STRUCTURE)
def test_one_that_does_not_fit_is_not_used_even_if_its_checksum_does(
    tmp_path, stopped, spec, split, edit
):
    path = tmp_path / "c.safetensors"
    path.write_bytes(stopped)
    sealed(EDITS[edit])(path)
    assert_starts_over(path, spec, split, reason="it is ")


def test_any_flipped_bit_is_noticed(tmp_path, stopped, spec, split):
    """In the header, in the metadata, in every kind of tensor."""
    path = tmp_path / "c.safetensors"
    block = prepare(spec, split)
    step = max(1, len(stopped) // 300)
    for place in range(0, len(stopped), step):
        data = bytearray(stopped)
        data[place] ^= 1 << (place % 8)
        path.write_bytes(data)
        assert checkpoint.resume(path, OWNER, block) is not None, place
        assert block.replicates[0].epoch == -1


def test_one_of_an_earlier_version_is_told_apart(tmp_path, stopped, spec, split):
    path = tmp_path / "c.safetensors"
    path.write_bytes(stopped)
    tensors, metadata = loaded(path)
    safetensors.torch.save_file(tensors, path, {"squareloss": metadata["squareloss"]})
    assert_starts_over(path, spec, split, reason="it has no checksum, as those of earlier versions")


def test_an_undamaged_one_is_used_and_ends_the_same(tmp_path, stopped, spec, split):
    path = tmp_path / "c.safetensors"
    path.write_bytes(stopped)
    block = prepare(spec, split)
    assert checkpoint.resume(path, OWNER, block) is None
    assert block.replicates[1].epoch == 2
    train(block, 3)
    for r, course in courses(spec, split).items():
        resumed = block.replicates[r]
        same((history_rows(resumed), resumed.snapshots), course)


def test_the_job_says_so_in_one_line_and_starts_over(tmp_path, stopped, spec, split):
    write_split(tmp_path / "split.safetensors", split)
    (tmp_path / "c.safetensors").write_bytes(stopped)
    tensors, metadata = loaded(tmp_path / "c.safetensors")
    safetensors.torch.save_file(
        tensors, tmp_path / "c.safetensors", {"squareloss": metadata["squareloss"]}
    )
    names = {"data": "split.safetensors", "checkpoint": "c.safetensors", "run": "run.json"}
    names |= {"snapshots": "s.safetensors", "history": "h.parquet"}
    words = [sys.executable, "-m", "squareloss.train", "--spec", canonical_json(spec)]
    words += [word for name, file in names.items() for word in (f"--{name}", str(tmp_path / file))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stderr.splitlines() if "is not used" in line]
    assert line.endswith("it has no checksum, as those of earlier versions; starting over")
    kept = safetensors.torch.load_file(tmp_path / "s.safetensors")
    for r, (_, snapshots) in courses(spec, split).items():
        for name, tensor in snapshots.items():
            assert torch.equal(kept[name].nan_to_num(9.0), tensor.nan_to_num(9.0)), (r, name)
