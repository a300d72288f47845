"""What the paper states, from its first page to its last, and what answers each statement.

The list is `statements.yaml`, in the paper's order: a place, what is said there in our words, and
the names of claims and figures that answer it, or a remark that says why none does.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Statement:
    """One statement of the paper."""

    place: str
    says: str
    answers: tuple[str, ...] = ()  # names of claims and of figures
    remark: str = ""  # why nothing answers it, or what else does

    def __post_init__(self) -> None:
        if not (self.answers or self.remark):
            raise ValueError(f"{self.place}, {self.says}: give an answer, or a remark why none")


def statements() -> list[Statement]:
    """All statements, in the paper's order. `ValueError` for one without answer or remark."""
    text = Path(__file__).with_name("statements.yaml").read_text(encoding="utf-8")
    found = []
    for place, rows in yaml.safe_load(text).items():
        for row in rows:
            answers = tuple(str(row.get("answers", "")).split())
            found.append(Statement(place, row["says"], answers, row.get("remark", "")))
    return found
