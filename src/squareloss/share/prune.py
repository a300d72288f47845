"""Remove the runs that a config no longer asks for: `make prune CONFIG=config/demo.yaml`.

    python -m squareloss.share.prune --config config.yaml config/demo.yaml

Removed are parts of runs and blocks, in the folder of the config's study alone, each with
Snakemake's record of it. Figures, tables and pages are made anew by the next `snakemake`. Runs take
hours, and only the config files say which are asked for, not what a command had after `--config`.
So it lists the runs and asks first.
"""

import contextlib
import sys
from pathlib import Path

from squareloss.arguments import parser
from squareloss.errors import UserError, run_stage
from squareloss.share import merge
from squareloss.share import snakemake_records as records
from squareloss.study import plan
from squareloss.study.config import Study
from squareloss.study.files import read


def prune(study: Study, clone: Path, unasked: dict[str, list[str]]) -> None:
    """Remove these parts, by run, with their records, and the folders that this empties."""
    merge.refuse_locked(clone)
    top = clone / plan.folder(study)
    with merge.only_one(clone):
        for run, names in unasked.items():
            for name in names:
                path = clone / name
                path.unlink()
                records.record_path(clone, name).unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # other blocks are there
                    for parent in path.parents:
                        if parent == top:
                            break
                        parent.rmdir()
            print(f"{study.study}: removed {run}: {len(names)} files")


def agreed(question: str) -> bool:
    """Whether the user says yes. Raises `UserError` if there is no terminal to ask in."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UserError("nothing was removed: there is no terminal to ask in; YES=1 removes them")
    print(f"{question} [y/N] ", end="", flush=True)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        raise UserError("nothing was removed") from None


def main() -> None:
    """Command line of `make prune`."""
    options = parser(__doc__)
    options.add_argument("--config", nargs="+", required=True, help="config.yaml and its overlays")
    options.add_argument("--yes", action="store_true", help="remove without asking")
    arguments = options.parse_args()
    study = read(arguments.config)
    unasked = plan.unasked(study, Path())
    if not unasked:
        print(f"{plan.folder(study)}: nothing but what the config asks for")
        return
    print(*unasked, sep="\n")
    size = sum(Path(name).stat().st_size for names in unasked.values() for name in names)
    print(
        f"{plan.folder(study)}: {len(unasked)} runs and blocks, {size / 1e6:.1f} MB, that "
        f"{' with '.join(arguments.config)} does not ask for. Values that a command had after "
        "--config are in no file: runs that they asked for are listed, too."
    )
    if arguments.yes or agreed("Remove them?"):
        prune(study, Path(), unasked)


if __name__ == "__main__":
    run_stage(main)
