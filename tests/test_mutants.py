"""The lists of `make mutants` fit the code, and it tells what is noticed from what is not."""

from collections import Counter
from functools import cache

import pytest
import yaml
from mutants.run import ROOT, Outcome, listed, main, report

from squareloss.source.code import skeleton


def test_every_mistake_is_another_program_and_stands_in_the_lists_once():
    made, meaning = Counter(), cache(skeleton)
    for mutant in listed(ROOT):  # which finds every text that is replaced, once
        text = (ROOT / mutant.file).read_text(encoding="utf-8")
        mistaken = text.replace(mutant.old, mutant.new)
        compile(mistaken, mutant.file, "exec")
        assert skeleton(mistaken) != meaning(text), f"{mutant} changes nothing"
        made[mutant.file, mistaken] += 1
    assert len(made) > 100
    assert not [file for (file, _), count in made.items() if count > 1]


def test_the_tests_that_lists_name_are_there():
    named = {name for mutant in listed(ROOT) for name in mutant.tests}
    assert named
    for name in named:
        file, _, function = name.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not function or f"def {function.partition('[')[0]}(" in text, name
    assert all(mutant.tests for mutant in listed(ROOT))


# A package with this one's name: what is imported must be the copy, and not what is installed.
SOURCE = """
def double(x):
    return 2 * x


def smallest(values):
    rest = list(values)
    while len(rest) > 1:
        rest.remove(max(rest))
    return rest[0]
"""
TESTS = """
from squareloss import double, smallest


def test_double():
    assert double(0) == 0


def test_smallest():
    assert smallest([3, 1, 2]) == 1
"""
NOTICED = {"file": "src/squareloss/__init__.py", "old": "2 * x", "new": "2 + x"}
UNNOTICED = NOTICED | {"new": "3 * x"}  # 0 is doubled by any factor
SAME = NOTICED | {"new": "x + x", "equivalent": "a sum of two is twice one"}
ENDLESS = NOTICED | {"old": "rest.remove(max(rest))", "new": "max(rest)"}


@pytest.fixture
def tree(tmp_path):
    """A function that makes the tiny package's working tree with a list of mistakes."""

    def made(*entries, tests=TESTS):
        files = {
            "src/squareloss/__init__.py": SOURCE,
            "tests/test_tiny.py": tests,
            "tests/mutants/tiny.yaml": yaml.safe_dump(
                {"tests": ["tests/test_tiny.py"], "mutants": list(entries)}
            ),
        }
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return made


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_what_no_test_notices_is_named_and_the_tree_stays_as_it_is(tree, capsys):
    root = tree(ENDLESS, NOTICED, UNNOTICED, SAME)
    before = contents(root)
    assert main(["--root", str(root), "--patience", "5"]) == 1
    *_, unnoticed, last = capsys.readouterr().out.splitlines()
    assert unnoticed == "unnoticed: src/squareloss/__init__.py:3: `2 * x` -> `3 * x`"
    assert last == "2 of 3 noticed (66.7%), 1 of them by the time limit; 1 more are equivalent"
    assert contents(root) == before


def test_what_is_enough(tree):
    root = tree(*(NOTICED | {"new": f"{n} * x"} for n in range(20)), SAME)
    *mistakes, same = listed(root)
    passed, failed = Outcome(True, 1.0), Outcome(False, 1.0)
    for unnoticed, enough in ((0, True), (1, True), (2, False)):
        found = {mutant: passed if i < unnoticed else failed for i, mutant in enumerate(mistakes)}
        assert report(root, found | {same: passed})[1] == enough
    lines, enough = report(root, dict.fromkeys(mistakes, failed) | {same: failed})
    assert not enough
    assert lines[-2].startswith("called equivalent, but noticed: src/squareloss/__init__.py:3: ")


@pytest.mark.parametrize(
    ("entry", "tests", "words"),
    [
        (NOTICED | {"old": "4 * x"}, TESTS, "'4 * x' occurs 0 times in src/squareloss/__init__.py"),
        (NOTICED | {"old": "rest"}, TESTS, "occurs 5 times"),
        (NOTICED | {"file": "src/squareloss/moved.py"}, TESTS, "occurs 0 times"),
        (NOTICED, TESTS.replace("== 1", "== 2"), "test_tiny.py fails on unchanged code"),
        (
            NOTICED | {"tests": ["tests/test_gone.py"]},
            TESTS,
            "test_gone.py fails on unchanged code",
        ),
    ],
)
def test_a_list_that_does_not_fit_is_one_line(tree, capsys, entry, tests, words):
    assert main(["--root", str(tree(entry, tests=tests))]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert words in line
