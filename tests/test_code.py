"""Which code a stage depends on, on a package of three modules made for the purpose."""

import ast
import json
import os
import re
import sys
from pathlib import Path

import pytest

from squareloss.source import code as subject
from squareloss.source.code import code, digest_here, files, skeleton
from squareloss.spec import Recipe

MODULES = {
    "__init__": "VERSION = 1\n",
    "train": "from squareloss import step\n\n\ndef main():\n    return step.size\n",
    "step": "import squareloss.rate\n\nsize = squareloss.rate.RATE\n",
    "rate": "RATE = 3\n",
    "read": "from squareloss.rate import RATE\n",
    "page/__init__": "",
    "page/__main__": "from squareloss.step import size\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that writes modules of the made-up package, and what is known to be the same."""
    same = tmp_path / "same_results.json"
    monkeypatch.setattr(subject, "SOURCE", tmp_path)
    monkeypatch.setattr(subject, "SAME", same)

    def forget():
        for function in (code, subject.same_results, subject._imports, subject._meaning):
            function.cache_clear()

    def write(known=None, **modules):
        for name, text in modules.items():
            path = tmp_path / "squareloss" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        same.write_text(json.dumps(known or {}), encoding="utf-8")
        forget()
        return tmp_path / "squareloss"

    write(**MODULES)
    yield write
    forget()


def names(*modules):
    return [path.relative_to(subject.SOURCE / "squareloss").as_posix() for path in files(*modules)]


def test_imports_are_followed_however_they_are_written(package):
    assert names("train") == ["rate.py", "step.py", "train.py"]
    assert names("read") == ["rate.py", "read.py"]
    assert names("rate") == ["rate.py"]
    # `python -m squareloss.page` runs what is beside the package's own file.
    assert names("page") == ["page/__main__.py", "rate.py", "step.py"]


def test_the_name_changes_with_whatever_is_imported_and_with_nothing_else(package):
    before = code("train")
    label, digest = before.split(": ")
    assert label == "code of train"
    assert len(bytes.fromhex(digest)) == 4
    package(rate='"""The rate."""\n\nRATE = 3  # a step\n')
    assert code("train") == before
    package(train=MODULES["train"].replace("main():", 'main():\n    """The job."""'))
    assert code("train") == before
    package(read="RATE = 4\n", __init__="VERSION = 2\n")
    assert code("train") == before
    package(rate="RATE = 4\n")
    assert code("train") != before


def test_a_module_of_another_name_is_other_code(package):
    package(first="X = 1\n", second="X = 1\n")
    first, second = (code(name).rpartition(": ")[2] for name in ("first", "second"))
    assert first != second


def test_code_that_gives_the_same_results_keeps_its_name(package):
    before = code("train")
    changed = {"rate": "RATE = 2 + 1\n"}
    package(**changed)
    today = code("train")
    assert today != before
    package({today: before}, **changed)
    assert code("train") == before
    assert code("read") != before
    package({today: before}, rate="RATE = 5\n")
    assert code("train") not in (today, before)


def test_the_digest_of_a_label_is_that_of_the_code_here(package):
    assert digest_here("code of train") == code("train").removeprefix("code of train: ")
    both = code("train", "read")
    assert digest_here("code of train, read") == both.removeprefix("code of train, read: ")
    assert digest_here("code of gone") is None


def test_a_label_from_before_a_move_has_the_digest_that_it_had(package):
    today, other = code("train"), code("read")
    package({today: "code of old.train: 01234567"})
    assert digest_here("code of old.train") == "01234567"
    # Asked by the name of today, there is no code of today's name any more.
    assert digest_here("code of train") is None
    # What was one stage is two: both must be what it was.
    whole = {today: "code of old: 01234567", other: "code of old: 01234567"}
    package(whole)
    assert digest_here("code of old") == "01234567"
    package(whole, read="from squareloss.rate import RATE as rate\n")
    assert digest_here("code of old") is None
    package({today: "code of old: 01234567", other: "code of old: 89abcdef"})
    assert digest_here("code of old") is None
    # The code was changed after it had been moved.
    package({today: "code of old.train: 01234567"}, rate="RATE = 4\n")
    assert digest_here("code of old.train") is None


def test_it_tells_what_was_edited_after_a_result(package, monkeypatch, capsys):
    folder = package()
    result = folder.parent / "run.json"
    result.touch()
    for name, seconds in (("train", -10), ("step", -10), ("rate", 10)):
        at = result.stat().st_mtime + seconds
        os.utime(folder / f"{name}.py", (at, at))
    monkeypatch.setattr(sys, "argv", ["code", "train", "--since", str(result)])
    subject.main()
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines] == [
        "edited squareloss/rate.py",
        "squareloss/step.py",
        "squareloss/train.py",
    ]
    assert last == code("train")


def test_an_empty_field_that_a_later_python_adds_changes_nothing(package, monkeypatch):
    source = MODULES["train"]
    before = skeleton(source)
    monkeypatch.setattr(ast.FunctionDef, "_fields", (*ast.FunctionDef._fields, "later"))
    monkeypatch.setattr(ast.FunctionDef, "later", [], raising=False)
    function = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef))
    assert ("later", []) in ast.iter_fields(function)  # which `ast.dump` of 3.13 leaves out
    assert skeleton(source) == before


def test_an_empty_part_that_a_later_python_adds_to_text_changes_nothing(monkeypatch):
    source = 'x = f"a{1:{2}}b" + ""\n'
    before, parse = skeleton(source), ast.parse

    def later(text):
        tree = parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                node.values.append(ast.Constant(""))
        return tree

    monkeypatch.setattr(ast, "parse", later)
    assert skeleton(source) == before
    assert skeleton(source.replace('""', '"c"')) != before


def test_code_of_before_that_gives_the_same_results_keeps_its_name():
    """Of the stages that take hours: their rules ask for these labels."""
    rules = "".join(
        path.read_text("utf-8")
        for path in (Path(__file__).parents[1] / "workflow" / "rules").glob("*.smk")
    )
    asked = set(re.findall(r'\bcode\("(\w+)"', rules))
    for today, earlier in json.loads(subject.SAME.read_text("utf-8")).items():
        stage = re.match(r"code of ([\w.]+)", today)[1]
        assert stage in asked | {"data.prepare"}
        assert re.fullmatch(r"code of [\w., ]+: [0-9a-f]{8}", earlier)


def test_the_code_of_a_run_is_also_that_of_its_network_and_normalisation():
    recipe = Recipe(dataset="d", network="cnn3", normalization="lm", epochs=1)
    for stage in ("train", "extract", "landscape"):
        more = {*files(stage, *recipe.modules())} - {*files(stage)}
        assert {path.name for path in more} == {"cnn3.py", "lm.py"}
