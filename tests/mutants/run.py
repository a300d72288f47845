"""Which mistakes the tests notice: `make mutants`.

    python tests/mutants/run.py [--only engine] [--cores 2] [--verbose]

The lists beside this file, one a subject, hold mistakes: a text of a source file, what stands there
by mistake, and the tests that cover the place. Each mistake is made alone, and its tests run. If
they pass, a test is missing. Most of the mistakes are in how parts are put together: the labels of
another replicate, test images in the place of training images. Programs that mutate every operator,
as mutmut and cosmic-ray do, seldom make these, and their thousands would take days.

The working tree is never changed: every worker has a copy of it. A mutant's tests take less time
than the import of PyTorch and pandas, so each worker is forked from a process that has imported the
libraries, and forks itself for every mutant.
"""

import argparse
import importlib.util
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
import yaml
from tqdm import tqdm

ROOT = Path(__file__).parents[2]
GOAL = 0.95
# Seconds that tests may take besides three times what they take on unchanged code. Tests that a
# mistake makes endless are ended, and those that a busy machine makes slow are not.
PATIENCE = 120.0
# What the copies need not have. Of the results they have the reference.
LEFT_OUT = {".git", ".venv", ".snakemake", "data", "results"}
# What tests and code import, but for the package itself.
LIBRARIES = [
    "hypothesis", "matplotlib.figure", "pandas", "pyarrow.parquet", "pydantic", "pytest",
    "safetensors.torch", "scipy.integrate", "scipy.sparse.linalg", "scipy.stats", "seaborn",
    "snakemake.cli", "torch", "torch._dynamo", "torch.utils.flop_counter", "tqdm", "yaml",
]  # fmt: skip
# Bytecode is not kept, since a mistake may be as long as the truth.
VARIABLES = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(LIBRARIES)
fork = multiprocessing.get_context("fork")


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


def move_into_a_copy(root: Path, folder: str) -> None:
    """Copy the working tree into `folder`, and make the copy the worker's current directory."""
    tree = Path(folder, str(os.getpid()), "tree")

    def skipped(where: str, names: list[str]) -> set[str]:
        top = LEFT_OUT if Path(where) == root else set()
        return {name for name in names if name in top or name == "__pycache__"}

    shutil.copytree(root, tree, ignore=skipped, symlinks=True)
    if (reference := root / "results" / "reference").is_dir():
        shutil.copytree(reference, tree / "results" / "reference")
    os.chdir(tree)


@dataclass(frozen=True)
class Outcome:
    """How tests went: whether all passed, how long they took, and the first that failed."""

    passed: bool
    seconds: float
    failed: str = ""


def outcome(tests: tuple[str, ...], limit: float | None = None) -> Outcome:
    """Run tests in the copy; what takes longer than `limit` seconds is ended and has failed."""
    output = Path("../output")
    start = time.monotonic()
    process = fork.Process(target=run_tests, args=(tests, output))
    process.start()
    try:
        process.join(limit)
        seconds, code = time.monotonic() - start, process.exitcode
    finally:
        assert process.pid is not None
        with suppress(ProcessLookupError):  # it is ended already, and has left nothing behind
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
    if code is None:
        return Outcome(False, seconds, "time limit")
    if code == 0:
        return Outcome(True, seconds)
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return Outcome(False, seconds, (failures or lines[-1:] or [""])[0])


def run_tests(tests: tuple[str, ...], output: Path) -> None:
    """Be a process that runs tests on the package of its current directory, and exits as pytest."""
    os.setsid()
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    source = Path("src").absolute()
    os.environ |= VARIABLES | {"PYTHONPATH": str(source)}
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(source))
    for init in source.glob("*/__init__.py"):
        package = init.parent.name
        assert package not in sys.modules, f"{package} was imported before the mistake was made"
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin == str(init), f"{spec.origin} is what tests import, and not the copy"
    options = ["-x", "-q", "--tb=line", "-p", "no:cacheprovider", "-n0", "--hypothesis-seed=0"]
    sys.exit(pytest.main([*options, "--basetemp=../tmp", *tests]))


def with_mistake(mutant: Mutant, limit: float) -> Outcome:
    """How a mutant's tests go in the copy, with the mistake."""
    with mutant.made(Path.cwd()):
        return outcome(mutant.tests, limit)


def files_of(mutant: Mutant) -> set[str]:
    """The files of a mutant's tests, which may be named one by one, as file::test."""
    return {name.partition("::")[0] for name in mutant.tests}


def judged(
    root: Path, mutants: list[Mutant], cores: int, patience: float, verbose: bool = False
) -> dict[Mutant, Outcome]:
    """How the tests of every mutant went. Raises `ListError` if they fail without a mistake."""
    names = dict.fromkeys(name for mutant in mutants for name in mutant.tests)
    files = {
        file: tuple(name for name in names if name.partition("::")[0] == file)
        for file in sorted({file for mutant in mutants for file in files_of(mutant)})
    }
    with (
        tempfile.TemporaryDirectory(prefix="mutants-") as folder,
        mock.patch.dict(os.environ, VARIABLES),  # the workers', from their start
        ProcessPoolExecutor(cores, server, move_into_a_copy, (root, folder)) as pool,
    ):
        try:
            unchanged = {pool.submit(outcome, tests): file for file, tests in files.items()}
            usual = {}
            for run in progress(unchanged, "file"):
                file, found = unchanged[run], run.result()
                if not found.passed:
                    what = f"{file} fails on unchanged code, mend that first: {found.failed}"
                    raise ListError(what)
                usual[file] = found.seconds
            mistaken = {}
            for mutant in mutants:
                limit = patience + 3 * sum(usual[file] for file in files_of(mutant))
                mistaken[pool.submit(with_mistake, mutant, limit)] = mutant
            for run in progress(mistaken, "mistake"):
                mutant, found = mistaken[run], run.result()
                if verbose or (found.passed and not mutant.equivalent):
                    what = found.failed or "unnoticed"
                    line = f"{what}: {shown(mutant, root)} ({found.seconds:.0f} s)"
                    tqdm.write(line, file=sys.stderr)
            return {mutant: run.result() for run, mutant in mistaken.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def progress(runs: Collection[Future[Outcome]], unit: str) -> Iterator[Future[Outcome]]:
    """Runs when they are done, and how many are."""
    hidden = not sys.stderr.isatty()
    yield from tqdm(as_completed(runs), total=len(runs), unit=unit, disable=hidden)


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
    parser.add_argument("--verbose", action="store_true", help="name what notices each mistake")
    parser.add_argument("--root", type=Path, default=ROOT, help="the working tree")
    parser.add_argument("--patience", type=float, default=PATIENCE, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    cores = (os.cpu_count() or 1) if args.cores == "all" else int(args.cores)
    try:
        found = judged(args.root, listed(args.root, args.only), cores, args.patience, args.verbose)
    except ListError as error:
        print(error, file=sys.stderr)
        return 2
    lines, enough = report(args.root, found)
    print("\n".join(lines))
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
