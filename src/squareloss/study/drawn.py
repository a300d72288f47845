"""What to say to a figure that was asked for and is not drawn: who draws it, or what was meant."""

import difflib
import re
import shlex
from collections.abc import Iterable, Sequence
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
            listed = config.get("figures") if isinstance(config, dict) else None
            if listed == figure or (isinstance(listed, list) and figure in listed):
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


def mistyped(words: Sequence[str], rules: Iterable[str]) -> str:
    """What the first target that is no rule and no path may have meant; "" if there is none.

    `words` are those of Snakemake's command line, which reads the targets among them after the
    Snakefile. Its own parser tells a target from the value of an option.
    """
    names = set(rules)
    likely = {
        word: close
        for word in words
        if word not in names and re.fullmatch(r"\w+", word)
        if (close := difflib.get_close_matches(word, names, n=3))
    }
    if not likely:
        return ""
    from snakemake.cli import get_argument_parser

    known, _ = get_argument_parser().parse_known_args(words)
    for target in known.targets or ():
        if target in likely:
            meant = " or ".join(map(repr, likely[target]))
            return f"there is no rule {target!r}; did you mean {meant}?"
    return ""
