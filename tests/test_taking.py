"""When runs may be taken from another clone or an archive, and in which order they get names."""

from contextlib import contextmanager

import pytest
from test_parts import (  # noqa: F401
    STUDY,
    contents,
    label,
    names,
    record,
    recorded,
    split_of,
    study,
    trained,
)

from squareloss.errors import UserError
from squareloss.share import archive, fetch, merge
from squareloss.share import snakemake_records as records
from squareloss.spec import canonical_json


@pytest.fixture
def clones(tmp_path, study):  # noqa: F811
    """A clone in which all runs are trained, and one in which the first is."""
    source, target = tmp_path / "source", tmp_path / "target"
    first, *_ = archive.jobs(study)
    return merge.Clones(trained(source, study), trained(target, study, [first]))


def test_a_run_of_which_a_part_is_being_made_is_not_taken(clones, study):  # noqa: F811
    first, *others = archive.jobs(study)
    marker = records.marker_path(clones.source, names(first)[1])
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    assert set(merge.finished_runs(clones.source)[STUDY]) == set(others)


def test_records_get_their_names_before_the_parts(clones, study, monkeypatch):  # noqa: F811
    """Between two renames a kill may leave a record without its part, never a part without."""
    whole, named = merge.whole, []

    @contextmanager
    def watched(target):
        with whole(target) as temporary:
            yield temporary
        assert target.exists()
        named.append(target)

    monkeypatch.setattr(merge, "whole", watched)
    *_, last = archive.jobs(study)
    merge.take(clones, names(last))
    of_records = [".snakemake" in target.parts for target in named]
    assert of_records == [True] * 7 + [False] * 7


@pytest.mark.parametrize("moment", [1, 7, 14])
def test_a_run_that_is_made_again_while_it_is_copied_is_not_taken(
    clones,
    study,  # noqa: F811
    monkeypatch,
    moment,
):
    """Snakemake marks a run as incomplete, removes its parts, and writes others."""
    before, copied = contents(clones.target), []

    def copy(source, target, copy=merge._copy):
        copied.append(source)
        if len(copied) == moment:
            marker = records.marker_path(clones.source, names(last)[1])
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
        copy(source, target)

    monkeypatch.setattr(merge, "_copy", copy)
    *_, last = archive.jobs(study)
    with pytest.raises(UserError, match="is made again there"):
        merge.take(clones, names(last))
    assert len(copied) == 14
    assert contents(clones.target) == before


def test_results_without_records_get_them(clones, study):  # noqa: F811
    first, *_ = archive.jobs(study)
    for part in names(first):
        records.record_path(clones.target, part).unlink()
    assert merge.merge(clones) == []
    assert contents(clones.target) == contents(clones.source)


def test_what_was_made_in_two_ways_there_is_refused(clones, study):  # noqa: F811
    """Some of the source's measurements are as the target's, and others are not."""
    *_, (last, spec) = archive.jobs(study).items()
    for part in names(last)[3:]:
        record(clones.source, part, recorded("extract", label("extract", spec), delta=0.1))
    [line] = merge.merge(clones)
    assert "delta is 0.1 there and 0.05 here" in line


def test_data_that_are_prepared_here_are_compared(clones, study):  # noqa: F811
    """Though no run of the target has read them yet."""
    *_, (run, spec) = archive.jobs(study).items()
    split = split_of(study, spec)
    of_code = label("train", spec)
    made = recorded("train", of_code, {split: "sha256:0"}, spec=canonical_json(spec))
    for part in names(run)[:3]:
        record(clones.source, part, made)
    assert merge.differences(clones, "tiny", names(run)) == []
    (clones.target / split).parent.mkdir(parents=True)
    (clones.target / split).write_text("other images", encoding="utf-8")
    [line] = merge.merge(clones)
    assert f"{split} is sha256:0 there and sha256:" in line


def test_code_here_is_compared(clones, study):  # noqa: F811
    *_, (run, spec) = archive.jobs(study).items()
    made = recorded("train", "code of train: 00000000", spec=canonical_json(spec))
    for part in names(run)[:3]:
        record(clones.source, part, made)
    [line] = merge.merge(clones)
    assert "code of train is 00000000 there and " in line


def test_an_archive_of_other_classes_is_not_taken(clones, study, tmp_path):  # noqa: F811
    archive.archive(study, clones.source, tmp_path / "packed")
    [name] = {spec.recipe.dataset for spec in archive.jobs(study).values()}
    swapped = study.datasets[name].classes[::-1]
    data = study.datasets[name].model_copy(update={"classes": swapped})
    other = study.model_copy(update={"datasets": study.datasets | {name: data}})
    _, *lacked = archive.jobs(study)
    differing = fetch.fetch(str(tmp_path / "packed"), clones.target, other)
    shown = f"datasets.{name}.classes is {study.datasets[name].classes} there and {swapped} here"
    assert {run: differing[run] for run in lacked} == {run: {shown} for run in lacked}


def test_runs_are_counted_by_what_became_of_them(clones, study, tmp_path, capsys):  # noqa: F811
    """One is here, one the archive lacks, and two are taken."""
    *_, last = archive.jobs(study)
    (clones.source / names(last)[0]).unlink()
    archive.archive(study, clones.source, tmp_path / "packed")
    fetch.fetch(str(tmp_path / "packed"), clones.target, study)
    counts = "2 runs taken, 1 were here already, 0 are made otherwise, 1 are not in the archive"
    assert counts in capsys.readouterr().out


def test_weights_of_one_run_are_not_those_of_all(clones, study, tmp_path):  # noqa: F811
    _, second, third, last = archive.jobs(study)
    for run in (second, third):
        (clones.source / names(run)[2]).unlink()
    (clones.source / names(last)[0]).unlink()
    archive.archive(study, clones.source, tmp_path / "packed")
    with pytest.raises(UserError, match="prepare the data first"):
        fetch.fetch(str(tmp_path / "packed"), clones.target, study)
