"""The config: mistakes are one line that names the key; the shipped files ask for the paper."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.cli import parse_config
from snakemake.utils import update_config

from squareloss.errors import UserError
from squareloss.spec import Recipe, Schedule
from squareloss.study import config, schema, sweep
from squareloss.study import document as config_readme
from squareloss.study.files import refuse_duplicates
from squareloss.study.load import load

ROOT = Path(__file__).parents[1]


def raw(*overlays):
    merged = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for overlay in overlays:
        update_config(merged, yaml.safe_load((ROOT / overlay).read_text(encoding="utf-8")))
    return merged


def changed(key, value, base=None):
    """The demo's config with one dotted key set."""
    merged = copy.deepcopy(base or raw("config/demo.yaml"))
    *path, last = key.split(".")
    place = merged
    for part in path:
        place = place[int(part) if part.isdigit() else part]
    place[last] = value
    return merged


def refusals(merged):
    """The message of the error that `merged` is refused with, if it is."""
    try:
        load(merged)
    except UserError as error:
        return [str(error)]
    return []


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("sed", 1, ["sed", "unknown key", "did you mean 'seed'"]),
        ("recipes.cnn6.epoch", 3, ["recipes.cnn6.epoch", "did you mean 'epochs'"]),
        ("recipes.cnn6.schedule.nam", 3, ["recipes.cnn6.schedule.nam", "did you mean 'name'"]),
        ("baseline.weightdecay", 3, ["baseline.weightdecay", "did you mean 'weight_decay'"]),
        (
            "experiments.figure4.sweeps.0.int",
            3,
            ["experiments.figure4.sweeps[0].int", "init_scale"],
        ),
        ("datasets.mnist-parity.clases", 3, ["datasets.mnist-parity.clases", "classes"]),
        ("baseline.weight_decay", -1e-3, ["baseline.weight_decay", "greater than or equal to 0"]),
        ("baseline.weight_decay", "much", ["baseline.weight_decay", "valid number", "'much'"]),
        ("baseline.weight_decay", True, ["baseline.weight_decay", "must be a number"]),
        ("baseline.weight_decay", float("nan"), ["baseline.weight_decay", "finite"]),
        ("baseline.label_noise", 1.5, ["baseline.label_noise", "less than or equal to 1"]),
        ("replicates", 2.5, ["replicates", "integer", "2.5"]),
        ("replicates", 3, ["replicates", "block_size = 2"]),
        ("block_size", 1, ["block_size", "figure2", "2 or more"]),
        ("device", "tpu", ["device", "'auto', 'cpu' or 'cuda'"]),
        ("figures", ["figure11"], ["figures", "figure10", "'figure11' does not exist"]),
        ("recipes.cnn6.network", "resnet", ["recipes.cnn6.network", "cnn3, cnn6, mlp"]),
        ("recipes.cnn6.normalization", "batchnorm", ["cnn6.normalization", "bn, lm, none, wn"]),
        ("recipes.bn.optimizer", "gd", ["recipes.bn:", "`optimizer: gd` sums"]),
        (
            "experiments.figure_normalization.sweeps",
            [{"recipe": "bn", "batch_size": 1}],
            ["sweeps[0].batch_size: 1 leaves one image"],
        ),
        (
            "experiments.figure_normalization.sweeps",
            [{"recipe": "bn", "n_train": 400, "batch_size": 57}],
            ["57 leaves one image in the last batch of N = 400"],
        ),
        (
            "recipes.cnn6.schedule",
            {"name": "constant", "milestones": [0.5]},
            ["recipes.cnn6.schedule", "milestones"],
        ),
        ("datasets.mnist-parity.classes", [[], [1]], ["classes", "at least two"]),
        ("recipes.cnn6.width", 1e306, ["recipes.cnn6.width", "1e+306; allowed: up to"]),
        ("figures", ["figure1"], ["figures", "none of them is drawn from runs"]),
        ("recipes.cnn6.dataset", "svhn", ["recipes.cnn6.dataset", "svhn", "mnist-parity"]),
        ("recipes.cnn6.layer_norms", "two", ["recipes.cnn6.layer_norms", "'initial' or 'unit'"]),
        ("baseline.recipe", "cnn9", ["baseline.recipe", "cnn9", "cnn6-stepped"]),
        ("datasets.mnist-parity.source", "web", ["source", "cifar10, mnist5k, parquet"]),
        ("datasets.mnist-parity.classes", [1, 12], ["classes", "class 12", "0 to 9"]),
        ("datasets.mnist-parity.classes", [[1, 2], [2, 3]], ["classes", "no label twice"]),
        ("datasets.mnist-parity.classes", [4], ["classes", "at least two"]),
        ("baseline.n_train", 10_000, ["baseline.n_train", "10000", "up to 4700"]),
        ("baseline.n_train", 999, ["baseline.n_train", "multiple of the 2 classes"]),
        ("datasets.mnist-parity.n_test", 6000, ["n_test", "larger than the data set", "5000"]),
        ("experiments.figure99", {"sweeps": [{}]}, ["experiments", "'figure99'", "figure10"]),
        ("experiments.figure1", {"sweeps": [{}]}, ["experiments", "'figure1'", "figure9"]),
        ("figures", ["figure_readings"], ["experiments.figure_readings.sweeps"]),
        ("recipes.bn.like", "cnn9", ["recipes.bn.like", "'cnn9' does not exist", "cnn6-stepped"]),
        ("recipes.bn.like", 7, ["recipes.bn.like", "7 does not exist"]),
        ("recipes.bn.like", ["cnn6"], ["recipes.bn.like", "['cnn6'] does not exist"]),
        ("recipes.bn.lik", "cnn6", ["recipes.bn.lik", "did you mean 'like'"]),
        ("recipes.cnn6.like", "lm", ["recipes", ".like", "circle", "cnn6, lm, cnn3, cnn6"]),
        ("recipes.cnn6.like", "cnn6", ["recipes.cnn6.like", "circle: cnn6, cnn6"]),
        ("experiments.figure4.sweeps", [{"n_train": 8000}], ["figure4.sweeps[0].n_train", "4700"]),
        ("experiments.figure2.sweeps", [{"recipe": "bn"}], ["figure2.sweeps[0]", "normalization"]),
        ("recipes.cnn6.normalization", "bn", ["recipes.unit", "`layer_norms: unit` needs"]),
        (
            "experiments.figure2.sweeps",
            [{"label_noise": 0.2}],
            ["figure2.sweeps[0]", "no label noise"],
        ),
        ("datasets.mnist-parity.classes", [0, 1, 2, 3], ["figure2", "two classes"]),
        ("recipes.cnn6.schedule", {"name": "step"}, ["recipes.cnn6.schedule", "milestones"]),
        ("results", "out{x}", ["results", "no braces"]),
        ("recipes.cnn6.width", 1e6, ["recipes.cnn6.width", "1e+06 makes", "GB for each copy"]),
        ("results", "", ["results", "must name a folder"]),
        ("results", "./x/..", ["results", "must name a folder"]),
        ("results", "~no-such-user/out", ["results", "no such user", "whole path"]),
        ("study", "../other", ["study", "'../other'"]),
        ("study", "a/b", ["study", "'a/b'"]),
        ("study", "..", ["study", "'..'"]),
        ("study", 2024, ["study", "must be text, got 2024", "quote it"]),
        ("study", 1e3, ["study", "must be text, got 1000.0", "quote it"]),
        ("study", True, ["study", "must be text", "quote it"]),
        ("results", 2024, ["results", "must be text, got 2024", "quote it"]),
        ("baseline.recipe", 6, ["baseline.recipe", "must be text, got 6", "quote it"]),
        ("baseline.recipe", ["cnn6"], ["baseline.recipe", "must be one text, got ['cnn6']"]),
        (
            "experiments.figure4.sweeps",
            {"init_scale": 1},
            ["figure4.sweeps", "must be a list, got"],
        ),
        ("recipes.schedule", {"like": "cnn6", "epoch": 5}, ["schedule.epoch", "mean 'epochs'"]),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(key, value, wanted):
    with pytest.raises(UserError) as caught:
        load(changed(key, value))
    message = str(caught.value)
    assert "\n" not in message
    for word in wanted:
        assert word in message


def test_a_figure_that_is_not_wanted_may_have_any_experiment():
    for name, one in (("figure2", {"label_noise": 0.2}), ("figure3", {"n_train": [100, 200]})):
        config = changed(f"experiments.{name}.sweeps", [one])
        assert refusals(config)
        assert not refusals(config | {"figures": ["figure9"]})


def test_a_message_counts_the_mistakes_that_it_leaves_out():
    [message] = refusals(changed("sea", 1, changed("sed", 1)))
    assert message.endswith("(and 1 more)")


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("~/out", "/home/me/out"),
        ("~", "/home/me"),
        ("results/", "results"),
        ("./x/../y", "y"),
        ("/scratch//a/./b/", "/scratch/a/b"),
        ("../out", "../out"),
    ],
)
def test_a_path_has_one_spelling(given, read, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert load(changed("results", given)).results == read
    study = load(changed("datasets.cifar10-1v2.root", given))
    assert study.datasets["cifar10-1v2"].root == read


def test_no_root_stays_no_root():
    assert load(raw("config/demo.yaml")).datasets["mnist-parity"].root == ""


def test_a_number_as_a_name_is_quoted_in_a_file():
    given = yaml.safe_load('study: "2024"')
    assert load(raw("config/demo.yaml") | given).study == "2024"
    # Snakemake reads numbers on its command line whatever their quotes.
    [message] = refusals(raw("config/demo.yaml") | parse_config(['study="2024"']))
    assert "in a file" in message


def test_a_missing_key_is_named():
    merged = raw()
    del merged["baseline"]["learning_rate"]
    with pytest.raises(UserError, match=r"baseline\.learning_rate: is required"):
        load(merged)


def test_an_unused_data_set_is_not_looked_for():
    load(changed("datasets.cifar10-1v2.classes", [1, 77]))


def test_numbers_may_be_text():
    texts = {"weight_decay": "1e-3", "n_train": "500", "learning_rate": "3e-2"}
    base = raw("config/demo.yaml")
    base["baseline"] |= texts
    base["seed"] = "12"
    study = load(base)
    assert study.baseline.weight_decay == 0.001
    assert study.baseline.n_train == 500
    assert study.baseline.learning_rate == 0.03
    assert study.seed == 12


@settings(max_examples=60, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    ),
    key=st.sampled_from(
        ["seed", "figures", "datasets", "recipes.cnn6", "baseline.n_train", "experiments.figure4",
         "recipes.cnn6.schedule", "datasets.mnist-parity.classes", "experiments.figure4.sweeps"]
    ),
)  # fmt: skip
def test_whatever_stands_there_the_answer_is_a_study_or_one_line(key, value):
    # Any other exception fails this test.
    for problem in refusals(changed(key, value)):
        assert "\n" not in problem
        assert problem.startswith("config: ")


def test_a_recipe_like_another_follows_it_through_overlays():
    base = raw()
    base["recipes"] |= {
        "child": {"like": "cnn6", "momentum": 0.5, "schedule": {"name": "constant"}},
        "grandchild": {"like": "child", "epochs": 7},
    }
    update_config(base, {"recipes": {"cnn6": {"width": 0.5, "epochs": 20}}})
    recipes = load(base).recipes
    parent, child, grandchild = (recipes[name] for name in ("cnn6", "child", "grandchild"))
    assert child.model_dump() == parent.model_dump() | {
        "momentum": 0.5,
        "schedule": {"name": "constant", "milestones": (), "factor": 0.1},
    }
    assert (child.width, child.epochs) == (0.5, 20)
    assert grandchild.model_dump() == child.model_dump() | {"epochs": 7}


def test_the_paper_study_trains_each_point_once():
    """32 runs for the paper's own figures: 12 of Figure 10, 4 noisy, 7 + 8 of Figures 6 and 7, 1 of
    Figure 9.
    """
    study = load(raw())
    runs = sweep.runs_table(study)
    drawn = {f"figure{n}" for n in range(1, 11)}
    assert drawn <= set(study.figures)
    assert sum(bool(drawn & set(names)) for names in runs["experiments"]) == 32


def test_the_demo_asks_for_the_same_figures_and_points():
    paper, demo = load(raw()), load(raw("config/demo.yaml"))
    assert paper.figures == demo.figures
    assert paper.experiments.keys() == demo.experiments.keys()
    fields = ("weight_decay", "init_scale", "label_noise", "learning_rate")
    for name in ("figure2", "figure3", "figure4", "figure5", "figure8"):
        a, b = (
            {tuple(getattr(p, field) for field in fields) for p in sweep.points_of(study, name)}
            for study in (paper, demo)
        )
        # Of Figure 5's nine starts the demo has six, of Figure 4's five shares of noise three.
        assert len(b) == {"figure4": 3, "figure5": 6}.get(name, len(a)), name
        assert b <= a, name


def test_the_page_of_the_keys_is_that_of_the_models(capsys):
    config_readme.main()
    page = capsys.readouterr().out
    assert (ROOT / "config" / "README.md").read_text(encoding="utf-8") == page
    for model in (config.Study, config.Dataset, config.Sweep, Recipe, Schedule):
        for key in model.model_fields:
            assert f"| `{key}` |" in page, key
    rows = [line for line in page.splitlines() if line.startswith("| `") and ".yaml`" not in line]
    assert not [row for row in rows if row.endswith("|  |")]  # every key says what it means
    for overlay in (ROOT / "config").glob("*.yaml"):
        assert f"| `{overlay.name}` |" in page


def test_the_schema_for_editors_is_that_of_the_models(capsys):
    schema.main()
    assert (ROOT / "config" / "schema.json").read_text(encoding="utf-8") == capsys.readouterr().out


class Yaml12(yaml.SafeLoader):
    """As editors read YAML: 1e-3 is a number."""


Yaml12.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"\d+e-?\d+$"), "0123456789")


@pytest.mark.parametrize("path", [ROOT / "config.yaml", *(ROOT / "config").glob("*.yaml")], ids=str)
def test_an_editor_finds_the_schema_and_no_mistake_in_what_is_shipped(path):
    text = path.read_text(encoding="utf-8")
    found = json.loads((ROOT / "config" / "schema.json").read_text(encoding="utf-8"))
    study = yaml.load(text, Yaml12)
    jsonschema.validate(study, found)
    named = re.search(r"^# yaml-language-server: \$schema=(\S+)$", text, re.M)
    assert (path.parent / named[1]).resolve() == ROOT / "config" / "schema.json"
    mistakes = [{"replicate": 1}, {"experiments": {"figure3": {"sweeps": [{"init_scale": "x"}]}}}]
    for mistake in mistakes:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(study | mistake, found)


@pytest.mark.parametrize(("key", "value"), [("replicates", 0), ("delta", 1), ("threads", 0.5)])
def test_an_editor_sees_the_limits_of_a_value(key, value):
    schema = json.loads((ROOT / "config" / "schema.json").read_text(encoding="utf-8"))
    study = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    limits = schema["properties"][key]
    jsonschema.validate(study[key], limits)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, limits)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("study: a\nseed: 1\nstudy: b\n", "line 3: study is given twice"),
        ("recipes:\n  cnn6: {epochs: 3, epochs: 4}\n", "line 2: epochs is given twice"),
        ("sweeps:\n- {a: 1}\n- b: 1\n  b: 2\n", "line 4: b is given twice"),
        ('{"x": 1, "x": 2}', "line 1: x is given twice"),
    ],
)
def test_a_key_that_is_given_twice_is_named(tmp_path, text, wanted):
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=wanted):
        refuse_duplicates(path)


@pytest.mark.parametrize("path", [ROOT / "config.yaml", *(ROOT / "config").glob("*.yaml")], ids=str)
def test_the_shipped_files_give_no_key_twice(path):
    refuse_duplicates(path)


def test_the_workflow_refuses_a_key_that_is_given_twice(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("study: a\nstudy: b\n", encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "-n", "figure1", "--directory", str(tmp_path)]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile"]
    command += [str(ROOT / "config.yaml"), str(ROOT / "tests/tiny.yaml"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"squareloss: error: {path}, line 2: study is given twice; keep one" in done.stderr
