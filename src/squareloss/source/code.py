"""Which files of the package a stage depends on, so that an edit reruns what it must and no more.

Snakemake does not see imports. This reads them: the import statements of a module's source,
followed within the package. Nothing is imported, so planning stays fast.

    python -m squareloss.source.code train model.networks.cnn6 model.normalizations.wn \
        --since results/.../run.json

answers "why does it train again?": it lists the files, and marks those edited since.
"""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

from squareloss.arguments import parser
from squareloss.errors import run_stage

SOURCE = Path(__file__).parents[2]
SAME = Path(__file__).with_name("same_results.json")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _file(module: str) -> Path | None:
    """Source file of a module or package of ours, None for anything else."""
    base = SOURCE.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if module.split(".")[0] == "squareloss" and path.is_file():
            return path
    return None


@cache
def _imports(path: Path) -> frozenset[Path]:
    """Files of ours that the import statements in `path` name, packages on the way included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    prefixes = {".".join(n.split(".")[: i + 1]) for n in names for i in range(n.count(".") + 1)}
    return frozenset(file for name in prefixes if (file := _file(name)))


def files(*modules: str) -> list[Path]:
    """Files that `modules` depend on, themselves included.

    `modules` are names below `squareloss`. Raises `FileNotFoundError` for one that does not exist.
    """
    found: set[Path] = set()
    waiting = []
    for module in modules:
        file = _file(f"squareloss.{module}")
        if file is None:
            raise FileNotFoundError(f"no module squareloss.{module}")
        # What `python -m` runs of a package is beside its `__init__`.
        command = file.with_name("__main__.py")
        waiting.append(command if file.stem == "__init__" and command.exists() else file)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imports(file)
    # It holds the package's version, which says nothing about what a module computes.
    found.discard(SOURCE / "squareloss" / "__init__.py")
    return sorted(found)


@cache
def code(*modules: str) -> str:
    """A digest of `files(*modules)`, with what it is of: "code of train, ...: 6f0c12d9".

    It is a parameter of the rules: Snakemake runs a job again when one has changed, and shows both.
    The files as inputs of every job would make large plans half as slow again, docs/choices.md.
    Comments, docstrings and formatting are no part of it: mending a sentence retrains nothing. Nor
    does code that was moved or rewritten and is known to give the same results, `SAME`: it keeps
    the name of the code before.
    """
    digest = hashlib.sha256()
    for path in files(*modules):
        digest.update(f"{path.relative_to(SOURCE).as_posix()} {_meaning(path)}\n".encode())
    today = f"code of {', '.join(modules)}: {digest.hexdigest()[:8]}"
    return same_results().get(today, today)


@cache
def same_results() -> dict[str, str]:
    """What `code` calls today's code -> what it called earlier code that gives the same bits."""
    found: dict[str, str] = json.loads(SAME.read_text(encoding="utf-8"))
    return found


def digest_here(label: str) -> str | None:
    """The digest that the code here has by a label, "code of train, ..."; None if it has none.

    The label may be of a time before its modules were moved. Then all code that goes by it must be
    what it was.
    """
    labels = {
        today.rpartition(": ")[0]
        for today, earlier in same_results().items()
        if earlier.rpartition(": ")[0] == label
    }
    try:
        found = {code(*one.removeprefix("code of ").split(", ")) for one in labels or {label}}
    except FileNotFoundError:
        return None
    digests = {name.rpartition(": ")[2] for name in found if name.rpartition(": ")[0] == label}
    return digests.pop() if len(found) == len(digests) == 1 else None


@cache
def _meaning(path: Path) -> str:
    """Digest of what a source file does."""
    return hashlib.sha256(skeleton(path.read_text(encoding="utf-8")).encode()).hexdigest()


def skeleton(source: str) -> str:
    """The syntax tree of `source` as text, without docstrings, comments and positions.

    What is empty is left out, so that a field which a later Python adds to a node changes nothing,
    nor the empty text that Python 3.12 has at the end of some f-strings. Raises `SyntaxError`.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        elif isinstance(node, ast.JoinedStr):
            node.values = [part for part in node.values if getattr(part, "value", part) != ""]
    return _text(tree)


def _text(node: object) -> str:
    if isinstance(node, ast.AST):
        fields = [f"{name}={_text(value)}" for name, value in ast.iter_fields(node) if value]
        # A constant may be 0, "" or None, which are not the same.
        value = [repr(node.value)] if isinstance(node, ast.Constant) else []
        return f"{type(node).__name__}({', '.join(value or fields)})"
    if isinstance(node, list):
        return f"[{', '.join(_text(item) for item in node)}]"
    return repr(node)


def main() -> None:
    """List the files behind a stage; with a result, mark those that were edited after it."""
    options = parser(__doc__)
    options.add_argument("modules", nargs="+", help="e.g. train model.networks.cnn6")
    options.add_argument("--since", type=Path, help="a result, e.g. a run.json")
    arguments = options.parse_args()
    made = arguments.since.stat().st_mtime if arguments.since else float("inf")
    for path in files(*arguments.modules):
        mark = "edited " if path.stat().st_mtime > made else ""
        print(f"{_meaning(path)[:8]}  {mark}{path.relative_to(SOURCE).as_posix()}")
    print(code(*arguments.modules))


if __name__ == "__main__":
    run_stage(main)
