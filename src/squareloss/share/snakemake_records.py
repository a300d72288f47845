"""What Snakemake recorded of its outputs, read without Snakemake: all knowledge of that format.

Read from Snakemake 9.27, `snakemake/persistence/file.py`, whose records say
`record_format_version: 6`. Below `.snakemake/` of a clone:

    metadata/<name>     JSON: rule, command, parameters and checksums of inputs of an output
    incomplete/<name>   exists while a job makes an output, and after it was killed
    locks/              holds files while Snakemake runs, and after it was killed

<name> is the output's path in URL-safe Base64. Where that is longer than the file system allows for
one name, it is cut, and all pieces but the last are folders whose names begin with "@".
"""

import ast
import itertools
import os
import re
import shlex
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT = 6  # earlier ones do not hold all parameters
LARGEST = 1 << 24  # bytes of a record; those of parts have some thousands
# A label of `squareloss.source.code`: names of modules, and nothing that is a path.
CODE = re.compile(r"code of [a-z]\w*(\.\w+)*(, [a-z]\w*(\.\w+)*)*: [0-9a-f]+", re.ASCII)


class Stored(BaseModel):
    """The JSON of a record, with all that Snakemake asks of one when it plans.

    Other versions of Snakemake may record more.
    """

    model_config = ConfigDict(strict=True, extra="ignore")
    record_format_version: int = Field(ge=FORMAT)
    incomplete: Literal[False]
    rule: str
    code: str
    shellcmd: str
    params: list[str]
    input_checksums: dict[str, str]
    input: list[str] | None = None
    log: list[str] | None = None
    conda_env: str | None = None
    container_img_url: str | None = None
    software_stack_hash: str | None = None
    job_hash: int | None = None
    starttime: float | None = None
    endtime: float | None = None
    external_jobid: str | None = None


@dataclass(frozen=True)
class Record:
    """With what an output was made: every change of these makes Snakemake make it again."""

    rule: str
    command: str  # of the rule, before its wildcards and parameters are filled in
    parameters: dict[str, Any]  # by the option of the command that they are given to
    checksums: dict[str, str]  # of the inputs: "sha256:..."


def outputs(clone: Path) -> list[str]:
    """Every output that Snakemake has a record of in `clone`, as the rules name it."""
    folder = clone / ".snakemake" / "metadata"
    names = (path.relative_to(folder).parts for path in folder.rglob("*") if path.is_file())
    encoded = ("".join(part.removeprefix("@") for part in parts) for parts in names)
    return sorted(output for name in encoded if (output := _decoded(name)))


def record_path(clone: Path, output: str) -> Path:
    """Where Snakemake keeps the record of `output`; it need not exist."""
    return _path(clone / ".snakemake" / "metadata", output)


def marker_path(clone: Path, output: str) -> Path:
    """The file that exists while `output` is being made, and after that was cut short."""
    return _path(clone / ".snakemake" / "incomplete", output)


def locked(clone: Path) -> bool:
    """Whether Snakemake runs in `clone`, or was killed there and not unlocked since."""
    return any((clone / ".snakemake" / "locks").glob("*"))


def read(clone: Path, output: str) -> Record | None:
    """The record of `output`, None if there is none that can be relied on."""
    path = record_path(clone, output)
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            return None
        record = Stored.model_validate_json(path.read_bytes())
        values = [ast.literal_eval(parameter) for parameter in record.params]
        parameters = _named(values, record.shellcmd)
    # What a text that is no literal, or no command line, can bring about.
    except (OSError, ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    codes = [value for value in values if isinstance(value, str) and value.startswith("code of ")]
    if not all(CODE.fullmatch(value) for value in codes):
        return None
    return Record(record.rule, record.code, parameters, record.input_checksums)


def _named(values: list, command: str) -> dict[str, Any]:
    """Snakemake keeps the values of parameters without their names, which the command tells."""
    words = shlex.split(command)
    options = {
        value: option[2:] for option, value in itertools.pairwise(words) if option.startswith("--")
    }
    return {options.get(str(value), str(value)): value for value in values}


def _decoded(name: str) -> str | None:
    """The output that a name stands for; None for a file that is not Snakemake's."""
    try:
        return urlsafe_b64decode(name).decode()
    except ValueError:
        return None


def _path(folder: Path, output: str) -> Path:
    name = urlsafe_b64encode(output.encode()).decode()
    size = _longest_name(folder) - 1
    pieces = [name[start : start + size] for start in range(0, len(name), size)]
    return folder.joinpath(*("@" + piece for piece in pieces[:-1]), pieces[-1])


def _longest_name(folder: Path) -> int:
    """Characters in a file name where `folder` is, or its nearest parent that exists."""
    while not folder.exists():
        folder = folder.parent
    return os.pathconf(folder, "PC_NAME_MAX") or 255
