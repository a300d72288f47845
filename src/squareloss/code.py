"""Which files of the package a stage depends on, so that an edit reruns what it must and no more.

Snakemake does not see imports. This reads them: the import statements of a module's source,
followed within the package. Nothing is imported, so planning stays fast.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[1]
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
        waiting.append(file)
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
    """A digest of `files(*modules)`, with what it is of: "code of train, networks.cnn6: 6f0c12d9".

    It is a parameter of the rules: Snakemake runs a job again when one has changed, and shows both.
    The files as inputs of every job would make large plans half as slow again, docs/performance.md.
    Comments, docstrings and formatting are no part of it: mending a sentence retrains nothing.
    """
    digest = hashlib.sha256()
    for path in files(*modules):
        digest.update(f"{path.relative_to(SOURCE).as_posix()} {_meaning(path)}\n".encode())
    return f"code of {', '.join(modules)}: {digest.hexdigest()[:8]}"


@cache
def _meaning(path: Path) -> str:
    """Digest of what a source file does."""
    return hashlib.sha256(skeleton(path.read_text(encoding="utf-8")).encode()).hexdigest()


def skeleton(source: str) -> str:
    """The syntax tree of `source` as text, without docstrings, comments and positions.

    What is empty is left out, so that a field which a later Python adds to a node changes nothing.
    Raises `SyntaxError`.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
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
