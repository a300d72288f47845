"""Keys that a YAML file gives twice: YAML's readers keep the last in silence."""

from pathlib import Path

import yaml

from squareloss.errors import UserError


def refuse_duplicates(path: str | Path) -> None:
    """Raise `UserError` naming file, line and key where a mapping has a key twice.

    The file is valid YAML or JSON, which has been read before.
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
