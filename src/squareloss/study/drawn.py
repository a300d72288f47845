"""Which config files draw a figure: for one that was asked for and is not among the study's."""

import shlex
from collections.abc import Iterable
from pathlib import Path

import yaml


def drawing(figure: str, folders: Iterable[Path]) -> list[Path]:
    """The files `config.yaml` and `config/*.yaml` below `folders` that list a figure."""
    found = []
    for folder in folders:
        for path in [folder / "config.yaml", *sorted((folder / "config").glob("*.yaml"))]:
            try:
                config = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, yaml.YAMLError):
                continue  # of a file that cannot be read nothing is told
            if isinstance(config, dict) and figure in (config.get("figures") or ()):
                found.append(path)
    return found


def not_drawn(figure: str, folders: Iterable[Path]) -> str:
    """What to do about a figure that is not among the study's, in one line."""
    files = drawing(figure, folders)
    line = f"config: figures: {figure} is not among them; "
    if not files:
        return line + "add it"
    path = files[0]
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return (
        line + f"add it, or take the config that draws it: --configfile {shlex.quote(str(shown))}"
    )
