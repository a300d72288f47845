"""Config files and their overlays, read as Snakemake reads them, without it."""

from pathlib import Path
from typing import Any

import yaml

from squareloss.errors import UserError
from squareloss.study.config import Study, load


def read(paths: list[str]) -> Study:
    """The study of a config file and its overlays. Raises `UserError` for what is wrong in them."""
    raw: dict[str, Any] = {}
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                raw = merged(raw, yaml.safe_load(file) or {})
            refuse_duplicates(path)
        except yaml.YAMLError as error:
            reason = str(error).replace("\n", " ")
            raise UserError(f"{path}: not valid YAML ({reason})") from None
    return load(raw)


def merged(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """`overlay` over `base` as Snakemake does it: mappings merge, everything else is replaced."""
    result = dict(base)
    for key, value in overlay.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def refuse_duplicates(path: str | Path) -> None:
    """Raise `UserError` naming file, line and key where a mapping has a key twice.

    YAML keeps the last in silence. The file has been read before: it is valid YAML or JSON.
    """
    waiting = [yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        if not isinstance(node, yaml.MappingNode):
            continue
        seen: set[str] = set()
        for key, value in node.value:
            waiting.append(value)
            if key.value in seen:
                line = key.start_mark.line + 1
                raise UserError(f"{path}, line {line}: {key.value} is given twice; keep one")
            seen.add(str(key.value))
