"""The page beside a study's results: what was found, of what they are made, and where what lies."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import squareloss
from squareloss.errors import first_line, printable
from squareloss.source import catalog
from squareloss.tables.readable import in_markdown

PACKAGES = ("torch", "numpy", "pandas", "scipy", "snakemake")
PAGE = """\
# Results of the study `{study}`

**{verdicts}**

[Every statement with its verdict](claims/claims.html),
[all runs, to look around in](explore.html), [all figures in one report](report.html). `make demo`
makes the report, and of another study `snakemake ... --report {results}/{study}/report.html`.

{made_from}

{origin} Python {python}, {packages}. Each `runs/.../run.json` says with what its run was trained.

| where | what |
|---|---|
| `claims/claims.html`, `.md`, `.parquet` | every statement of the paper with its verdict |
| `figures/<name>.png`, `.pdf` | the figures below |
| `tables/<name>.csv`, `.md`, `.tex` | the numbers of those that have a table |
| `aggregate/<name>.parquet` | all measurements of a figure's runs: a row a replicate and epoch |
| `aggregate/layers/<name>.parquet` | the same for each layer |
| `small/<name>.parquet` | what was measured on small problems |
| `metrics/<table>/recipe=.../block=<b>.parquet` | the measurements of each run |
| `runs/.../run.json`, `snapshots.safetensors` | what was run on what; the weights |
| [`config.json`](config.json) | the config, all its overlays merged |
| `croissant.json` | the tables of `metrics/` for programs that read Croissant |

In the repository `docs/tables.md` explains every column, and `docs/query.md` has examples.

| figure | what it shows |
|---|---|
{figures}
"""


def origin(module: Path) -> str:
    """The commit of the code, one file of which is `module`, and whether files differ from it.

    A package that is installed in an environment may lie below somebody else's repository, which
    does not have the file among its own. A clone that belongs to another user is read all the same:
    its code runs here anyway. What git has from the environment is of another repository.
    """
    commands = (
        ["ls-files", "--error-unmatch", module.name],
        ["rev-parse", "HEAD"],
        ["status", "--porcelain", "--untracked-files=no"],
    )
    git = ["git", "-c", f"safe.directory={_top(module)}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        _, commit, changes = (
            subprocess.run(
                [*git, *command],
                cwd=module.parent,
                env=environment | {"LC_ALL": "C"},
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=True,
            ).stdout.strip()
            for command in commands
        )
    except OSError as error:
        return f"squareloss {squareloss.__version__}, of no known commit ({error.strerror}: git)."
    except subprocess.CalledProcessError as error:
        reason = printable(first_line(error.stderr), 200)
        return f"squareloss {squareloss.__version__}, of no known commit ({reason})."
    changed = ", with changes that are not committed" if changes else ""
    return f"squareloss {squareloss.__version__}, commit `{commit}`{changed}."


def _top(module: Path) -> Path:
    """The folder of the repository that a file lies in, where there is one."""
    folders = module.resolve().parents
    return next((folder for folder in folders if (folder / ".git").exists()), folders[0])


def counted(claims: str) -> str:
    """How many statements have which verdict: the last line of claims.txt."""
    return claims.strip().rpartition("\n")[2]


def page(config: dict[str, Any], made_from: str, verdicts: str) -> str:
    """The page as Markdown, for the whole config of a study."""
    modules = catalog.figures()
    figures = [
        f"| [{name}](figures/{name}.png) | {modules[name].title.replace('|', '&#124;')} |"
        for name in config["figures"]
    ]
    return PAGE.format(
        study=config["study"],
        results=config.get("results", "results"),
        made_from=in_markdown(made_from),
        verdicts=verdicts,
        origin=origin(Path(__file__)),
        python=platform.python_version(),
        packages=", ".join(f"{name} {version(name)}" for name in PACKAGES),
        figures="\n".join(figures),
    )
