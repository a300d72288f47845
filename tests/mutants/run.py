"""Which mistakes the tests notice: `make mutants`.

    python tests/mutants/run.py [--only engine] [--cores 2]

The lists beside this file, one a subject, hold mistakes: a text of a source file, what stands there
by mistake, and the tests that cover the place. Each mistake is made alone, and its tests run. If
they pass, a test is missing. Most of the mistakes are in how parts are put together: the labels of
another replicate, test images in the place of training images. Programs that mutate every operator,
as mutmut and cosmic-ray do, seldom make these, and their thousands would take days.

The working tree is never changed: every worker has a copy of it.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import TypeVar

import yaml
from tqdm import tqdm

ROOT = Path(__file__).parents[2]
GOAL = 0.95
# Seconds that tests may take besides three times what they take on unchanged code. Tests that a
# mistake makes endless are ended, and those that a busy machine makes slow are not.
PATIENCE = 120.0
# What the copies need not have. Of the results they have the reference.
LEFT_OUT = {".git", ".venv", ".snakemake", "data", "results"}
Item = TypeVar("Item")
Result = TypeVar("Result")


class ListError(ValueError):
    """A list that does not fit the code or the tests; says in one line what to do."""


@dataclass(frozen=True)
class Mutant:
    """One mistake."""

    subject: str  # the name of its list
    file: str  # relative to the root, as `tests` are
    old: str  # occurs in the file once
    new: str
    tests: tuple[str, ...]
    mistake: str = ""  # in words, where the code does not say it
    equivalent: str = ""  # why no test can notice it

    def line(self, root: Path) -> int:
        """The line where `old` begins. Raises `ListError` unless it occurs exactly once."""
        path = root / self.file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if (count := text.count(self.old)) != 1:
            where = f"tests/mutants/{self.subject}.yaml: {self.old!r} occurs {count} times in"
            raise ListError(f"{where} {self.file}, not once: renew the entry")
        return text[: text.index(self.old)].count("\n") + 1

    @contextmanager
    def made(self, root: Path) -> Iterator[None]:
        """Make the mistake in the tree `root`, and undo it in the end."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(text, encoding="utf-8")


def listed(root: Path, only: str | None = None) -> list[Mutant]:
    """All mistakes, or those of one list. Raises `ListError` if one does not fit the code."""
    paths = {path.stem: path for path in sorted((root / "tests" / "mutants").glob("*.yaml"))}
    if only is not None and only not in paths:
        raise ListError(f"ONLY={only}: the lists are {', '.join(paths)}")
    found = []
    for subject, path in paths.items():
        if only in (None, subject):
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            for entry in content["mutants"]:
                tests = tuple(entry.pop("tests", content.get("tests", ())))
                found.append(Mutant(subject=subject, tests=tests, **entry))
    for mutant in found:
        mutant.line(root)
    return found


def copied(root: Path, folder: Path) -> Path:
    """A copy of the working tree in `folder` whose package is what Python imports there."""
    tree = folder / "tree"

    def skipped(where: str, names: list[str]) -> set[str]:
        top = LEFT_OUT if Path(where) == root else set()
        return {name for name in names if name in top or name == "__pycache__"}

    shutil.copytree(root, tree, ignore=skipped, symlinks=True)
    if (reference := root / "results" / "reference").is_dir():
        shutil.copytree(reference, tree / "results" / "reference")
    for init in (tree / "src").glob("*/__init__.py"):
        name = init.parent.name
        command = [sys.executable, "-c", f"import {name}; print({name}.__file__)"]
        imported = subprocess.check_output(command, cwd=tree, env=environment(tree), text=True)
        assert Path(imported.strip()) == init, f"{imported.strip()} is imported, and not the copy"
    return tree


def environment(tree: Path) -> dict[str, str]:
    """Variables of a test process. Bytecode is not kept: a mistake may be as long as the truth."""
    added = {"PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return os.environ | added | {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}


@dataclass(frozen=True)
class Outcome:
    """How tests went: whether all passed, how long they took, and the first that failed."""

    passed: bool
    seconds: float
    failed: str = ""


def outcome(tree: Path, tests: tuple[str, ...], limit: float | None = None) -> Outcome:
    """Run tests in a copy; what takes longer than `limit` seconds is ended and has failed."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "-n0", "--hypothesis-seed=0"]
    options.append(f"--basetemp={tree.with_name('tmp')}")
    start = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=tree,
        env=environment(tree),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that what the tests have started ends with them
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return Outcome(False, time.monotonic() - start, "time limit")
    words = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    failed = (words or output.splitlines()[-1:] or [""])[0]
    return Outcome(process.returncode == 0, time.monotonic() - start, failed)


def in_copies(
    trees: list[Path],
    items: Iterable[Item],
    work: Callable[[Path, Item], Result],
    note: Callable[[Item, Result], None],
) -> dict[Item, Result]:
    """`work` on every item, one at a time in each tree; `note` is told of each when it is done."""
    free: Queue[Path] = Queue()
    for tree in trees:
        free.put(tree)

    def one(item: Item) -> Result:
        tree = free.get()
        try:
            return work(tree, item)
        finally:
            free.put(tree)

    done = {}
    pool = ThreadPoolExecutor(len(trees))
    try:
        futures = {pool.submit(one, item): item for item in items}
        for future in as_completed(futures):
            done[futures[future]] = future.result()
            note(futures[future], future.result())
    finally:
        pool.shutdown(cancel_futures=True)
    return done


def files_of(mutant: Mutant) -> set[str]:
    """The files of a mutant's tests, which may be named one by one, as file::test."""
    return {name.partition("::")[0] for name in mutant.tests}


def judged(root: Path, mutants: list[Mutant], cores: int, patience: float) -> dict[Mutant, Outcome]:
    """How the tests of every mutant went. Raises `ListError` if they fail without a mistake."""
    names = dict.fromkeys(name for mutant in mutants for name in mutant.tests)
    files = {
        file: tuple(name for name in names if name.partition("::")[0] == file)
        for file in sorted({file for mutant in mutants for file in files_of(mutant)})
    }
    total = len(files) + len(mutants)
    with (
        tempfile.TemporaryDirectory(prefix="mutants-") as work,
        tqdm(total=total, unit="run", disable=not sys.stderr.isatty()) as bar,
    ):
        trees = [copied(root, Path(work, str(i))) for i in range(min(cores, total))]

        def without_mistake(tree: Path, file: str) -> Outcome:
            return outcome(tree, files[file])

        def unchanged(file: str, found: Outcome) -> None:
            bar.update()
            if not found.passed:
                raise ListError(f"{file} fails on unchanged code, mend that first: {found.failed}")

        def with_mistake(tree: Path, mutant: Mutant) -> Outcome:
            seconds = sum(usual[file].seconds for file in files_of(mutant))
            with mutant.made(tree):
                return outcome(tree, mutant.tests, patience + 3 * seconds)

        def told(mutant: Mutant, found: Outcome) -> None:
            bar.update()
            if found.passed and not mutant.equivalent:
                bar.write(f"unnoticed: {shown(mutant, root)}", file=sys.stderr)

        usual = in_copies(trees, files, without_mistake, unchanged)
        return in_copies(trees, mutants, with_mistake, told)


def shown(mutant: Mutant, root: Path) -> str:
    """A mistake in a line: where it is, and what."""
    texts = (" ".join(text.split()) for text in (mutant.old, mutant.new))
    what = mutant.mistake or " -> ".join(f"`{text}`" for text in texts)
    return f"{mutant.file}:{mutant.line(root)}: {what}"


def report(root: Path, found: dict[Mutant, Outcome]) -> tuple[list[str], bool]:
    """Lines that say what was noticed, and whether that is enough."""
    real = [mutant for mutant in found if not mutant.equivalent]
    lines = []
    for subject in sorted({mutant.subject for mutant in found}):
        those = [mutant for mutant in real if mutant.subject == subject]
        noticed = sum(not found[mutant].passed for mutant in those)
        lines.append(f"{subject:12} {noticed:3} of {len(those):3} noticed")
    unnoticed = [mutant for mutant in real if found[mutant].passed]
    wrong = [mutant for mutant in found if mutant.equivalent and not found[mutant].passed]
    lines += [f"unnoticed: {shown(mutant, root)}" for mutant in unnoticed]
    lines += [f"called equivalent, but noticed: {shown(mutant, root)}" for mutant in wrong]
    share = 1 - len(unnoticed) / len(real) if real else 1.0
    ended = sum(found[mutant].failed == "time limit" for mutant in real)
    lines.append(
        f"{len(real) - len(unnoticed)} of {len(real)} noticed ({share:.1%}), {ended} of them by "
        f"the time limit; {len(found) - len(real)} more are equivalent"
    )
    return lines, share >= GOAL and not wrong


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code, 0 if enough is noticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", help="one list, e.g. engine")
    parser.add_argument("--cores", default="2", help="tests that run at once: a number, or all")
    parser.add_argument("--root", type=Path, default=ROOT, help="the working tree")
    parser.add_argument("--patience", type=float, default=PATIENCE, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    cores = (os.cpu_count() or 1) if args.cores == "all" else int(args.cores)
    try:
        found = judged(args.root, listed(args.root, args.only), cores, args.patience)
    except ListError as error:
        print(error, file=sys.stderr)
        return 2
    lines, enough = report(args.root, found)
    print("\n".join(lines))
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
