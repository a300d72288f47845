"""Config files that are broken, huge or mean another thing than they say: a line each.

Whoever writes out all that an alias stands for does not end.
"""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_config import ROOT, changed, raw, refusals
from workflow_copy import copy_repository, snakemake

from squareloss.errors import UserError
from squareloss.study import files as configfiles
from squareloss.study.checks import check_folder

DEMO = ROOT / "config" / "demo.yaml"


def answer(path):
    """The one line with which a file as the last overlay is refused."""
    with pytest.raises(UserError) as caught:
        configfiles.read([str(ROOT / "config.yaml"), str(DEMO), str(path)])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def doubled(first, count, form):
    """YAML of `count` aliases, each of which holds the one before twice."""
    lines = [f"a0: &a0 {first}"]
    return "\n".join([*lines, *(f"a{i}: &a{i} {form(f'*a{i - 1}')}" for i in range(1, count))])


FILES = {
    "a circle of lists": ("figures: &f [figure3, *f]", "line 1: holds an alias of itself"),
    "a circle of mappings": ("recipes: &r\n  cnn6: *r", "line 1: holds an alias of itself"),
    "lists that double": (doubled("[1, 1]", 60, lambda a: f"[{a}, {a}]"), "more than 1e12 values"),
    "mappings that double": (
        doubled("{x: 1}", 60, lambda a: f"{{x: {a}, y: {a}}}"),
        "more than 1e12 values",
    ),
    "deep lists": ("a: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    "deep JSON": ('{"a": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested too deeply"),
    "an octal number": ("baseline: {n_train: 040}", "line 1: 040 is read as 32; write 32"),
    "a negative one": ("seed: -010", "-010 is read as -8"),
    "a sexagesimal number": ("x: 1\nseed: 1:30", "line 2: 1:30 is read as 90; write 90"),
    "a number without end": ("seed: " + "9" * 5000, "not valid YAML"),
    "a list": ("- 1", "must hold keys and their values, not a list"),
    "a text": ("hello", "must hold keys and their values, not a str"),
    "a key that is a list": ("? [a]\n: b", "not valid YAML"),
    "a tab in YAML": ("baseline:\n\tn_train: 3", "not valid YAML"),
    "a name in two lines, twice": ('"a\\nb": 1\n"a\\nb": 2', r"'a\nb' is given twice"),
    "a Python object": ("seed: !!python/object/apply:os.getpid []", "not valid YAML"),
}


@pytest.mark.parametrize(("text", "wanted"), FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_meant_is_a_line(tmp_path, text, wanted):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    message = answer(path)
    assert message.startswith(str(path))
    assert wanted in message


@pytest.mark.parametrize(
    ("bytes_", "wanted"),
    [
        ("title: é".encode("latin-1"), "is not UTF-8 text"),
        ("title: e".encode("utf-16"), "is not UTF-8 text"),
        (None, "No such file or directory; name a config file"),
        ("folder", "Is a directory; name a config file"),
    ],
)
def test_what_is_no_text_is_a_line(tmp_path, bytes_, wanted):
    path = tmp_path / "mine.yaml"
    if bytes_ == "folder":
        path.mkdir()
    elif bytes_ is not None:
        path.write_bytes(bytes_)
    assert answer(path) == f"{path}: {wanted}" + ("; save it as such" if "UTF" in wanted else "")


@pytest.mark.parametrize("indent", [None, 1, "\t", "\t\t"])
def test_json_is_read_however_it_is_indented(tmp_path, indent):
    path = tmp_path / "mine.json"
    overlay = {"study": "mine", "seed": 7, "baseline": {"n_train": 40}}
    path.write_text(json.dumps(overlay, indent=indent).replace(": ", ":\t"), encoding="utf-8")
    study = configfiles.read([str(ROOT / "config.yaml"), str(DEMO), str(path)])
    assert (study.study, study.seed, study.baseline.n_train) == ("mine", 7, 40)


def test_names_that_look_like_such_numbers_may_be_quoted(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text('study: "040"\nseed: 0\n', encoding="utf-8")
    assert configfiles.read([str(ROOT / "config.yaml"), str(DEMO), str(path)]).study == "040"


LONG = "a" * 300
VALUES = [
    ("study", "reference", ["study", "something else"]),
    ("study", "archive", ["study", "something else"]),
    ("study", "docs", ["study", "something else"]),
    ("study", LONG, ["study", "at most 200"]),
    ("study", "a\nb", ["study"]),
    ("study", "a\n", ["study"]),
    ("results", "/", ["results", "must name a folder"]),
    ("results", "//", ["results", "must name a folder"]),
    ("results", "src", ["results", "of the code"]),
    ("results", "./src/x/../results", ["results", "of the code"]),
    ("results", ".snakemake", ["results", "of the code or of a program"]),
    ("results", "out/.git/x", ["results", "of the code or of a program"]),
    ("results", "a\0b", ["results", "printed"]),
    ("results", "a\nb", ["results", "printed"]),
    ("results", f"x/{LONG}", ["results", "200 bytes"]),
    ("results", "é" * 150, ["results", "200 bytes"]),
    ("datasets.mnist-parity.root", "a\0b", ["root", "printed"]),
    ("datasets.mnist-parity.title", "a\nb", ["title", "printed"]),
    ("a\nb", 1, ["a b", "unknown key"]),
    ("recipes.a\nb", {}, ["recipes"]),
    ("recipes.cnn6.width", 1e300, ["width", "up to 1e+06"]),
    ("recipes.cnn6.epochs", 10**12, ["epochs", "1000000"]),
    ("recipes.cnn6.snapshots", 10**12, ["snapshots", "10000"]),
    ("replicates", 10**9, ["replicates", "10000"]),
    ("block_size", 10**9, ["block_size", "10000"]),
    ("threads", 10**12, ["threads", "4096"]),
    ("training_rate", 1e-300, ["training_rate", "1"]),
    (
        "experiments.figure4.sweeps",
        [{"weight_decay": [k * 1e-6 for k in range(300)], "init_scale": list(range(1, 301)),
          "learning_rate": [k * 1e-3 for k in range(1, 301)]}],
        ["experiments.figure4.sweeps[0]", "27,000,000 points", "up to 1,000,000"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "wanted"), VALUES)
def test_a_value_that_cannot_be_meant_is_a_line(key, value, wanted):
    [message] = refusals(changed(key, value))
    assert "\n" not in message
    for word in wanted:
        assert word in message


def test_a_chain_of_recipes_has_an_end():
    base = raw("config/demo.yaml")
    before = "cnn6"
    for k in range(3000):
        base["recipes"][f"r{k}"] = {"like": before}
        before = f"r{k}"
    [message] = refusals(base)
    assert "a chain of more than 100 recipes" in message


def test_many_replicates_of_many_points_are_counted_together():
    base = raw("config/demo.yaml") | {"replicates": 10_000, "block_size": 2}
    sweep = {"weight_decay": [k * 1e-6 for k in range(300)]}
    [message] = refusals(changed("experiments.figure4.sweeps", [sweep], base))
    assert "300 points in 5,000 blocks" in message


@pytest.mark.parametrize("place", ["results", "results/demo"])
def test_a_file_in_the_place_of_the_results_is_named(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.raises(UserError, match=rf"{path} is a file"):
        check_folder(f"{tmp_path}/results/demo")
    path.unlink()
    check_folder(f"{tmp_path}/results/demo")


def test_a_folder_that_may_not_be_searched_is_one_line(monkeypatch):
    def exists(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "exists", exists)
    with pytest.raises(UserError, match=r"^config: results: .*: Permission denied$"):
        check_folder("/of-others/results")


@pytest.mark.workflow
def test_the_workflow_says_the_same(tmp_path):
    copy_repository(tmp_path)
    (tmp_path / "results").touch()
    done = snakemake(tmp_path, "-n")
    assert done.returncode != 0
    assert "squareloss: error: config: results: results is a file" in done.stderr
    assert "Traceback" not in done.stderr
    (tmp_path / "results").unlink()
    (tmp_path / "tabs.json").write_text('{\n\t"seed": 7\n}', encoding="utf-8")
    (tmp_path / "octal.yaml").write_text("seed: 010\n", encoding="utf-8")
    (tmp_path / "circle.yaml").write_text("figures: &f [figure3, *f]\n", encoding="utf-8")
    for name, code in [("tabs.json", 0), ("octal.yaml", 1), ("circle.yaml", 1)]:
        done = snakemake(tmp_path, "-n", "data", overlays=("tiny.yaml", name))
        assert done.returncode == code, done.stdout + done.stderr
        assert ("squareloss: error: " in done.stderr) == bool(code)


def test_a_stage_says_it_in_a_line(tmp_path):
    (tmp_path / "mine.yaml").write_bytes("study: é".encode("latin-1"))
    command = [
        sys.executable,
        "-m",
        "squareloss.study.cost",
        str(ROOT / "config.yaml"),
        "mine.yaml",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "squareloss: error: mine.yaml: is not UTF-8 text; save it as such\n"


def test_the_shipped_files_are_read_as_snakemake_reads_them():
    from snakemake.common.configfile import load_configfile

    for path in [ROOT / "config.yaml", *(ROOT / "config").glob("*.yaml")]:
        assert configfiles._content(str(path)) == load_configfile(str(path))
        assert configfiles._content(str(path)) == yaml.safe_load(path.read_text(encoding="utf-8"))
